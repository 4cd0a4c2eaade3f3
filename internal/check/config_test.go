package check_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"muster"
	"muster/internal/check"
)

func TestFieldsKeepDefaultsAndNameFaults(t *testing.T) {
	text, choice, yes, n, d := "was", "a", true, 5, time.Second
	var texts []string
	var m map[string]string
	f := check.ReadFields([]byte(`{"n":7,"text":null,"d":"250ms","texts":"one","m":{"k":"v"}}`))
	f.Text("text", &text, 10)
	f.Choice("choice", &choice, "a", "b")
	f.Bool("yes", &yes)
	f.Int("n", &n, 1, 9)
	f.Duration("d", &d, time.Second)
	f.Texts("texts", &texts, 2, 5)
	f.Map("m", &m, 1, 5)
	if err := f.Err(); err != nil || text != "was" || choice != "a" || !yes || n != 7 || d != 250*time.Millisecond || len(texts) != 1 || m["k"] != "v" {
		t.Fatalf("%v: %v %v %v %v %v %v %v", err, text, choice, yes, n, d, texts, m)
	}
	f = check.ReadFields([]byte(`{"text":"longer than ten","choice":"c","yes":1,"n":10,"d":"2s","texts":["a","b","c"],"m":{"k":"123456"},"more":1,"TEXT":"x"}`))
	f.Text("text", &text, 10)
	f.Choice("choice", &choice, "a", "b")
	f.Bool("yes", &yes)
	f.Int("n", &n, 1, 9)
	f.Duration("d", &d, time.Second)
	f.Texts("texts", &texts, 2, 5)
	f.Map("m", &m, 1, 5)
	var wrong *check.ConfigError
	if err := f.Err(); !errors.As(err, &wrong) || !errors.Is(err, muster.ErrInvalid) {
		t.Fatal(err)
	}
	var names []string
	for _, fault := range wrong.Fields {
		names = append(names, fault.Field)
	}
	if got := strings.Join(names, " "); got != "text choice yes n d texts m.k TEXT more" {
		t.Errorf("%s: %v", got, wrong)
	}
	if text != "was" || choice != "a" || n != 7 || d != 250*time.Millisecond {
		t.Error("a wrong value is kept")
	}
}

func TestHostFault(t *testing.T) {
	for _, host := range []string{"a", "example.org", "example.org.", "_dmarc.example.org", "192.0.2.1", "2001:db8::1", "xn--bcher-kva.example", "0-0", strings.Repeat("a", 63) + ".b"} {
		if fault := check.HostFault(host); fault != "" {
			t.Errorf("%s: %s", host, fault)
		}
	}
	for _, host := range []string{"", ".", "a..b", ".a", "-a", "a-", "a b", "a/b", "a:80", "[::1]", "ü", "a\x00", "a@b", strings.Repeat("a", 64), strings.Repeat("a.", 150)} {
		if fault := check.HostFault(host); fault == "" {
			t.Errorf("%q is taken", host)
		}
	}
}

func TestPatternsAreBounded(t *testing.T) {
	for _, text := range []string{"a", "^HTTP/[0-9.]+ (?P<code>2..)", `(?is)\bok\b`, "(a{20}){20}", strings.Repeat(`\pL`, 300)} {
		if _, fault := check.NewPattern(text); fault != "" {
			t.Errorf("%.40s: %s", text, fault)
		}
	}
	for _, text := range []string{"(", "a{2,1}", `\1`, "(?=a)", strings.Repeat("a", 1001), "((a{100}){100}){10}", "(" + strings.Repeat("x", 900) + "){900}", "((((a{9}){9}){9}){9}){9}"} {
		if _, fault := check.NewPattern(text); fault == "" {
			t.Errorf("%.40s is taken", text)
		}
	}
}

func TestPatternKeepsWhatItFinds(t *testing.T) {
	p, fault := check.NewPattern(`(?P<n>[0-9.]+)(?P<unit>[a-z]+)?( x)?`)
	if fault != "" || p.KeepGroups("match") != "" {
		t.Fatal(fault)
	}
	var out check.Outcome
	found, err := p.Find(t.Context(), []byte("took 1.5 in all"), &out)
	if !found || err != nil || out.Evidence["match.n"] != "1.5" || len(out.Evidence) != 1 || len(out.Readings) != 1 || out.Readings[0].Value != 1.5 {
		t.Errorf("%v %v %+v", found, err, out)
	}
	out = check.Outcome{}
	if found, err := p.Find(t.Context(), []byte("none"), &out); found || err != nil || out.Evidence != nil {
		t.Errorf("%v %v %+v", found, err, out)
	}
	// A large text is searched another way, with the same result.
	large := append([]byte(strings.Repeat("\xff ü", 1<<20)), "42ms x"...)
	out = check.Outcome{}
	if found, err := p.Find(t.Context(), large, &out); !found || err != nil || out.Evidence["match.n"] != "42" || out.Evidence["match.unit"] != "ms" {
		t.Errorf("%v %v %+v", found, err, out)
	}
}

func FuzzPattern(f *testing.F) {
	f.Add("a(?P<x>b)*", "abbb")
	f.Add("(?i)[^\\x00]{3}", "\xff\xfe")
	f.Fuzz(func(t *testing.T, text, in string) {
		p, fault := check.NewPattern(text)
		if fault != "" {
			return
		}
		if p.KeepGroups("m") != "" {
			return
		}
		var out check.Outcome
		found, err := p.Find(t.Context(), []byte(in), &out)
		if want := regexp.MustCompile(text).MatchString(in); err != nil || found != want {
			t.Errorf("%q in %q: %v, %v; the library says %v", text, in, found, err, want)
		}
	})
}

func FuzzFields(f *testing.F) {
	f.Add([]byte(`{"text":"a","texts":["b"],"m":{"c":"d"},"host":"::1","d":"1s","n":3}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var text, host string
		var texts []string
		var m map[string]string
		var d time.Duration
		n := 1
		fields := check.ReadFields(raw)
		fields.Text("text", &text, 5)
		fields.Host("host", &host)
		fields.Texts("texts", &texts, 2, 5)
		fields.Map("m", &m, 2, 5)
		fields.Duration("d", &d, time.Minute)
		fields.Int("n", &n, 1, 9)
		if err := fields.Err(); err != nil {
			if !errors.Is(err, muster.ErrInvalid) {
				t.Error(err)
			}
			return
		}
		if len(text) > 5 || host == "" || len(texts) > 2 || len(m) > 2 || d < 0 || d > time.Minute || n < 1 || n > 9 {
			t.Errorf("%q gives %q %q %v %v %v %d", raw, text, host, texts, m, d, n)
		}
	})
}
