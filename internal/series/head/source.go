// Package head gives the open blocks of time series in memory: frames of one source gather in windows
// of time, the newest as rows, the older packed into columns, until a window is stored and dropped.
// It is pure: no clock, no store, no goroutine; what packs is a door, who locks is the caller.
package head

import (
	"slices"
	"time"

	"muster"
)

// Seen says that a source had a schema, from when to when (Unix ms).
type Seen struct {
	ID          muster.SchemaID
	First, Last int64
	Sealed      int64 // instant of the newest frame in a sealed block; 0 when there is none
	Saved       bool  // the store knows
}

// Interval is a stretch of time in Unix ms, End not included.
type Interval struct{ Start, End int64 }

// sealed is the instants of a block that was sealed a short while ago, to know its frames when they come again.
type sealed struct {
	Interval
	times []int64
}

// Source is one source of a node: what measured. It is for one goroutine at a time.
type Source struct {
	Name    string
	Schemas []Seen

	taken   []Interval // of sealed blocks: ascending, apart from each other
	windows []*Window  // ascending, apart from each other
	recent  []sealed
	period  int64 // ms between its frames, smoothed; 0 when unknown
	newest  int64 // instant of the newest frame held in memory; 0 when there was none yet
	schema  *muster.Schema
	last    []float64 // values of the newest frame
}

// See joins what the store knows of a schema with what is known here.
func (s *Source) See(row Seen) {
	sc := s.Seen(row.ID)
	if sc == nil {
		s.Schemas = append(s.Schemas, row)
		return
	}
	sc.Saved = sc.Saved || row.Saved
	sc.Sealed = max(sc.Sealed, row.Sealed)
	sc.First, sc.Last = min(sc.First, row.First), max(sc.Last, row.Last)
}

// SealedTo gives the last instant that is known to be in a sealed block; 0 when none is.
func (s *Source) SealedTo() (last int64) {
	for _, sc := range s.Schemas {
		last = max(last, sc.Sealed)
	}
	return last
}

// Node is the sources of one node.
type Node struct {
	Sources []*Source
}

