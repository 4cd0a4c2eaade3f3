// Package journal gives group commit: frames of many lanes (the shards) that wait for their turn to be
// written, one write per lane at a time, bigger writes rather than more when the system is busy.
package journal

import (
	"context"
	"fmt"
	"sync"
	"time"

	"muster"
)

const (
	// inFlight is how many segment writes may be under way, one for each lane.
	inFlight = 64
	// fullBatch is when a segment is full, in bytes before compression.
	fullBatch = 256 << 10
	// longestWait is how long frames wait for their turn at most, while writes are being held back.
	longestWait = 500 * time.Millisecond
	// A busy system writes bigger segments, not more, and writes the shards' segments together, so that they
	// share the engine's sync: in waves, which are wavePause apart, or writePause for each write when that is
	// more. What comes to an idle system is written at once, for as many waves as waveBurst holds.
	writePause = time.Second / 256
	wavePause  = 100 * time.Millisecond
	waveBurst  = 3 * wavePause
	// fullLane is how much of one lane may wait; then frames are refused.
	fullLane = 32 << 20
)

// Batch is frames of one lane that are written together.
type Batch struct {
	Frames []*muster.Frame

	size  int
	since time.Time
	done  chan struct{}
	err   error // valid once done is closed
}

// lane is where the frames of one lane wait. The last of the batches still gathers.
type lane struct {
	batches []*Batch
	size    int
	busy    bool // in the line or being written
}

// Journal lines batches up. One write per lane at a time, so that frames gather meanwhile; of the
// lanes that wait, the one that waited longest goes first. It is safe for concurrent use.
type Journal struct {
	write func(lane int, b *Batch) error
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

// New makes a journal. write is called from several goroutines, for each lane from one at a time; it
// returns when the batch is durable and its frames were handed on.
func New(lanes int, write func(lane int, b *Batch) error) *Journal {
	j := &Journal{write: write, now: time.Now, lanes: make([]lane, lanes)}
	j.idle = sync.NewCond(&j.mu)
	return j
}

// Add puts the frames of one lane in line and gives the batches that will hold them. The error wraps
// muster.ErrUnavailable: too much waits, or the journal is closed.
func (j *Journal) Add(shard int, frames []*muster.Frame) ([]*Batch, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return nil, fmt.Errorf("%w: journal: add: closed", muster.ErrUnavailable)
	}
	l := &j.lanes[shard]
	if l.size > fullLane {
		return nil, fmt.Errorf("%w: journal: add: the log is behind", muster.ErrUnavailable)
	}
	var mine []*Batch
	for _, f := range frames {
		b := l.gathering(j.now())
		if len(mine) == 0 || mine[len(mine)-1] != b {
			mine = append(mine, b)
		}
		size := 64 + len(f.Source) + 8*len(f.Values)
		b.Frames = append(b.Frames, f)
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

func (l *lane) gathering(now time.Time) *Batch {
	if n := len(l.batches); n > 0 && l.batches[n-1].size < fullBatch {
		return l.batches[n-1]
	}
	b := &Batch{since: now, done: make(chan struct{})}
	l.batches = append(l.batches, b)
	return b
}

// start begins as many writes as may begin: of a wave whose time has come all that wait, else only
// what is full or has waited long enough. It is called with mu held.
func (j *Journal) start() {
	now := j.now()
	early := j.next.Add(-waveBurst).Sub(now)
	wave := early <= 0 || j.closed
	begun := 0
	for j.writing < inFlight && len(j.line) > 0 {
		at := j.oldest()
		shard := j.line[at]
		l := &j.lanes[shard]
		b := l.batches[0]
		if !wave && b.size < fullBatch && now.Sub(b.since) < longestWait {
			j.wake(min(early, longestWait-now.Sub(b.since)))
			break
		}
		j.line[at] = j.line[len(j.line)-1]
		j.line = j.line[:len(j.line)-1]
		l.batches = l.batches[1:]
		j.writing++
		begun++
		go j.run(shard, b)
	}
	if j.next.Before(now) {
		j.next = now
	}
	if pause := time.Duration(begun) * writePause; begun > 0 && wave {
		j.next = j.next.Add(max(pause, wavePause))
	} else {
		j.next = j.next.Add(pause)
	}
}

// oldest gives the place in the line of a full batch, or else of the one that waited longest.
func (j *Journal) oldest() int {
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

func (j *Journal) wake(after time.Duration) {
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
func (j *Journal) run(shard int, b *Batch) {
	b.err = j.write(shard, b)
	close(b.done)
	j.mu.Lock()
	defer j.mu.Unlock()
	l := &j.lanes[shard]
	l.size -= b.size
	j.frames -= len(b.Frames)
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

// Waiting gives the number of frames that are not acknowledged yet.
func (j *Journal) Waiting() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.frames
}

// Close takes nothing more and waits until everything taken has been written or has failed.
func (j *Journal) Close() {
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

// Wait gives the outcome of batches. When ctx ends first the outcome is unknown.
func Wait(ctx context.Context, batches []*Batch) error {
	for _, b := range batches {
		select {
		case <-b.done:
			if b.err != nil {
				return b.err
			}
		case <-ctx.Done():
			return fmt.Errorf("%w: journal: wait: %w", muster.ErrUnavailable, context.Cause(ctx))
		}
	}
	return nil
}
