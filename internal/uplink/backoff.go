package uplink

import (
	"math/rand/v2"
	"time"
)

const (
	firstPause = 800 * time.Millisecond
	// LongestPause is how long an agent waits at most before it tries to connect again.
	LongestPause = 30 * time.Second
)

// backoff gives growing pauses between attempts, each drawn at random, so that the agents of a server
// that was away do not come back as one.
type backoff struct {
	ceiling time.Duration
	random  func() float64 // [0,1)
}

func newBackoff() *backoff { return &backoff{random: rand.Float64} }

// next gives a pause between a fifth and the whole of the ceiling, which doubles; the first is under a second.
func (b *backoff) next() time.Duration {
	if b.ceiling == 0 {
		b.ceiling = firstPause
	}
	pause := b.ceiling/5 + time.Duration(b.random()*float64(b.ceiling-b.ceiling/5))
	b.ceiling = min(2*b.ceiling, LongestPause)
	return pause
}

// longest gives a pause near the longest, for refusals that will not change by themselves.
func (b *backoff) longest() time.Duration {
	b.ceiling = LongestPause
	return LongestPause/2 + time.Duration(b.random()*float64(LongestPause/2))
}

// reset is for after things went well.
func (b *backoff) reset() { b.ceiling = 0 }
