package series

import (
	"slices"
	"time"

	"muster"
)

// nodeKey names a node within its account.
type nodeKey struct {
	account muster.AccountID
	node    muster.NodeID
}

// node is what a shard remembers of one node: which schemas its sources had, and their open windows.
type node struct {
	sources []*source
}

// seen says that a source had a schema.
type seen struct {
	id          muster.SchemaID
	first, last int64
	sealed      int64 // instant of the newest frame in a sealed block; 0 when there is none
	saved       bool  // the store knows the schema
}

// interval is a stretch of time, end not included.
type interval struct{ start, end int64 }

// sealed is the instants of a block that was sealed a short while ago, to know its frames when they come again.
type sealed struct {
	interval
	times []int64
}

// source is one source of a node.
type source struct {
	name    string
	schemas []seen
	taken   []interval // of sealed blocks: ascending, apart from each other
	windows []*window  // ascending, apart from each other
	recent  []sealed
	period  int64 // ms between its frames, smoothed; 0 when unknown
	newest  int64 // instant of the newest frame held in memory; 0 when there was none yet
	schema  *muster.Schema
	last    []float64 // values of the newest frame
}

func (n *node) source(name string) *source {
	for _, s := range n.sources {
		if s.name == name {
			return s
		}
	}
	return nil
}

func (s *source) seen(id muster.SchemaID) *seen {
	for i := range s.schemas {
		if s.schemas[i].id == id {
			return &s.schemas[i]
		}
	}
	return nil
}

// outcome is what became of a frame.
type outcome uint8

const (
	added outcome = iota
	double
	late // its block is sealed already: it stays in the log until its hour is rebuilt
)

// add takes a frame into the open windows.
func (s *source) add(f *muster.Frame, receipt Minute, now time.Time, c *compressor) outcome {
	w := s.windowAt(f.At)
	if w == nil {
		if s.known(f.At) {
			return double
		}
		if s.isTaken(f.At) {
			return late
		}
		w = s.open(f.At, c)
	}
	if !w.add(f, c) {
		return double
	}
	w.arrived = now
	if w.receipt == 0 || receipt < w.receipt {
		w.receipt = receipt
	}
	if w.frames() >= fullWindow && f.At == w.times[w.frames()-1] {
		w.end = f.At + 1
	}
	s.note(f)
	return added
}

// note keeps the newest values and the pace of the source.
func (s *source) note(f *muster.Frame) {
	if sc := s.seen(f.Schema.ID); sc != nil {
		sc.first, sc.last = min(sc.first, f.At), max(sc.last, f.At)
	}
	if f.At <= s.newest {
		return
	}
	if pause := f.At - s.newest; s.newest == 0 || pause > 10*minuteMs {
		pause = s.period
	} else if s.period == 0 {
		s.period = pause
	} else {
		s.period = (7*s.period + pause) / 8
	}
	s.newest, s.schema = f.At, f.Schema
	s.last = append(s.last[:0], f.Values...)
}

func (s *source) windowAt(at int64) *window {
	for i := len(s.windows) - 1; i >= 0; i-- {
		if w := s.windows[i]; w.start <= at && at < w.end {
			return w
		}
	}
	return nil
}

// open begins the window around an instant that is neither sealed nor in a window yet.
func (s *source) open(at int64, c *compressor) *window {
	free, until := int64(0), int64(0)
	bound := func(start, end int64) {
		if end <= at {
			free = max(free, end)
		} else if until == 0 || start < until {
			until = start
		}
	}
	for _, w := range s.windows {
		bound(w.start, w.end)
		if w.end <= at {
			w.rest(c)
		}
	}
	for _, t := range s.taken {
		bound(t.start, t.end)
	}
	w := &window{}
	w.start, w.end = windowFor(at, s.period, free)
	if until != 0 {
		w.end = min(w.end, until)
	}
	i, _ := slices.BinarySearchFunc(s.windows, w.start, func(w *window, start int64) int { return int(w.start - start) })
	s.windows = slices.Insert(s.windows, i, w)
	return w
}

// isTaken says whether the block of that instant is sealed.
func (s *source) isTaken(at int64) bool {
	for _, t := range s.taken {
		if t.start <= at && at < t.end {
			return true
		}
	}
	return false
}

// known says whether a block that was sealed lately has a frame of that instant.
func (s *source) known(at int64) bool {
	for _, r := range s.recent {
		if r.start <= at && at < r.end {
			_, found := slices.BinarySearch(r.times, at)
			return found
		}
	}
	return false
}

// maxTaken bounds the memory of sealed stretches; everything before the oldest counts as sealed.
const maxTaken = 64

// take notes that a stretch is sealed.
func (s *source) take(t interval) {
	all := append(s.taken, t)
	slices.SortFunc(all, func(a, b interval) int { return int(a.start - b.start) })
	joined := all[:1]
	for _, next := range all[1:] {
		if last := &joined[len(joined)-1]; next.start <= last.end {
			last.end = max(last.end, next.end)
		} else {
			joined = append(joined, next)
		}
	}
	if n := len(joined); n > maxTaken {
		joined = joined[n-maxTaken:]
		joined[0].start = 0
	}
	s.taken = joined
}

// drop forgets an open window that is sealed now, and keeps its instants for a while.
func (s *source) drop(w *window, now int64) {
	if i := slices.Index(s.windows, w); i >= 0 {
		s.windows = slices.Delete(s.windows, i, i+1)
	}
	s.take(interval{w.start, w.end})
	s.recent = append(s.recent, sealed{interval{w.start, w.end}, w.times})
	s.tidy(now)
}

// knownFor is how long the instants of a sealed block are kept after its end: longer than agents
// send acknowledged frames again.
const knownFor = 30 * minuteMs

func (s *source) tidy(now int64) {
	s.recent = slices.DeleteFunc(s.recent, func(r sealed) bool { return r.end < now-knownFor })
}

func (s *source) bytes() int64 {
	total := int64(cap(s.last))*8 + int64(cap(s.schemas))*40 + int64(cap(s.taken))*16 + 200
	for _, w := range s.windows {
		total += w.bytes()
	}
	for _, r := range s.recent {
		total += int64(cap(r.times))*8 + 40
	}
	return total
}
