package webhook_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"muster"
	"muster/internal/notify"
	"muster/internal/notify/notifytest"
	"muster/internal/notify/webhook"
	"muster/internal/outbound"
)

// key is the example of the Standard Webhooks specification.
const key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func driver(t testing.TB, net outbound.Options, o webhook.Options) notify.Driver {
	t.Helper()
	client, err := outbound.New(net)
	if err != nil {
		t.Fatal(err)
	}
	o.Net = client
	d, err := webhook.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestSuite(t *testing.T) {
	notifytest.HTTP(t, notifytest.Case{
		New: func(net *outbound.Client, _ string) (notify.Driver, error) {
			return webhook.New(webhook.Options{Net: net})
		},
		Config: func(base string) string {
			return `{"url":"` + base + `/hook?token=HIDDENTOKEN","secret":"` + key + `"}`
		},
		OK:      "thanks",
		Secrets: []string{key, strings.TrimPrefix(key, "whsec_")},
		ID:      func(r notifytest.Request) string { return r.Header.Get("webhook-id") },
	})
}

func TestConfigs(t *testing.T) {
	self := func(host string, port uint16) bool { return host == "muster.example.org" && port == 8080 }
	d := driver(t, outbound.Options{Self: self}, webhook.Options{})
	notifytest.Configs(t, d, []string{
		`{"url":"https://example.org/x?y=1&z=<>","secret":"` + key + `"}`,
		`{"url":"http://[::1]:8080"}`,
		`{"url":"http://127.0.0.1:1/","secret":null}`,
		`{"url":"http://muster.example.org/"}`,
		`{"url":"http://other.example.org:8080/"}`,
		`{"url":"https://example.org","secret":"MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}`,
	}, map[string]string{
		`{}`:                                         "url",
		`{"url":""}`:                                 "url",
		`{"url":1}`:                                  "url",
		`{"url":"ftp://example.org"}`:                "url",
		`{"url":"example.org"}`:                      "url",
		`{"url":"http://"}`:                          "url",
		`{"url":"http://a b/"}`:                      "url",
		`{"url":"http://a/ b"}`:                      "url",
		`{"url":"http://a/\r\nX: y"}`:                "url",
		`{"url":"http://a:99999/"}`:                  "url",
		`{"url":"http://a:0/"}`:                      "url",
		`{"url":"http://u:HIDDEN@a/"}`:               "url",
		`{"url":"http://a/#x"}`:                      "url",
		`{"url":"http://exa_mple..org"}`:             "url",
		`{"url":"http://a","secret":7}`:              "secret",
		`{"url":"http://a","secret":"whsec_HIDDEN"}`: "secret",
		`{"url":"http://a","secret":"whsec_` + strings.Repeat("A", 16) + `"}`:  "secret",
		`{"url":"http://a","secret":"whsec_` + strings.Repeat("A", 120) + `"}`: "secret",
		`{"url":"http://a","header":{}}`:                                       "header",
		`{"url":"http://muster.example.org:8080/x"}`:                           "url",
		`{"url":"http://MUSTER.example.org.:8080/x"}`:                          "url",
	}, "HIDDEN")
}

func TestSecretIsMade(t *testing.T) {
	d := driver(t, outbound.Options{}, webhook.Options{})
	made := map[string]bool{}
	for range 3 {
		s, err := d.Parse([]byte(`{"url":"http://example.org"}`))
		if err != nil {
			t.Fatal(err)
		}
		var f struct{ URL, Secret string }
		if err := json.Unmarshal(s.Config(), &f); err != nil {
			t.Fatal(err)
		}
		raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(f.Secret, "whsec_"))
		if err != nil || len(raw) != 32 || !strings.HasPrefix(f.Secret, "whsec_") {
			t.Errorf("made %q", f.Secret)
		}
		made[f.Secret] = true
	}
	if len(made) != 3 {
		t.Error("the same secret was made twice")
	}
	if got := d.Secrets(); len(got) != 1 || got[0] != "secret" || d.Kind() != "webhook" {
		t.Errorf("%s seals %v", d.Kind(), got)
	}
}

