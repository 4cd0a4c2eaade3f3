package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"muster/api"
)

const (
	checkID    = "check_01h455vb4pex5vsknk084sn02q"
	alarmID    = "alarm_01h455vb4pex5vsknk084sn02q"
	channelID  = "channel_01h455vb4pex5vsknk084sn02q"
	quietID    = "suppression_01h455vb4pex5vsknk084sn02q"
	incidentID = "incident_01h455vb4pex5vsknk084sn02q"
)

// watchFake is a server with one of each that watches.
func watchFake(t *testing.T) *fakeServer {
	time.Local = time.UTC
	f := newFake(t)
	at := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	object := func(id string) api.Object { return api.Object{ID: id, Rev: 7, CreatedAt: at, UpdatedAt: at} }
	result := api.Result{Check: checkID, Zone: "local", At: at, Status: "ok", Summary: "HTTP 200 in 12 ms", DurationMS: 12, Metrics: map[string]float64{"http.connect.duration": 0.004}}
	bad := result
	bad.Status, bad.Summary, bad.Error = "critical", "HTTP 502 in 3 ms", &api.ResultError{Class: "status", Message: "502, expected 200-299"}
	check := api.Check{Object: object(checkID), Name: "shop", Kind: "http", Node: nodeID, Target: "https://shop.example.org/", Period: "10s", Timeout: "5s", Zones: []string{"local"}, Enabled: true, Status: "ok",
		Config: json.RawMessage(`{"url":"https://shop.example.org/","headers":{"Accept":"text/html"}}`), Last: []api.Result{result}}
	alarm := api.Alarm{Object: object(alarmID), Within: "5m12s", AlarmNew: api.AlarmNew{Name: "db memory", Query: "tag:db", Metric: "system.memory.utilization", Level: "warning", Channels: []string{channelID}, Enabled: p(true),
		Condition: &api.Condition{Op: ">", Value: 0.95, For: "5m", Recover: &api.Recover{Op: "<", Value: 0.9, For: "2m"}}}}
	channel := api.Channel{Object: object(channelID), Name: "ops", Kind: "webhook", Config: json.RawMessage(`{"url":"https://example.org/hook"}`), Default: true}
	quiet := api.Suppression{Object: object(quietID), Name: "nightly", Query: "tag:db", From: at, Length: "2h", Rule: "FREQ=DAILY"}
	incident := api.Incident{ID: incidentID, State: "resolved", Level: "warning", Title: "web-1: db memory", Node: nodeID, Alarm: alarmID, OpenedAt: at, ResolvedAt: p(at.Add(time.Hour)), UpdatedAt: at.Add(time.Hour),
		Transitions: []api.Transition{{At: at, Alarm: alarmID, Name: "db memory", From: "ok", To: "firing", Level: "warning", Why: "97 % for 5 min, limit 95 %"}}}
	for path, v := range map[string]any{api.PathChecks: check, api.PathAlarms: alarm, api.PathChannels: channel, api.PathSuppressions: quiet, api.PathIncidents: incident} {
		raw, _ := json.Marshal(v)
		var o api.Object
		_ = json.Unmarshal(raw, &o)
		f.answers["GET "+path] = api.List[json.RawMessage]{Items: []json.RawMessage{raw}}
		for _, key := range []string{"GET " + path + "/" + o.ID, "PATCH " + path + "/" + o.ID, "POST " + path, "POST " + path + "/" + o.ID + "/acknowledge", "POST " + path + "/" + o.ID + "/comments"} {
			f.answers[key] = json.RawMessage(raw)
		}
		f.answers["DELETE "+path+"/"+o.ID] = nil
	}
	f.answers["POST "+api.PathIncidents+"/"+incidentID+"/silence"] = quiet
	f.answers["GET /v1/nodes?name=shop"] = api.List[api.Node]{Items: []api.Node{}}
	f.answers["GET /v1/nodes?name=tag:db"] = api.List[api.Node]{Items: []api.Node{}}
	f.answers["GET "+api.PathChecks+"/"+checkID+"/results"] = api.List[api.Result]{Items: []api.Result{bad, result}}
	f.answers["POST "+api.PathChecksGuess] = api.CheckNew{Kind: "http", Config: json.RawMessage(`{"url":"https://example.org/"}`), Period: "0s", Timeout: "0s"}
	f.answers["POST "+api.PathChecksTest] = result
	f.answers["POST "+api.PathAlarmsTest] = api.AlarmTested{From: at.Add(-24 * time.Hour), To: at, Step: "10s", Nodes: 1, Fired: 1, Series: []api.AlarmTestLine{
		{Node: nodeID, Name: "web-1", Longest: "1h", Spans: []api.AlarmTestSpan{{From: at.Add(-time.Hour), Why: "97 % for 5 min, limit 95 %"}}}}}
	f.answers["POST "+api.PathChannels+"/"+channelID+"/test"] = api.Delivery{Channel: channelID, Status: "delivered", Attempt: 1}
	return f
}

