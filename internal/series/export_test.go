package series

import "context"

// Seal seals what is due, and nothing else.
func (db *DB) Seal(ctx context.Context) error {
	g := newGatherer(db)
	for _, s := range db.shards {
		if err := s.await(ctx); err != nil {
			return err
		}
		if epoch, ok := s.working(); ok {
			if _, err := s.seal(ctx, g, epoch, db.o.Now(), false); err != nil {
				return err
			}
		}
	}
	return nil
}
