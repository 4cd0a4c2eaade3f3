package phrase

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestChannels(t *testing.T) {
	for line, want := range map[string][2]string{
		"webhook https://example.org/hook":      {`{"url":"https://example.org/hook"}`, "example.org"},
		"webhook nonsense":                      {`{"url":"nonsense"}`, "webhook"},
		"email a@example.org b@example.org":     {`{"to":["a@example.org","b@example.org"]}`, "a@example.org, b@example.org"},
		"slack https://hooks.slack.com/s/T/B/x": {`{"url":"https://hooks.slack.com/s/T/B/x"}`, "slack"}, // the name tells nothing of the secret
		"ntfy https://ntfy.sh/a-topic":          {`{"server":"https://ntfy.sh","topic":"a-topic"}`, "ntfy a-topic"},
		"ntfy https://x.org/push/a-topic/":      {`{"server":"https://x.org/push","topic":"a-topic"}`, "ntfy a-topic"},
		"ntfy a-topic":                          {`{"topic":"a-topic"}`, "ntfy a-topic"},
		"telegram @ops":                         {`{"chat":"@ops"}`, "telegram @ops"},
		"telegram":                              {`{}`, "telegram"},
	} {
		words := strings.Fields(line)
		config, name, err := Channel(words[0], words[1:])
		if err != nil || string(config.Raw()) != want[0] || name != want[1] {
			t.Errorf("%s: %s %q %v, want %s", line, config.Raw(), name, err, want)
		}
	}
	for _, line := range []string{"pigeon x", "webhook a b", "slack a b"} {
		words := strings.Fields(line)
		if config, _, err := Channel(words[0], words[1:]); err == nil {
			t.Errorf("%s: %s", line, config.Raw())
		}
	}
}

func FuzzChannel(f *testing.F) {
	f.Add("ntfy", "https://ntfy.sh/a/b")
	f.Add("webhook", "http://[::1")
	f.Fuzz(func(t *testing.T, kind, target string) {
		config, name, err := Channel(kind, []string{target})
		if err != nil {
			return
		}
		if field, _ := Secret(kind); name == "" || field == "" || !json.Valid(config.Raw()) {
			t.Errorf("%q %q: %s %q", kind, target, config.Raw(), name)
		}
	})
}

func TestFields(t *testing.T) {
	f, err := ReadFields([]byte(` {"a": 1, "b": null} `))
	if err != nil {
		t.Fatal(err)
	}
	f.Put("c", []string{"x"})
	f.Put("a", nil)
	if got := string(f.Raw()); got != `{"b":null,"c":["x"]}` {
		t.Error(got)
	}
	for _, raw := range []string{"", "null", " "} {
		if f, err := ReadFields([]byte(raw)); err != nil || f == nil {
			t.Errorf("%q: %v %v", raw, f, err)
		}
	}
	for _, raw := range []string{"[]", "1", "{"} {
		if _, err := ReadFields([]byte(raw)); err == nil {
			t.Errorf("%q is taken", raw)
		}
	}
}
