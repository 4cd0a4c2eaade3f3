package roster_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"muster"
	"muster/internal/check"
	"muster/internal/roster"
)

func TestOptions(t *testing.T) {
	for name, o := range map[string]roster.Options{
		"limit": {MaxChecks: -1},
		"push":  {Kinds: map[string]check.Kind{"push": fakeKind{"push"}}},
	} {
		if _, err := roster.Open(t.Context(), newFakeStore(), o); !errors.Is(err, muster.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	r, err := roster.Open(t.Context(), newFakeStore(), roster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r.Observe(nil)
	if rows := r.List(muster.NewAccountID(), roster.ListOptions{}); rows != nil {
		t.Errorf("%+v", rows)
	}
}

func TestTheStoreHasToBeThere(t *testing.T) {
	w := newWorld(t)
	c := w.create(web("web"))
	w.store.set(true, false)
	_, err := roster.Open(t.Context(), w.store, w.options)
	_, created := w.r.Create(t.Context(), w.edit(""), web("other"))
	_, updated := w.r.Update(t.Context(), w.edit(c.ID), func(c *muster.Check) error { c.Name = "x"; return nil })
	for what, err := range map[string]error{"open": err, "create": created, "update": updated, "delete": w.r.Delete(t.Context(), w.edit(c.ID))} {
		if !errors.Is(err, muster.ErrUnavailable) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if row := w.get(c.ID); row.Check.Name != "web" {
		t.Errorf("the board has %q", row.Check.Name)
	}
	w.store.set(false, false)
	if n := len(w.r.List(w.account, roster.ListOptions{})); n != 1 {
		t.Errorf("%d checks", n)
	}
}

// TestAccountsAreApart tries every door with a check of another account.
func TestAccountsAreApart(t *testing.T) {
	w := newWorld(t)
	c := w.create(web("web"))
	push := w.create(&muster.Check{Name: "job", Kind: "push", Enabled: true})
	mine := muster.NewNodeID()
	w.r.SetLocal(w.account, mine)
	w.r.Joined(w.account, mine)
	w.hear(c, run1{status: muster.StatusOK})
	w.changed()
	w.told()

	other, edit := muster.NewAccountID(), w.edit(c.ID)
	edit.Account = other
	_, got := w.r.Get(other, c.ID)
	_, found := w.r.Find(other, "web")
	_, byID := w.r.Find(other, string(c.ID))
	_, updated := w.r.Update(t.Context(), edit, func(*muster.Check) error { return nil })
	for what, err := range map[string]error{"get": got, "find": found, "find by id": byID, "update": updated, "delete": w.r.Delete(t.Context(), edit)} {
		if !errors.Is(err, muster.ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, ok := w.r.Latest(other, c.ID, "local"); ok {
		t.Error("latest")
	}
	if rows := w.r.List(other, roster.ListOptions{}); len(rows) != 0 || len(w.r.Counts(other)) != 0 {
		t.Error("list or counts")
	}
	if _, ok := w.r.Subject(other, mine, c.Source("local")); ok {
		t.Error("subject of another account")
	}
	bad := frame(t, c, run1{at: time.Now().Add(time.Second), status: muster.StatusCritical})
	bad.Account = other
	w.r.Observe([]*muster.Frame{bad})
	w.r.NodeGone(other, c.Node)
	w.r.SetLocal(other, mine) // the same node id elsewhere
	w.r.Joined(other, mine)
	w.flush()
	if row := w.get(c.ID); row.Status != muster.StatusOK || len(w.changed()) != 0 {
		t.Errorf("%+v", row)
	}
	for _, line := range w.told() {
		if strings.Contains(line, "+") {
			t.Errorf("a runner of another account was told %s", line)
		}
	}
	if _, err := w.r.Create(t.Context(), roster.Edit{Account: other}, web("web")); err != nil {
		t.Errorf("the same name in another account: %v", err)
	}
	if err := w.r.Push(t.Context(), roster.PushToken(push), roster.PushCall{}); err != nil {
		t.Error(err)
	}
}

func TestSubject(t *testing.T) {
	w := newWorld(t)
	node, runner, stranger := muster.NewNodeID(), muster.NewNodeID(), muster.NewNodeID()
	bare := w.create(web("bare"))
	owned := web("owned")
	owned.Node = node
	owned = w.create(owned)
	job := w.create(&muster.Check{Name: "job", Kind: "push", Enabled: true})
	w.r.SetLocal(w.account, runner)
	for _, c := range []struct {
		runner muster.NodeID
		source string
		want   muster.NodeID
		ok     bool
	}{
		{runner, bare.Source("local"), bare.ID.Subject(), true},
		{runner, owned.Source("local"), node, true},
		{stranger, bare.Source("local"), muster.NodeID{}, false},
		{runner, bare.Source("berlin"), muster.NodeID{}, false},
		{runner, job.Source("local"), muster.NodeID{}, false}, // nobody runs it
		{runner, string(muster.NewCheckID()), muster.NodeID{}, false},
		{runner, "host", muster.NodeID{}, false},
		{runner, "check_", muster.NodeID{}, false},
		{runner, "", muster.NodeID{}, false},
	} {
		if got, ok := w.r.Subject(w.account, c.runner, c.source); got != c.want || ok != c.ok {
			t.Errorf("%q: %v %v", c.source, got, ok)
		}
	}
	w.update(bare.ID, func(c *muster.Check) { c.Enabled = false })
	if _, ok := w.r.Subject(w.account, runner, bare.Source("local")); !ok {
		t.Error("what a runner measured before the check was switched off is not taken")
	}
	if err := w.r.Delete(t.Context(), w.edit(bare.ID)); err != nil {
		t.Fatal(err)
	}
	if _, ok := w.r.Subject(w.account, runner, bare.Source("local")); ok {
		t.Error("a deleted check has a subject")
	}
}

func TestStrangeFramesChangeNothing(t *testing.T) {
	w := newWorld(t)
	c := w.create(web("web"))
	w.changed()
	plain, err := muster.NewSchema([]muster.Metric{{Name: "x", Kind: muster.Gauge}})
	if err != nil {
		t.Fatal(err)
	}
	good := frame(t, c, run1{at: time.Now(), status: muster.StatusOK})
	for name, change := range map[string]func(f *muster.Frame){
		"no status":    func(f *muster.Frame) { f.Schema, f.Values = plain, []float64{1} },
		"no schema":    func(f *muster.Frame) { f.Schema = nil },
		"values short": func(f *muster.Frame) { f.Values = f.Values[:1] },
		"other zone":   func(f *muster.Frame) { f.Source += "@moon" },
		"a host":       func(f *muster.Frame) { f.Source = muster.HostSource },
		"no such":      func(f *muster.Frame) { f.Source = string(muster.NewCheckID()) },
	} {
		f := *good
		change(&f)
		w.r.Observe([]*muster.Frame{&f})
		if row := w.get(c.ID); row.Status != muster.StatusPending || len(row.Last) != 0 || len(w.changed()) != 0 {
			t.Errorf("%s: %+v", name, row)
		}
	}
	nan := *good
	nan.Values = []float64{math.NaN(), math.NaN()}
	nan.Note = []byte("{not json")
	w.r.Observe([]*muster.Frame{&nan})
	if row := w.get(c.ID); row.Status != muster.StatusUnknown || row.Last[0].Duration != 0 || row.Last[0].Summary != "could not be run" {
		t.Errorf("values that are none: %+v", row)
	}
}

// TestNothingOfAFrameIsKept changes a frame after it was heard.
func TestNothingOfAFrameIsKept(t *testing.T) {
	w := newWorld(t)
	c := w.create(web("web"))
	f := frame(t, c, run1{at: time.Now(), status: muster.StatusWarning, code: 200, note: &check.Note{Summary: "s", Class: "c", Error: "e", Evidence: map[string]string{"k": "v"}}})
	w.r.Observe([]*muster.Frame{f})
	for i := range f.Values {
		f.Values[i] = 77
	}
	for i := range f.Note {
		f.Note[i] = 'x'
	}
	r, ok := w.r.Latest(w.account, c.ID, "local")
	if !ok || r.Status != muster.StatusWarning || r.Metrics[0].Value != 200 || r.Summary != "s" || r.Class != "c" || r.Error != "e" || r.Evidence["k"] != "v" {
		t.Errorf("%+v", r)
	}
	if rows := w.r.List(w.account, roster.ListOptions{}); rows[0].Last[0].Evidence != nil || rows[0].Last[0].Error != "e" {
		t.Errorf("%+v", rows[0].Last)
	}
}

func TestAClockThatWasWrongIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := w.create(web("web"))
		w.hear(c, run1{at: time.Now().Add(2 * time.Hour), status: muster.StatusCritical})
		w.hear(c, run1{status: muster.StatusOK})
		if row := w.get(c.ID); row.Status != muster.StatusOK {
			t.Errorf("%s", row.Status)
		}
	})
}

func TestAClockThatIsSetBackStillJudges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var mu sync.Mutex
		var back time.Duration
		w.options.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return time.Now().Add(-back) }
		w.store.now = w.options.Now
		w.reopen()
		defer w.run()()
		time.Sleep(3 * time.Hour)
		c := w.create(web("web"))
		w.hear(c, run1{at: w.options.Now(), status: muster.StatusOK})
		time.Sleep(5 * time.Second)
		mu.Lock()
		back = 2 * time.Hour
		mu.Unlock()
		time.Sleep(5 * time.Second)
		w.hear(c, run1{at: w.options.Now(), status: muster.StatusOK})
		time.Sleep(25 * time.Second)
		if s := w.get(c.ID).Status; s != muster.StatusOK {
			t.Errorf("too early: %s", s)
		}
		time.Sleep(10 * time.Second)
		if s := w.get(c.ID).Status; s != muster.StatusUnknown {
			t.Errorf("nobody noticed: %s", s)
		}
	})
}

