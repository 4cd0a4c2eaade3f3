package e2e

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"muster/api"
	"muster/internal/notify/notifytest"
)

// TestFirstWatch looks at a server that was just started: it checks itself and is green, knows what is worth waking
// somebody for, and a check that is typed in shows what it found.
func TestFirstWatch(t *testing.T) {
	t.Parallel()
	s := watchman(t)
	all := list[api.Check](s, api.PathChecks)
	if len(all) != 1 || all[0].Kind != "http" || !strings.HasPrefix(all[0].Target, s.url) || !all[0].Enabled {
		t.Fatalf("at first there is %+v", all)
	}
	var builtIn []string
	for _, a := range list[api.Alarm](s, api.PathAlarms) {
		if a.Enabled == nil || !*a.Enabled || a.Firing != 0 || a.Within == "" {
			t.Errorf("%s: %+v", a.Name, a)
		}
		builtIn = append(builtIn, a.BuiltIn)
	}
	slices.Sort(builtIn)
	if want := []string{"certificate-expiring", "check-failing", "clock-off", "filesystem-full-soon", "filesystem-inodes", "filesystem-nearly-full",
		"filesystem-read-only", "memory-exhausted", "node-silent"}; !slices.Equal(builtIn, want) {
		t.Errorf("the alarms from the start are %v", builtIn)
	}
	g := newTarget(t).up()
	guess := answer[fields](s, "POST", api.PathChecksGuess, fields{"text": g.at.String()})
	made := answer[api.Check](s, "POST", api.PathChecks, guess)
	if made.Kind != "tcp" || made.Period != "10s" || made.Status != "pending" {
		t.Errorf("of %s was made %+v", g.at, made)
	}
	s.awaits(all[0].ID, "ok")
	first := s.awaits(made.ID, "ok").Last[0]
	if late := first.At.Sub(made.CreatedAt) - 10*time.Second; late > 10*time.Second { // within its period, on a machine that is not busy
		t.Errorf("the first result came %s after the period", late)
	}
	if results := list[api.Result](s, api.PathChecks+"/"+made.ID+"/results"); len(results) == 0 || results[len(results)-1].At != first.At || results[0].Summary == "" {
		t.Errorf("its history is %+v, the first was of %s", results, first.At)
	}
	q := url.Values{"metric": {"check.duration"}, "attributes": {"muster.check:" + made.ID}, "from": {"-5m"}}
	if line := get[struct {
		Series []struct{ Points [][]float64 }
	}](s, "/v1/series?"+q.Encode()); len(line.Series) != 1 || len(line.Series[0].Points) == 0 {
		t.Errorf("what it measured is not there: %+v", line)
	}
	if open := list[api.Incident](s, api.PathIncidents); len(open) > 0 {
		t.Errorf("something is wrong from the start: %+v", open)
	}
}

