package telegram_test

import (
	"encoding/json"
	"errors"
	"flag"
	"html"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"muster"
	"muster/internal/notify"
	"muster/internal/notify/notifytest"
	"muster/internal/notify/telegram"
	"muster/internal/outbound"
)

var rewrite = flag.Bool("rewrite", false, "write testdata anew")

const token = "123456:ABCdefGHIjklMNOpqrSTUvwxYZ012345678"

const took = `{"ok":true,"result":{"message_id":1}}`

func driver(t testing.TB, api string) notify.Driver {
	t.Helper()
	client, err := outbound.New(outbound.Options{})
	if err != nil {
		t.Fatal(err)
	}
	d, err := telegram.New(telegram.Options{Net: client, API: api})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestSuite(t *testing.T) {
	notifytest.HTTP(t, notifytest.Case{
		New: func(net *outbound.Client, base string) (notify.Driver, error) {
			return telegram.New(telegram.Options{Net: net, API: base})
		},
		Config:    func(string) string { return `{"token":"` + token + `","chat":"-1001"}` },
		OK:        took,
		Secrets:   []string{token, "ABCdefGHIjklMNOpqrSTUvwxYZ"},
		Permanent: []int{400, 401, 403, 404},
	})
}

func TestConfigs(t *testing.T) {
	with := func(rest string) string { return `{"token":"` + token + `"` + rest + `}` }
	notifytest.Configs(t, driver(t, ""), []string{with(`,"chat":"-1001234567890"`), with(`,"chat":42,"thread":7`), with(`,"chat":"@my_channel"`)}, map[string]string{
		`{}`:                                      "chat",
		with(``):                                  "chat",
		with(`,"chat":"my channel"`):              "chat",
		with(`,"chat":"@a/b"`):                    "chat",
		with(`,"chat":1.5`):                       "chat",
		with(`,"chat":null`):                      "chat",
		with(`,"chat":true`):                      "chat",
		with(`,"chat":1,"thread":-1`):             "thread",
		with(`,"chat":1,"mode":"x"`):              "mode",
		`{"chat":1}`:                              "token",
		`{"chat":1,"token":"123:HIDDEN"}`:         "token",
		`{"chat":1,"token":"` + token + `/../x"}`: "token",
	}, "HIDDEN", token)
	s, err := driver(t, "").Parse([]byte(with(`,"chat":-42`)))
	if err != nil || string(s.Config()) != `{"chat":"-42","token":"`+token+`"}` {
		t.Errorf("a number without quotes: %v", err)
	}
	if d := driver(t, ""); d.Kind() != "telegram" || strings.Join(d.Secrets(), " ") != "token" {
		t.Errorf("%s seals %v", d.Kind(), d.Secrets())
	}
}

type sent struct {
	Chat    string `json:"chat_id"`
	Thread  int    `json:"message_thread_id"`
	Text    string `json:"text"`
	Mode    string `json:"parse_mode"`
	Quiet   bool   `json:"disable_notification"`
	Preview struct {
		Disabled bool `json:"is_disabled"`
	} `json:"link_preview_options"`
	Markup *struct {
		Rows [][]struct{ Text, URL string } `json:"inline_keyboard"`
	} `json:"reply_markup"`
}

// talk sends a message to a service that behaves so, and gives what it got.
func talk(t *testing.T, m *notify.Message, b notifytest.Behaviour) (got []sent, err error) {
	t.Helper()
	r := notifytest.NewReceiver(t, b)
	s, err := driver(t, r.URL).Parse([]byte(`{"token":"` + token + `","chat":-1001,"thread":7}`))
	if err != nil {
		t.Fatal(err)
	}
	err = s.Send(t.Context(), m)
	for _, q := range r.Got() {
		if q.Path != "/bot"+token+"/sendMessage" {
			t.Errorf("posted to %s", q.Path)
		}
		var one sent
		if err := json.Unmarshal(q.Body, &one); err != nil {
			t.Fatal(err)
		}
		got = append(got, one)
	}
	return got, err
}

func TestMessages(t *testing.T) {
	for name, m := range map[string]*notify.Message{"opened": notifytest.Opened(), "acknowledged": notifytest.Acknowledged(), "resolved": notifytest.Resolved(), "bare": notifytest.Bare(), "several": notifytest.Several(13)} {
		all, err := talk(t, m, notifytest.Take(took))
		if err != nil || len(all) != 1 {
			t.Fatalf("%s: %v, %d requests", name, err, len(all))
		}
		var b strings.Builder
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", " ")
		if err := e.Encode(all[0]); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join("testdata", name+".json")
		if *rewrite {
			if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if b.String() != string(want) {
			t.Errorf("%s: got\n%s\nwant\n%s", name, b.String(), want)
		}
	}
}

// say answers with an error of the Bot API.
func say(status int, body string) notifytest.Behaviour {
	return func(w http.ResponseWriter, _ *http.Request, _ int) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

func TestWaitsAsLongAsAsked(t *testing.T) {
	_, err := talk(t, notifytest.Opened(), say(429, `{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 35","parameters":{"retry_after":35}}`))
	var f *notify.Failure
	if !errors.As(err, &f) || f.Permanent || f.RetryAfter != 35*time.Second || !strings.Contains(f.Error(), "Too Many Requests") {
		t.Errorf("%+v", err)
	}
	_, err = talk(t, notifytest.Opened(), say(429, `{"ok":false,"parameters":{"retry_after":9223372036854775807}}`))
	if !errors.As(err, &f) || f.RetryAfter != outbound.MaxRetryAfter {
		t.Errorf("%+v", err)
	}
}

// TestButtonsThatAreRefused: Telegram takes no button that leads to a host only the own network knows.
func TestButtonsThatAreRefused(t *testing.T) {
	bad := say(400, `{"ok":false,"error_code":400,"description":"Bad Request: inline keyboard button URL is invalid: BUTTON_URL_INVALID"}`)
	m := notifytest.Opened()
	got, err := talk(t, m, notifytest.Flap(1, bad, notifytest.Take(took)))
	if err != nil || len(got) != 2 {
		t.Fatalf("%v after %d requests", err, len(got))
	}
	if got[0].Markup == nil || got[1].Markup != nil {
		t.Error("the second try has buttons too")
	}
	for _, url := range []string{m.Items[0].URL, m.Items[0].AckURL, m.Items[0].SilenceURL} {
		if !strings.Contains(html.UnescapeString(got[1].Text), url) {
			t.Errorf("the second try has lost %s", url)
		}
	}
	got, err = talk(t, m, bad)
	var f *notify.Failure
	if !errors.As(err, &f) || !f.Permanent || len(got) != 2 || !strings.Contains(err.Error(), "BUTTON_URL_INVALID") {
		t.Errorf("%v after %d requests", err, len(got))
	}
}

func TestGroupThatGrew(t *testing.T) {
	moved := say(400, `{"ok":false,"error_code":400,"description":"Bad Request: group chat was upgraded to a supergroup chat","parameters":{"migrate_to_chat_id":-1009}}`)
	got, err := talk(t, notifytest.Opened(), notifytest.Flap(1, moved, notifytest.Take(took)))
	if err != nil || len(got) != 2 || got[0].Chat != "-1001" || got[1].Chat != "-1009" {
		t.Errorf("%v: %+v", err, got)
	}
}

// TestNotOK does not trust the status alone.
func TestNotOK(t *testing.T) {
	for _, body := range []string{`{"ok":false,"description":"no"}`, `<html>proxy</html>`, ``} {
		if _, err := talk(t, notifytest.Opened(), notifytest.Take(body)); err == nil {
			t.Errorf("%q was taken for success", body)
		}
	}
}

// TestBounds keeps to Telegram's length and to its few tags, whatever the texts are.
func TestBounds(t *testing.T) {
	tags := regexp.MustCompile(`<[^>]*>`)
	for name, m := range map[string]*notify.Message{"one": notifytest.Hostile(1), "many": notifytest.Hostile(200), "plain": notifytest.Several(200)} {
		for _, b := range []notifytest.Behaviour{notifytest.Take(took), say(400, "{}")} {
			all, _ := talk(t, m, b)
			got := all[len(all)-1]
			if got.Text == "" || len(got.Text) > 4096 {
				t.Errorf("%s: a text of %d bytes", name, len(got.Text))
			}
			for _, tag := range tags.FindAllString(got.Text, -1) {
				if tag != "<b>" && tag != "</b>" {
					t.Errorf("%s: the tag %s gets through", name, tag)
				}
			}
			if strings.Count(got.Text, "<b>") != strings.Count(got.Text, "</b>") {
				t.Errorf("%s: a tag is cut off: %s", name, got.Text)
			}
			if len(m.Items) > 1 && !strings.Contains(got.Text, " more") {
				t.Errorf("%s: what is left out is not counted", name)
			}
		}
	}
}

func TestOptions(t *testing.T) {
	client, err := outbound.New(outbound.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []telegram.Options{{}, {Net: client, API: "api.telegram.org"}} {
		if _, err := telegram.New(o); !errors.Is(err, muster.ErrInvalid) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	notifytest.Fuzz(f, driver(f, ""), `{"token":"`+token+`","chat":-1}`, `{"token":"1:x","chat":"@abcd","thread":3}`, `{"chat":9223372036854775808}`)
}