func TestWatchShows(t *testing.T) {
	f := watchFake(t)
	for name, args := range map[string][]string{
		"check-ls": {"check", "ls"}, "check-show": {"check", "show", "shop"}, "check-results": {"check", "results", checkID}, "check-test": {"check", "test", "shop"},
		"check-names": {"check", "ls", "-o", "name"}, "check-json": {"check", "ls", "-o", "json"},
		"alarm-ls": {"alarm", "ls"}, "alarm-show": {"alarm", "show", "db memory"}, "alarm-test": {"alarm", "test", "db memory"}, "alarm-yaml": {"alarm", "show", alarmID, "-o", "yaml"},
		"incident-ls": {"incident", "ls", "--state=all"}, "incident-show": {"incident", "show", "web-1"},
		"channel-ls": {"channel", "ls"}, "channel-show": {"channel", "show", "ops"}, "channel-test": {"channel", "test", "ops"},
		"suppress-ls": {"suppress", "ls"}, "suppress-show": {"suppress", "show", "nightly"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errs := f.muster(80, args...)
			if code != 0 || errs != "" {
				t.Fatalf("%d %s", code, errs)
			}
			golden(t, name, out)
		})
	}
}

// TestWatchChanges says what is sent by which command line.
func TestWatchChanges(t *testing.T) {
	f := watchFake(t)
	for _, c := range []struct {
		args []string
		body string
	}{
		{[]string{"check", "add", "https://example.org/"}, `{"kind":"http","config":{"url":"https://example.org/"},"period":"0s","timeout":"0s"}`},
		{[]string{"check", "add", "https://example.org/", "--test", "--name=x", "--node=web-1", "--period=30s", "--timeout=2s", "--zone=a,b", "--expect-status=200", "--method=HEAD", "--match=ok", "--header=X-A: b", "--insecure", "--set=max_response_time=1s", "--enabled=false"},
			`{"name":"x","kind":"http","node":"` + nodeID + `","config":{"body_match":"ok","expect_status":"200","headers":{"X-A":"b"},"max_response_time":"1s","method":"HEAD","tls_skip_verify":true,"url":"https://example.org/"},"period":"30s","timeout":"2s","zones":["a","b"],"enabled":false}`},
		{[]string{"check", "add", "https://example.org:8443/x", "--kind=dns", "--set", "type=MX", "--set", `expect=["10 a"]`, "--match=b"}, `{"kind":"dns","config":{"expect":["10 a"],"expect_match":"b","query":"example.org","type":"MX"}}`},
		{[]string{"check", "add", "nightly", "--kind=push", "--config", `{"grace":"1h"}`}, `{"name":"nightly","kind":"push","config":{"grace":"1h"}}`},
		{[]string{"check", "edit", "shop", "--period=5s", "--header=Accept:", "--header=X: y"}, `{"config":{"headers":{"Accept":null,"X":"y"}},"period":"5s","timeout":null}`},
		{[]string{"check", "edit", "shop", "--node="}, `{"node":null}`},
		{[]string{"check", "disable", "shop"}, `{"enabled":false}`},
		{[]string{"check", "test", "shop", "--timeout=1s"}, `{"name":"shop","kind":"http","node":"` + nodeID + `","config":{"headers":{"Accept":"text/html"},"url":"https://shop.example.org/"},"period":"10s","timeout":"1s","zones":["local"],"enabled":true}`},

		{[]string{"alarm", "add", "a", "-q", "tag:db", "-m", "x.utilization", "-a", "k:v,l:w", "--when", "> 95% for 5m", "--recover", "< 90% for 2m", "--no-data", "1m keep", "--level=warning", "-c", "ops"},
			`{"name":"a","query":"tag:db","metric":"x.utilization","attributes":{"k":"v","l":"w"},"condition":{"op":"\u003e","value":0.95,"for":"5m","recover":{"op":"\u003c","value":0.9,"for":"2m"}},"no_data":{"after":"1m","is":"keep"},"level":"warning","channels":["` + channelID + `"]}`},
		{[]string{"alarm", "add", "a", "--node=web-1", "--check", "shop", "--enabled=false"}, `{"name":"a","node":"` + nodeID + `","check":"` + checkID + `","enabled":false}`},
		{[]string{"alarm", "edit", "db memory", "--when=>= 90%"}, `{"condition":{"for":null,"op":"\u003e=","value":0.9}}`},
		{[]string{"alarm", "edit", "db memory", "--recover=for 1m"}, `{"condition":{"recover":{"for":"1m","op":null,"value":null}}}`},
		{[]string{"alarm", "edit", "db memory", "--recover=none", "--no-data=2m"}, `{"condition":{"recover":null},"no_data":{"after":"2m","is":"critical"}}`},
		{[]string{"alarm", "edit", "db memory", "--when=none", "--channel="}, `{"channels":null,"condition":null}`},
		{[]string{"alarm", "enable", alarmID}, ``}, // it is already
		{[]string{"alarm", "disable", alarmID}, `{"enabled":false}`},
		{[]string{"alarm", "test", "db memory", "--when=> 1", "--from=-7d"}, `{"name":"db memory","query":"tag:db","metric":"system.memory.utilization","condition":{"op":"\u003e","value":1,"recover":{"op":"\u003c","value":0.9,"for":"2m"}},"level":"warning","channels":["` + channelID + `"],"enabled":true,"from":"-7d","to":"now"}`},
		{[]string{"alarm", "test", "-m", "m", "--when=> 1"}, `{"name":"test","metric":"m","condition":{"op":"\u003e","value":1},"from":"-24h","to":"now"}`},

		{[]string{"incident", "ack", incidentID}, ``},
		{[]string{"incident", "comment", "web-1", "on", "it"}, `{"text":"on it"}`},
		{[]string{"incident", "silence", "shop", "--for=2h", "--reason=disk"}, `{"for":"2h","reason":"disk"}`},

		{[]string{"channel", "add", "webhook", "https://example.org/hook"}, `{"name":"example.org","kind":"webhook","config":{"url":"https://example.org/hook"}}`},
		{[]string{"channel", "add", "email", "a@example.org", "b@example.org", "--default", "--fallback=ops"}, `{"name":"a@example.org, b@example.org","kind":"email","config":{"to":["a@example.org","b@example.org"]},"default":true,"fallback":"` + channelID + `"}`},
		{[]string{"channel", "add", "ntfy", "https://push.example.org/below/my-topic", "--name=phone"}, `{"name":"phone","kind":"ntfy","config":{"server":"https://push.example.org/below","topic":"my-topic"}}`},
		{[]string{"channel", "add", "ntfy", "my-topic"}, `{"name":"ntfy my-topic","kind":"ntfy","config":{"topic":"my-topic"}}`},
		{[]string{"channel", "edit", "ops", "--default=false", "--set", "url=https://example.org/b"}, `{"config":{"url":"https://example.org/b"},"default":null}`},

		{[]string{"suppress", "now", "tag:web", "not", "tag:db", "--for=2h"}, `{"query":"tag:web not tag:db","length":"2h"}`},
		{[]string{"suppress", "now", "--check=shop", "--alarm=db memory", "--node=web-1", "--reason=r"}, `{"node":"` + nodeID + `","check":"` + checkID + `","alarm":"` + alarmID + `","length":"1h","reason":"r"}`},
		{[]string{"suppress", "add", "nights", "tag:db", "--from=+2h", "--for=3h", "--rule=FREQ=DAILY", "--time-zone=Europe/Berlin"}, `{"name":"nights","query":"tag:db","from":"+2h","length":"3h","rule":"FREQ=DAILY","time_zone":"Europe/Berlin"}`},
		{[]string{"suppress", "edit", "nightly", "--for=3h"}, `{"length":"3h"}`},

		{[]string{"node", "unwatch", "web-1"}, `{"watched":false}`},
		{[]string{"node", "watch", "web-1"}, `{"watched":true}`},
	} {
		f.body, f.ifMatch = "", ""
		code, out, errs := f.muster(80, c.args...)
		if code != 0 || f.body != c.body {
			t.Errorf("%v: %d %s%s: sent\n%s, want\n%s", c.args, code, out, errs, f.body, c.body)
		}
		if (c.args[1] == "edit" || c.args[1] == "disable") && f.ifMatch != `"7"` {
			t.Errorf("%v: without the rev that was seen: %q", c.args, f.ifMatch)
		}
	}
	for _, what := range []string{"check", "alarm", "channel", "suppress"} {
		name := map[string]string{"check": "shop", "alarm": "db memory", "channel": "ops", "suppress": "nightly"}[what]
		if code, _, errs := f.muster(80, what, "rm", name); code != 0 || !strings.Contains(errs, name+" is deleted") {
			t.Errorf("%s rm: %d %s", what, code, errs)
		}
		if code, out, _ := f.muster(0, "__complete", what, "show", name[:1]); code != 0 || !strings.HasPrefix(out, name) {
			t.Errorf("%s: completion gives %q", what, out)
		}
	}
	if code, out, _ := f.muster(0, "__complete", "incident", "ack", "inc"); code != 0 || !strings.HasPrefix(out, incidentID+"\tweb-1") {
		t.Errorf("completion gives %q", out)
	}
}

