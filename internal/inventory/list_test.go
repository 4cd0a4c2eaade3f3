package inventory_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"muster"
	"muster/internal/inventory"
)

type matchFunc func(n *muster.Node, now *muster.NodeNow) bool

func (f matchFunc) Match(n *muster.Node, now *muster.NodeNow, _ time.Time) bool { return f(n, now) }

// fleet makes an account of n nodes that have sent a frame each, every tenth excepted.
func fleet(t testing.TB, n int) (*inventory.Inventory, muster.AccountID) {
	t.Helper()
	account := muster.NewAccountID()
	store := newFakeStore(&muster.Account{ID: account, Name: "acme"})
	random := rand.New(rand.NewPCG(1, 2))
	s := schema(t, hostMetrics)
	var frames []*muster.Frame
	for i := range n {
		node := &muster.Node{ID: muster.NewNodeID(), Account: account, Name: fmt.Sprintf("node-%09d.example.org", random.IntN(1e9)),
			AgentKey: newKey(), Tags: []string{"web"}, Period: 10 * time.Second}
		if err := store.CreateNode(t.Context(), node); err != nil {
			t.Fatal(err)
		}
		if i%10 == 0 {
			continue
		}
		frames = append(frames, &muster.Frame{Account: account, Node: node.ID, Source: muster.HostSource, At: time.Now().UnixMilli(), Schema: s,
			Values: []float64{0, math.Round(random.Float64()*20) / 20, 0, random.Float64(), random.Float64(), 0, 0, 1, 1, 0, 0, 0, 0}})
	}
	inv, err := inventory.Open(t.Context(), store, inventory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	inv.Observe(frames)
	return inv, account
}

func names(rows []inventory.Row) []string {
	out := make([]string, len(rows))
	for i := range rows {
		out[i] = rows[i].Node.Name
	}
	return out
}

func TestListsAreSortedAndStable(t *testing.T) {
	inv, account := fleet(t, 200)
	value := map[string]func(r *inventory.Row) float64{
		inventory.SortCPU:      func(r *inventory.Row) float64 { return r.Now.CPU },
		inventory.SortMemory:   func(r *inventory.Row) float64 { return r.Now.Memory },
		inventory.SortDisk:     func(r *inventory.Row) float64 { return r.Now.Disk },
		inventory.SortNetwork:  func(r *inventory.Row) float64 { return r.Now.NetIn + r.Now.NetOut },
		inventory.SortLastSeen: func(r *inventory.Row) float64 { return float64(r.Now.LastSeen.UnixMilli()) },
	}
	for by, of := range value {
		for _, desc := range []bool{false, true} {
			rows, total := inv.List(account, inventory.ListOptions{Sort: by, Desc: desc})
			if total != 200 || len(rows) != 200 {
				t.Fatalf("%s: %d of %d", by, len(rows), total)
			}
			unknown := false
			for i := range rows {
				absent := math.IsNaN(of(&rows[i])) || by == inventory.SortLastSeen && rows[i].Now.LastSeen.IsZero()
				if unknown && !absent {
					t.Fatalf("%s desc=%v: a known value after an unknown one", by, desc)
				}
				unknown = absent
				if i == 0 || unknown {
					continue
				}
				a, b := of(&rows[i-1]), of(&rows[i])
				if desc {
					a, b = b, a
				}
				if a > b || a == b && rows[i-1].Node.Name > rows[i].Node.Name {
					t.Fatalf("%s desc=%v: row %d is out of order", by, desc, i)
				}
			}
		}
	}
	rows, _ := inv.List(account, inventory.ListOptions{Sort: inventory.SortState})
	if rows[0].Now.State != muster.Unknown || rows[199].Now.State != muster.Up {
		t.Errorf("by state: %s first, %s last", rows[0].Now.State, rows[199].Now.State)
	}
	rows, _ = inv.List(account, inventory.ListOptions{})
	if !slices.IsSorted(names(rows)) {
		t.Error("the default is not by name")
	}
	slices.Reverse(rows)
	back, _ := inv.List(account, inventory.ListOptions{Sort: inventory.SortName, Desc: true})
	if !slices.Equal(names(rows), names(back)) {
		t.Error("by name, descending, is not the reverse")
	}
}

func TestNamesAreSortedAsPeopleDo(t *testing.T) {
	want := []string{"2", "10", "a", "x", "x-02", "x-2", "X-3", "x-10", "x-10-1", "x-10-11", "x-11", "x-184467440737095516160", "x-a", "x2y", "x10a", "xa", "y"}
	account := muster.NewAccountID()
	store := newFakeStore(&muster.Account{ID: account, Name: "acme"})
	for _, i := range rand.New(rand.NewPCG(3, 4)).Perm(len(want)) {
		if err := store.CreateNode(t.Context(), &muster.Node{ID: muster.NewNodeID(), Account: account, Name: want[i], AgentKey: newKey()}); err != nil {
			t.Fatal(err)
		}
	}
	inv, err := inventory.Open(t.Context(), store, inventory.Options{})
	if err != nil {
		t.Fatal(err)
	}
	rows, _ := inv.List(account, inventory.ListOptions{})
	if got := names(rows); !slices.Equal(got, want) {
		t.Errorf("%q\nnot %q", got, want)
	}
	for i := range rows {
		o := inventory.ListOptions{Limit: 1}
		o.After = o.Cursor(rows[i])
		next, _ := inv.List(account, o)
		if i+1 < len(rows) && (len(next) != 1 || next[0].Node.Name != want[i+1]) {
			t.Errorf("after %s comes %q", want[i], names(next))
		}
	}
}

func TestListsComeInPages(t *testing.T) {
	inv, account := fleet(t, 105)
	for _, by := range []string{"", inventory.SortCPU, inventory.SortState, inventory.SortMemory} {
		for _, desc := range []bool{false, true} {
			all, _ := inv.List(account, inventory.ListOptions{Sort: by, Desc: desc})
			o := inventory.ListOptions{Sort: by, Desc: desc, Limit: 10}
			var paged []string
			for {
				rows, total := inv.List(account, o)
				if total != 105 {
					t.Fatalf("total %d", total)
				}
				if len(rows) == 0 {
					break
				}
				paged = append(paged, names(rows)...)
				o.After = o.Cursor(rows[len(rows)-1])
			}
			if !slices.Equal(paged, names(all)) {
				t.Errorf("%q desc=%v: pages by cursor differ from the whole", by, desc)
			}
			rows, _ := inv.List(account, inventory.ListOptions{Sort: by, Desc: desc, Offset: 95, Limit: 20})
			if !slices.Equal(names(rows), names(all)[95:]) {
				t.Errorf("%q desc=%v: a page by offset differs", by, desc)
			}
		}
	}
	first, _ := inv.List(account, inventory.ListOptions{Limit: 1})
	o := inventory.ListOptions{Limit: 1}
	o.After = o.Cursor(first[0])
	if err := inv.Delete(t.Context(), inventory.Edit{Account: account, Node: first[0].Node.ID}); err != nil {
		t.Fatal(err)
	}
	all, _ := inv.List(account, inventory.ListOptions{})
	if rows, _ := inv.List(account, o); rows[0].Node.ID != all[0].Node.ID {
		t.Error("a cursor whose row was deleted lost its place")
	}
}

func TestListsAreFiltered(t *testing.T) {
	inv, account := fleet(t, 100)
	busy := matchFunc(func(n *muster.Node, now *muster.NodeNow) bool { return now.CPU > 0.5 })
	rows, total := inv.List(account, inventory.ListOptions{Query: busy, Limit: 5})
	if total == 0 || total == 100 || len(rows) != 5 {
		t.Errorf("%d rows of %d", len(rows), total)
	}
	for _, r := range rows {
		if r.Now.CPU <= 0.5 {
			t.Errorf("a row with %v", r.Now.CPU)
		}
	}
	if rows, total := inv.List(muster.NewAccountID(), inventory.ListOptions{}); total != 0 || len(rows) != 0 {
		t.Error("another account sees rows")
	}
	for _, o := range []inventory.ListOptions{{Sort: "colour"}, {Offset: -1}, {Limit: -1}, {After: "%"}, {After: "AAAA"}} {
		if err := o.Validate(); !errors.Is(err, muster.ErrInvalid) {
			t.Errorf("%+v: %v", o, err)
		}
		if rows, _ := inv.List(account, o); rows != nil {
			t.Errorf("%+v gave rows", o)
		}
	}
}

func TestTotals(t *testing.T) {
	inv, account := fleet(t, 100)
	totals := inv.Totals(account)
	if totals.Nodes != 100 || totals.States[muster.Up] != 90 || totals.States[muster.Unknown] != 10 || totals.Measured != 90 ||
		!(totals.CPU > 0 && totals.CPU < 1) || totals.Metrics != 90*len(hostMetrics) {
		t.Errorf("%+v", totals)
	}
	if counts := inv.Counts(account); counts[muster.Up] != 90 {
		t.Errorf("%v", counts)
	}
	if empty := inv.Totals(muster.NewAccountID()); empty.Nodes != 0 || !math.IsNaN(empty.CPU) {
		t.Errorf("%+v", empty)
	}
}

func TestFind(t *testing.T) {
	inv, account := fleet(t, 10)
	rows, _ := inv.List(account, inventory.ListOptions{Limit: 1})
	for _, by := range []string{rows[0].Node.Name, rows[0].Node.ID.String()} {
		if r, err := inv.Find(account, by); err != nil || r.Node.ID != rows[0].Node.ID {
			t.Errorf("by %s: %v", by, err)
		}
	}
	if _, err := inv.Find(account, strings.Repeat("x", 1000)); !errors.Is(err, muster.ErrNotFound) || len(err.Error()) > 200 {
		t.Errorf("%v", err)
	}
}

func FuzzCursor(f *testing.F) {
	o := inventory.ListOptions{Sort: inventory.SortCPU}
	f.Add(o.Cursor(inventory.Row{Node: &muster.Node{Name: "x"}, Now: muster.NodeNow{CPU: 1}}))
	f.Add("")
	inv, account := fleet(f, 20)
	f.Fuzz(func(t *testing.T, after string) {
		o := inventory.ListOptions{Sort: inventory.SortCPU, After: after}
		rows, _ := inv.List(account, o)
		if err := o.Validate(); err != nil && (rows != nil || !errors.Is(err, muster.ErrInvalid)) {
			t.Errorf("%q: %v with %d rows", after, err, len(rows))
		}
	})
}

func BenchmarkList10000(b *testing.B) {
	inv, account := fleet(b, 10_000)
	some := matchFunc(func(n *muster.Node, now *muster.NodeNow) bool { return now.CPU > 0.1 && strings.Contains(n.Name, "1") })
	for name, o := range map[string]inventory.ListOptions{
		"name":              {Limit: 100},
		"cpu":               {Sort: inventory.SortCPU, Desc: true, Limit: 100},
		"state":             {Sort: inventory.SortState, Limit: 25},
		"memory-filtered":   {Sort: inventory.SortMemory, Query: some, Limit: 100},
		"cpu-offset-9000":   {Sort: inventory.SortCPU, Offset: 9000, Limit: 100},
		"memory-everything": {Sort: inventory.SortMemory},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				inv.List(account, o)
			}
		})
	}
	b.Run("totals", func(b *testing.B) {
		for b.Loop() {
			inv.Totals(account)
		}
	})
}

func BenchmarkObserve(b *testing.B) {
	inv, account := fleet(b, 1000)
	rows, _ := inv.List(account, inventory.ListOptions{})
	s := schema(b, hostMetrics)
	frames := make([]*muster.Frame, len(rows))
	for i := range rows {
		frames[i] = &muster.Frame{Account: account, Node: rows[i].Node.ID, Source: muster.HostSource, Schema: s, Values: make([]float64, len(hostMetrics))}
	}
	b.ReportAllocs()
	at := time.Now().UnixMilli()
	for b.Loop() {
		at += 10
		for _, f := range frames {
			f.At = at
		}
		inv.Observe(frames)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(frames)), "ns/frame")
}
