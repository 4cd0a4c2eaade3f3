package guess_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"muster"
	"muster/internal/check"
	"muster/internal/roster/guess"
)

var rewrite = flag.Bool("rewrite", false, "write what comes out into the table")

func say(text string) string {
	c, err := guess.Check(text, check.HostFault)
	if err != nil {
		return "error: " + muster.Words(err)
	}
	return c.Kind + " " + string(c.Config)
}

// TestTable reads testdata/guess.txt: what was typed, an arrow, what is made of it.
func TestTable(t *testing.T) {
	const file, arrow = "testdata/guess.txt", " -> "
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for line := range strings.Lines(string(raw)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || strings.HasPrefix(line, "//") {
			out.WriteString(line + "\n")
			continue
		}
		typed, want, _ := strings.Cut(line, arrow)
		got := say(typed)
		if got != want && !*rewrite {
			t.Errorf("%s\n got %s\nwant %s", typed, got, want)
		}
		out.WriteString(typed + arrow + got + "\n")
	}
	if *rewrite {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestWhatNoFileCanHold(t *testing.T) {
	for _, text := range []string{"", " \n\t ", "a\nb", "a\x00b", "\xff", strings.Repeat("a", 3000), "https://" + strings.Repeat("a", 3000), strings.Repeat("a.", 200)} {
		if _, err := guess.Check(text, check.HostFault); !errors.Is(err, muster.ErrInvalid) || len(err.Error()) > 300 {
			t.Errorf("%.20q: %v", text, err)
		}
	}
	if got := say(" \texample.org\n"); got != `ping {"host":"example.org"}` {
		t.Error(got)
	}
	c, err := guess.Check("example.org", check.HostFault)
	if err != nil || !c.Enabled || c.Name != "" || c.ID != "" {
		t.Errorf("%+v %v", c, err)
	}
}

func FuzzCheck(f *testing.F) {
	raw, err := os.ReadFile("testdata/guess.txt")
	if err != nil {
		f.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		typed, _, _ := strings.Cut(line, " -> ")
		f.Add(typed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := guess.Check(text, check.HostFault)
		if err != nil {
			if !errors.Is(err, muster.ErrInvalid) || muster.Words(err) == "" {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		var config struct {
			URL, Host string
			Port      int
		}
		if err := json.Unmarshal(c.Config, &config); err != nil {
			t.Fatal(err)
		}
		switch c.Kind {
		case "http":
			if !strings.HasPrefix(config.URL, "http://") && !strings.HasPrefix(config.URL, "https://") {
				t.Fatalf("%q: %s", text, c.Config)
			}
		case "tcp":
			if config.Port < 1 || config.Port > 65535 || check.HostFault(config.Host) != "" {
				t.Fatalf("%q: %s", text, c.Config)
			}
			again := fmt.Sprintf("%s:%d", config.Host, config.Port)
			if _, err := netip.ParseAddr(config.Host); err == nil && strings.Contains(config.Host, ":") {
				again = fmt.Sprintf("[%s]:%d", config.Host, config.Port)
			}
			if got := say("tcp://" + again); got != "tcp "+string(c.Config) {
				t.Fatalf("%q: %s, and of that %s", text, c.Config, got)
			}
		case "ping":
			if check.HostFault(config.Host) != "" {
				t.Fatalf("%q: %s", text, c.Config)
			}
		default:
			t.Fatalf("%q: kind %s", text, c.Kind)
		}
	})
}
