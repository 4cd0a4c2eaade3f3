package slack_test

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
	"muster/internal/notify/slack"
	"muster/internal/outbound"
)

var rewrite = flag.Bool("rewrite", false, "write testdata anew")

func driver(t testing.TB) notify.Driver {
	t.Helper()
	client, err := outbound.New(outbound.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := slack.New(slack.Options{Net: client})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestSuite(t *testing.T) {
	notifytest.HTTP(t, notifytest.Case{
		New:       func(net *outbound.Client, _ string) (notify.Driver, error) { return slack.New(slack.Options{Net: net}) },
		Config:    func(base string) string { return `{"url":"` + base + `/services/T00/B00/HIDDENHIDDEN?x=ALSOHIDDEN"}` },
		OK:        "ok",
		Secrets:   []string{"HIDDENHIDDEN", "ALSOHIDDEN"},
		Permanent: []int{400, 401, 403, 404},
	})
}

func TestConfigs(t *testing.T) {
	notifytest.Configs(t, driver(t), []string{`{"url":"https://hooks.slack.com/services/T/B/x"}`, `{"url":"http://mattermost.internal:8065/hooks/abc"}`}, map[string]string{
		`{}`:                                     "url",
		`{"url":null}`:                           "url",
		`{"url":["https://hooks.slack.com/x"]}`:  "url",
		`{"url":"hooks.slack.com/x/HIDDEN"}`:     "url",
		`{"url":"https://hooks.slack.com"}`:      "url",
		`{"url":"https://hooks.slack.com/"}`:     "url",
		`{"url":"https://a b/HIDDEN"}`:           "url",
		`{"url":"https://x/HIDDEN","channel":1}`: "channel",
	}, "HIDDEN")
	if d := driver(t); d.Kind() != "slack" || strings.Join(d.Secrets(), " ") != "url" {
		t.Errorf("%s seals %v", d.Kind(), d.Secrets())
	}
}

// body sends a message and gives what Slack gets.
func body(t *testing.T, m *notify.Message) []byte {
	t.Helper()
	r := notifytest.NewReceiver(t, notifytest.Take("ok"))
	s, err := driver(t).Parse([]byte(`{"url":"` + r.URL + `/x"}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	return r.Got()[0].Body
}

func TestMessages(t *testing.T) {
	all := map[string]*notify.Message{"opened": notifytest.Opened(), "acknowledged": notifytest.Acknowledged(), "resolved": notifytest.Resolved(), "bare": notifytest.Bare(), "several": notifytest.Several(13)}
	for name, m := range all {
		var tree any
		if err := json.Unmarshal(body(t, m), &tree); err != nil {
			t.Fatal(err)
		}
		got, _ := json.MarshalIndent(tree, "", " ")
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

// TestBounds keeps to what Slack takes, whatever the texts are.
func TestBounds(t *testing.T) {
	for name, m := range map[string]*notify.Message{"one": notifytest.Hostile(1), "many": notifytest.Hostile(200), "plain": notifytest.Several(200)} {
		raw := body(t, m)
		var got struct {
			Text   string
			Blocks []struct {
				Type     string
				Text     struct{ Text string }
				Elements []struct {
					URL  string
					Text json.RawMessage
				}
			}
		}
		if err := json.Unmarshal(raw, &got); err != nil {
			t.Fatal(err)
		}
		if len(got.Text) > 4000 || len(got.Blocks) == 0 || len(got.Blocks) > 50 {
			t.Errorf("%s: text of %d bytes, %d blocks", name, len(got.Text), len(got.Blocks))
		}
		for _, b := range got.Blocks {
			if b.Type == "section" && (b.Text.Text == "" || len(b.Text.Text) > 3000) {
				t.Errorf("%s: a section of %d bytes", name, len(b.Text.Text))
			}
			if strings.Contains(b.Text.Text, "<!channel>") || strings.Contains(b.Text.Text, "<http://evil") {
				t.Errorf("%s: markup gets through: %s", name, b.Text.Text)
			}
			for _, e := range b.Elements {
				if len(e.Text) > 2000 {
					t.Errorf("%s: an element of %d bytes", name, len(e.Text))
				}
			}
		}
		if strings.Contains(got.Text, "<!channel>") {
			t.Errorf("%s: markup gets through: %s", name, got.Text)
		}
		if m.Items[0].Node != nil && len(m.Items) > 1 && !strings.Contains(string(raw), "190 more") {
			t.Errorf("%s: what is left out is not counted", name)
		}
	}
}

func TestOptions(t *testing.T) {
	if _, err := slack.New(slack.Options{}); !errors.Is(err, muster.ErrInvalid) {
		t.Errorf("without a way out: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	notifytest.Fuzz(f, driver(f), `{"url":"https://hooks.slack.com/services/T/B/x"}`, `{"url":"http://x/%zz"}`, `{"url":"http://[::]/x"}`)
}
