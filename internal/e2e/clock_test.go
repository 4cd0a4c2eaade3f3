package e2e

import (
	"math"
	"testing"
	"time"

	"muster/internal/wire"
)

// TestWrongClocks lets agents send whose clocks are an hour off, and one whose clock jumps: what they measure
// lies where it belongs, and how far the clock is off is there to be seen.
func TestWrongClocks(t *testing.T) {
	t.Parallel()
	s := newServer(t, "--no-agent")
	s.start()
	s.ready()
	for name, parts := range map[string][]time.Duration{ // by how much the clock is ahead, for each part of a session
		"right":              {0},
		"an hour ahead":      {time.Hour},
		"an hour behind":     {-time.Hour},
		"jumps ahead":        {0, time.Hour},
		"jumps back":         {0, -time.Hour},
		"is set right again": {3 * time.Hour, 0},
	} {
		t.Run(name, func(t *testing.T) {
			p := s.newPeer(name)
			p.t = t
			p.ahead = parts[0]
			p.enter(s, s.enroll(1).Token)
			p.tell(counting(1, "e2e.count"))
			at := time.Now().Truncate(time.Second).Add(-20 * time.Second)
			sent := 0
			for _, ahead := range parts {
				p.ahead = ahead
				for range 5 {
					p.tell(&wire.Frames{Frames: []wire.Frame{p.frame(1, at.Add(time.Duration(sent)*time.Second), float64(sent))}})
					if ack := p.ack(); len(ack.Refused) > 0 {
						t.Fatalf("frame %d was refused: %s", sent, ack.Refused[0].Reason)
					}
					sent++
				}
			}
			// A clock is reckoned by what a message takes to come, so whole seconds are all that is sure.
			const slack = 2
			got := s.points(p.node, "e2e.count", at.Add(-slack*time.Second), at.Add(time.Duration(sent+slack)*time.Second))
			found := map[int]bool{}
			for second, v := range got {
				found[int(v)] = true
				if off := second - at.Unix() - int64(v); off < -slack || off > slack {
					t.Errorf("frame %v lies %d s from where it belongs", v, off)
				}
			}
			if len(found) != sent {
				t.Errorf("of %d frames %d are there: %v", sent, len(found), got)
			}
			var one struct {
				Agent struct {
					ClockOff string `json:"clock_off"`
				}
			}
			want := parts[len(parts)-1]
			until(t, patience, "the node shows its clock", func() bool {
				s.call("GET", "/v1/nodes/"+p.node, nil, &one)
				return near(t, one.Agent.ClockOff, want)
			})
			if off := s.last(p.node, "muster.node.clock_offset"); len(parts) == 1 && math.Abs(off-want.Seconds()) > slack {
				t.Errorf("the node's own metric says %v s", off)
			}
		})
	}
}

// near says whether a duration's text is within two seconds of what is wanted.
func near(t *testing.T, text string, want time.Duration) bool {
	t.Helper()
	var got time.Duration
	if text != "" {
		var err error
		if got, err = time.ParseDuration(text); err != nil {
			t.Fatalf("clock_off %q: %v", text, err)
		}
	}
	return (got - want).Abs() < 2*time.Second
}
