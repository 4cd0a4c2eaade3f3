package series

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"muster"
)

const (
	// inFlight is how many segment writes may be under way, one for each shard.
	inFlight = 64
	// fullBatch is when a segment is full, in bytes before compression.
	fullBatch = 256 << 10
	// longestWait is how long frames wait for their turn at most, while writes are being held back.
	longestWait = 500 * time.Millisecond
	// A busy system writes bigger segments, not more: beyond a burst, one write per pause.
	writePause = time.Second / 256
	writeBurst = 32 * writePause
	// fullLane is how much of one shard may wait; then frames are refused.
	fullLane = 32 << 20
	// sameKey is for how long a write is retried under its key.
	sameKey = 30 * time.Second
)

// batch is frames of one shard that become one segment.
type batch struct {
	frames []*muster.Frame
	size   int
	since  time.Time
	done   chan struct{}
	err    error // valid once done is closed
}

// lane is where the frames of one shard wait. The last of the batches still gathers.
type lane struct {
	batches []*batch
	size    int
	busy    bool // in the line or being written
}

// journal turns frames into segments: group commit. One write per shard at a time, so that frames
// gather meanwhile; of the shards that wait, the one that waited longest goes first.
type journal struct {
	write func(shard int, b *batch) error // stores the segment and hands the frames on
	now   func() time.Time

	mu      sync.Mutex
	lanes   []lane
	line    []int // shards that have something to write and are not being written
	writing int
	frames  int       // that wait or are being written
	next    time.Time // when the next write may begin, were there no burst allowed
	timer   *time.Timer
	closed  bool
	idle    *sync.Cond
}

func newJournal(shards int, write func(int, *batch) error) *journal {
	j := &journal{write: write, now: time.Now, lanes: make([]lane, shards)}
	j.idle = sync.NewCond(&j.mu)
	return j
}

// add puts the frames of one shard in line and gives the batches that will hold them.
func (j *journal) add(shard int, frames []*muster.Frame) ([]*batch, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return nil, fmt.Errorf("%w: series: append: closed", muster.ErrUnavailable)
	}
	l := &j.lanes[shard]
	if l.size > fullLane {
		return nil, fmt.Errorf("%w: series: append: the log is behind", muster.ErrUnavailable)
	}
	var mine []*batch
	for _, f := range frames {
		b := l.gathering(j.now())
		if len(mine) == 0 || mine[len(mine)-1] != b {
			mine = append(mine, b)
		}
		size := 64 + len(f.Source) + 8*len(f.Values)
		b.frames = append(b.frames, f)
		b.size += size
		l.size += size
	}
	j.frames += len(frames)
	switch {
	case !l.busy:
		l.busy = true
		j.line = append(j.line, shard)
		j.start()
	case l.batches[0].size >= fullBatch:
		j.start()
	}
	return mine, nil
}

func (l *lane) gathering(now time.Time) *batch {
	if n := len(l.batches); n > 0 && l.batches[n-1].size < fullBatch {
		return l.batches[n-1]
	}
	b := &batch{since: now, done: make(chan struct{})}
	l.batches = append(l.batches, b)
	return b
}

// start begins as many writes as may begin. It is called with mu held.
func (j *journal) start() {
	for j.writing < inFlight && len(j.line) > 0 {
		at := j.oldest()
		shard := j.line[at]
		l := &j.lanes[shard]
		now := j.now()
		early := j.next.Add(-writeBurst).Sub(now)
		if b := l.batches[0]; early > 0 && !j.closed && b.size < fullBatch && now.Sub(b.since) < longestWait {
			j.wake(min(early, longestWait-now.Sub(b.since)))
			return
		}
		if j.next.Before(now) {
			j.next = now
		}
		j.next = j.next.Add(writePause)
		j.line[at] = j.line[len(j.line)-1]
		j.line = j.line[:len(j.line)-1]
		j.writing++
		b := l.batches[0]
		l.batches = l.batches[1:]
		go j.run(shard, b)
	}
}

// oldest gives the place in the line of a full batch, or else of the one that waited longest.
func (j *journal) oldest() int {
	best := 0
	for i, shard := range j.line {
		b := j.lanes[shard].batches[0]
		if b.size >= fullBatch {
			return i
		}
		if b.since.Before(j.lanes[j.line[best]].batches[0].since) {
			best = i
		}
	}
	return best
}

func (j *journal) wake(after time.Duration) {
	if j.timer == nil {
		j.timer = time.AfterFunc(after, func() {
			j.mu.Lock()
			defer j.mu.Unlock()
			j.start()
		})
		return
	}
	j.timer.Reset(after)
}

// run writes one batch, then whatever waits.
func (j *journal) run(shard int, b *batch) {
	b.err = j.write(shard, b)
	close(b.done)
	j.mu.Lock()
	defer j.mu.Unlock()
	l := &j.lanes[shard]
	l.size -= b.size
	j.frames -= len(b.frames)
	j.writing--
	if len(l.batches) > 0 {
		j.line = append(j.line, shard)
	} else {
		l.busy, l.batches = false, nil
	}
	j.start()
	if j.frames == 0 {
		j.idle.Broadcast()
	}
}

// waiting gives the number of frames that are not acknowledged yet.
func (j *journal) waiting() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.frames
}

// close takes nothing more and waits until everything taken has been written or has failed.
func (j *journal) close() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closed = true
	j.start()
	for j.frames > 0 {
		j.idle.Wait()
	}
	if j.timer != nil {
		j.timer.Stop()
	}
}

// wait gives the outcome of batches. When ctx ends first the outcome is unknown.
func wait(ctx context.Context, batches []*batch) error {
	for _, b := range batches {
		select {
		case <-b.done:
			if b.err != nil {
				return b.err
			}
		case <-ctx.Done():
			return fmt.Errorf("%w: series: append: %w", muster.ErrUnavailable, context.Cause(ctx))
		}
	}
	return nil
}

// writeSegment is the journal's write: it makes the frames durable and lets the shard's heads have them.
func (db *DB) writeSegment(at int, b *batch) error {
	s := db.shards[at]
	key := SegmentKey{Shard: at, Minute: db.minute(), Gateway: db.gateway, N: db.segmentN.Add(1)}
	key.Minute = s.beginWrite(key.Minute)
	begun := time.Now()
	err := db.storeSegment(key, b)
	if err != nil {
		s.endWrite(db.life, nil, 0)
		db.o.Logger.Error("a segment could not be stored", "shard", at, "frames", len(b.frames), "error", err)
		return fmt.Errorf("series: append: %w", err)
	}
	db.tell.writeSeconds.Update(time.Since(begun).Seconds())
	db.tell.segments.Inc()
	var samples int
	for _, f := range b.frames {
		samples += len(f.Values)
	}
	db.tell.frames.Add(len(b.frames))
	db.tell.samples.Add(samples)
	s.endWrite(db.life, b.frames, key.Minute)
	return nil
}

func (db *DB) storeSegment(key SegmentKey, b *batch) error {
	builder := db.builders.Get()
	defer func() { builder.Reset(); db.builders.Put(builder) }()
	for _, f := range b.frames {
		if err := builder.Add(f); err != nil {
			return err
		}
	}
	buffer := db.buffers.Get()
	defer func() { db.buffers.Put(buffer) }()
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
