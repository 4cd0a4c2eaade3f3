package ntfy_test

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"muster"
	"muster/internal/notify"
	"muster/internal/notify/notifytest"
	"muster/internal/notify/ntfy"
	"muster/internal/outbound"
)

var rewrite = flag.Bool("rewrite", false, "write testdata anew")

func driver(t testing.TB) notify.Driver {
	t.Helper()
	client, err := outbound.New(outbound.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := ntfy.New(ntfy.Options{Net: client})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestSuite(t *testing.T) {
	notifytest.HTTP(t, notifytest.Case{
		New: func(net *outbound.Client, _ string) (notify.Driver, error) { return ntfy.New(ntfy.Options{Net: net}) },
		Config: func(base string) string {
			return `{"server":"` + base + `/","topic":"alarms","token":"tk_HIDDENHIDDEN"}`
		},
		OK:        `{"id":"x","event":"message"}`,
		Secrets:   []string{"tk_HIDDENHIDDEN"},
		Permanent: []int{400, 401, 403, 404, 413},
	})
}

func TestConfigs(t *testing.T) {
	notifytest.Configs(t, driver(t), []string{`{"topic":"x"}`, `{"server":"https://ntfy.example.org/base/","topic":"a-B_9","token":"tk_x"}`}, map[string]string{
		`{}`:              "topic",
		`{"topic":"a b"}`: "topic",
		`{"topic":"a/b"}`: "topic",
		`{"topic":"` + strings.Repeat("x", 65) + `"}`:       "topic",
		`{"topic":"a","server":"ntfy.sh"}`:                  "server",
		`{"topic":"a","server":""}`:                         "server",
		`{"topic":"a","server":"https://u:HIDDEN@ntfy.sh"}`: "server",
		`{"topic":"a","server":"https://ntfy.sh?x=HIDDEN"}`: "server",
		`{"topic":"a","token":"HIDDEN HIDDEN"}`:             "token",
		`{"topic":"a","token":"HIDDEN\r\nX: y"}`:            "token",
		`{"topic":"a","priority":5}`:                        "priority",
	}, "HIDDEN")
	s, err := driver(t).Parse([]byte(`{"topic":"x"}`))
	if err != nil || string(s.Config()) != `{"server":"https://ntfy.sh","topic":"x"}` {
		t.Errorf("defaults: %s, %v", s.Config(), err)
	}
	if d := driver(t); d.Kind() != "ntfy" || strings.Join(d.Secrets(), " ") != "token" {
		t.Errorf("%s seals %v", d.Kind(), d.Secrets())
	}
}

type published struct {
	Topic, Title, Message, Click string
	Priority                     int
	Tags                         []string
	Actions                      []struct{ Action, Label, URL string }
}

func send(t *testing.T, m *notify.Message, token string) (published, notifytest.Request) {
	t.Helper()
	r := notifytest.NewReceiver(t, notifytest.Take("{}"))
	s, err := driver(t).Parse([]byte(`{"server":"` + r.URL + `/base","topic":"alarms","token":"` + token + `"}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	var got published
	q := r.Got()[0]
	if err := json.Unmarshal(q.Body, &got); err != nil {
		t.Fatal(err)
	}
	return got, q
}

func TestMessages(t *testing.T) {
	for name, m := range map[string]*notify.Message{"opened": notifytest.Opened(), "acknowledged": notifytest.Acknowledged(), "resolved": notifytest.Resolved(), "bare": notifytest.Bare(), "several": notifytest.Several(11)} {
		sent, _ := send(t, m, "")
		got, _ := json.MarshalIndent(sent, "", " ")
		file := filepath.Join("testdata", name+".json")
		if *rewrite {
			if err := os.WriteFile(file, append(got, '\n'), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if string(got)+"\n" != string(want) {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
	}
}

func TestToken(t *testing.T) {
	if _, q := send(t, notifytest.Opened(), "tk_x"); q.Header.Get("Authorization") != "Bearer tk_x" || q.Path != "/base/" {
		t.Errorf("%s with %q", q.Path, q.Header.Get("Authorization"))
	}
	if _, q := send(t, notifytest.Opened(), ""); q.Header["Authorization"] != nil {
		t.Error("authorization without a token")
	}
}

// TestBounds keeps below the length from which ntfy makes a file of a message.
func TestBounds(t *testing.T) {
	for name, m := range map[string]*notify.Message{"one": notifytest.Hostile(1), "many": notifytest.Hostile(100), "plain": notifytest.Several(100)} {
		got, _ := send(t, m, "")
		if got.Message == "" || len(got.Message) > 4096 || len(got.Title) > 250 || len(got.Actions) > 3 || strings.ContainsAny(got.Title, "\r\n") {
			t.Errorf("%s: a message of %d bytes, title of %d", name, len(got.Message), len(got.Title))
		}
		if len(m.Items) > 1 && !strings.HasSuffix(got.Message, "92 more") {
			t.Errorf("%s: what is left out is not counted: %s", name, got.Message)
		}
	}
}

func TestOptions(t *testing.T) {
	if _, err := ntfy.New(ntfy.Options{}); !errors.Is(err, muster.ErrInvalid) {
		t.Errorf("without a way out: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	notifytest.Fuzz(f, driver(f), `{"topic":"x"}`, `{"server":"https://ntfy.sh//","topic":"x","token":"tk_"}`, `{"server":"http://a/%2f/"}`)
}