func TestLimit(t *testing.T) {
	w := newWorld(t)
	w.options.MaxChecks = 3
	w.reopen()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var made, refused int
	for i := range 20 {
		wg.Go(func() {
			_, err := w.r.Create(context.Background(), w.edit(""), web(fmt.Sprint("c", i)))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				made++
			case errors.Is(err, muster.ErrLimited):
				refused++
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if made != 3 || refused != 17 {
		t.Errorf("%d made, %d refused", made, refused)
	}
	list := w.r.List(w.account, roster.ListOptions{})
	if err := w.r.Delete(t.Context(), w.edit(list[0].Check.ID)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.r.Create(t.Context(), w.edit(""), web("again")); err != nil {
		t.Errorf("a place that became free: %v", err)
	}
}

func TestUpdateKeepsWhatPeopleMayNotChange(t *testing.T) {
	w := newWorld(t)
	c := w.create(web("web"))
	row, err := w.r.Update(t.Context(), w.edit(c.ID), func(c *muster.Check) error {
		c.ID, c.Account, c.Target, c.Rev, c.CreatedAt = muster.NewCheckID(), muster.NewAccountID(), "x", 99, time.Time{}
		c.Name = "  new  "
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n := row.Check; n.ID != c.ID || n.Account != w.account || n.Target != c.Target || n.Rev != 2 || n.CreatedAt.IsZero() || n.Name != "new" {
		t.Errorf("%+v", n)
	}
	if c.Name != "web" {
		t.Error("the row that was handed out changed")
	}
	if _, err := w.r.Update(t.Context(), w.edit(c.ID), func(c *muster.Check) error { c.Kind = "tcp"; return nil }); !errors.Is(err, muster.ErrInvalid) {
		t.Errorf("another kind: %v", err)
	}
	stale := w.edit(c.ID)
	stale.Rev = 1
	if _, err := w.r.Update(t.Context(), stale, func(*muster.Check) error { return nil }); !errors.Is(err, muster.ErrConflict) {
		t.Errorf("an old rev: %v", err)
	}
	if err := w.r.Delete(t.Context(), stale); !errors.Is(err, muster.ErrConflict) {
		t.Errorf("delete by an old rev: %v", err)
	}
	why := errors.New("no")
	if _, err := w.r.Update(t.Context(), w.edit(c.ID), func(*muster.Check) error { return why }); !errors.Is(err, why) {
		t.Errorf("what change gave: %v", err)
	}
}

func TestTheChangelogHoldsNoSecrets(t *testing.T) {
	w := newWorld(t)
	c := web("web")
	c.Config = []byte(`{"url":"https://x.example/","password":"geheim1"}`)
	c = w.create(c)
	w.update(c.ID, func(c *muster.Check) { c.Config = []byte(`{"url":"https://x.example/","password":"geheim2"}`) })
	job := w.create(&muster.Check{Name: "job", Kind: "push", Enabled: true})
	before := roster.PushToken(job)
	job = w.update(job.ID, func(c *muster.Check) { c.Config = []byte(`{"token":"new"}`) })
	after := roster.PushToken(job)
	w.flush()
	text := ""
	for _, e := range w.store.lines() {
		text += e.Text + "\n"
	}
	if strings.Contains(text, "geheim") || strings.Contains(text, before) || strings.Contains(text, after) || !strings.Contains(text, "config: password") || !strings.Contains(text, "config: token") {
		t.Errorf("%s", text)
	}
}

func TestTokens(t *testing.T) {
	w := newWorld(t)
	job := w.create(&muster.Check{Name: "job", Kind: "push", Enabled: true})
	token := roster.PushToken(job)
	if !strings.HasPrefix(token, "push_") || len(token) < 48 || roster.PushToken(w.create(web("web"))) != "" {
		t.Errorf("token %q", token)
	}
	w.update(job.ID, func(c *muster.Check) { c.Config = []byte(`{"grace":"1m"}`); c.Name = "job 2" })
	if got := roster.PushToken(w.get(job.ID).Check); got != token {
		t.Error("a token changed by itself")
	}
	if err := w.r.Push(t.Context(), token, roster.PushCall{}); err != nil {
		t.Error(err)
	}
	next := roster.PushToken(w.update(job.ID, func(c *muster.Check) { c.Config = []byte(`{"token":"new"}`) }))
	if next == token || !strings.HasPrefix(next, "push_") {
		t.Errorf("asked for another token: %q", next)
	}
	for _, bad := range []string{token, "", "push_", "new", next + "x", next[:len(next)-1]} {
		if err := w.r.Push(t.Context(), bad, roster.PushCall{}); !errors.Is(err, muster.ErrNotFound) {
			t.Errorf("token %q: %v", bad, err)
		}
	}
	var wrong *check.ConfigError
	_, err := w.r.Update(t.Context(), w.edit(job.ID), func(c *muster.Check) error { c.Config = []byte(`{"token":"push_mine","x":1}`); return nil })
	if !errors.As(err, &wrong) || len(wrong.Fields) != 2 || wrong.Fields[0].Field != "token" {
		t.Errorf("a token of one's own: %v", err)
	}
	w.reopen()
	if err := w.r.Push(t.Context(), next, roster.PushCall{}); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	if err := w.r.Delete(t.Context(), w.edit(job.ID)); err != nil {
		t.Fatal(err)
	}
	if err := w.r.Push(t.Context(), next, roster.PushCall{}); !errors.Is(err, muster.ErrNotFound) {
		t.Errorf("a deleted check: %v", err)
	}
}

func TestWhatJobsSayIsCleaned(t *testing.T) {
	w := newWorld(t)
	job := w.create(&muster.Check{Name: "job", Kind: "push", Enabled: true})
	message := "a\nb\x00\x1b[31m  c " + strings.Repeat("ä", 5000) + "\xff"
	if err := w.r.Push(t.Context(), roster.PushToken(job), roster.PushCall{Message: message}); err != nil {
		t.Fatal(err)
	}
	r, _ := w.r.Latest(w.account, job.ID, "local")
	if !strings.HasPrefix(r.Summary, "a b [31m c ää") || len(r.Summary) > 1000 || strings.ToValidUTF8(r.Summary, "") != r.Summary {
		t.Errorf("%q", r.Summary)
	}
}

// TestTextsWaitForTheStore lets the store be away while results come.
func TestTextsWaitForTheStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var checks []*muster.Check
		for i := range 700 {
			checks = append(checks, w.create(web(fmt.Sprint("c", i))))
		}
		w.store.set(true, false)
		stop := w.run()
		for round, status := range []muster.CheckStatus{muster.StatusOK, muster.StatusCritical, muster.StatusOK} {
			for _, c := range checks {
				w.hear(c, run1{status: status, note: &check.Note{Summary: fmt.Sprint(round)}})
			}
			time.Sleep(5 * time.Second)
		}
		w.store.set(false, false)
		time.Sleep(2 * time.Second)
		stop()
		for _, c := range checks {
			rows := w.store.texts(w.account, c.ID)
			if len(rows) != 3 || body(t, rows[0]).Summary != "2" || body(t, rows[2]).Summary != "0" {
				t.Fatalf("%s has %d texts: %v", c.Name, len(rows), rows)
			}
		}
	})
}

func TestTextsThatAreRefusedAreLeftOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := w.create(web("web"))
		stop := w.run()
		w.store.set(false, true)
		w.hear(c, run1{status: muster.StatusOK, note: &check.Note{Summary: "a"}})
		time.Sleep(2 * time.Second)
		w.store.set(false, false)
		w.hear(c, run1{status: muster.StatusCritical, note: &check.Note{Summary: "b"}})
		time.Sleep(2 * time.Second)
		stop()
		if rows := w.store.texts(w.account, c.ID); len(rows) != 1 || body(t, rows[0]).Summary != "b" {
			t.Errorf("%v", rows)
		}
	})
}

