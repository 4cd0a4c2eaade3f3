package storetest

import (
	"fmt"
	"testing"
	"time"

	"muster"
	"muster/internal/store"
)

func aCheck(in muster.AccountID, name string) *muster.Check {
	return &muster.Check{
		Account: in, Name: name, Kind: "http", Node: muster.NodeID{1, 15: 2}, Config: []byte(`{"url":"https://example.org/?a=<b>"}`), Target: "https://example.org/",
		Period: 10 * time.Second, Timeout: 5 * time.Second, Zones: []string{"local"}, Enabled: true,
	}
}

func anAlarm(in muster.AccountID, name string) *muster.Alarm {
	return &muster.Alarm{
		Account: in, Name: name, Query: "tag:web", Node: muster.NodeID{1, 15: 2}, Check: "check_1", Metric: "system.memory.utilization", Attrs: map[string]string{"a": "b*"},
		Condition: &muster.Condition{
			Fn: muster.FnForecast, Within: 24 * time.Hour, Op: ">", Value: 0.95, For: 90 * time.Second,
			Recover: muster.Recovery{Op: "<", Value: 0.9, For: 2 * time.Minute},
		},
		NoData: muster.NoData{After: time.Minute, Is: muster.NoDataKeep}, Level: muster.LevelCritical, Channels: []muster.ChannelID{"channel_1"}, Enabled: true, BuiltIn: "memory",
	}
}

func watching(t *testing.T, s *store.Store, clock *Clock) {
	here := account(1)
	c := aCheck(here, "site")
	must(t, s.CreateCheck(ctx(t), c))
	gotCheck, err := s.Check(ctx(t), here, c.ID)
	same(t, gotCheck, c, err)
	want(t, s.CreateCheck(ctx(t), aCheck(here, "SITE")), muster.ErrConflict)
	must(t, s.CreateCheck(ctx(t), aCheck(account(2), "site")))
	want(t, s.CreateCheck(ctx(t), &muster.Check{Account: here, Name: "x", Kind: "http", Config: []byte("{")}), muster.ErrInvalid)
	_, err = s.Check(ctx(t), account(2), c.ID)
	want(t, err, muster.ErrNotFound)
	changed, err := s.UpdateCheck(ctx(t), here, c.ID, c.Rev, func(c *muster.Check) error { c.Node, c.Enabled = muster.NodeID{}, false; return nil })
	must(t, err)
	gotCheck, err = s.Check(ctx(t), here, c.ID)
	same(t, gotCheck, changed, err)
	_, err = s.UpdateCheck(ctx(t), here, c.ID, c.Rev, func(*muster.Check) error { return nil })
	want(t, err, muster.ErrConflict)
	must(t, s.DeleteCheck(ctx(t), here, c.ID, 0))
	if all, err := s.Checks(ctx(t), here); err != nil || len(all) != 0 {
		t.Fatalf("after the deletion there are %v, %v", all, err)
	}

	a := anAlarm(here, "memory")
	must(t, s.CreateAlarm(ctx(t), a))
	gotAlarm, err := s.Alarm(ctx(t), here, a.ID)
	same(t, gotAlarm, a, err)
	plain := &muster.Alarm{Account: here, Name: "silent", NoData: muster.NoData{After: time.Minute, Is: muster.NoDataCritical}, Level: muster.LevelWarning}
	must(t, s.CreateAlarm(ctx(t), plain))
	gotAlarm, err = s.Alarm(ctx(t), here, plain.ID)
	same(t, gotAlarm, plain, err)
	if all, err := s.Alarms(ctx(t), here); err != nil || len(all) != 2 {
		t.Fatalf("the alarms are %v, %v", all, err)
	}
	_, err = s.UpdateAlarm(ctx(t), here, a.ID, 0, func(a *muster.Alarm) error { a.Name = "Silent"; return nil })
	want(t, err, muster.ErrConflict)
	must(t, s.DeleteAlarm(ctx(t), here, a.ID, a.Rev))

	h := &muster.Channel{Account: here, Name: "ops", Kind: "webhook", Config: []byte(`{"url":"https://example.org/"}`), Sealed: []byte{0, 1, 255}, Default: true, Fallback: "channel_2", Disabled: "gone"}
	must(t, s.CreateChannel(ctx(t), h))
	gotChannel, err := s.Channel(ctx(t), here, h.ID)
	same(t, gotChannel, h, err)
	_, err = s.UpdateChannel(ctx(t), here, h.ID, 1, func(c *muster.Channel) error { c.Disabled, c.Sealed = "", nil; return nil })
	must(t, err)
	must(t, s.DeleteChannel(ctx(t), here, h.ID, 2))
	if all, err := s.Channels(ctx(t), here); err != nil || len(all) != 0 {
		t.Fatalf("after the deletion there are %v, %v", all, err)
	}

	p := &muster.Suppression{
		Account: here, Name: "nights", Query: "*", Node: muster.NodeID{3}, Check: "check_1", Alarm: "alarm_1", From: clock.Now(), Length: 8 * time.Hour,
		Rule: "FREQ=DAILY", Zone: "Europe/Berlin", Reason: "backups", By: "user_1",
	}
	must(t, s.CreateSuppression(ctx(t), p))
	gotSuppression, err := s.Suppression(ctx(t), here, p.ID)
	same(t, gotSuppression, p, err)
	want(t, s.CreateSuppression(ctx(t), &muster.Suppression{Account: here, Name: "no length", From: clock.Now()}), muster.ErrInvalid)
	_, err = s.UpdateSuppression(ctx(t), here, p.ID, 0, func(p *muster.Suppression) error { p.Name = "days"; return nil })
	must(t, err)
	must(t, s.DeleteSuppression(ctx(t), here, p.ID, 0))
	if all, err := s.Suppressions(ctx(t), here); err != nil || len(all) != 0 {
		t.Fatalf("after the deletion there are %v, %v", all, err)
	}
}

