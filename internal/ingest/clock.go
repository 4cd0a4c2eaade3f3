package ingest

import "time"

// clock estimates by how much a sender's clock is ahead of this server's, from messages that carry their
// send time. All that a message tells is a lower bound: it left at Sent and came after an unknown
// delay, so the clock is ahead by at least Sent - Received. Delay is never negative; so a higher figure is
// believed at once, while a lower one may be a clock that was set back or a line that stood still.
type clock struct {
	known   bool
	doubted bool
	off     int64 // the estimate, in milliseconds
	doubt   int64 // the lower figure seen last, while it is doubted
	shift   int64 // what frames are moved back by: whole seconds, so that a second connection moves them alike
}

// Milliseconds.
const (
	shiftOver  = 2000   // frames are moved when the clock is off by more
	shiftUnder = 1000   // and no more when it is off by less
	lineDelay  = 2000   // a line's delay that is nothing to wonder at
	farBack    = 30_000 // no living line delays a message that long
)

// see takes one message's times; waited is how long it may have lain here.
func (c *clock) see(sent, received int64, waited time.Duration) {
	c.estimate(sent-received, waited.Milliseconds())
	abs := max(c.off, -c.off)
	switch {
	case c.shift == 0 && abs > shiftOver, c.shift != 0 && max(c.off-c.shift, c.shift-c.off) > shiftUnder:
		c.shift = toSeconds(c.off)
	}
	if abs < shiftUnder {
		c.shift = 0
	}
}

func (c *clock) estimate(least, waited int64) {
	if !c.known || least >= c.off {
		c.known, c.doubted, c.off = true, false, least
		return
	}
	fall := c.off - least
	if fall <= waited+lineDelay {
		c.doubted = false
		if waited == 0 {
			c.off -= (fall + 7) / 8 // a clock may also drift back slowly
		}
		return
	}
	again := c.doubted && max(least-c.doubt, c.doubt-least) <= lineDelay
	if fall > waited+farBack || again {
		c.off, c.doubted = least, false
		return
	}
	c.doubted, c.doubt = true, least
}

// toSeconds rounds milliseconds to whole seconds.
func toSeconds(ms int64) int64 {
	if ms < 0 {
		return -toSeconds(-ms)
	}
	return (ms + 500) / 1000 * 1000
}
