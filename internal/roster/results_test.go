package roster_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"muster"
	"muster/internal/check"
	"muster/internal/roster"
)

// pages reads all results in pages of that size.
func (w *world) pages(id muster.CheckID, size int) (all []muster.Result) {
	w.t.Helper()
	cursor := ""
	for range 1000 {
		list, next, err := w.r.Results(context.Background(), w.account, id, cursor, size)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(list) > size {
			w.t.Fatalf("a page of %d results, %d were asked for", len(list), size)
		}
		all = append(all, list...)
		if next == "" {
			return all
		}
		cursor = next
	}
	w.t.Fatal("the pages never end")
	return nil
}

func TestResultsAreTheSameInPagesOfAnySizeAndAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		roster.SetZone(w.r, w.account, "berlin", muster.NewNodeID())
		c := web("web")
		c.Zones = []string{"local", "berlin"}
		c = w.create(c)
		var want []string
		status := []muster.CheckStatus{muster.StatusOK, muster.StatusOK, muster.StatusCritical, muster.StatusCritical, muster.StatusWarning}
		for i := range 200 {
			time.Sleep(10 * time.Second)
			if i == 100 {
				time.Sleep(30 * time.Hour) // nobody ran it for a while
			}
			for _, zone := range []string{"berlin", "local"} {
				run := run1{zone: zone, at: time.Now(), status: status[i/7%len(status)], took: time.Duration(i+1) * time.Millisecond, code: float64(200 + i)}
				if i%7 == 0 {
					run.note = &check.Note{Summary: fmt.Sprintf("%s %d", run.status, i/7)}
					if run.status != muster.StatusOK {
						run.note.Class, run.note.Error = "status", fmt.Sprint("since ", i/7)
						run.note.Evidence = map[string]string{"http.status": "500"}
					}
				}
				w.hear(c, run)
				summary := fmt.Sprintf("%s %d", run.status, i/7)
				if i/7%5 == 1 { // the same status and no new words worth a row within the minute
					summary = fmt.Sprintf("%s %d", run.status, i/7)
				}
				if run.status == muster.StatusOK {
					summary += " in " + check.Took(run.took)
				}
				want = append(want, fmt.Sprintf("%s %s %s %q %v", run.at.UTC().Format(time.TimeOnly), zone, run.status, summary, run.code))
			}
		}
		slices.Reverse(want)
		for i := 0; i < len(want); i += 2 { // of two at one instant the zones come by name
			want[i], want[i+1] = want[i+1], want[i]
		}
		w.flush()
		look := func(when string) {
			for _, size := range []int{1, 7, 100, 1000} {
				var got []string
				for _, r := range w.pages(c.ID, size) {
					code := 0.0
					if len(r.Metrics) == 1 && r.Metrics[0].Metric.Name == "http.response.status_code" && len(r.Metrics[0].Metric.Attrs) == 0 {
						code = r.Metrics[0].Value
					}
					if r.Account != w.account || r.Check != c.ID || (r.Class != "") != (r.Status != muster.StatusOK) || (r.Evidence != nil) != (r.Status != muster.StatusOK) {
						t.Errorf("%s: %+v", when, r)
					}
					got = append(got, fmt.Sprintf("%s %s %s %q %v", r.At.Format(time.TimeOnly), r.Zone, r.Status, r.Summary, code))
				}
				if len(got) != len(want) {
					t.Fatalf("%s, pages of %d: %d results, want %d", when, size, len(got), len(want))
				}
				for i := range got {
					if got[i] != want[i] {
						t.Fatalf("%s, pages of %d, result %d:\n got %s\nwant %s", when, size, i, got[i], want[i])
					}
				}
			}
		}
		look("live")
		w.reopen()
		look("after a restart")
	})
}

func TestResultsWithoutHistoryAreTheLastOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.options.History = nil
		w.reopen()
		c := w.create(web("web"))
		for i := range 50 {
			time.Sleep(10 * time.Second)
			w.hear(c, run1{status: muster.StatusOK, took: 12345 * time.Microsecond, code: float64(i), note: &check.Note{Summary: "fine"}})
		}
		all := w.pages(c.ID, 8)
		if len(all) != 20 || all[0].Metrics[0].Value != 49 || all[19].Duration != 12345*time.Microsecond || all[19].Summary != "fine in 12 ms" {
			t.Errorf("%d results, first %+v, last %+v", len(all), all[0], all[len(all)-1])
		}
		row := w.get(c.ID)
		if len(row.Recent) != 20 || !row.Recent[0].At.Before(row.Recent[19].At) || row.Recent[19].Status != muster.StatusOK || row.Recent[19].Duration != 12345*time.Microsecond {
			t.Errorf("recent: %d, %+v", len(row.Recent), row.Recent)
		}
	})
}

func TestLongSilencesAreLookedThroughInSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := web("rare")
		c.Period = 24 * time.Hour
		c = w.create(c)
		for range 3 {
			w.hear(c, run1{status: muster.StatusOK, note: &check.Note{Summary: "x"}})
			time.Sleep(700 * 24 * time.Hour)
		}
		w.flush()
		w.reopen()
		w.series.asked = 0
		list, next, err := w.r.Results(t.Context(), w.account, c.ID, "", 2)
		if err != nil || len(list) > 2 || next == "" || w.series.asked > 60 {
			t.Errorf("%d results, next %q, %d questions, %v", len(list), next, w.series.asked, err)
		}
		if all := w.pages(c.ID, 2); len(all) != 3 {
			t.Errorf("%d results over the years", len(all))
		}
	})
}

func TestBadCursors(t *testing.T) {
	w := newWorld(t)
	c := w.create(web("web"))
	other := muster.NewAccountID()
	enc := base64.RawURLEncoding.EncodeToString
	for _, cursor := range []string{"x", "!!", enc([]byte("1")), enc([]byte("a\x00b\x00c")), enc([]byte("-5\x00b\x00c")), enc([]byte("9223372036854775807\x00\x00"))} {
		if _, _, err := w.r.Results(t.Context(), w.account, c.ID, cursor, 5); !errors.Is(err, muster.ErrInvalid) {
			t.Errorf("cursor %q: %v", cursor, err)
		}
	}
	if _, _, err := w.r.Results(t.Context(), other, c.ID, "", 5); !errors.Is(err, muster.ErrNotFound) {
		t.Errorf("another account: %v", err)
	}
}

func FuzzCursor(f *testing.F) {
	w := newWorld(f)
	c := w.create(web("web"))
	w.hear(c, run1{at: time.Now().Add(-time.Second), status: muster.StatusCritical, note: &check.Note{Error: "x"}})
	w.hear(c, run1{status: muster.StatusOK})
	w.flush()
	f.Add("5\x00local\x00")
	f.Add("\x00\x00\x00\x00")
	_, next, _ := w.r.Results(context.Background(), w.account, c.ID, "", 1)
	raw, _ := base64.RawURLEncoding.DecodeString(next)
	f.Add(string(raw))
	f.Fuzz(func(t *testing.T, s string) {
		_, _, err := w.r.Results(t.Context(), w.account, c.ID, base64.RawURLEncoding.EncodeToString([]byte(s)), 3)
		if err != nil && !errors.Is(err, muster.ErrInvalid) {
			t.Error(err)
		}
	})
}

func TestHistoryThatIsAwayIsSaid(t *testing.T) {
	w := newWorld(t)
	c := w.create(web("web"))
	w.series.setDown(true)
	if _, _, err := w.r.Results(t.Context(), w.account, c.ID, "", 5); !errors.Is(err, muster.ErrUnavailable) {
		t.Error(err)
	}
}

func TestAnOutageWithoutWordsGetsNoneOfAnotherOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := w.create(web("web"))
		w.hear(c, run1{status: muster.StatusCritical, note: &check.Note{Summary: "a", Class: "dns", Error: "a"}})
		time.Sleep(10 * time.Second)
		w.hear(c, run1{status: muster.StatusOK, note: &check.Note{Summary: "b"}})
		w.flush()
		late := frame(t, c, run1{at: time.Now().Add(-5 * time.Second), status: muster.StatusWarning})
		if err := w.series.add([]*muster.Frame{late}); err != nil { // heard by nobody
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		w.hear(c, run1{status: muster.StatusOK})
		all := w.pages(c.ID, 10)
		var got []string
		for _, r := range all {
			got = append(got, r.Summary+"|"+r.Error)
		}
		if strings.Join(got, " ") != "b| b| warning| a|a" {
			t.Errorf("%q", got)
		}
	})
}

func TestWordsThatWaitForTheStoreAreShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := w.create(web("web"))
		w.hear(c, run1{status: muster.StatusCritical, note: &check.Note{Summary: "a", Class: "dns", Error: "a"}})
		time.Sleep(10 * time.Second)
		w.hear(c, run1{status: muster.StatusOK, note: &check.Note{Summary: "b"}})
		if len(w.store.texts(w.account, c.ID)) != 0 {
			t.Fatal("somebody saved them already")
		}
		if all := w.pages(c.ID, 10); len(all) != 2 || all[1].Error != "a" {
			t.Errorf("%+v", all)
		}
	})
}