// TestIncidentIsTold stops a target: the incident opens and says why, everybody who is to know is told, that somebody
// took it and that all is well again too, and each of that once.
func TestIncidentIsTold(t *testing.T) {
	t.Parallel()
	s := watchman(t)
	mail := (&notifytest.MailServer{}).Start(t)
	first, other, deaf := s.hookOf("first", fields{"default": true}), s.hookOf("other", nil), s.hookOf("deaf", nil)
	post := answer[api.Channel](s, "POST", api.PathChannels, fields{"name": "post", "kind": "email", "default": true,
		"config": fields{"to": []string{"night@example.org"}, "from": "muster@example.org", "smtp": "smtp://" + mail.Address}})
	g := newTarget(t).up()
	c := s.check("http", fields{"url": g.url(), "body_match": "^fine"}, fields{"name": "shop"})
	quick := s.failsAtOnce()
	slow := answer[api.Alarm](s, "POST", api.PathAlarms, fields{"name": "Shop is long gone", "check": c.ID, "level": "critical",
		"condition": fields{"op": ">=", "value": 2, "for": "3s"}, "channels": []string{other.id}})
	s.awaits(c.ID, "ok")

	g.down()
	in := s.opens(c.ID)
	opened := first.hears(in.ID, "incident.opened")
	if i := opened.Data.Incident; i.State != "open" || i.Level != "critical" || i.Check != c.ID || i.Alarm != quick.ID || !strings.Contains(i.Title, "shop") ||
		len(i.Transitions) != 1 || !strings.Contains(i.Transitions[0].Why, "refused") || len(i.Transitions[0].Inputs) == 0 || opened.Data.URL != s.url+"/incidents/"+in.ID {
		t.Errorf("it was told %+v", opened)
	}
	joined := other.hears(in.ID, "incident.opened") // it hears when its own alarm joins
	if i := joined.Data.Incident; len(i.Firing) != 2 || i.Firing[1].Alarm != slow.ID || i.Level != "critical" {
		t.Errorf("what joined is told as %+v", i)
	}

	taken := answer[api.Incident](s, "POST", api.PathIncidents+"/"+in.ID+"/acknowledge", nil)
	if taken.State != "acknowledged" || taken.AcknowledgedAt == nil || !strings.HasPrefix(taken.AcknowledgedBy, "token_") {
		t.Errorf("taken, it is %+v", taken)
	}
	for _, h := range []*hook{first, other} {
		if m := h.hears(in.ID, "incident.acknowledged"); m.Data.Incident.State != "acknowledged" {
			t.Errorf("told as %+v", m)
		}
	}
	if again := answer[api.Incident](s, "POST", api.PathIncidents+"/"+in.ID+"/acknowledge", nil); !again.AcknowledgedAt.Equal(*taken.AcknowledgedAt) {
		t.Error("taken twice, it was taken at another time")
	}
	answer[api.Incident](s, "POST", api.PathIncidents+"/"+in.ID+"/comments", fields{"text": "somebody pulled the plug"})

	g.up()
	over := s.turns(in.ID, "resolved")
	if len(over.Firing) != 0 || over.ResolvedAt == nil || len(over.Transitions) != 4 || len(over.Comments) != 1 {
		t.Errorf("in the end it is %+v", over)
	}
	for _, h := range []*hook{first, other} {
		h.hears(in.ID, "incident.resolved")
		s.tells(in.ID, h.id, "incident.resolved", "delivered")
		if got := h.of(in.ID); !slices.Equal(got, []string{"opened", "acknowledged", "resolved"}) {
			t.Errorf("it heard %v", got)
		}
	}
	s.tells(in.ID, post.ID, "incident.resolved", "delivered")
	if got := deaf.heard(); len(got) > 0 {
		t.Errorf("who was not to be told heard %v", got)
	}
	s.mails(mail.Got(), "shop")
	ids := map[string]bool{}
	for _, d := range s.incident(in.ID).Deliveries {
		if d.Status != "delivered" || d.Attempt != 1 || ids[d.Message] {
			t.Errorf("delivery %+v", d)
		}
		ids[d.Message] = true
	}
	if len(ids) != 9 {
		t.Errorf("%d messages to three channels of three steps", len(ids))
	}
	if code, text := s.try("POST", api.PathIncidents+"/"+in.ID+"/acknowledge", nil); code != http.StatusConflict {
		t.Errorf("taken when it was over: %d %s", code, text)
	}
}

// mails looks at the three mails of an incident: opened, taken, resolved, in one thread.
func (s *server) mails(got []notifytest.Mail, name string) {
	s.t.Helper()
	if len(got) != 3 {
		s.t.Fatalf("%d mails", len(got))
	}
	threads := map[string]bool{}
	for i, m := range got {
		text := string(m.Data)
		head, _, _ := strings.Cut(text, "\r\n\r\n")
		if !slices.Equal(m.To, []string{"night@example.org"}) || m.From != "muster@example.org" || !strings.Contains(head, name) || !strings.Contains(text, s.url[len("http://"):]) {
			s.t.Errorf("mail %d from %s to %v:\n%.800s", i, m.From, m.To, text)
		}
		threads[field(head, "References")] = true
	}
	if len(threads) != 1 || threads[""] {
		s.t.Errorf("the mails are of %d threads: %v", len(threads), threads)
	}
}

// field gives a field of a mail's head.
func field(head, name string) string {
	_, rest, _ := strings.Cut(head, name+": ")
	value, _, _ := strings.Cut(rest, "\r\n")
	return value
}

