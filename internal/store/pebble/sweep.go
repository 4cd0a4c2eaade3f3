package pebble

import (
	"bytes"
	"context"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

// sweepMost is how many notes of expiry one commit of a sweep takes.
const sweepMost = 512

// Sweep frees the rows whose time has come, oldest first. A row that was written again since, to live
// longer, has a later note and stays.
func (e *Engine) Sweep(ctx context.Context, now time.Time) error {
	for {
		var notes [][]byte
		bounds := pebble.IterOptions{LowerBound: []byte{expiryKeys}, UpperBound: expiryKey(now.UnixMilli()+1, nil)}
		err := e.scan(ctx, bounds, false, func(key, _ []byte) (bool, error) {
			notes = append(notes, bytes.Clone(key))
			return len(notes) < sweepMost, nil
		})
		if err != nil {
			return err
		}
		for _, note := range notes {
			if err := e.free(ctx, note, now.UnixMilli()); err != nil {
				return err
			}
		}
		if len(notes) < sweepMost {
			return nil
		}
	}
}

// free removes the row that a note names, if it has expired, and the note. What it takes away nobody
// can see any more, so it need not be synced: after a power cut it is done again.
func (e *Engine) free(ctx context.Context, note []byte, now int64) error {
	key := note[9:]
	unlock, err := e.lock(ctx, key)
	if err != nil {
		return err
	}
	defer unlock()
	value, err := e.read(key)
	if err != nil {
		return err
	}
	done, err := e.db.Use()
	if err != nil {
		return err
	}
	defer done()
	batch := e.db.NewBatch()
	defer batch.Close()
	if r, expires := openValue(value); value != nil && !r.bad && expires != 0 && expires <= now {
		if err := batch.Delete(key, nil); err != nil {
			return err
		}
		if key[0] == headKeys {
			rows := append([]byte{rowKeys}, key[1:]...)
			if err := batch.DeleteRange(rows, afterPrefix(rows), nil); err != nil {
				return err
			}
		}
	}
	if err := batch.Delete(note, nil); err != nil {
		return err
	}
	return batch.Commit(pebble.NoSync)
}