func TestWatchExitCodes(t *testing.T) {
	f := watchFake(t)
	f.answers["POST "+api.PathChannels] = 403
	f.answers["POST "+api.PathSuppressions] = 422
	f.answers["PATCH "+api.PathAlarms+"/"+alarmID] = 412
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"check", "show", "nope"}, 3, "muster check ls"},
		{[]string{"check", "show", "check_01h455vb4pex5vsknk084sn0zz"}, 3, "muster check ls"},
		{[]string{"alarm", "rm", "nope"}, 3, "muster alarm ls"},
		{[]string{"channel", "test", "nope"}, 3, "muster channel ls"},
		{[]string{"suppress", "rm", "nope"}, 3, "muster suppress ls"},
		{[]string{"incident", "show", "nope"}, 3, "muster incident ls"},
		{[]string{"incident", "ack", "incident_../../users"}, 3, "muster incident ls"},
		{[]string{"check", "add", "x", "--kind=ftp"}, 2, "http, tcp, ping, dns or push"},
		{[]string{"check", "add", "x", "--header=bad"}, 2, "Accept: text/html"},
		{[]string{"check", "add", "x", "--set=bad"}, 2, "name=value"},
		{[]string{"check", "add", "x", "--config=[1]"}, 2, "JSON object"},
		{[]string{"check", "add", "x", "--config=@/nowhere"}, 2, "/nowhere"},
		{[]string{"check", "add"}, 2, "check add TARGET"},
		{[]string{"check", "edit", "shop"}, 2, "muster check edit --help"},
		{[]string{"alarm", "add", "a", "--when=> 0.95 during 5m"}, 2, `"during" is not understood; write it like "> 95% for 5m"`},
		{[]string{"alarm", "add", "a", "--recover=for 1m"}, 2, "--when"},
		{[]string{"alarm", "add", "a", "--when=> 1", "--recover=well"}, 2, `"for 2m"`},
		{[]string{"alarm", "add", "a", "--no-data=soon"}, 2, `"1m critical"`},
		{[]string{"alarm", "add", "a", "--channel=nope"}, 3, "muster channel ls"},
		{[]string{"alarm", "add", "a", "--attr=x"}, 2, "key:value"},
		{[]string{"alarm", "edit", "db memory", "--level=critical"}, 1, "Refused"},
		{[]string{"channel", "add", "pigeon", "x"}, 2, "webhook, email, slack, ntfy and telegram"},
		{[]string{"channel", "add", "webhook", "a", "b"}, 2, "one target"},
		{[]string{"channel", "add", "telegram", "-123"}, 2, "unknown shorthand"},
		{[]string{"channel", "add", "telegram", "--", "-123"}, 2, "--secret-file"},
		{[]string{"channel", "add", "slack"}, 2, "MUSTER_CHANNEL_SECRET"},
		{[]string{"channel", "add", "webhook", "https://example.org/"}, 4, "muster token ls"},
		{[]string{"suppress", "now"}, 2, "all for everything"},
		{[]string{"suppress", "now", "all"}, 2, "Refused"},
		{[]string{"suppress", "add", "x", "--alarm=nope"}, 3, "muster alarm ls"},
	} {
		code, _, errs := f.muster(0, c.args...)
		if code != c.code || !strings.Contains(errs, c.says) {
			t.Errorf("%v: %d, want %d: %s", c.args, code, c.code, errs)
		}
	}
}

