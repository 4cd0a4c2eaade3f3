package alarm

import "context"

// Flush writes all that waits, and the states of holds when holds is true, as the writers of Run do.
func (w *Watch) Flush(ctx context.Context, holds bool) {
	for _, s := range w.shards {
		s.flush(ctx, holds)
	}
	w.incidents.Save(ctx)
}

// Tick judges silences, as Run does every second.
func (w *Watch) Tick() { w.tick() }

// Waiting says how many steps wait to be written.
func (w *Watch) Waiting() int { return w.count((*shard).waiting) }

// Instances says how many alarms on series there are.
func (w *Watch) Instances() int { return w.count((*shard).instances) }

// ParseSaved reads a state's bytes and writes them again.
func ParseSaved(key string, b []byte) ([]byte, error) {
	s, err := parseSaved(key, b)
	if err != nil {
		return nil, err
	}
	s.inst.sub = newSubject(newBook(s.account), s.subject)
	return s.inst.save(), nil
}
