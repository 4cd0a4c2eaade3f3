package rest_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"muster/api"
	"muster/internal/rest"
)

// agentScript stands for the agent: it writes down how it was called.
const agentScript = "#!/bin/sh\nfor a in \"$@\"; do echo \"$a\"; done >\"$OUT\"\n"

func withAgents(files ...rest.AgentFile) func(*rest.Options) {
	return func(o *rest.Options) { o.Agents = fakeAgents(files) }
}

func (w *world) invitation() *api.Enrollment {
	w.t.Helper()
	e, err := w.operator.Enroll(context.Background(), api.EnrollmentNew{TTL: "1h", Uses: 1})
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// shells gives the POSIX shells of this machine.
func shells(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, name := range []string{"dash", "bash", "busybox", "sh"} {
		if path, err := exec.LookPath(name); err == nil {
			out = append(out, path)
		}
	}
	if len(out) == 0 {
		t.Skip("no shell")
	}
	return out
}

func runScript(t *testing.T, shell, script string, env []string, args ...string) (string, error) {
	t.Helper()
	argv := []string{"-s", "--"}
	if strings.HasSuffix(shell, "busybox") {
		argv = append([]string{"sh"}, argv...)
	}
	cmd := exec.Command(shell, append(argv, args...)...)
	cmd.Stdin = strings.NewReader(script)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestJoinScriptRunsTheAgent(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("no curl")
	}
	w := newWorld(t, withAgents(agentFile("linux", runtime.GOARCH, agentScript), agentFile("linux", "mips", "x")))
	e := w.invitation()
	if want := "curl -fsS " + w.server.URL + "/join/" + e.Token + " | sudo sh"; e.Command != want {
		t.Errorf("the line to paste is %s", e.Command)
	}
	resp, script := w.call(call{method: "GET", path: "/join/" + e.Token})
	if resp.StatusCode != 200 {
		t.Fatalf("%d %s", resp.StatusCode, script)
	}
	for _, shell := range shells(t) {
		dir := t.TempDir()
		out := filepath.Join(dir, "out")
		text, err := runScript(t, shell, script, []string{"OUT=" + out, "XDG_CACHE_HOME=" + dir, "MUSTER_AGENT_DIR=" + filepath.Join(dir, "bin")}, "--foreground", "--hostname", "it's $HOME")
		if err != nil {
			t.Fatalf("%s: %v\n%s", shell, err, text)
		}
		got, _ := os.ReadFile(out)
		want := strings.Join([]string{"run", "--server", w.server.URL, "--token", e.Token, "--foreground", "--hostname", "it's $HOME"}, "\n")
		if strings.TrimSpace(string(got)) != want {
			t.Errorf("%s called the agent with\n%swant\n%s", shell, got, want)
		}
		if !strings.Contains(text, "checksum is right") {
			t.Errorf("%s: %s", shell, text)
		}
	}
}

func TestJoinScriptRefuses(t *testing.T) {
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skip("no curl")
	}
	damaged := agentFile("linux", runtime.GOARCH, agentScript)
	damaged.SHA256 = strings.Repeat("0", 64)
	w := newWorld(t, withAgents(damaged))
	_, script := w.call(call{method: "GET", path: "/join/" + w.invitation().Token})
	none := newWorld(t, withAgents(agentFile("plan9", "mips", "x")))
	_, without := none.call(call{method: "GET", path: "/join/" + none.invitation().Token})
	_, unknown := w.call(call{method: "GET", path: "/join/enroll_unknown"})
	used := w.invitation()
	w.nodes.invites[len(w.nodes.invites)-1].UsesLeft = 0
	_, usedUp := w.call(call{method: "GET", path: "/join/" + used.Token})
	w.nodes.invites[len(w.nodes.invites)-1].UsesLeft = 1
	w.nodes.invites[len(w.nodes.invites)-1].ExpiresAt = time.Now().Add(-time.Hour)
	_, ended := w.call(call{method: "GET", path: "/join/" + used.Token})
	for name, c := range map[string]struct {
		script, want string
	}{
		"a damaged download":    {script, "damaged"},
		"no agent for this":     {without, "it has: plan9-mips"},
		"an unknown invitation": {unknown, "does not know this invitation"},
		"a used invitation":     {usedUp, "used up"},
		"an ended invitation":   {ended, "ended at"},
		"half a script":         {script[:len(script)/2], ""},
	} {
		for _, shell := range shells(t) {
			dir := t.TempDir()
			out := filepath.Join(dir, "out")
			text, err := runScript(t, shell, c.script, []string{"OUT=" + out, "MUSTER_AGENT_DIR=" + dir}, "--foreground")
			if _, ran := os.Stat(out); ran == nil || !strings.Contains(text, c.want) || err == nil && name != "half a script" {
				t.Errorf("%s in %s: %v\n%s", name, shell, err, text)
			}
		}
	}
}

