package e2e

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"muster/api"
	"muster/internal/check/checktest"
	"muster/internal/notify/notifytest"
)

// peak gives the most memory that the server ever held, in bytes.
func (s *server) peak() (bytes int) {
	s.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		s.t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kib, err := strconv.Atoi(strings.Fields(rest + " none")[0])
	if err != nil {
		s.t.Fatalf("no VmHWM in %s", status)
	}
	return kib << 10
}

// TestHostileTargets has a running server check targets that want to do it harm: each run is bounded and says what is
// wrong, and the check beside them runs as if they were not there.
func TestHostileTargets(t *testing.T) {
	t.Parallel()
	s := watchman(t)
	s.failsAtOnce()
	good := s.check("http", fields{"url": newTarget(t).up().url()}, fields{"name": "good", "period": "3s", "timeout": "2900ms"})
	web := func(b notifytest.Behaviour) fields {
		return fields{"url": notifytest.NewReceiver(t, b).URL + "/", "body_match": "never there"}
	}
	loop := func(w http.ResponseWriter, r *http.Request, n int) {
		http.Redirect(w, r, "/"+strconv.Itoa(n), http.StatusFound)
	}
	flood := checktest.Serve(t, func(conn net.Conn) {
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
			return
		}
		for line := []byte("HTTP/1.1 200 OK\r\n"); ; line = []byte(strings.Repeat("X-Flood: yes\r\n", 1000)) {
			if _, err := conn.Write(line); err != nil {
				return
			}
		}
	})
	babble := checktest.Serve(t, func(conn net.Conn) {
		for chunk := []byte(strings.Repeat("a", 64<<10)); ; {
			if _, err := conn.Write(chunk); err != nil {
				return
			}
		}
	})
	for name, c := range map[string]struct {
		kind    string
		config  fields
		classes []string
	}{
		"endless body":   {"http", web(notifytest.Endless(http.StatusOK, "x")), []string{"body", "timeout"}},
		"slow loris":     {"http", web(notifytest.Trickle), []string{"timeout"}},
		"hangs":          {"http", web(notifytest.Hang), []string{"timeout"}},
		"redirect loop":  {"http", web(loop), []string{"redirect", "timeout"}},
		"gzip bomb":      {"http", web(notifytest.Bomb(http.StatusOK)), []string{"body", "timeout"}},
		"header flood":   {"http", fields{"url": "http://" + flood.String() + "/"}, []string{"protocol", "timeout"}},
		"endless banner": {"tcp", fields{"host": babble.Addr().String(), "port": babble.Port(), "expect": "b$"}, []string{"body", "timeout"}},
	} {
		made := s.check(c.kind, c.config, fields{"name": name})
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("%s: %+v", name, s.checkOf(made.ID).Last)
			}
		})
		last := s.awaits(made.ID, "critical").Last[0]
		if last.Error == nil || !slices.Contains(c.classes, last.Error.Class) || last.DurationMS > 30_000 {
			t.Errorf("%s: after %v ms: %+v", name, last.DurationMS, last.Error)
		}
		if in := s.opens(made.ID); in.Transitions[0].Why == "" || !strings.Contains(in.Title, name) {
			t.Errorf("%s: the incident is %+v", name, in)
		}
	}
	before := s.awaits(good.ID, "ok").Last[0].At
	until(t, 2*patience, "the good check runs on", func() bool { return s.checkOf(good.ID).Last[0].At.Sub(before).Seconds() >= 5 })
	for _, r := range list[api.Result](s, api.PathChecks+"/"+good.ID+"/results") {
		if r.Status != "ok" {
			t.Errorf("beside them the good one is %+v", r)
		}
	}
	if bytes := s.peak(); bytes > 512<<20 {
		t.Errorf("the server held %d MiB", bytes>>20)
	}
}