// send posts a message to a receiver and gives the request.
func send(t *testing.T, o webhook.Options, m *notify.Message) notifytest.Request {
	t.Helper()
	r := notifytest.NewReceiver(t, notifytest.Take(""))
	s, err := driver(t, outbound.Options{}, o).Parse([]byte(`{"url":"` + r.URL + `/hook","secret":"` + key + `"}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	return r.Got()[0]
}

// TestSignature checks what Standard Webhooks asks for, as a receiver would.
func TestSignature(t *testing.T) {
	at := time.Unix(1614265330, 0)
	m := notifytest.Opened()
	q := send(t, webhook.Options{Now: func() time.Time { return at }}, m)
	if q.Header.Get("webhook-id") != m.ID || q.Header.Get("webhook-timestamp") != "1614265330" || q.Header.Get("Content-Type") != "application/json" {
		t.Errorf("headers %v", q.Header)
	}
	raw, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(key, "whsec_"))
	mac := hmac.New(sha256.New, raw)
	mac.Write([]byte(m.ID + ".1614265330." + string(q.Body)))
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); q.Header.Get("webhook-signature") != want {
		t.Errorf("signature %q, want %q", q.Header.Get("webhook-signature"), want)
	}
}

func TestBody(t *testing.T) {
	body := func(o webhook.Options, m *notify.Message) map[string]any {
		var got map[string]any
		if err := json.Unmarshal(send(t, o, m).Body, &got); err != nil {
			t.Fatal(err)
		}
		return got
	}
	m := notifytest.Opened()
	got := body(webhook.Options{}, m)
	data := got["data"].(map[string]any)
	in, node := data["incident"].(map[string]any), data["node"].(map[string]any)
	for path, pair := range map[string][2]any{
		"type": {got["type"], "incident.opened"}, "timestamp": {got["timestamp"], "2026-03-14T12:00:01Z"}, "url": {data["url"], m.Items[0].URL},
		"incident.id": {in["id"], string(m.Items[0].Incident.ID)}, "incident.state": {in["state"], "open"}, "incident.level": {in["level"], "critical"},
		"incident.title": {in["title"], "db-1: filesystem nearly full"}, "incident.node": {in["node"], m.Items[0].Node.ID.String()},
		"incident.opened_at": {in["opened_at"], "2026-03-14T12:00:01Z"}, "node.id": {node["id"], m.Items[0].Node.ID.String()}, "node.name": {node["name"], "db-1"},
		"node.state": {node["state"], "unknown"},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %v, want %v", path, pair[0], pair[1])
		}
	}
	if _, there := in["resolved_at"]; there {
		t.Error("resolved_at although it is open")
	}
	step := in["transitions"].([]any)[0].(map[string]any)
	inputs := step["inputs"].([]any)
	if step["from"] != "ok" || step["to"] != "firing" || step["why"] != "97 % for 5 min, limit 95 %" || len(inputs) != 2 {
		t.Errorf("transition %v", step)
	}
	if _, there := inputs[0].(map[string]any)["value"]; there {
		t.Error("a value although none came")
	}

	now := func(muster.AccountID, muster.NodeID) (muster.NodeNow, bool) {
		return muster.NodeNow{State: muster.Up, LastSeen: notifytest.Start(), CPU: math.NaN(), Memory: 0.5}, true
	}
	node = body(webhook.Options{NodeNow: now}, m)["data"].(map[string]any)["node"].(map[string]any)
	if node["state"] != "up" || node["last_seen"] != "2026-03-14T12:00:00Z" {
		t.Errorf("node %v", node)
	}
	got = body(webhook.Options{}, notifytest.Bare())
	if _, there := got["data"].(map[string]any)["node"]; there {
		t.Error("a node for a check that belongs to none")
	}
	if got = body(webhook.Options{}, notifytest.Resolved()); got["type"] != "incident.resolved" || got["data"].(map[string]any)["incident"].(map[string]any)["resolved_at"] != "2026-03-14T12:48:00Z" {
		t.Errorf("resolved: %v", got)
	}
}

func TestOneIncidentAMessage(t *testing.T) {
	s, err := driver(t, outbound.Options{}, webhook.Options{}).Parse([]byte(`{"url":"http://127.0.0.1:1"}`))
	if err != nil {
		t.Fatal(err)
	}
	var f *notify.Failure
	if err := s.Send(t.Context(), notifytest.Several(2)); s.Groups() || !errors.As(err, &f) || !f.Permanent {
		t.Errorf("two incidents in one message: %v", err)
	}
}

func TestRedirectIsExplained(t *testing.T) {
	r := notifytest.NewReceiver(t, notifytest.Refuse(302, "Location", "https://login.example.org/?token=HIDDEN"))
	s, err := driver(t, outbound.Options{}, webhook.Options{}).Parse([]byte(`{"url":"` + r.URL + `"}`))
	if err != nil {
		t.Fatal(err)
	}
	err = s.Send(t.Context(), notifytest.Opened())
	if err == nil || !strings.Contains(err.Error(), "redirect") || !strings.Contains(err.Error(), "login.example.org") || strings.Contains(err.Error(), "HIDDEN") {
		t.Errorf("%v", err)
	}
}

func TestOptions(t *testing.T) {
	if _, err := webhook.New(webhook.Options{}); !errors.Is(err, muster.ErrInvalid) {
		t.Errorf("without a way out: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	d := driver(f, outbound.Options{}, webhook.Options{})
	notifytest.Fuzz(f, d, `{"url":"https://example.org/x"}`, `{"url":"http://[::1%25eth0]:1","secret":"`+key+`"}`, `{"url":"http://a:/","secret":"whsec_"}`, `{"URL":"x"}`)
}

func BenchmarkSend(b *testing.B) {
	r := notifytest.NewReceiver(b, notifytest.Take(""))
	s, err := driver(b, outbound.Options{}, webhook.Options{}).Parse([]byte(`{"url":"` + r.URL + `"}`))
	if err != nil {
		b.Fatal(err)
	}
	m := notifytest.Opened()
	for b.Loop() {
		if err := s.Send(b.Context(), m); err != nil {
			b.Fatal(err)
		}
	}
}
