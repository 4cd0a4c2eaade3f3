package http

import "testing"

func TestRanges(t *testing.T) {
	for text, want := range map[string]string{
		"200": "200", "200-299": "200-299", " 2xx ,404": "200-299,404", "1XX,5xx": "100-199,500-599", "200-200": "200", "999": "999",
	} {
		if r, fault := parseRanges(text); fault != "" || r.String() != want {
			t.Errorf("%q becomes %q: %s", text, r, fault)
		}
	}
	for _, text := range []string{"", ",", "200,", "99", "1000", "2xxx", "0xx", "xx", "200-", "-200", "300-200", "+20", "2 00", "200;201", "٢٠٠"} {
		if r, fault := parseRanges(text); fault == "" {
			t.Errorf("%q becomes %q", text, r)
		}
	}
	r, _ := parseRanges("200-299,301")
	for code, want := range map[int]bool{199: false, 200: true, 250: true, 299: true, 300: false, 301: true, 302: false} {
		if r.has(code) != want {
			t.Errorf("%d: %v", code, !want)
		}
	}
}

func FuzzRanges(f *testing.F) {
	f.Add("200-299,301")
	f.Add(" 2xx , 404")
	f.Fuzz(func(t *testing.T, text string) {
		r, fault := parseRanges(text)
		if fault != "" {
			return
		}
		again, fault := parseRanges(r.String())
		if fault != "" || again.String() != r.String() {
			t.Fatalf("%q becomes %q, then %q: %s", text, r, again, fault)
		}
		for code := 0; code < 1100; code++ {
			if r.has(code) && (code < 100 || code > 999) || r.has(code) != again.has(code) {
				t.Fatalf("%q has %d", text, code)
			}
		}
	})
}