// Find gives the source of that name, or nil.
func (n *Node) Find(name string) *Source {
	for _, s := range n.Sources {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// Source gives the source of that name, making it when there is none.
func (n *Node) Source(name string) *Source {
	if s := n.Find(name); s != nil {
		return s
	}
	s := &Source{Name: name}
	n.Sources = append(n.Sources, s)
	return s
}

// Windows gives the open windows, ascending; the list is not to be changed.
func (s *Source) Windows() []*Window { return s.windows }

// Newest gives the instant of the newest frame, its schema and its values (not to be changed), or zeros.
func (s *Source) Newest() (at int64, schema *muster.Schema, values []float64) {
	return s.newest, s.schema, s.last
}

// Learn gives the source a newest frame that it did not get by Add.
func (s *Source) Learn(f *muster.Frame) {
	if f.At > s.newest {
		s.newest, s.schema, s.last = f.At, f.Schema, f.Values
	}
}

// Clear forgets everything but which schemas there were and what is sealed.
func (s *Source) Clear() {
	s.windows, s.recent, s.last, s.schema, s.newest = nil, nil, nil, nil, 0
}

// Restore takes back an open window that was stored, packed as it is. What is there already stays once.
func (s *Source) Restore(w *Window, times []int64, data []byte) {
	if len(times) == 0 {
		return
	}
	open := s.WindowAt(w.Start)
	if open == nil {
		open = w
		i, _ := slices.BinarySearchFunc(s.windows, w.Start, func(w *Window, start int64) int { return int(w.Start - start) })
		s.windows = slices.Insert(s.windows, i, w)
	}
	if slices.ContainsFunc(open.chunks, func(c Chunk) bool { return c.First == times[0] && slices.Equal(c.Data, data) }) {
		return
	}
	open.chunks = append(open.chunks, Chunk{First: times[0], Last: times[len(times)-1], Data: slices.Clone(data)})
	for _, at := range times {
		open.times, _ = insertTime(open.times, at)
	}
}

// Sealed notes a sealed block and, when it ended a short while ago, its instants.
func (s *Source) Sealed(t Interval, times []int64, now int64) {
	s.Take(t)
	if t.End >= now-2*knownFor {
		s.recent = append(s.recent, sealed{t, times})
	}
}

// Seen gives what is known of a schema; nil when the source never had it.
func (s *Source) Seen(id muster.SchemaID) *Seen {
	for i := range s.Schemas {
		if s.Schemas[i].ID == id {
			return &s.Schemas[i]
		}
	}
	return nil
}

// Outcome is what became of a frame.
type Outcome uint8

// Added frames are in a window, a Double was known, and of a Late one the block is sealed already.
const (
	Added Outcome = iota
	Double
	Late
)

// Add takes a frame into the open windows.
func (s *Source) Add(f *muster.Frame, receipt int64, now time.Time, c *Worker) Outcome {
	w := s.WindowAt(f.At)
	if w == nil {
		if s.known(f.At) {
			return Double
		}
		if s.isTaken(f.At) {
			return Late
		}
		w = s.open(f.At, c)
	}
	if !w.add(f, c) {
		return Double
	}
	w.Arrived = now
	if w.Receipt == 0 || receipt < w.Receipt {
		w.Receipt = receipt
	}
	if w.Frames() >= fullWindow && f.At == w.times[w.Frames()-1] {
		w.End = f.At + 1
	}
	s.note(f)
	return Added
}

// note keeps the newest values and the pace of the source.
func (s *Source) note(f *muster.Frame) {
	if sc := s.Seen(f.Schema.ID); sc != nil {
		sc.First, sc.Last = min(sc.First, f.At), max(sc.Last, f.At)
	}
	if f.At <= s.newest {
		return
	}
	switch pause := f.At - s.newest; {
	case s.newest == 0 || pause > 10*minuteMs: // the first, or after a silence: it says nothing of the pace
	case s.period == 0:
		s.period = pause
	default:
		s.period = (7*s.period + pause) / 8
	}
	s.newest, s.schema = f.At, f.Schema
	s.last = append(s.last[:0], f.Values...)
}

// WindowAt gives the open window around an instant, or nil.
func (s *Source) WindowAt(at int64) *Window {
	for i := len(s.windows) - 1; i >= 0; i-- {
		if w := s.windows[i]; w.Start <= at && at < w.End {
			return w
		}
	}
	return nil
}

// open begins the window around an instant that is neither sealed nor in a window yet.
func (s *Source) open(at int64, c *Worker) *Window {
	free, until := int64(0), int64(0)
	bound := func(start, end int64) {
		if end <= at {
			free = max(free, end)
		} else if until == 0 || start < until {
			until = start
		}
	}
	for _, w := range s.windows {
		bound(w.Start, w.End)
		if w.End <= at {
			w.rest(c)
		}
	}
	for _, t := range s.taken {
		bound(t.Start, t.End)
	}
	w := &Window{}
	w.Start, w.End = windowFor(at, s.period, free)
	if until != 0 {
		w.End = min(w.End, until)
	}
	i, _ := slices.BinarySearchFunc(s.windows, w.Start, func(w *Window, start int64) int { return int(w.Start - start) })
	s.windows = slices.Insert(s.windows, i, w)
	return w
}

// isTaken says whether the block of that instant is sealed.
func (s *Source) isTaken(at int64) bool {
	for _, t := range s.taken {
		if t.Start <= at && at < t.End {
			return true
		}
	}
	return false
}

// known says whether a block that was sealed lately has a frame of that instant.
func (s *Source) known(at int64) bool {
	for _, r := range s.recent {
		if r.Start <= at && at < r.End {
			_, found := slices.BinarySearch(r.times, at)
			return found
		}
	}
	return false
}

// maxTaken bounds the memory of sealed stretches; everything before the oldest counts as sealed.
const maxTaken = 64

// Take notes that a stretch is sealed.
func (s *Source) Take(t Interval) {
	all := append(s.taken, t)
	slices.SortFunc(all, func(a, b Interval) int { return int(a.Start - b.Start) })
	joined := all[:1]
	for _, next := range all[1:] {
		if last := &joined[len(joined)-1]; next.Start <= last.End {
			last.End = max(last.End, next.End)
		} else {
			joined = append(joined, next)
		}
	}
	if n := len(joined); n > maxTaken {
		joined = joined[n-maxTaken:]
		joined[0].Start = 0
	}
	s.taken = joined
}

// Drop forgets an open window that is sealed now, and keeps its instants for a while.
func (s *Source) Drop(w *Window, now int64) {
	if i := slices.Index(s.windows, w); i >= 0 {
		s.windows = slices.Delete(s.windows, i, i+1)
	}
	s.Take(Interval{w.Start, w.End})
	s.recent = append(s.recent, sealed{Interval{w.Start, w.End}, w.times})
	s.Tidy(now)
}

// knownFor is how long the instants of a sealed block are kept after its end: longer than agents
// send acknowledged frames again.
const knownFor = 30 * minuteMs

// Tidy forgets the instants of blocks that ended long ago.
func (s *Source) Tidy(now int64) {
	s.recent = slices.DeleteFunc(s.recent, func(r sealed) bool { return r.End < now-knownFor })
}

// Bytes counts the buffers.
func (s *Source) Bytes() int64 {
	total := int64(cap(s.last))*8 + int64(cap(s.Schemas))*40 + int64(cap(s.taken))*16 + 200
	for _, w := range s.windows {
		total += w.bytes()
	}
	for _, r := range s.recent {
		total += int64(cap(r.times))*8 + 40
	}
	return total
}

const (
	minuteMs = 60_000
	// ShortWindow is the length in ms of a block at periods up to 15 s; slower sources have longer ones, so
	// that a block has about 120 frames. All divide a day.
	ShortWindow  = 20 * minuteMs
	middleWindow = 60 * minuteMs
	LongWindow   = 120 * minuteMs
	// fullWindow is how many frames end a window early.
	fullWindow = 8192
)

func floorTo(t, unit int64) int64 {
	rest := t % unit
	if rest < 0 {
		rest += unit
	}
	return t - rest
}

// windowFor chooses the window around an instant for a source whose frames come every period ms (0
// when unknown). No window begins before free, up to which the source's windows are taken already.
func windowFor(at, period, free int64) (start, end int64) {
	length := int64(ShortWindow)
	switch {
	case period > 45_000:
		length = LongWindow
	case period > 15_000:
		length = middleWindow
	}
	start = floorTo(at, length)
	if start < free && length > ShortWindow {
		length = ShortWindow
		start = floorTo(at, length)
	}
	return max(start, min(free, at)), start + length
}
