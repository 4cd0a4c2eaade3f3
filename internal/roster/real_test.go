package roster_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"muster"
	"muster/internal/check"
	"muster/internal/roster"
	"muster/internal/series"
	seriespebble "muster/internal/series/pebble"
	"muster/internal/store"
	storepebble "muster/internal/store/pebble"
)

// realStore fits the store to the roster's door.
type realStore struct{ *store.Store }

func (s realStore) PutRows(ctx context.Context, account muster.AccountID, stream string, rows []roster.StoredRow) error {
	out := make([]store.EventRow, len(rows))
	for i, row := range rows {
		out[i] = store.EventRow(row)
	}
	return s.Store.PutRows(ctx, account, stream, out)
}

func (s realStore) Rows(ctx context.Context, account muster.AccountID, stream, before string, limit int) ([]roster.StoredRow, string, error) {
	rows, next, err := s.Store.Rows(ctx, account, stream, before, limit)
	out := make([]roster.StoredRow, len(rows))
	for i, row := range rows {
		out[i] = roster.StoredRow(row)
	}
	return out, next, err
}

// house is a roster over the real store and the real series.
type house struct {
	store  *store.Store
	series *series.DB
	r      *roster.Roster
	stop   func()
}

func openHouse(t *testing.T, dir string) *house {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	docs, err := storepebble.Open(filepath.Join(dir, "documents"), storepebble.Options{})
	if err != nil {
		t.Fatal(err)
	}
	samples, err := seriespebble.Open(filepath.Join(dir, "series"), seriespebble.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{store: store.New(docs, store.Options{})}
	if h.series, err = series.Open(ctx, samples, series.Options{Shards: 2}); err != nil {
		t.Fatal(err)
	}
	ran := make(chan struct{}, 2)
	go func() { _ = h.series.Run(ctx); ran <- struct{}{} }()
	h.r, err = roster.Open(ctx, realStore{h.store}, roster.Options{
		Kinds: map[string]check.Kind{"http": fakeKind{"http"}}, History: h.past,
		Deliver: func(ctx context.Context, frames []*muster.Frame) error {
			if err := h.series.Append(ctx, frames); err != nil {
				return err
			}
			h.r.Observe(frames)
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = h.r.Run(ctx); ran <- struct{}{} }()
	h.stop = func() {
		cancel()
		<-ran
		<-ran
		if err := h.store.Close(); err != nil {
			t.Error(err)
		}
		if err := samples.Close(); err != nil {
			t.Error(err)
		}
	}
	return h
}

// past asks the series for every sample at its own instant.
func (h *house) past(ctx context.Context, p roster.Past) ([]roster.Line, error) {
	a, err := h.series.Query(ctx, series.Query{
		Account: p.Account, Nodes: []muster.NodeID{p.Subject}, Metric: p.Metric, Attrs: map[string]string{muster.CheckAttr: string(p.Check)},
		From: p.From, To: p.To, Step: time.Millisecond, Fn: "last",
	})
	if err != nil {
		return nil, err
	}
	lines := make([]roster.Line, len(a.Lines))
	for i, l := range a.Lines {
		lines[i] = roster.Line{Unit: a.Unit, Kind: a.Kind, Attrs: l.Attrs}
		for _, pt := range l.Points {
			lines[i].Points = append(lines[i].Points, roster.Point{At: pt.T, Value: pt.Avg})
		}
	}
	return lines, nil
}

// TestOverTheRealStoreAndSeries makes checks, lets them run, and looks again after a restart.
func TestOverTheRealStoreAndSeries(t *testing.T) {
	dir := t.TempDir()
	ctx := t.Context()
	h := openHouse(t, dir)
	account := &muster.Account{Name: "acme", Spread: 2}
	if err := h.store.CreateAccount(ctx, account); err != nil {
		t.Fatal(err)
	}
	edit := roster.Edit{Account: account.ID, Actor: "user_x"}
	row, err := h.r.Create(ctx, edit, web("web"))
	if err != nil {
		t.Fatal(err)
	}
	job, err := h.r.Create(ctx, edit, &muster.Check{Name: "job", Kind: "push", Enabled: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.r.Create(ctx, edit, web("WEB")); muster.Kind(err) != muster.ErrConflict {
		t.Errorf("a name that is taken: %v", err)
	}
	c := row.Check
	var want []string
	begin := time.Now().Add(-55 * time.Second)
	for i := range 50 {
		run := run1{at: begin.Add(time.Duration(i)*time.Second + time.Duration(i*7)*time.Millisecond), status: muster.StatusOK, took: time.Duration(i+1) * time.Millisecond, code: 200}
		if i/10%2 == 1 {
			run.status, run.code = muster.StatusCritical, 500
		}
		if i%10 == 0 {
			run.note = &check.Note{Summary: fmt.Sprint("HTTP ", run.code)}
			if run.code == 500 {
				run.note.Class, run.note.Error = "status", "500"
			}
		}
		frames := []*muster.Frame{frame(t, c, run)}
		if err := h.series.Append(ctx, frames); err != nil {
			t.Fatal(err)
		}
		h.r.Observe(frames)
		text := fmt.Sprintf("HTTP %v", run.code)
		if run.code == 200 {
			text += " in " + check.Took(run.took)
		}
		want = append(want, fmt.Sprint(run.at.UnixMilli(), run.status, text, run.took, run.code))
	}
	if err := h.r.Push(ctx, roster.PushToken(job.Check), roster.PushCall{Message: "3 files", Duration: 3 * time.Second}); err != nil {
		t.Fatal(err)
	}
	look := func(when string, size int) {
		t.Helper()
		var got []string
		for cursor := ""; ; {
			list, next, err := h.r.Results(ctx, account.ID, c.ID, cursor, size)
			if err != nil {
				t.Fatalf("%s: %v", when, err)
			}
			for _, r := range list {
				if len(r.Metrics) != 1 {
					t.Fatalf("%s: %+v", when, r)
				}
				got = append(got, fmt.Sprint(r.At.UnixMilli(), r.Status, r.Summary, r.Duration, r.Metrics[0].Value))
			}
			if cursor = next; next == "" {
				break
			}
		}
		if len(got) != len(want) {
			t.Fatalf("%s: %d results, want %d", when, len(got), len(want))
		}
		for i := range got {
			if w := want[len(want)-1-i]; got[i] != w {
				t.Fatalf("%s: result %d\n got %s\nwant %s", when, i, got[i], w)
			}
		}
	}
	look("live", 7)
	h.stop()

	h = openHouse(t, dir)
	defer func() { h.stop() }()
	look("after a restart", 7)
	look("after a restart, in one page", 100)
	if row, err = h.r.Find(account.ID, "Web"); err != nil || row.Check.Target != "https://web.example/" || row.Status != muster.StatusOK || row.Since.UnixMilli() != begin.Add(40*time.Second+280*time.Millisecond).UnixMilli() {
		t.Errorf("%+v %v", row, err)
	}
	list, _, err := h.r.Results(ctx, account.ID, job.Check.ID, "", 0)
	if err != nil || len(list) != 1 || list[0].Summary != "3 files in 3.00 s" || len(list[0].Metrics) != 1 || list[0].Metrics[0].Metric.Name != roster.PushCalledMetric {
		t.Errorf("%+v %v", list, err)
	}
	if err := h.r.Push(ctx, roster.PushToken(job.Check), roster.PushCall{}); err != nil {
		t.Error(err)
	}
}

// TestAYearOfSilenceIsWithinTheLimitsOfTheSeries asks far back at one go.
func TestAYearOfSilenceIsWithinTheLimitsOfTheSeries(t *testing.T) {
	h := openHouse(t, t.TempDir())
	defer h.stop()
	account := &muster.Account{Name: "acme", Spread: 2}
	if err := h.store.CreateAccount(t.Context(), account); err != nil {
		t.Fatal(err)
	}
	c := web("web")
	c.Period = 24 * time.Hour
	row, err := h.r.Create(t.Context(), roster.Edit{Account: account.ID}, c)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.series.Append(t.Context(), []*muster.Frame{frame(t, row.Check, run1{at: time.Now().Add(-time.Minute), status: muster.StatusOK})}); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	lines, err := h.past(t.Context(), roster.Past{
		Account: account.ID, Subject: row.Check.Subject(), Check: row.Check.ID, Metric: muster.CheckStatusMetric, From: now.Add(-7 * 24 * time.Hour), To: now,
	})
	if err != nil || len(lines) != 1 || len(lines[0].Points) != 1 {
		t.Errorf("%+v %v", lines, err)
	}
}