func TestJoinScriptIsPlainShell(t *testing.T) {
	w := newWorld(t, withAgents(agentFile("linux", "amd64", "x")))
	_, script := w.call(call{method: "GET", path: "/join/" + w.invitation().Token})
	path := filepath.Join(t.TempDir(), "join.sh")
	if err := os.WriteFile(path, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	if linter, err := exec.LookPath("shellcheck"); err == nil {
		if out, err := exec.Command(linter, "--shell=sh", "--exclude=SC2034", path).CombinedOutput(); err != nil {
			t.Errorf("shellcheck: %s", out)
		}
	}
	if strings.Contains(script, "<no value>") || strings.Contains(script, "{{") {
		t.Error("the template was not filled in")
	}
}

func TestJoinTakesNothingThatNeedsQuoting(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/join/a'b", "/join/a%24(reboot)", "/join/a%0Ab", "/join/" + strings.Repeat("a", 300)} {
		if resp, body := w.call(call{method: "GET", path: path}); resp.StatusCode != 404 {
			t.Errorf("%s: %d %s", path, resp.StatusCode, body)
		}
	}
	for _, host := range []string{"a'b", "a$(reboot)", "a b", "a;b", "a`b`", `a"b`, "a|b"} {
		req, _ := http.NewRequest("GET", w.server.URL+"/join/enroll_1", nil)
		req.Host = host
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			continue // the client or the server refused it before us
		}
		_ = resp.Body.Close()
		if resp.StatusCode < 400 {
			t.Errorf("the host %q: %d", host, resp.StatusCode)
		}
	}
}

func TestServersWithTheirOwnCertificateArePinned(t *testing.T) {
	der := []byte("a certificate")
	pin := fmt.Sprintf("%x", sha256.Sum256(der))
	w := newWorld(t, withAgents(agentFile("linux", runtime.GOARCH, agentScript)), func(o *rest.Options) {
		o.Certificate = func() []byte { return der }
		o.PublicURL = "https://muster.example.com"
	})
	e := w.invitation()
	_, script := w.call(call{method: "GET", path: "/join/" + e.Token})
	want := fmt.Sprintf("curl -fsSk https://muster.example.com/join/%s >join.sh && echo '%x  join.sh' | sha256sum -c && sudo sh join.sh", e.Token, sha256.Sum256([]byte(script)))
	if e.Command != want {
		t.Errorf("the line to paste is\n%s\nwant\n%s", e.Command, want)
	}
	if !strings.Contains(script, "pin='"+pin+"'") || !strings.Contains(script, "server='https://muster.example.com'") {
		t.Error("the script does not pin the certificate")
	}
}

func TestDownloads(t *testing.T) {
	f := agentFile("linux", "amd64", "the agent")
	w := newWorld(t, withAgents(f))
	resp, body := w.call(call{method: "GET", path: "/download/muster-agent-linux-amd64"})
	if resp.StatusCode != 200 || body != "the agent" || resp.ContentLength != 9 || resp.Header.Get("X-Checksum-Sha256") != f.SHA256 {
		t.Errorf("%d %q %v", resp.StatusCode, body, resp.Header)
	}
	resp, _ = w.call(call{method: "GET", path: "/download/muster-agent-linux-amd64", header: map[string]string{"If-None-Match": resp.Header.Get("ETag")}})
	if resp.StatusCode != http.StatusNotModified {
		t.Errorf("what is known already: %d", resp.StatusCode)
	}
	line := regexp.MustCompile(`^[0-9a-f]{64}  muster-agent-linux-amd64\n$`)
	for _, path := range []string{"/download/SHA256SUMS", "/download/muster-agent-linux-amd64.sha256"} {
		if _, body = w.call(call{method: "GET", path: path}); !line.MatchString(body) {
			t.Errorf("%s is %q", path, body)
		}
	}
	for _, path := range []string{"/download/muster-agent-linux-mips", "/download/..%2f..%2fetc%2fpasswd", "/download/"} {
		if resp, _ := w.call(call{method: "GET", path: path}); resp.StatusCode != 404 {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
}