func streams(t *testing.T, s *store.Store, clock *Clock) {
	const n = 25
	at := clock.Now().UnixMilli()
	for i := range n {
		must(t, s.PutRows(ctx(t), account(1), "incidents", []store.EventRow{{At: at + int64(i/2), ID: fmt.Sprintf("incident_%02d", i), Body: []byte(`{"state":"open"}`)}}))
	}
	must(t, s.PutRows(ctx(t), account(1), "incidents", []store.EventRow{{At: at, ID: "incident_00", Body: []byte(`{"state":"resolved"}`)}}))
	must(t, s.PutRows(ctx(t), account(1), "results/check_1", []store.EventRow{{At: at, ID: "other", Body: []byte(`{}`)}}))
	must(t, s.PutRows(ctx(t), account(2), "incidents", []store.EventRow{{At: at, ID: "foreign", Body: []byte(`{}`)}}))
	var seen []string
	last, before := "", ""
	for pages := 0; pages < n; pages++ {
		rows, next, err := s.Rows(ctx(t), account(1), "incidents", before, 10)
		must(t, err)
		for _, row := range rows {
			seen, last = append(seen, row.ID), string(row.Body)
		}
		if before = next; next == "" {
			break
		}
	}
	if len(seen) != n || seen[0] != "incident_24" || seen[n-1] != "incident_00" || last != `{"state":"resolved"}` {
		t.Fatalf("the pages held %v, the first row is %s", seen, last)
	}
	want(t, s.PutRows(ctx(t), account(1), "changelog", []store.EventRow{{At: at, ID: "x"}}), muster.ErrInvalid)
	want(t, s.PutRows(ctx(t), account(1), "incidents", []store.EventRow{{At: at}}), muster.ErrInvalid)
	want(t, s.PutRows(ctx(t), account(1), "incidents", []store.EventRow{{At: at, ID: "x", Body: make([]byte, 2<<20)}}), muster.ErrLimited)
	_, _, err := s.Rows(ctx(t), account(1), "incidents", "made up", 10)
	want(t, err, muster.ErrInvalid)
}
