package sheet

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"muster/api"
	"muster/internal/term"
)

var rewrite = flag.Bool("rewrite", false, "write what is drawn over the golden files")

var (
	at  = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	now = at.Add(2 * time.Hour)
)

func ref[T any](v T) *T { return &v }

func after(d time.Duration) *time.Time { return ref(at.Add(d)) }

func name(id string) string {
	return map[string]string{"node_1": "db-1", "check_1": "shop", "alarm_1": "Memory exhausted", "channel_1": "ops", "channel_2": "mail"}[id]
}

func goodResult() api.Result {
	return api.Result{Check: "check_1", Zone: "local", At: at, Status: "ok", Summary: "HTTP 200 in 123 ms", DurationMS: 123.4,
		Metrics: map[string]float64{"check.status": 0, "check.duration": 0.1234, "http.dns.duration": 0.012, "http.connect.duration": 0.02, "http.tls.duration": 0.041, "http.first_byte.duration": 0.0482,
			"http.duration": 0.1234, "http.response.status_code": 200, "http.response.body.size": 1256, "tls.certificate.remaining": 5e6, "tls.certificate.valid": 1},
		Evidence: map[string]string{"addresses": "192.0.2.1 2001:db8::1", "http.header.server": "nginx\x1b[31m", "tls.subject": "CN=example.org", "tls.names": "example.org www.example.org",
			"tls.issuer": "CN=R3,O=Let's Encrypt,C=US", "tls.not_after": at.AddDate(0, 2, 0).Format(time.RFC3339), "tls.version": "TLS 1.3", "tls.fingerprint": "00"}}
}

func badResult() api.Result {
	r := goodResult()
	r.Status, r.Summary, r.Error = "critical", "the certificate is not good", &api.ResultError{Class: "tls", Message: "the certificate is not good: it expired on 2026-01-30 12:00 UTC"}
	r.Metrics = map[string]float64{"http.dns.duration": 0.012, "http.connect.duration": 0.02}
	r.Evidence["tls.problem"], r.Evidence["tls.error"], r.Evidence["tls.not_after"] = "expired", "it expired on 2026-01-30 12:00 UTC", at.AddDate(0, 0, -1).Format(time.RFC3339)
	return r
}

func someChecks() []api.Check {
	shop := api.Check{Object: api.Object{ID: "check_1"}, Name: "shop", Kind: "http", Target: "https://shop.example.org/a/long/path", Node: "node_1", Period: "10s", Timeout: "5s", Zones: []string{"local"}, Enabled: true,
		Status: "critical", Since: after(time.Hour), Last: []api.Result{goodResult(), badResult()}, Config: []byte(`{"url":"https://shop.example.org/","method":"GET","headers":{},"body_match":"","follow_redirects":true,"tls_skip_verify":false}`)}
	off := shop
	off.Name, off.Enabled, off.Last, off.Node = "a check with a rather long name that somebody switched off", false, nil, ""
	job := api.Check{Name: "nightly", Kind: "push", Target: "calls", Period: "1d", Enabled: true, Status: "pending", PushURL: "https://muster.example.org/v1/push/push_x"}
	return []api.Check{shop, off, job}
}

func someAlarms() []api.Alarm {
	memory := api.Alarm{Object: api.Object{ID: "alarm_1"}, Firing: 2, Within: "5m12s", BuiltIn: "memory-exhausted", AlarmNew: api.AlarmNew{Name: "Memory exhausted", Query: "tag:db", Metric: "system.memory.utilization",
		Attributes: map[string]string{"system.memory.state": "used"}, Condition: &api.Condition{Op: ">", Value: 0.95, For: "5m", Recover: &api.Recover{Op: "<", Value: 0.9, For: "2m"}},
		NoData: &api.NoData{After: "15m", Is: "ok"}, Level: "critical", Channels: []string{"channel_1", "channel_2"}, Enabled: ref(true)}}
	silent := api.Alarm{AlarmNew: api.AlarmNew{Name: "Node is silent", NoData: &api.NoData{After: "1m", Is: "critical"}, Level: "warning", Enabled: ref(false)}}
	failing := api.Alarm{AlarmNew: api.AlarmNew{Name: "Shop is down", Check: "check_1", Level: "critical"}}
	return []api.Alarm{memory, silent, failing}
}

