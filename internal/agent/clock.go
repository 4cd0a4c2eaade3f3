package agent

import (
	"sync"
	"time"
)

// clock is the agent's clock. It does not jump when the machine's does: the times of frames that wait
// and the time of sending must be of one clock, for the server to reckon how far that is off. It
// follows the machine's clock once nothing waits.
type clock struct {
	mu    sync.Mutex
	start time.Time     // with its monotonic reading
	shift time.Duration // of the machine's clock since start
}

func newClock() *clock { return &clock{start: time.Now()} }

// Now gives the time, without a monotonic reading.
func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now()
}

func (c *clock) now() time.Time { return c.start.Round(0).Add(time.Since(c.start) + c.shift) }

// settle takes over a jump of the machine's clock when the agent is idle: when nothing waits to be sent.
func (c *clock) settle(idle bool) {
	const jump = 50 * time.Millisecond
	if !idle {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if off := time.Now().Round(0).Sub(c.now()); off > jump || off < -jump {
		c.shift += off
	}
}