// TestSuppression keeps people from being told: measuring goes on, the attempt is on record, the end of what they know
// of gets through, and what still fails when the quiet is over is told.
func TestSuppression(t *testing.T) {
	t.Parallel()
	s := watchman(t)
	h := s.hookOf("hook", fields{"default": true})
	s.failsAtOnce()
	quiet := func(check string) api.Suppression {
		return answer[api.Suppression](s, "POST", api.PathSuppressions, fields{"check": check, "length": "1h", "reason": "a test"})
	}
	var targets [3]*target
	var checks [3]api.Check
	for i := range targets {
		targets[i] = newTarget(t).up()
		checks[i] = s.check("http", fields{"url": targets[i].url()}, nil)
	}
	for _, c := range checks {
		s.awaits(c.ID, "ok")
	}
	// The first breaks and is mended in the quiet: nobody hears of it at all.
	if q := quiet(checks[0].ID); !q.Active || q.Until == nil {
		t.Errorf("it is quiet: %+v", q)
	}
	targets[0].down()
	never := s.opens(checks[0].ID)
	if d := s.tells(never.ID, h.id, "incident.opened", "suppressed"); !strings.Contains(d.Error, "quiet") {
		t.Errorf("it was held back as %+v", d)
	}
	// The second was told before the quiet began: its end gets through.
	targets[1].down()
	known := s.opens(checks[1].ID)
	h.hears(known.ID, "incident.opened")
	quiet(checks[1].ID)
	targets[1].up()
	h.hears(known.ID, "incident.resolved")
	// The third still fails when the quiet ends.
	third := quiet(checks[2].ID)
	targets[2].down()
	held := s.opens(checks[2].ID)
	s.tells(held.ID, h.id, "incident.opened", "suppressed")
	if got := h.of(held.ID); len(got) > 0 {
		t.Errorf("in the quiet it heard %v", got)
	}
	before := len(list[api.Result](s, api.PathChecks+"/"+checks[2].ID+"/results"))
	until(t, patience, "measuring goes on", func() bool {
		return len(list[api.Result](s, api.PathChecks+"/"+checks[2].ID+"/results")) > before
	})
	answer[struct{}](s, "DELETE", api.PathSuppressions+"/"+third.ID, nil)
	h.hears(held.ID, "incident.opened")
	targets[2].up()
	h.hears(held.ID, "incident.resolved")
	targets[0].up()
	s.turns(never.ID, "resolved")
	if got := h.of(never.ID); len(got) > 0 {
		t.Errorf("of what began and ended in the quiet it heard %v", got)
	}
}

// TestPushCheck has a job that calls, says that it failed, is silent and calls again.
func TestPushCheck(t *testing.T) {
	t.Parallel()
	s := watchman(t)
	h := s.hookOf("hook", fields{"default": true})
	s.failsAtOnce()
	c := s.check("push", fields{"grace": "5s"}, fields{"name": "backup", "period": "5s", "timeout": ""})
	calls := func(q url.Values) {
		t.Helper()
		res, err := http.Post(c.PushURL+"?"+q.Encode(), "text/plain", nil) // it needs no token but the one in its address
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Fatalf("a call: %s", res.Status)
		}
	}
	calls(nil)
	s.awaits(c.ID, "ok")
	calls(url.Values{"status": {"critical"}, "msg": {"the disk is full"}})
	failed := s.opens(c.ID)
	if m := h.hears(failed.ID, "incident.opened"); !strings.Contains(m.Data.Incident.Transitions[0].Why, "the disk is full") {
		t.Errorf("told as %+v", m)
	}
	calls(nil)
	h.hears(failed.ID, "incident.resolved")
	s.turns(failed.ID, "resolved")

	silent := s.opens(c.ID) // nobody calls any more
	if m := h.hears(silent.ID, "incident.opened"); !strings.Contains(m.Data.Incident.Transitions[0].Why, "nobody called since") {
		t.Errorf("told as %+v", m)
	}
	if last := s.awaits(c.ID, "critical").Last[0]; last.Error == nil || last.Error.Class != "silent" {
		t.Errorf("the result of silence is %+v", last)
	}
	calls(url.Values{"duration": {"90"}})
	h.hears(silent.ID, "incident.resolved")
	if len(s.incidents(c.ID)) < 2 {
		t.Error("a failure and a silence are one incident")
	}
	res, err := http.Get(s.url + api.PathPush + "/push_" + strings.Repeat("A", 43))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusNotFound {
		t.Errorf("a token that nobody was given: %s", res.Status)
	}
	if _, text := s.try("GET", api.PathIncidents+"/"+silent.ID, nil); strings.Contains(text, c.PushURL[strings.LastIndex(c.PushURL, "/"):]) {
		t.Error("the secret address is in the incident")
	}
}