func backtest() *api.AlarmTested {
	why := "97 % for 5 min, limit 95 %"
	return &api.AlarmTested{From: at.Add(-24 * time.Hour), To: at, Step: "10s", Nodes: 12, Fired: 3, Unit: "1", Series: []api.AlarmTestLine{
		{Node: "node_1", Name: "db-1", Series: "system.memory.state=used", Longest: "90m", Spans: []api.AlarmTestSpan{{From: at.Add(-20 * time.Hour), To: after(-18*time.Hour - 30*time.Minute), Why: why}, {From: at.Add(-time.Hour), Why: why}}},
		{Node: "node_2", Name: "db-2\x1b[0m", Longest: "5m", Spans: []api.AlarmTestSpan{{From: at.Add(-24 * time.Hour), To: after(-24*time.Hour + 5*time.Minute), Why: why}}},
		{Node: "node_3", Name: "db-3", Spans: []api.AlarmTestSpan{}}}}
}

func anIncident() *api.Incident {
	inputs := []api.Input{}
	for i := range 8 {
		inputs = append(inputs, api.Input{At: at.Add(time.Duration(i-8) * 10 * time.Second), Value: ref(0.96 + float64(i)/1000)})
	}
	inputs[3].Value, inputs[5].Value, inputs[6].Value = nil, ref(0.97), ref(0.97)
	inputs[7].Value = ref(0.97)
	return &api.Incident{ID: "incident_01h455vb4pex5vsknk084sn02q", State: "resolved", Level: "critical", Title: "db-1: Memory exhausted and 1 more", Node: "node_1", Alarm: "alarm_1",
		OpenedAt: at, AcknowledgedAt: after(5 * time.Minute), AcknowledgedBy: "user_1", ResolvedAt: after(13 * time.Hour), UpdatedAt: at.Add(13 * time.Hour), Cut: 2,
		Transitions: []api.Transition{
			{At: at, Name: "Memory exhausted", Series: "system.memory.state=used", From: "ok", To: "firing", Level: "critical", Why: "97 % for 5 min, limit 95 %", Inputs: inputs},
			{At: at.Add(time.Minute), Name: "Check fails", Check: "check_1", From: "ok", To: "firing", Level: "warning", Why: "HTTP 502, expected 200-299 (2 times in 20 s)", Inputs: []api.Input{{At: at.Add(time.Minute), Value: ref(2.0), Text: "HTTP 502 in 12 ms"}}},
			{At: at.Add(13 * time.Hour), Name: "Memory exhausted", From: "firing", To: "ok", Level: "critical", Why: "back to 80 % for 2 min, limit 90 %"}},
		Comments: []api.Comment{{At: at.Add(6 * time.Minute), By: "user_1", Name: "ada", Text: "looking at it: a query that nobody has seen before takes all of the memory there is, and it is not the only one\n\nmore tomorrow\x1b[2J\n"}, {At: at.Add(7 * time.Minute), By: "token_1", Text: "ok"}},
		Deliveries: []api.Delivery{
			{Name: "ops", Type: "incident.opened", At: at.Add(time.Second), Attempt: 1, Status: "waiting", Error: "the receiver answered 503", Next: after(10 * time.Second)},
			{Name: "ops", Type: "incident.opened", At: at.Add(10 * time.Second), Attempt: 2, Status: "delivered"},
			{Name: "mail", Type: "incident.opened", At: at.Add(time.Second), Attempt: 1, Status: "suppressed"},
			{Name: "phone", Type: "incident.resolved", At: at.Add(13*time.Hour + time.Second), Attempt: 9, Status: "failed", Error: "the chat is gone"}}}
}

func openIncident() *api.Incident {
	in := anIncident()
	in.State, in.ResolvedAt, in.AcknowledgedBy, in.Cut, in.Transitions, in.Comments, in.Deliveries = "acknowledged", nil, "link", 0, in.Transitions[:1], nil, nil
	in.Firing = []api.Firing{{Name: "Memory exhausted", Series: "system.memory.state=used", Level: "critical", Since: at, Why: "97 % for 5 min, limit 95 %"}}
	return in
}

