package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"muster"
	"muster/api"
	"muster/client"
)

const aCheck = "check_01h455vb4pex5vsknk084sn02q"

// pathOf gives a request's path below the server's.
func pathOf(r *http.Request) string { return strings.TrimPrefix(r.URL.Path, "/base") }

func TestFindByNameOrID(t *testing.T) {
	list := `{"items":[{"id":"x","name":"other"},{"id":"` + aCheck + `","name":"shop"}]}`
	c, s := scripted(t, answer(200, list))
	if got, err := c.Checks().Find(context.Background(), "shop"); err != nil || got.ID != aCheck || pathOf(s.asked[0]) != "/v1/checks" {
		t.Errorf("%+v %v", got, err)
	}
	c, s = scripted(t, answer(200, `{"id":"`+aCheck+`","name":"shop"}`))
	if got, err := c.Checks().Find(context.Background(), aCheck); err != nil || got.Name != "shop" || pathOf(s.asked[0]) != "/v1/checks/"+aCheck {
		t.Errorf("%+v %v", got, err)
	}
	c, _ = scripted(t, answer(404, `{}`), answer(200, `{"items":[{"id":"x","name":"`+aCheck+`"}]}`))
	if got, err := c.Checks().Find(context.Background(), aCheck); err != nil || got.ID != "x" {
		t.Errorf("a name like an id: %+v %v", got, err)
	}
	c, s = scripted(t, answer(200, list))
	if _, err := c.Checks().Find(context.Background(), "check_../../users/x"); !errors.Is(err, muster.ErrNotFound) || pathOf(s.asked[0]) != "/v1/checks" {
		t.Errorf("%v, asked %s", err, s.asked[0].URL)
	}
	c, _ = scripted(t, answer(403, `{}`))
	if _, err := c.Alarms().Find(context.Background(), "x"); !errors.Is(err, muster.ErrDenied) {
		t.Errorf("%v", err)
	}
}

func TestChangesAreMergePatches(t *testing.T) {
	yes, no := true, false
	c, s := scripted(t, answer(200, `{"id":"a"}`))
	said := api.AlarmNew{Name: "a", Metric: "m", Enabled: &yes, Attributes: map[string]string{"k": "v", "l": "w"}, Condition: &api.Condition{Op: ">", Value: 1, For: "5m"}, Channels: []string{"x", "y"}}
	_, changed, err := c.Alarms().Change(context.Background(), "a", 3, said, func(x *api.AlarmNew) error {
		x.Metric, x.Level, x.Enabled, x.Channels = "", "warning", &no, []string{"y"}
		x.Attributes = map[string]string{"k": "v", "l": "z"}
		x.Condition = &api.Condition{Op: ">", Value: 2}
		return nil
	})
	got := s.bodies[0]
	if want := `{"attributes":{"l":"z"},"channels":["y"],"condition":{"for":null,"value":2},"enabled":false,"level":"warning","metric":null}`; err != nil || !changed || got != want {
		t.Errorf("%v %v sent %s, want %s", changed, err, got, want)
	}
	if s.asked[0].Method != http.MethodPatch || s.asked[0].Header.Get("If-Match") != `"3"` {
		t.Errorf("%s with %q", s.asked[0].Method, s.asked[0].Header.Get("If-Match"))
	}
	c, s = scripted(t)
	if _, changed, err := c.Alarms().Change(context.Background(), "a", 3, said, func(*api.AlarmNew) error { return nil }); changed || err != nil || len(s.asked) > 0 {
		t.Errorf("nothing: %v %v, asked %d times", changed, err, len(s.asked))
	}
	wrong := errors.New("wrong")
	if _, _, err := c.Alarms().Change(context.Background(), "a", 3, said, func(*api.AlarmNew) error { return wrong }); !errors.Is(err, wrong) {
		t.Error(err)
	}
}

// FuzzChange holds that the patch leads from one object to the other, by the rules of RFC 7396.
func FuzzChange(f *testing.F) {
	f.Add(`{"a":1,"b":{"c":2,"d":[1]}}`, `{"b":{"c":{},"d":[2]},"e":"x"}`)
	f.Add(`{}`, `{"a":{"b":{}}}`)
	f.Fuzz(func(t *testing.T, before, after string) {
		var old, now map[string]any
		if json.Unmarshal([]byte(before), &old) != nil || json.Unmarshal([]byte(after), &now) != nil || hasNull(now) || now == nil {
			t.Skip() // null is what a merge patch can't say
		}
		patch := client.Difference(old, now)
		if got, want := mustJSON(t, merge(old, patch)), mustJSON(t, now); got != want {
			t.Errorf("%s to %s by %s gives %s", before, after, mustJSON(t, patch), got)
		}
	})
}

