package series_test

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"muster"
	"muster/internal/series"
	"muster/internal/series/seriestest"
)

// ear notes what is heard of one node.
type ear struct {
	mu     sync.Mutex
	at     []int64
	caught map[int]int
}

func (e *ear) options() series.Options {
	return series.Options{
		Heard: func(_ int, frames []*muster.Frame) {
			e.mu.Lock()
			defer e.mu.Unlock()
			for _, f := range frames {
				e.at = append(e.at, f.At)
			}
		},
		Caught: func(shard int) {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.caught[shard]++
		},
	}
}

// take gives what was heard since the last time.
func (e *ear) take() []int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	at := e.at
	e.at = nil
	return at
}

// What hears the log gets every frame before it is acknowledged, and after a kill those again that came
// since the heads were stored, and a little more, in their order and before any new one.
func TestTheLogIsHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		memory := seriestest.NewMemory()
		e := &ear{caught: map[int]int{}}
		w := newWorld(t, seriestest.NewFaulty(memory, seriestest.Faults{}, 1), e.options())
		synctest.Wait()
		schema, id := twoMetrics(t), nodeID(3)
		for round, length := range []time.Duration{3 * time.Minute, 11 * time.Minute, 24 * time.Minute} {
			var sent []int64
			for end := time.Now().Add(length); time.Now().Before(end); {
				time.Sleep(10 * time.Second)
				f := frame(id, schema, time.Now())
				w.append(f)
				sent = append(sent, f.At)
				if heard := e.take(); !slices.Contains(heard, f.At) {
					t.Fatalf("acknowledged, but only %v was heard", heard)
				}
			}
			w.engine.(*seriestest.Faulty).Kill()
			w.end()
			e.take()
			w.engine = seriestest.NewFaulty(memory, seriestest.Faults{}, 1)
			w.start(w.engine)
			synctest.Wait()
			again := e.take()
			w.append(frame(id, schema, time.Now().Add(time.Second)))
			if !slices.IsSorted(again) {
				t.Errorf("round %d: heard out of order: %v", round, again)
			}
			// The heads are stored every ten minutes: what came in the two minutes before the end is always heard again.
			for _, at := range sent {
				if at > sent[len(sent)-1]-2*60_000 && !slices.Contains(again, at) {
					t.Errorf("round %d: %v was not heard again", round, time.UnixMilli(at).UTC())
				}
			}
			if len(again) > 12*6+2*6+6 {
				t.Errorf("round %d: %d frames were heard again", round, len(again))
			}
			for shard := range 4 {
				if e.caught[shard] != round+2 {
					t.Errorf("round %d: shard %d was caught up with %d times", round, shard, e.caught[shard])
				}
			}
			e.take()
		}
		w.end()
	})
}