// TestTestsFail: what was tried and is not well is shown, and the exit code says so without another word.
func TestTestsFail(t *testing.T) {
	f := watchFake(t)
	f.answers["POST "+api.PathChecksTest] = api.Result{Zone: "local", Status: "critical", Summary: "HTTP 502", Error: &api.ResultError{Class: "status", Message: "502, expected 200-299"}}
	f.answers["POST "+api.PathChannels+"/"+channelID+"/test"] = api.Delivery{Status: "failed", Error: "the receiver answered 404"}
	if code, out, errs := f.muster(80, "check", "test", "https://example.org/"); code != exitFailed || errs != "" || !strings.Contains(out, "status: 502, expected") {
		t.Errorf("%d %q %s", code, errs, out)
	}
	if code, out, errs := f.muster(80, "channel", "test", "ops"); code != exitFailed || errs != "" || !strings.Contains(out, "the receiver answered 404") {
		t.Errorf("%d %q %s", code, errs, out)
	}
	code, out, errs := f.muster(0, "check", "add", "https://example.org/", "--test", "-o", "name")
	if code != 0 || out != "shop\n" || !strings.Contains(errs, "HTTP 502") {
		t.Errorf("a test before it is kept: %d %q %s", code, out, errs)
	}
}

func TestPushChecksSayWhatToCall(t *testing.T) {
	f := watchFake(t)
	for url, want := range map[string]string{"/v1/push/push_x": f.URL + "/v1/push/push_x", "https://m.example.org/v1/push/push_x": "https://m.example.org/v1/push/push_x"} {
		push := api.Check{Object: api.Object{ID: checkID}, Name: "job", Kind: "push", Period: "1h", PushURL: url}
		f.answers["POST "+api.PathChecks] = push
		f.answers["GET "+api.PathChecks] = api.List[api.Check]{Items: []api.Check{push}}
		if code, out, errs := f.muster(0, "check", "add", "job", "--kind=push"); code != 0 || !strings.Contains(out, " "+want+"\n") {
			t.Errorf("%s: %d %s%s", url, code, out, errs)
		}
		if code, out, errs := f.muster(0, "check", "show", "job"); code != 0 || !strings.Contains(out, " "+want+"\n") {
			t.Errorf("%s: %d %s%s", url, code, out, errs)
		}
	}
}

