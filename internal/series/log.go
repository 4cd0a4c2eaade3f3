package series

import (
	"errors"
	"fmt"
	"time"

	"muster"
	"muster/internal/column"
	"muster/internal/series/engine"
	"muster/internal/series/journal"
)

// sameKey is for how long a write is retried under its key.
const sameKey = 30 * time.Second

// writeSegment is the journal's write: it makes the frames durable and lets the shard's heads have them.
func (db *DB) writeSegment(at int, b *journal.Batch) error {
	s := db.shards[at]
	key := engine.SegmentKey{Shard: at, Minute: db.minute(), Gateway: db.gateway, N: db.segmentN.Add(1)}
	key.Minute = s.beginWrite(key.Minute)
	begun := time.Now()
	err := db.storeSegment(key, b)
	if err != nil {
		s.endWrite(db.life, nil, 0)
		db.o.Logger.Error("a segment could not be stored", "shard", at, "frames", len(b.Frames), "error", err)
		return fmt.Errorf("series: append: %w", err)
	}
	db.tell.writeSeconds.Update(time.Since(begun).Seconds())
	db.tell.segments.Inc()
	var samples int
	for _, f := range b.Frames {
		samples += len(f.Values)
	}
	db.tell.frames.Add(len(b.Frames))
	db.tell.samples.Add(samples)
	s.endWrite(db.life, b.Frames, key.Minute)
	return nil
}

func (db *DB) storeSegment(key engine.SegmentKey, b *journal.Batch) error {
	builder := db.builders.Get().(*column.SegmentBuilder)
	defer func() { builder.Reset(); db.builders.Put(builder) }()
	for _, f := range b.Frames {
		if err := builder.Add(f); err != nil {
			return err
		}
	}
	buffer := db.buffers.Get().(*[]byte)
	defer db.buffers.Put(buffer)
	*buffer = builder.AppendTo((*buffer)[:0])
	db.tell.segmentBytes.Add(len(*buffer))
	give := db.life
	pause := 10 * time.Millisecond
	for begun := time.Now(); ; pause = min(2*pause, 2*time.Second) {
		err := db.engine.AppendSegment(give, key, *buffer)
		if err == nil || !errors.Is(err, muster.ErrUnavailable) || time.Since(begun) > sameKey {
			return err
		}
		db.tell.retries.Inc()
		select {
		case <-give.Done():
			return err
		case <-time.After(pause):
		}
	}
}
