package archive_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"muster"
	"muster/internal/alarm/archive"
)

// shelf is a history in memory that may refuse.
type shelf struct {
	mu   sync.Mutex
	rows map[string]archive.Row
	puts int
	fail error
}

func (h *shelf) Put(_ context.Context, _ muster.AccountID, rows []archive.Row) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.puts++
	for _, r := range rows {
		if h.fail == nil {
			h.rows[r.ID] = r
		}
	}
	return h.fail
}

func (h *shelf) Rows(_ context.Context, _ muster.AccountID, before archive.Row, limit int) (out []archive.Row, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.rows {
		if before.ID == "" || r.At < before.At || r.At == before.At && r.ID < before.ID {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(x, y archive.Row) int { return cmp.Or(cmp.Compare(y.At, x.At), cmp.Compare(y.ID, x.ID)) })
	return out[:min(len(out), limit)], nil
}

func open(h *shelf) *archive.Archive {
	return archive.New(archive.Options{
		History: h, Logger: slog.New(slog.DiscardHandler),
		Encode: func(in *muster.Incident) []byte { b, _ := json.Marshal(in); return b },
		Decode: func(b []byte) (*muster.Incident, error) {
			in := &muster.Incident{}
			if err := json.Unmarshal(b, in); err != nil {
				return nil, fmt.Errorf("%w: %w", muster.ErrInvalid, err)
			}
			return in, nil
		},
	})
}

var (
	account = muster.NewAccountID()
	noon    = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

func made(i int, subject byte, state muster.IncidentState) *muster.Incident {
	at := noon.Add(time.Duration(i) * time.Minute)
	return &muster.Incident{
		ID: muster.NewIncidentID(account, fmt.Sprint(i, subject), at), Account: account, Subject: muster.NodeID{15: subject},
		State: state, OpenedAt: at, Seq: 1,
	}
}

// renewed is an incident one change later.
func renewed(in *muster.Incident, state muster.IncidentState) *muster.Incident {
	next := *in
	next.State = state
	next.Seq++
	return &next
}

func TestHoldsWhatIsNotOver(t *testing.T) {
	h := &shelf{rows: map[string]archive.Row{}}
	x := open(h)
	in := made(0, 1, muster.IncidentOpen)
	x.Put(in)
	if x.OpenOn(account, in.Subject) != in || x.Get(account, in.ID) != in || x.Size() != 1 || len(x.Held(account)) != 1 {
		t.Fatal("an open incident is not held")
	}
	x.Put(renewed(in, muster.IncidentAcknowledged))
	x.Put(in) // an older form
	if got := x.OpenOn(account, in.Subject); got.State != muster.IncidentAcknowledged {
		t.Errorf("it is %s", got.State)
	}
	h.fail = errors.New("away")
	over := renewed(renewed(in, ""), muster.IncidentResolved)
	x.Put(over)
	if x.Save(t.Context()) || x.Get(account, in.ID) != over || x.OpenOn(account, in.Subject) != nil || x.Size() != 0 {
		t.Error("what the history did not take must be held")
	}
	h.fail = nil
	if !x.Save(t.Context()) || x.Get(account, in.ID) != nil || len(h.rows) != 1 {
		t.Error("what is over and written is held for ever")
	}
	if got, err := x.Find(t.Context(), account, in.ID); err != nil || got.State != muster.IncidentResolved {
		t.Errorf("%+v, %v", got, err)
	}
	for _, id := range []muster.IncidentID{"", "incident_", "node_01h455vb4pex5vsknk084sn02q", made(7, 7, "").ID} {
		if _, err := x.Find(t.Context(), account, id); !errors.Is(err, muster.ErrNotFound) {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestPagesHaveEachOnce(t *testing.T) {
	h := &shelf{rows: map[string]archive.Row{}}
	x := open(h)
	const all = 300
	for i := range all {
		state := muster.IncidentResolved
		if i%10 == 0 {
			state = muster.IncidentOpen
		}
		x.Put(made(i/3, byte(i), state)) // three at each instant
		if i == 200 {
			x.Save(t.Context()) // the rest is in memory only
		}
	}
	h.rows["broken"] = archive.Row{At: noon.UnixMilli(), ID: "broken", Body: []byte("{")}
	for name, c := range map[string]struct {
		f    archive.Filter
		want int
	}{
		"all":      {archive.Filter{}, all},
		"open":     {archive.Filter{State: muster.IncidentOpen}, all / 10},
		"living":   {archive.Filter{Open: true, State: muster.IncidentResolved}, all / 10},
		"resolved": {archive.Filter{State: muster.IncidentResolved}, all - all/10},
		"subject":  {archive.Filter{Subject: muster.NodeID{15: 7}}, 2},
		"taken":    {archive.Filter{State: muster.IncidentAcknowledged}, 0},
	} {
		for _, limit := range []int{1, 7, 0, 1000} {
			seen := map[muster.IncidentID]bool{}
			last := noon.Add(time.Hour * 1000)
			f := c.f
			f.Limit = limit
			for page := 0; ; page++ {
				list, next, err := x.List(t.Context(), account, f)
				if err != nil || page > all+1 || limit > 0 && len(list) > limit {
					t.Fatalf("%s: page %d has %d, %v", name, page, len(list), err)
				}
				for _, in := range list {
					if seen[in.ID] || in.OpenedAt.After(last) {
						t.Fatalf("%s by %d: %s comes twice, or out of order", name, limit, in.ID)
					}
					seen[in.ID], last = true, in.OpenedAt
				}
				if f.Before = next; next == "" {
					break
				}
			}
			if len(seen) != c.want {
				t.Errorf("%s by %d: %d incidents, want %d", name, limit, len(seen), c.want)
			}
		}
	}
	for _, f := range []archive.Filter{{Before: "x"}, {Before: "!!.incident_x"}, {Before: "1.node_x"}, {State: "closed"}} {
		if _, _, err := x.List(t.Context(), account, f); !errors.Is(err, muster.ErrInvalid) {
			t.Errorf("%+v: %v", f, err)
		}
	}
}

func TestRunWritesUntilItSucceeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &shelf{rows: map[string]archive.Row{}, fail: errors.New("away")}
		x := open(h)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); x.Run(ctx) }()
		in := made(0, 1, muster.IncidentResolved)
		x.Put(in)
		time.Sleep(10 * time.Minute)
		h.mu.Lock()
		tries := h.puts
		h.fail = nil
		h.mu.Unlock()
		if tries < 5 || tries > 100 {
			t.Errorf("%d tries in ten minutes", tries)
		}
		time.Sleep(time.Minute)
		if x.Get(account, in.ID) != nil {
			t.Error("it was not written when it could be")
		}
		x.Put(made(1, 1, muster.IncidentResolved))
		cancel()
		<-done
		if len(h.rows) != 2 {
			t.Errorf("%d rows at the end", len(h.rows))
		}
	})
}