func TestAStoredTextThatCannotBeReadIsLeftOut(t *testing.T) {
	w := newWorld(t)
	c := w.create(web("web"))
	w.hear(c, run1{status: muster.StatusCritical, note: &check.Note{Summary: "a"}})
	w.flush()
	key := w.account.String() + "/results/" + string(c.ID)
	w.store.rows[key] = append([]roster.StoredRow{{At: time.Now().Add(time.Second).UnixMilli(), ID: "local", Body: []byte("{")}}, w.store.rows[key]...)
	w.reopen()
	if row := w.get(c.ID); row.Status != muster.StatusPending || len(row.Last) != 0 {
		t.Errorf("%+v", row)
	}
	if all := w.pages(c.ID, 5); len(all) != 1 || all[0].Summary != "a" {
		t.Errorf("%+v", all)
	}
}

func TestTest(t *testing.T) {
	w := newWorld(t)
	runner := muster.NewNodeID()
	try := &muster.Check{Account: w.account, Kind: "http", Config: []byte(`{"url":"https://x.example/"}`), Period: 30 * time.Second}
	if _, err := w.r.Test(t.Context(), try); !errors.Is(err, muster.ErrUnavailable) {
		t.Errorf("without a runner: %v", err)
	}
	w.r.SetLocal(w.account, runner)
	w.r.Joined(w.account, runner)
	var got check.Assignment
	w.set(func() {
		w.once = func(a check.Assignment) (muster.Result, error) {
			got = a
			return muster.Result{Check: a.Check, Status: muster.StatusOK, Summary: "HTTP 200", Duration: 12 * time.Millisecond}, nil
		}
	})
	r, err := w.r.Test(t.Context(), try)
	if err != nil || r.Account != w.account || r.Zone != "local" || r.Check == "" || r.Summary != "HTTP 200 in 12 ms" {
		t.Errorf("%+v %v", r, err)
	}
	if got.Kind != "http" || got.Timeout != 5*time.Second || got.Period != 30*time.Second || string(got.Config) != `{"url":"https://x.example/","method":"GET"}` {
		t.Errorf("%+v %s", got, got.Config)
	}
	if try.ID != "" || try.Timeout != 0 {
		t.Error("what was asked for changed")
	}
	var wrong *check.ConfigError
	if _, err := w.r.Test(t.Context(), &muster.Check{Account: w.account, Kind: "http"}); !errors.As(err, &wrong) || wrong.Fields[0].Field != "url" {
		t.Errorf("a bad configuration: %v", err)
	}
	if _, err := w.r.Test(t.Context(), &muster.Check{Account: w.account, Kind: "push", Name: "x"}); !errors.Is(err, muster.ErrInvalid) {
		t.Errorf("push: %v", err)
	}
	away := fmt.Errorf("runner: %w: gone", muster.ErrUnavailable)
	w.set(func() { w.once = func(check.Assignment) (muster.Result, error) { return muster.Result{}, away } })
	if _, err := w.r.Test(t.Context(), try); !errors.Is(err, muster.ErrUnavailable) {
		t.Errorf("a runner that went: %v", err)
	}
	if len(w.r.List(w.account, roster.ListOptions{})) != 0 {
		t.Error("something was kept")
	}
}