func hasNull(v any) bool {
	m, ok := v.(map[string]any)
	if !ok {
		return v == nil
	}
	for _, inner := range m {
		if hasNull(inner) {
			return true
		}
	}
	return false
}

// merge is RFC 7396, section 2.
func merge(target any, patch any) any {
	p, ok := patch.(map[string]any)
	if !ok {
		return patch
	}
	t, _ := target.(map[string]any)
	out := map[string]any{}
	for k, v := range t {
		out[k] = v
	}
	for k, v := range p {
		if v == nil {
			delete(out, k)
		} else {
			out[k] = merge(out[k], v)
		}
	}
	return out
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestNames(t *testing.T) {
	node := func(i string) string { return "node_01h455vb4pex5vsknk084sn02" + i }
	c, s := scripted(t, answer(200, `{"items":[{"id":"`+aCheck+`","name":"shop"}]}`), answer(200, `{"id":"`+node("a")+`","name":"web-1"}`), answer(404, `{}`))
	name := c.Names(context.Background())
	for _, x := range [][2]string{{"", ""}, {aCheck, "shop"}, {aCheck, "shop"}, {"check_gone", "check_gone"}, {node("a"), "web-1"}, {node("b"), node("b")}, {node("b"), node("b")}, {"user_1", "user_1"}} {
		if got := name(x[0]); got != x[1] {
			t.Errorf("%s is %q, want %q", x[0], got, x[1])
		}
	}
	if len(s.asked) != 3 {
		t.Errorf("asked %d times", len(s.asked))
	}
	answers := make([]func() (*http.Response, error), 8)
	for i := range answers {
		answers[i] = answer(404, `{}`)
	}
	c, s = scripted(t, append(answers, answer(200, `{"items":[{"id":"`+node("y")+`","name":"last"}]}`))...)
	name = c.Names(context.Background())
	for _, i := range strings.Split("a b c d e f g h j y z", " ") {
		if got := name(node(i)); i == "y" && got != "last" {
			t.Errorf("%q", got)
		}
	}
	if len(s.asked) != 9 {
		t.Errorf("many nodes took %d questions", len(s.asked))
	}
}

func TestIncidentCalls(t *testing.T) {
	c, s := scripted(t, answer(200, `{"items":[{"id":"a"}],"next":"c1"}`), answer(200, `{"items":[{"id":"b"}]}`), answer(200, `{"items":[{"id":"a"}]}`))
	all := c.Incidents(context.Background(), client.IncidentOptions{State: "unresolved", Node: "n"})
	var got string
	for in, err := range all {
		if err != nil {
			t.Fatal(err)
		}
		got += in.ID
	}
	for range all { // walking again begins at the beginning
	}
	if got != "ab" || s.asked[1].URL.RawQuery != "cursor=c1&limit=1000&node=n&state=unresolved" || strings.Contains(s.asked[2].URL.RawQuery, "cursor") {
		t.Errorf("%s, asked %s, then %s", got, s.asked[1].URL, s.asked[2].URL)
	}
	c, s = scripted(t)
	if _, err := c.Incident(context.Background(), "../users"); !errors.Is(err, muster.ErrNotFound) || len(s.asked) > 0 {
		t.Errorf("%v", err)
	}
	ok := answer(200, `{}`)
	c, s = scripted(t, ok, ok, ok, ok, ok, ok)
	ctx := context.Background()
	calls := []func() error{
		func() error { _, err := c.Acknowledge(ctx, "i"); return err },
		func() error { _, err := c.Comment(ctx, "i", "text"); return err },
		func() error { _, err := c.Silence(ctx, "i", api.Silence{For: "1h"}); return err },
		func() error { _, err := c.TestChannel(ctx, "c"); return err },
		func() error { _, err := c.TestCheck(ctx, api.CheckNew{Kind: "http"}); return err },
		func() error { _, err := c.GuessCheck(ctx, "host:1"); return err },
	}
	want := []string{"/v1/incidents/i/acknowledge ", `/v1/incidents/i/comments {"text":"text"}`, `/v1/incidents/i/silence {"for":"1h"}`, "/v1/channels/c/test ", `/v1/checks/test {"kind":"http"}`, `/v1/checks/guess {"text":"host:1"}`}
	for i, call := range calls {
		if err := call(); err != nil {
			t.Fatal(err)
		}
		if r := s.asked[i]; r.Method != http.MethodPost || r.Header.Get(api.HeaderIdempotencyKey) == "" || pathOf(r)+" "+s.bodies[i] != want[i] {
			t.Errorf("%s %s, want %s", r.Method, r.URL, want[i])
		}
	}
}