// TestSheets draws everything for a pipe, a usual terminal and a telephone's.
func TestSheets(t *testing.T) {
	time.Local = time.UTC
	channels := []api.Channel{{Object: api.Object{ID: "channel_1"}, Name: "ops", Kind: "webhook", Config: []byte(`{"url":"https://example.org/a/hook"}`), Default: true, Fallback: "channel_2"},
		{Name: "mail", Kind: "email", Config: []byte(`{"to":["ada@example.org","bob@example.org"]}`)}, {Name: "chat", Kind: "slack", Config: []byte(`{}`), Disabled: "the receiver answered 410: it is gone for good"}}
	quiet := []api.Suppression{
		{Object: api.Object{ID: "suppression_1"}, Name: "nightly backup", Query: "tag:db", From: at, Length: "2h", Rule: "FREQ=DAILY", Zone: "Europe/Berlin", Reason: "backups", By: "user_1", Active: true, Until: after(time.Hour), Next: after(24 * time.Hour)},
		{Name: "once", Node: "node_1", Alarm: "alarm_1", From: at, Length: "1h", Next: after(time.Hour)}, {Name: "everything", From: at, Length: "1h"}}
	checks, alarms, good, bad := someChecks(), someAlarms(), goodResult(), badResult()
	none := &api.AlarmTested{From: at.Add(-time.Hour), To: at, Step: "10s", Nodes: 1, Cut: true}
	for file, draw := range map[string]func(p term.Paper){
		"checks":       func(p term.Paper) { Checks(checks, name, now).Write(p) },
		"check":        func(p term.Paper) { Check(p, &checks[0], name, now) },
		"check-push":   func(p term.Paper) { Check(p, &checks[2], name, now) },
		"results":      func(p term.Paper) { Results([]api.Result{bad, good}).Write(p) },
		"result":       func(p term.Paper) { Result(p, &good, now) },
		"result-bad":   func(p term.Paper) { Result(p, &bad, now) },
		"alarms":       func(p term.Paper) { Alarms(alarms, name).Write(p) },
		"alarm":        func(p term.Paper) { Alarm(p, &alarms[0], name) },
		"alarm-off":    func(p term.Paper) { Alarm(p, &alarms[1], name) },
		"tested":       func(p term.Paper) { Tested(p, &alarms[0].AlarmNew, backtest()) },
		"tested-none":  func(p term.Paper) { Tested(p, &alarms[1].AlarmNew, none) },
		"incidents":    func(p term.Paper) { Incidents([]api.Incident{*openIncident(), *anIncident()}, now).Write(p) },
		"incident":     func(p term.Paper) { Incident(p, anIncident(), name, now) },
		"incident-now": func(p term.Paper) { Incident(p, openIncident(), name, now) },
		"channels":     func(p term.Paper) { Channels(channels, name).Write(p) },
		"channel":      func(p term.Paper) { Channel(p, &channels[0], name) },
		"suppressions": func(p term.Paper) { Suppressions(quiet, name).Write(p) },
		"suppression":  func(p term.Paper) { Suppression(p, &quiet[0], name) },
	} {
		t.Run(file, func(t *testing.T) {
			var all strings.Builder
			for _, width := range []int{0, 80, 44} {
				var b bytes.Buffer
				draw(term.Paper{Out: &b, Width: width})
				fmt.Fprintf(&all, "=== %d\n%s", width, b.String())
				for line := range strings.Lines(b.String()) {
					if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); width >= 80 && n > width {
						t.Errorf("a line of %d in %d: %s", n, width, line)
					}
				}
				if strings.Contains(b.String(), "\x1b") {
					t.Error("a text of others moves the cursor")
				}
				var painted bytes.Buffer
				draw(term.Paper{Out: &painted, Width: width, Colour: true})
				if got := strip(painted.String()); got != b.String() {
					t.Errorf("with colours it says\n%s", got)
				}
			}
			golden(t, file, all.String())
		})
	}
}

// strip takes colours away.
func strip(s string) string {
	for _, ink := range []string{"0", term.Bold, term.Dim, term.Red, term.Green, term.Amber, term.Blue} {
		s = strings.ReplaceAll(s, "\x1b["+ink+"m", "")
	}
	return s
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".txt")
	if *rewrite {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(file); err != nil || got != string(want) {
		t.Errorf("%s, %v: got\n%s\nwant\n%s", name, err, got, want)
	}
}