// TestRunnersShareAZone lets runners come and go: each check has exactly one of those that are there, and few move.
func TestRunnersShareAZone(t *testing.T) {
	w := newWorld(t)
	runners := []muster.NodeID{muster.NewNodeID(), muster.NewNodeID(), muster.NewNodeID()}
	has := map[muster.NodeID]map[muster.CheckID]bool{}
	w.options.Send = func(_ muster.AccountID, runner muster.NodeID, add []check.Assignment, remove []muster.CheckID, replace bool) bool {
		if has[runner] == nil || replace {
			has[runner] = map[muster.CheckID]bool{}
		}
		for _, a := range add {
			has[runner][a.Check] = true
		}
		for _, id := range remove {
			delete(has[runner], id)
		}
		return true
	}
	w.reopen()
	roster.SetZone(w.r, w.account, "berlin", slices.Clone(runners)...)
	const many = 1200 // more than are told at once
	for i := range many {
		c := web(fmt.Sprint("c", i))
		c.Zones = []string{"berlin"}
		w.create(c)
	}
	look := func(when string, there ...muster.NodeID) map[muster.CheckID]muster.NodeID {
		t.Helper()
		by := map[muster.CheckID]muster.NodeID{}
		for _, runner := range there {
			for id := range has[runner] {
				if !by[id].IsZero() {
					t.Fatalf("%s: two run %s", when, id)
				}
				by[id] = runner
			}
			if n := len(has[runner]); n < many/len(there)/2 {
				t.Errorf("%s: one of %d runners has only %d", when, len(there), n)
			}
		}
		if len(by) != many {
			t.Fatalf("%s: %d of %d checks are run", when, len(by), many)
		}
		return by
	}
	w.r.Joined(w.account, runners[0])
	look("one", runners[0])
	w.r.Joined(w.account, runners[1])
	two := look("two", runners[:2]...)
	w.r.Joined(w.account, runners[2])
	three := look("three", runners...)
	moved := 0
	for id, runner := range three {
		if two[id] != runner {
			if moved++; runner != runners[2] {
				t.Errorf("%s went from one old runner to another", id)
			}
		}
	}
	if moved > many/2 {
		t.Errorf("%d checks moved", moved)
	}
	w.r.Left(w.account, runners[0])
	look("one left", runners[1:]...)
	w.r.Left(w.account, runners[1])
	w.r.Left(w.account, runners[1]) // once too often
	look("two left", runners[2])
	w.r.Joined(w.account, runners[1])
	look("one is back", runners[1:]...)
	for _, row := range w.r.List(w.account, roster.ListOptions{}) {
		w.update(row.Check.ID, func(c *muster.Check) { c.Enabled = false })
	}
	if len(has[runners[1]])+len(has[runners[2]]) != 0 {
		t.Error("checks that are switched off are run")
	}
}

func TestNodesThatWentWhileTheServerWasAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		gone, here := muster.NewNodeID(), muster.NewNodeID()
		for name, node := range map[string]muster.NodeID{"a": gone, "b": here, "c": {}} {
			c := web(name)
			c.Node = node
			w.create(c)
		}
		w.set(func() { w.noNode[gone] = true })
		w.reopen()
		defer w.run()()
		time.Sleep(2 * time.Second)
		rows := w.r.List(w.account, roster.ListOptions{})
		if len(rows) != 2 || rows[0].Check.Name != "b" || len(w.r.List(w.account, roster.ListOptions{Node: here})) != 1 {
			t.Errorf("%+v", rows)
		}
	})
}

func TestList(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"b", "A", "c"} {
		w.create(web(name))
	}
	tcp := web("d")
	tcp.Kind = "tcp"
	w.hear(w.create(tcp), run1{status: muster.StatusCritical})
	names := func(o roster.ListOptions) (out string) {
		for _, row := range w.r.List(w.account, o) {
			out += row.Check.Name
		}
		return out
	}
	for want, o := range map[string]roster.ListOptions{
		"Abcd": {}, "d": {Kind: "tcp"}, "Abc": {Status: muster.StatusPending}, "b": {Text: "B.EXAMPLE"}, "": {Node: muster.NewNodeID()},
	} {
		if got := names(o); got != want {
			t.Errorf("%+v: %q, want %q", o, got, want)
		}
	}
	if row, err := w.r.Find(w.account, "a"); err != nil || row.Check.Name != "A" {
		t.Errorf("%+v %v", row, err)
	}
}

