package chart

import (
	"context"
	"time"

	"muster"
)

// Feed follows a set of panels: what Tell gives are the points since the time before. It is for one goroutine.
type Feed struct {
	Source  Source
	Account muster.AccountID
	Node    muster.NodeID
	Period  time.Duration // of the node
	Span    Range
	Panels  []Panel
	Points  int

	since map[string]int64 // by panel: from where on it is read next time
}

const (
	overlap    = 2 // steps that are read again: a step fills, and frames come late
	mostPoints = 2000
	restLeast  = 700 * time.Millisecond
	restMost   = 15 * time.Second
)

// Rest gives how long to wait between two tellings: nobody sees a wide range move every second.
func (f *Feed) Rest() time.Duration {
	return min(max(f.Span.Finest(f.Points)/20, restLeast), restMost)
}

// grid is the distance of points that a live range asks for, so that what Tell gives lies where the points of All
// do. A node measures each second at times: left to the data, the step of a minute is another than that of an hour.
func (f *Feed) grid() time.Duration {
	if finest := f.Span.Finest(f.Points); f.Span.Live && finest <= time.Minute {
		return finest
	}
	return 0
}

// Tell reads what came since the time before. False means that nothing did.
func (f *Feed) Tell(ctx context.Context, now time.Time) (*Data, bool, error) {
	finest := f.Span.Finest(f.Points)
	if f.since == nil {
		f.since = map[string]int64{}
	}
	want := Want{
		Account: f.Account, Node: f.Node, From: now.Add(-2 * overlap * max(finest, f.Period)), To: now.Add(2 * time.Second),
		Points: mostPoints, MinStep: finest, Step: f.grid(), Since: f.since,
	}
	drawn, err := Read(ctx, f.Source, f.Panels, want)
	if err == nil {
		err = Refresh(ctx, f.Source, drawn, want, f.Period)
	}
	if err != nil {
		return nil, false, err
	}
	some := false
	for i := range drawn {
		for j := range drawn[i].Lines {
			if _, at, ok := drawn[i].Lines[j].Last(); ok {
				some = true
				f.since[drawn[i].ID] = max(f.since[drawn[i].ID], at-(overlap-1)*drawn[i].Step.Milliseconds())
			}
		}
	}
	return &Data{Now: now, From: f.Span.From, To: now, Period: f.Period, Panels: drawn}, some, nil
}

// All reads the whole range.
func (f *Feed) All(ctx context.Context, now time.Time) (*Data, error) {
	to := f.Span.To
	if f.Span.Live {
		to = to.Add(2 * time.Second) // for a node whose clock is a little ahead
	}
	want := Want{Account: f.Account, Node: f.Node, From: f.Span.From, To: to, Points: f.Points, MinStep: f.Span.Finest(f.Points), Step: f.grid()}
	drawn, err := Read(ctx, f.Source, f.Panels, want)
	if err == nil && f.Span.Live {
		err = Refresh(ctx, f.Source, drawn, want, f.Period)
	}
	if err != nil {
		return nil, err
	}
	return &Data{Now: now, From: f.Span.From, To: f.Span.To, Period: f.Period, Panels: drawn}, nil
}
