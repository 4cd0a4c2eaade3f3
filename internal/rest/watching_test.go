package rest_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"muster"
	"muster/api"
)

// ask makes a request as it is and reads the answer.
func (w *world) ask(token, method, path, body string, header ...string) (status int, h http.Header, answer map[string]any) {
	w.t.Helper()
	r, err := http.NewRequest(method, w.server.URL+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if method == http.MethodPatch {
		r.Header.Set("Content-Type", "application/merge-patch+json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	if len(bytes.TrimSpace(raw)) > 0 {
		if err := json.Unmarshal(raw, &answer); err != nil {
			w.t.Fatalf("%s %s: %v: %s", method, path, err, raw)
		}
	}
	return resp.StatusCode, resp.Header, answer
}

// Every kind of watching object is made, listed, read, changed, guarded by its rev and deleted alike.
func TestThingsAreAlike(t *testing.T) {
	w := newWorld(t)
	observer, stranger := w.token(w.mine, muster.Observer), w.token(w.theirs, muster.Admin)
	for _, c := range []struct{ path, make, patch, field, want, bad, where string }{
		{api.PathChecks, `{"kind":"http","config":{"url":"https://example.org/"}}`, `{"config":{"url":"https://example.org/b"}}`, "target", "https://example.org/b", `{"kind":"http","config":{}}`, "body.config.url"},
		{api.PathAlarms, `{"name":"m","metric":"a.b","condition":{"op":">","value":1,"for":"5m"}}`, `{"condition":{"for":"2m"}}`, "name", "m", `{"name":"x","condition":{"op":">","value":1,"for":"soon"}}`, "body.condition.for"},
		{api.PathChannels, `{"name":"ops","kind":"webhook","config":{"url":"https://example.org/"}}`, `{"name":"ops2"}`, "name", "ops2", `{"name":"x","kind":"webhook","config":{}}`, "body.config.url"},
		{api.PathSuppressions, `{"length":"1h"}`, `{"reason":"work"}`, "reason", "work", `{"length":"long"}`, "body.length"},
	} {
		status, h, made := w.ask(w.adminToken, "POST", c.path, c.make)
		id, _ := made["id"].(string)
		if status != 201 || id == "" || h.Get("Location") != c.path+"/"+id || h.Get("ETag") != `"1"` {
			t.Fatalf("%s: made with %d %v %v", c.path, status, h, made)
		}
		one := c.path + "/" + id
		if status, _, list := w.ask(observer, "GET", c.path, ""); status != 200 || len(list["items"].([]any)) != 1 {
			t.Errorf("%s: listed with %d %v", c.path, status, list)
		}
		if status, _, list := w.ask(stranger, "GET", c.path, ""); status != 200 || len(list["items"].([]any)) != 0 {
			t.Errorf("%s: a stranger's list: %d %v", c.path, status, list)
		}
		for _, method := range []string{"GET", "PATCH", "DELETE"} {
			body := map[string]string{"PATCH": c.patch}[method]
			if status, _, _ := w.ask(stranger, method, one, body); status != 404 {
				t.Errorf("%s: a stranger's %s gets %d", c.path, method, status)
			}
			if status, _, _ := w.ask(w.adminToken, method, c.path+"/nothing", body); status != 404 {
				t.Errorf("%s: %s of nothing gets %d", c.path, method, status)
			}
		}
		if status, _, _ := w.ask(observer, "PATCH", one, c.patch); status != 403 {
			t.Errorf("%s: an observer's change gets %d", c.path, status)
		}
		status, h, changed := w.ask(w.adminToken, "PATCH", one, c.patch, "If-Match", `"1"`)
		if status != 200 || changed[c.field] != c.want || h.Get("ETag") != `"2"` {
			t.Errorf("%s: changed with %d %v", c.path, status, changed)
		}
		if status, _, _ := w.ask(w.adminToken, "PATCH", one, c.patch, "If-Match", `"1"`); status != 412 {
			t.Errorf("%s: a stale change gets %d", c.path, status)
		}
		if status, _, p := w.ask(w.adminToken, "PATCH", one, `{"nmae":"x"}`); status != 422 {
			t.Errorf("%s: a misspelt field gets %d %v", c.path, status, p)
		}
		status, _, p := w.ask(w.adminToken, "POST", c.path, c.bad)
		if status != 422 || !strings.Contains(string(mustJSON(t, p["errors"])), c.where) {
			t.Errorf("%s: bad input gets %d %v, want a fault at %s", c.path, status, p, c.where)
		}
		if status, _, _ := w.ask(w.adminToken, "DELETE", one, "", "If-Match", `"1"`); status != 412 {
			t.Errorf("%s: a stale deletion gets %d", c.path, status)
		}
		if status, _, _ := w.ask(w.adminToken, "DELETE", one, ""); status != 204 {
			t.Errorf("%s: deletion gets %d", c.path, status)
		}
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestAPatchChangesOnlyWhatItNames(t *testing.T) {
	w := newWorld(t)
	_, _, made := w.ask(w.adminToken, "POST", api.PathAlarms, `{"name":"m","query":"tag:web","metric":"a.b","attributes":{"x":"1","y":"2"},"condition":{"op":">","value":0.5,"for":"5m","recover":{"op":"<","value":0.4,"for":"2m"}},"no_data":{"after":"1m","is":"keep"},"level":"warning","channels":["channel_1"]}`)
	_, _, got := w.ask(w.adminToken, "PATCH", api.PathAlarms+"/"+made["id"].(string), `{"condition":{"value":0.6,"recover":null},"attributes":{"y":null},"no_data":null,"enabled":false}`)
	want := `{"attributes":{"x":"1"},"channels":["channel_1"],"condition":{"for":"5m","op":"\u003e","value":0.6},"enabled":false,"level":"warning","metric":"a.b","query":"tag:web"}`
	for _, key := range []string{"id", "rev", "created_at", "updated_at", "firing", "name"} {
		delete(got, key)
	}
	if raw := string(mustJSON(t, got)); raw != want {
		t.Errorf("after the patch\n%s, want\n%s", raw, want)
	}
	if made["firing"] != 2.0 {
		t.Errorf("fires on %v, want 2", made["firing"])
	}
}

func TestFaultsOfARuleNameTheirFields(t *testing.T) {
	w := newWorld(t)
	status, _, p := w.ask(w.adminToken, "POST", api.PathAlarms, `{"name":"m","metric":"a.b","condition":{"op":">","value":1,"for":"90d"},"no_data":{"after":"1ms","is":"keep"}}`)
	faults := string(mustJSON(t, p["errors"]))
	if status != 422 || !strings.Contains(faults, `"location":"body.condition.for"`) || !strings.Contains(faults, `"location":"body.no_data.after"`) {
		t.Errorf("%d %v", status, p)
	}
}

func TestTryingOut(t *testing.T) {
	w := newWorld(t)
	status, _, got := w.ask(w.adminToken, "POST", api.PathChecksTest, `{"kind":"http","config":{"url":"https://example.org/"}}`)
	if status != 200 || got["status"] != "critical" || got["duration_ms"] != 12.0 || got["check"] != nil || got["error"].(map[string]any)["class"] != "status" || got["metrics"].(map[string]any)["http.duration"] != 0.012 {
		t.Errorf("a test gives %d %v", status, got)
	}
	if status, _, p := w.ask(w.adminToken, "POST", api.PathChecksTest, `{"kind":"http"}`); status != 422 || !strings.Contains(string(mustJSON(t, p)), "body.config.url") {
		t.Errorf("a test of nothing gives %d %v", status, p)
	}
	status, _, got = w.ask(w.adminToken, "POST", api.PathChecksGuess, `{"text":"db-1:5432"}`)
	if status != 200 || got["kind"] != "tcp" {
		t.Errorf("a guess gives %d %v", status, got)
	}
	if status, _, _ := w.ask(w.adminToken, "POST", api.PathChecksGuess, `{"text":"not a target at all"}`); status != 422 {
		t.Errorf("a guess of nonsense gives %d", status)
	}
	_, _, made := w.ask(w.adminToken, "POST", api.PathChecks, `{"kind":"http","config":{"url":"https://example.org/"}}`)
	path := api.PathChecks + "/" + made["id"].(string) + "/results"
	status, _, page := w.ask(w.adminToken, "GET", path+"?limit=2", "")
	if status != 200 || len(page["items"].([]any)) != 2 || page["next"] != "more" {
		t.Errorf("results: %d %v", status, page)
	}
	if _, _, page = w.ask(w.adminToken, "GET", path+"?limit=2&cursor=more", ""); len(page["items"].([]any)) != 1 || page["next"] != nil {
		t.Errorf("the second page: %v", page)
	}

	node := w.node(w.mine, "web-1").Node.ID
	status, _, got = w.ask(w.adminToken, "POST", api.PathAlarmsTest, `{"name":"m","node":"`+node.String()+`","metric":"a","condition":{"op":">","value":1},"from":"-7d"}`)
	if status != 200 || got["fired"] != 2.0 || got["nodes"] != 3.0 || got["cut"] != true {
		t.Fatalf("a backtest gives %d %v", status, got)
	}
	if o := w.alarms.backtest; o.To.Sub(o.From) != 7*24*time.Hour {
		t.Errorf("tried on %v", o.To.Sub(o.From))
	}
	line := got["series"].([]any)[0].(map[string]any)
	if line["node"] != node.String() || line["longest"] != "1h" || len(line["spans"].([]any)) != 2 || line["points"].([]any)[0].([]any)[0] != 1.5 {
		t.Errorf("the line is %v", line)
	}
	if status, _, p := w.ask(w.adminToken, "POST", api.PathAlarmsTest, `{"name":"m","metric":"a","from":"yesterday"}`); status != 422 {
		t.Errorf("a backtest from nowhere gives %d %v", status, p)
	}
}

func TestIncidents(t *testing.T) {
	w := newWorld(t)
	node := w.node(w.mine, "web-1").Node.ID
	w.alarms.incidents["incident_1"] = &muster.Incident{ID: "incident_1", Account: w.mine, State: muster.IncidentOpen, Level: muster.LevelCritical, Title: "web-1 is silent", Node: node, Subject: node, OpenedAt: time.Unix(1000, 0), UpdatedAt: time.Unix(1000, 0)}
	observer, stranger := w.token(w.mine, muster.Observer), w.token(w.theirs, muster.Admin)
	one := api.PathIncidents + "/incident_1"
	if status, _, list := w.ask(observer, "GET", api.PathIncidents+"?state=unresolved&node="+node.String(), ""); status != 200 || len(list["items"].([]any)) != 1 || !w.alarms.filter.Open || w.alarms.filter.Subject != node {
		t.Errorf("list: %d %v, asked %+v", status, list, w.alarms.filter)
	}
	if status, _, _ := w.ask(observer, "GET", api.PathIncidents+"?check=nonsense", ""); status != 422 {
		t.Errorf("a list of no check's gets %d", status)
	}
	status, _, got := w.ask(observer, "GET", one, "")
	if status != 200 || got["title"] != "web-1 is silent" || len(got["deliveries"].([]any)) != 1 || got["state"] != "open" {
		t.Errorf("one: %d %v", status, got)
	}
	for _, path := range []string{one + "/acknowledge", one + "/comments", one + "/silence"} {
		body := map[string]string{one + "/comments": `{"text":"x"}`, one + "/silence": `{"for":"1h"}`}[path]
		if status, _, _ := w.ask(observer, "POST", path, body); status != 403 {
			t.Errorf("an observer's POST %s gets %d", path, status)
		}
		if status, _, _ := w.ask(stranger, "POST", path, body); status != 404 {
			t.Errorf("a stranger's POST %s gets %d", path, status)
		}
	}
	if status, _, got = w.ask(w.adminToken, "POST", one+"/acknowledge", ""); status != 200 || got["state"] != "acknowledged" || !strings.HasPrefix(got["acknowledged_by"].(string), "token_") {
		t.Errorf("acknowledged: %d %v", status, got)
	}
	if status, _, got = w.ask(w.adminToken, "POST", one+"/comments", `{"text":"on it"}`); status != 200 || len(got["comments"].([]any)) != 1 {
		t.Errorf("commented: %d %v", status, got)
	}
	status, h, got := w.ask(w.adminToken, "POST", one+"/silence", `{"for":"2h","reason":"work"}`)
	if status != 201 || got["node"] != node.String() || got["length"] != "2h" || got["active"] != true || !strings.HasPrefix(h.Get("Location"), api.PathSuppressions) {
		t.Errorf("silenced: %d %v", status, got)
	}
	if status, _, _ := w.ask(w.adminToken, "POST", one+"/silence", `{"for":"1s"}`); status != 422 {
		t.Errorf("silence of a second gets %d", status)
	}
	w.alarms.incidents["incident_1"].State = muster.IncidentResolved
	if status, _, _ := w.ask(w.adminToken, "POST", one+"/acknowledge", ""); status != 409 {
		t.Errorf("taking what is over gets %d", status)
	}
}

func TestAMadeSecretIsShownOnce(t *testing.T) {
	w := newWorld(t)
	_, _, made := w.ask(w.adminToken, "POST", api.PathChannels, `{"name":"ops","kind":"webhook","config":{"url":"https://example.org/"}}`)
	one := api.PathChannels + "/" + made["id"].(string)
	if made["config"].(map[string]any)["secret"] != "whsec_shown" {
		t.Errorf("made as %v", made)
	}
	if _, _, got := w.ask(w.adminToken, "GET", one, ""); strings.Contains(string(mustJSON(t, got)), "whsec_") {
		t.Errorf("read as %v", got)
	}
	status, _, d := w.ask(w.adminToken, "POST", one+"/test", "")
	if status != 200 || d["status"] != "failed" || d["error"] != "refused" || d["type"] != "incident.test" {
		t.Errorf("tested: %d %v", status, d)
	}
	key := []string{"Idempotency-Key", "k1"}
	_, _, first := w.ask(w.adminToken, "POST", api.PathChannels, `{"name":"once","kind":"webhook","config":{"url":"https://example.org/"}}`, key...)
	status, h, again := w.ask(w.adminToken, "POST", api.PathChannels, `{"name":"once","kind":"webhook","config":{"url":"https://example.org/"}}`, key...)
	if status != 201 || again["id"] != first["id"] || h.Get(api.HeaderReplayed) != "true" {
		t.Errorf("again: %d %v, first %v", status, again, first)
	}
}

// Where a job calls is told as the caller reaches the server, and whole.
func TestAPushCheckSaysWhereItIsCalled(t *testing.T) {
	w := newWorld(t)
	_, _, made := w.ask(w.adminToken, "POST", api.PathChecks, `{"kind":"push","name":"backup","config":{"token":"push_x"}}`)
	want := w.server.URL + api.PathPush + "/push_x"
	if made["push_url"] != want {
		t.Errorf("made as %v", made)
	}
	_, _, list := w.ask(w.adminToken, "GET", api.PathChecks, "")
	if got := list["items"].([]any)[0].(map[string]any)["push_url"]; got != want {
		t.Errorf("listed with %v", got)
	}
}
