package roster

import (
	"context"
	"errors"
	"slices"
	"sync"

	"muster"
	"muster/internal/telemetry"
)

// actorServer acts when it is not a person or a token.
const actorServer = "muster"

// Bounds of the boxes: what is kept while the store is away, and what is written at once.
const (
	maxLines  = 20_000
	maxBytes  = 32 << 20
	lineBatch = 500
	writers   = 16
)

// eventBox holds changelog lines until the store has them.
type eventBox struct {
	dropped *telemetry.Counter

	mu    sync.Mutex
	lines []muster.Event
}

func (o *eventBox) add(e muster.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.lines) >= maxLines {
		o.dropped.Inc()
		return
	}
	o.lines = append(o.lines, e)
}

func (o *eventBox) head() []muster.Event {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.lines[:min(len(o.lines), lineBatch)])
}

func (o *eventBox) drop(n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lines = slices.Clone(o.lines[n:]) // gives the memory of a burst back
}

// textLine is a row on its way to the stream of a check.
type textLine struct {
	account muster.AccountID
	check   muster.CheckID
	row     StoredRow
}

// textBox holds the words of results until the store has them: nobody who measures waits for that.
type textBox struct {
	dropped *telemetry.Counter

	mu    sync.Mutex
	lines []textLine
	bytes int
}

func (o *textBox) add(c *muster.Check, row StoredRow) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.lines) >= maxLines || o.bytes+len(row.Body) > maxBytes {
		o.dropped.Inc()
		return
	}
	o.lines = append(o.lines, textLine{c.Account, c.ID, row})
	o.bytes += len(row.Body)
}

func (o *textBox) size() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.lines)
}

func (o *textBox) head() []textLine {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.lines[:min(len(o.lines), lineBatch)])
}

// settle takes the first n lines out, save those that have to be tried again.
func (o *textBox) settle(n int, again []textLine) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.lines = append(slices.Clone(again), o.lines[n:]...)
	o.bytes = 0
	for _, l := range o.lines {
		o.bytes += len(l.row.Body)
	}
}

// of gives the rows of one check that wait, oldest first.
func (o *textBox) of(id muster.CheckID) (rows []StoredRow) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, l := range o.lines {
		if l.check == id {
			rows = append(rows, l.row)
		}
	}
	return rows
}

// flush saves what waits and then tells of it. It is called by Run alone.
func (r *Roster) flush(ctx context.Context) {
	for r.flushEvents(ctx) {
	}
	for r.flushTexts(ctx) {
	}
}

// flushEvents saves some changelog lines; it says whether to go on.
func (r *Roster) flushEvents(ctx context.Context) bool {
	lines := r.events.head()
	if len(lines) == 0 {
		return false
	}
	err := r.store.AppendEvents(ctx, lines)
	if err != nil && !errors.Is(err, muster.ErrInvalid) {
		r.opts.Logger.Warn("roster: changelog lines wait", "error", err)
		return false
	}
	r.events.drop(len(lines))
	if err != nil {
		r.events.dropped.Add(len(lines))
		r.opts.Logger.Error("roster: changelog lines were refused", "lines", len(lines), "error", err)
		return true
	}
	r.opts.Told(lines)
	return true
}

// flushTexts saves some texts, those of several checks side by side so that they share a sync; it says
// whether to go on.
func (r *Roster) flushTexts(ctx context.Context) bool {
	lines := r.texts.head()
	if len(lines) == 0 {
		return false
	}
	streams := map[muster.CheckID][]textLine{}
	for _, l := range lines {
		streams[l.check] = append(streams[l.check], l)
	}
	var mu sync.Mutex
	var again []textLine
	var failed error
	var wg sync.WaitGroup
	room := make(chan struct{}, writers)
	for _, of := range streams {
		room <- struct{}{}
		wg.Go(func() {
			defer func() { <-room }()
			if err := r.putTexts(ctx, of); err != nil {
				mu.Lock()
				again, failed = append(again, of...), err
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	r.texts.settle(len(lines), again)
	if failed != nil {
		r.opts.Logger.Warn("roster: texts of results wait", "texts", r.texts.size(), "error", failed)
	}
	return failed == nil
}

// putTexts saves the texts of one check; an error says that trying again is right.
func (r *Roster) putTexts(ctx context.Context, lines []textLine) error {
	rows := make([]StoredRow, len(lines))
	for i := range lines {
		rows[i] = lines[i].row
	}
	err := r.store.PutRows(ctx, lines[0].account, textStream(lines[0].check), rows)
	if errors.Is(err, muster.ErrInvalid) || errors.Is(err, muster.ErrLimited) {
		r.texts.dropped.Add(len(rows))
		r.opts.Logger.Error("roster: texts of results were refused", "check", lines[0].check, "error", err)
		return nil
	}
	return err
}

// restore reads how every check was when its words changed last.
func (r *Roster) restore(ctx context.Context) error {
	var mu sync.Mutex
	var failed error
	var wg sync.WaitGroup
	room := make(chan struct{}, writers)
	r.each(func(e *entry) {
		room <- struct{}{}
		wg.Go(func() {
			defer func() { <-room }()
			if err := r.restoreOne(ctx, e); err != nil {
				mu.Lock()
				failed = err
				mu.Unlock()
			}
		})
	})
	wg.Wait()
	return failed
}

func (r *Roster) restoreOne(ctx context.Context, e *entry) error {
	c := e.check.Load()
	limit := 1
	if len(c.Zones) > 1 {
		limit = 10 * len(c.Zones)
	}
	rows, _, err := r.store.Rows(ctx, c.Account, textStream(c.ID), "", limit)
	if err != nil {
		return err
	}
	r.renew(e, nil)
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, row := range rows {
		t, err := readText(row)
		if err != nil {
			r.opts.Logger.Error("roster: a text can't be read and is left out", "check", c.ID, "error", err)
			continue
		}
		if !slices.Contains(c.Zones, t.zone) || e.view(t.zone) != nil {
			continue
		}
		e.views = append(e.views, &view{zone: t.zone, at: t.at, since: t.since, told: t.at, status: t.status, said: t.said})
	}
	r.judge(e, r.opts.Now().UnixMilli())
	return nil
}