func TestSecretsStayUnseen(t *testing.T) {
	f := watchFake(t)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("123:ABC\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, flag := range []string{"--token-file=", "--secret-file="} {
		code, out, errs := f.muster(80, "channel", "add", "telegram", flag+file, "--", "-100")
		if code != 0 || f.body != `{"name":"telegram -100","kind":"telegram","config":{"chat":"-100","token":"123:ABC"}}` || strings.Contains(out+errs, "ABC") {
			t.Errorf("%s: %d %s%s: sent %s", flag, code, out, errs, f.body)
		}
	}
	if code, _, errs := f.muster(80, "channel", "edit", "ops", "--set=secret=@"+file); code != 0 || f.body != `{"config":{"secret":"123:ABC"}}` {
		t.Errorf("%d %s: sent %s", code, errs, f.body)
	}
	made := api.Channel{Object: api.Object{ID: channelID}, Name: "ops", Kind: "webhook", Config: json.RawMessage(`{"url":"https://example.org/hook","secret":"whsec_x"}`)}
	f.answers["POST "+api.PathChannels] = made
	if code, out, errs := f.muster(80, "channel", "add", "webhook", "https://example.org/hook"); code != 0 || !strings.Contains(out, "whsec_x") || !strings.Contains(errs, "shown only now") {
		t.Errorf("a secret that was made: %d %s%s", code, out, errs)
	}
	if code, _, errs := f.muster(80, "channel", "add", "webhook", "https://example.org/hook", "--set=secret=whsec_x"); code != 0 || errs != "" {
		t.Errorf("a secret that was given: %d %s", code, errs)
	}
}
