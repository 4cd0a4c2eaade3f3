package e2e

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// serveFails runs a server that must not come up, and gives what it said.
func serveFails(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command(binary(t, "muster"), append([]string{"serve"}, args...)...)
	out := make(chan []byte, 1)
	go func() { text, _ := cmd.CombinedOutput(); out <- text }()
	select {
	case text := <-out:
		if cmd.ProcessState.ExitCode() == 0 {
			t.Fatalf("exit code 0; it said:\n%s", text)
		}
		return string(text)
	case <-time.After(15 * time.Second):
		cmd.Process.Kill()
		t.Fatal("it runs, though it should not")
		return ""
	}
}

func expectWords(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%q does not say %q", text, w)
		}
	}
	if strings.Contains(text, "goroutine ") {
		t.Errorf("it panicked:\n%s", text)
	}
}

func TestPortInUse(t *testing.T) {
	s := newServer(t, "--no-agent")
	s.start()
	s.ready()
	data := t.TempDir()
	expectWords(t, serveFails(t, "--data", data, "--listen", s.addr), s.addr, "in use", "--listen")
	if files, _ := os.ReadDir(data); len(files) > 0 {
		t.Errorf("the data directory was touched: %v", files)
	}
}

func TestDataDirectoryInUse(t *testing.T) {
	s := newServer(t, "--no-agent")
	s.start()
	s.ready()
	expectWords(t, serveFails(t, "--data", s.data, "--listen", freePort(t)), s.data, "in use", "--data")
	s.ready()
}

func TestDataOfANewerVersion(t *testing.T) {
	s := newServer(t, "--no-agent")
	s.start()
	s.ready()
	s.kill()
	for _, room := range []string{"documents", "series"} {
		name := filepath.Join(s.data, room, "FORMAT")
		old, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		newer := strings.Replace(string(old), " 1", " 99", 1)
		if newer == string(old) {
			t.Fatalf("no version 1 in %q", old)
		}
		if err := os.WriteFile(name, []byte(newer), 0o600); err != nil {
			t.Fatal(err)
		}
		expectWords(t, serveFails(t, "--data", s.data, "--listen", freePort(t)), "newer", room)
		if err := os.WriteFile(name, old, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.start()
	s.ready()
}

func TestWrongUsage(t *testing.T) {
	for _, args := range [][]string{
		{"--listen", "nonsense"}, {"--tls-cert", "x.pem"}, {"--tls-self", "--acme-domain", "x"}, {"--store", "mysql://x"}, {"--log-level", "loud"}, {"--bootstrap-token", "short"}, {"--public-url", "muster"},
	} {
		text := serveFails(t, append([]string{"--data", t.TempDir()}, args...)...)
		expectWords(t, text, "muster: ")
		if len(text) > 600 {
			t.Errorf("%v: it talks too much:\n%s", args, text)
		}
	}
}

// TestStopAndStartAgain stops a server as an operator does: it ends within 10 s with 0, and everything is there
// after the next start, the login link too until a password was chosen.
func TestStopAndStartAgain(t *testing.T) {
	s := newServer(t)
	s.env = nil
	s.start()
	line := s.out.wait(t, 10*time.Second, s.url, "/login/")
	if n := strings.Count(s.out.all(), "\n"); n != 0 {
		t.Errorf("more than one line at the start:\n%s", s.out.all())
	}
	token, err := os.ReadFile(filepath.Join(s.data, "cli-token"))
	if err != nil {
		t.Fatal(err)
	}
	asked := func() string {
		cmd := exec.Command(binary(t, "muster"), "node", "ls", "-o", "name", "--server", s.url, "--token", strings.TrimSpace(string(token)))
		out, _ := cmd.CombinedOutput()
		return string(out)
	}
	until(t, 10*time.Second, "the machine is on the list", func() bool { return strings.TrimSpace(asked()) != "" && !strings.Contains(asked(), "muster:") })
	before := asked()
	start := time.Now()
	if code := s.stop(); code != 0 {
		t.Errorf("exit code %d; it said:\n%s", code, s.out.all())
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %s to stop", took)
	}
	s.start()
	again := s.out.wait(t, 10*time.Second, s.url, "/login/")
	if again == line {
		t.Error("the same one-time link twice")
	}
	if after := asked(); after != before {
		t.Errorf("the nodes were %q and are %q", before, after)
	}
}

func TestBootstrapToken(t *testing.T) {
	s := newServer(t, "--no-agent")
	s.start()
	s.ready()
	if strings.Contains(s.out.all(), "/login/") {
		t.Error("automation gets no login link")
	}
	if code := s.call("GET", "/v1/tokens", nil, nil); code != http.StatusOK {
		t.Errorf("the bootstrap token is no admin's: %d", code)
	}
	s.kill()
	s.start()
	s.ready()
	if code := s.call("GET", "/v1/nodes", nil, nil); code != http.StatusOK {
		t.Errorf("after a restart: %d", code)
	}
}