// TestManyAtOnce edits, runs and reads side by side, for the race detector.
func TestManyAtOnce(t *testing.T) {
	w := newWorld(t)
	var mu sync.Mutex
	has := map[muster.CheckID]time.Duration{}
	w.options.Send = func(_ muster.AccountID, _ muster.NodeID, add []check.Assignment, remove []muster.CheckID, replace bool) bool {
		mu.Lock()
		defer mu.Unlock()
		if replace {
			clear(has)
		}
		for _, a := range add {
			has[a.Check] = a.Period
		}
		for _, id := range remove {
			delete(has, id)
		}
		return true
	}
	w.reopen()
	runner := muster.NewNodeID()
	w.r.SetLocal(w.account, runner)
	w.r.Joined(w.account, runner)
	job := w.create(&muster.Check{Name: "job", Kind: "push", Enabled: true})
	stop := w.run()
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for n := range 30 {
				c := w.create(web(fmt.Sprintf("c%d-%d", i, n)))
				frames := []*muster.Frame{frame(t, c, run1{at: time.Now(), status: muster.StatusOK, note: &check.Note{Summary: "x"}})}
				w.r.Observe(frames)
				var both sync.WaitGroup
				for k := range 3 {
					both.Go(func() {
						w.update(c.ID, func(c *muster.Check) { c.Period = time.Duration(10+k) * time.Second; c.Enabled = k != 1 })
					})
				}
				_, _ = w.r.Subject(w.account, runner, c.Source("local"))
				_ = w.r.Push(context.Background(), roster.PushToken(job), roster.PushCall{})
				_, _, _ = w.r.Results(context.Background(), w.account, c.ID, "", 5)
				_ = w.r.List(w.account, roster.ListOptions{})
				both.Wait()
				if n%3 == 0 {
					if err := w.r.Delete(context.Background(), w.edit(c.ID)); err != nil {
						t.Error(err)
					}
				}
				if n%10 == 0 {
					w.r.Joined(w.account, runner)
					w.r.Left(w.account, runner)
				}
			}
		})
	}
	wg.Wait()
	stop()
	mu.Lock()
	defer mu.Unlock()
	want := map[muster.CheckID]time.Duration{}
	for _, row := range w.r.List(w.account, roster.ListOptions{Kind: "http"}) {
		if row.Check.Enabled {
			want[row.Check.ID] = row.Check.Period
		}
	}
	if len(want) != len(has) {
		t.Errorf("the runner has %d checks, there are %d", len(has), len(want))
	}
	for id, period := range want {
		if has[id] != period {
			t.Errorf("%s runs every %s, not %s", id, has[id], period)
		}
	}
}

func TestConfigIsJSON(t *testing.T) {
	w := newWorld(t)
	job := w.create(&muster.Check{Name: "job", Kind: "push", Enabled: true, Config: []byte(`{"grace":"90s"}`)})
	var config map[string]string
	if err := json.Unmarshal(job.Config, &config); err != nil || config["grace"] != "1m30s" || len(config) != 2 {
		t.Errorf("%s %v", job.Config, err)
	}
}