// TestBadWatchInput asks for what can't be: each is refused with words about the field that is wrong.
func TestBadWatchInput(t *testing.T) {
	t.Parallel()
	s := watchman(t, "--no-agent")
	_, port, _ := net.SplitHostPort(s.addr)
	hook := func(url string) fields {
		return fields{"name": url, "kind": "webhook", "config": fields{"url": url}}
	}
	check := func(config fields) fields { return fields{"kind": "http", "config": config} }
	alarm := func(more fields) fields {
		a := fields{"name": "bad", "metric": "e2e.load", "condition": fields{"op": ">", "value": 1}}
		for key, value := range more {
			a[key] = value
		}
		return a
	}
	const itself = "Muster itself"
	for name, c := range map[string]struct {
		path string
		body fields
		says string
	}{
		"webhook to Muster":               {api.PathChannels, hook(s.url + "/v1/nodes"), itself},
		"webhook to localhost":            {api.PathChannels, hook("http://localhost:" + port), itself},
		"webhook to LOCALHOST.":           {api.PathChannels, hook("http://LOCALHOST.:" + port), itself},
		"webhook to any address":          {api.PathChannels, hook("http://0.0.0.0:" + port), itself},
		"webhook to IPv6":                 {api.PathChannels, hook("http://[::]:" + port), itself},
		"webhook to mapped IPv6":          {api.PathChannels, hook("http://[::ffff:127.0.0.1]:" + port), itself},
		"webhook to a file":               {api.PathChannels, hook("file:///etc/passwd"), "http://"},
		"fallback that is not there":      {api.PathChannels, fields{"name": "f", "kind": "webhook", "config": fields{"url": "http://127.0.0.1:9"}, "fallback": "channel_01m85zk5rzes8a44ee6f753m96"}, "another channel"},
		"long expression":                 {api.PathChecks, check(fields{"url": "http://shop.test/", "body_match": strings.Repeat("a", 5000)}), "at most 1000"},
		"expression that explodes":        {api.PathChecks, check(fields{"url": "http://shop.test/", "body_match": "((a{1,100}){1,100}){1,100}"}), "repeat count"},
		"expression that is none":         {api.PathChecks, check(fields{"url": "http://shop.test/", "body_match": "(a"}), "missing closing"},
		"header that splits":              {api.PathChecks, check(fields{"url": "http://shop.test/", "headers": fields{"X": "a\r\nHost: b"}}), "headers"},
		"check in no zone":                {api.PathChecks, fields{"kind": "http", "config": fields{"url": "http://shop.test/"}, "zones": []string{"mars"}}, "mars"},
		"check without end":               {api.PathChecks, fields{"kind": "http", "config": fields{"url": "http://shop.test/"}, "period": "1s", "timeout": "1h"}, "imeout"},
		"alarm on a bad query":            {api.PathAlarms, alarm(fields{"query": "tag:("}), "needs a value"},
		"alarm with a hold of no time":    {api.PathAlarms, alarm(fields{"condition": fields{"op": ">", "value": 1, "for": "-5m"}}), "for"},
		"alarm with a bad op":             {api.PathAlarms, alarm(fields{"condition": fields{"op": "=~", "value": 1}}), "op"},
		"alarm to a channel that is none": {api.PathAlarms, alarm(fields{"channels": []string{"channel_01m85zk5rzes8a44ee6f753m96"}}), "channel"},
		"quiet by no rule":                {api.PathSuppressions, fields{"length": "1h", "rule": "FREQ=NEVER"}, "NEVER"},
		"quiet on another planet":         {api.PathSuppressions, fields{"length": "1h", "rule": "FREQ=DAILY", "time_zone": "Mars/Olympus"}, "Mars/Olympus"},
	} {
		code, text := s.try("POST", c.path, c.body)
		if code != http.StatusUnprocessableEntity || !strings.Contains(text, c.says) {
			t.Errorf("%s: %d %s", name, code, text)
		}
	}
	kept := answer[api.Channel](s, "POST", api.PathChannels, hook(notifytest.NewReceiver(t, notifytest.Take("")).URL))
	if code, text := s.try("PATCH", api.PathChannels+"/"+kept.ID, fields{"config": fields{"url": s.url}}); code != http.StatusUnprocessableEntity || !strings.Contains(text, itself) {
		t.Errorf("turned to Muster: %d %s", code, text)
	}
	turns := notifytest.NewReceiver(t, notifytest.Refuse(http.StatusPermanentRedirect, "Location", s.url+"/v1/channels"))
	away := answer[api.Channel](s, "POST", api.PathChannels, hook(turns.URL))
	if d := answer[api.Delivery](s, "POST", api.PathChannels+"/"+away.ID+"/test", nil); d.Status != "failed" || !strings.Contains(d.Error, "redirect, which is not followed") {
		t.Errorf("a receiver that sends back to Muster: %+v", d)
	}
	if n := len(list[api.Channel](s, api.PathChannels)); n != 2 {
		t.Errorf("%d channels are there", n)
	}
}

// TestDeletedChannel deletes the channel that an alarm names while an incident is open, and another before one opens:
// what was to go there is on record as failed, and the default channel hears instead.
func TestDeletedChannel(t *testing.T) {
	t.Parallel()
	s := watchman(t)
	usual, own := s.hookOf("usual", fields{"default": true}), s.hookOf("own", nil)
	g := newTarget(t).up()
	c := s.check("http", fields{"url": g.url()}, nil)
	s.failsAtOnce()
	s.hasten("check-failing", fields{"enabled": false})
	made := answer[api.Alarm](s, "POST", api.PathAlarms, fields{"name": "own", "check": c.ID, "channels": []string{own.id}})
	s.awaits(c.ID, "ok")
	own.down.Store(true)
	g.down()
	first := s.opens(c.ID)
	s.tells(first.ID, own.id, "incident.opened", "waiting")
	answer[struct{}](s, "DELETE", api.PathChannels+"/"+own.id, nil)
	if d := s.tells(first.ID, own.id, "incident.opened", "failed"); !strings.Contains(d.Error, "deleted") {
		t.Errorf("what waited for it is %+v", d)
	}
	g.up()
	s.turns(first.ID, "resolved")
	if a := get[api.Alarm](s, api.PathAlarms+"/"+made.ID); !slices.Contains(a.Channels, own.id) {
		t.Errorf("the alarm is %+v", a)
	}
	g.down()
	second := s.opens(c.ID)
	usual.hears(second.ID, "incident.opened")
	// An alarm that names a channel which is gone can still be changed.
	answer[api.Alarm](s, "PATCH", api.PathAlarms+"/"+made.ID, fields{"level": "warning"})
	g.up()
	usual.hears(second.ID, "incident.resolved")
	if got := usual.of(first.ID); len(got) > 0 {
		t.Errorf("of what others were to hear it heard %v", got)
	}
	s.turns(second.ID, "resolved")
	if open := list[api.Incident](s, api.PathIncidents+"?state=unresolved"); len(open) > 0 {
		t.Errorf("nobody can mend a channel that was deleted, and there is still %+v", open)
	}
}
