package join_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"muster"
	"muster/internal/join"
)

// agentScript stands for the agent: it writes down how it was called.
const agentScript = "#!/bin/sh\nfor a in \"$@\"; do echo \"$a\"; done >\"$OUT\"\n"

// desk is a desk behind HTTP, and the invitations it knows.
type desk struct {
	t       *testing.T
	desk    *join.Desk
	server  *httptest.Server
	invites map[string]*muster.Enrollment
}

type files []join.File

func (f files) Agents() []join.File { return f }

func newDesk(t *testing.T, o join.Options, agents ...join.File) *desk {
	t.Helper()
	d := &desk{t: t, invites: map[string]*muster.Enrollment{}}
	o.Agents = files(agents)
	o.Invitation = func(_ context.Context, hash []byte) (*muster.Enrollment, error) {
		if e := d.invites[string(hash)]; e != nil {
			return e, nil
		}
		return nil, fmt.Errorf("fake: %w", muster.ErrNotFound)
	}
	o.Refuse = func(w http.ResponseWriter, _ *http.Request, status int, detail string, err error) {
		if err != nil {
			status, detail = http.StatusServiceUnavailable, err.Error()
		}
		http.Error(w, detail, status)
	}
	var err error
	if d.desk, err = join.New(o); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	d.desk.Routes(mux)
	d.server = httptest.NewServer(mux)
	t.Cleanup(d.server.Close)
	return d
}

func (d *desk) invite(uses int, left time.Duration) (token string) {
	token = "enroll_" + rand.Text()
	sum := sha256.Sum256([]byte(token))
	d.invites[string(sum[:])] = &muster.Enrollment{UsesLeft: uses, ExpiresAt: time.Now().Add(left)}
	return token
}

func (d *desk) get(path string, header ...string) (*http.Response, string) {
	d.t.Helper()
	req, err := http.NewRequest(http.MethodGet, d.server.URL+path, nil)
	if err != nil {
		d.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	return resp, string(body)
}

func file(system, arch, content string) join.File {
	sum := sha256.Sum256([]byte(content))
	return join.File{OS: system, Arch: arch, Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:]),
		Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil }}
}

// missing skips the test aloud, or fails it where everything has to be there.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("MUSTER_REQUIRE") == "all" {
		t.Fatalf("missing: %s", what)
	}
	t.Skipf("SKIPPED, missing: %s", what)
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
		missing(t, "a POSIX shell")
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
		missing(t, "curl")
	}
	d := newDesk(t, join.Options{}, file("linux", runtime.GOARCH, agentScript), file("linux", "mips", "x"))
	token := d.invite(1, time.Hour)
	line, err := d.desk.Command(d.server.URL, token)
	if want := "curl -fsS " + d.server.URL + "/join/" + token + " | sudo sh"; err != nil || line != want {
		t.Errorf("the line to paste is %s, %v", line, err)
	}
	resp, script := d.get("/join/" + token)
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
		want := strings.Join([]string{"run", "--server", d.server.URL, "--token", token, "--foreground", "--hostname", "it's $HOME"}, "\n")
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
		missing(t, "curl")
	}
	damaged := file("linux", runtime.GOARCH, agentScript)
	damaged.SHA256 = strings.Repeat("0", 64)
	d := newDesk(t, join.Options{}, damaged)
	_, script := d.get("/join/" + d.invite(1, time.Hour))
	none := newDesk(t, join.Options{}, file("plan9", "mips", "x"))
	_, without := none.get("/join/" + none.invite(1, time.Hour))
	_, unknown := d.get("/join/enroll_unknown")
	_, usedUp := d.get("/join/" + d.invite(0, time.Hour))
	_, ended := d.get("/join/" + d.invite(1, -time.Hour))
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
	d := newDesk(t, join.Options{}, file("linux", "amd64", "x"))
	_, script := d.get("/join/" + d.invite(1, time.Hour))
	path := filepath.Join(t.TempDir(), "join.sh")
	if err := os.WriteFile(path, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(script, "<no value>") || strings.Contains(script, "{{") {
		t.Error("the template was not filled in")
	}
	linter, err := exec.LookPath("shellcheck")
	if err != nil {
		missing(t, "shellcheck")
	}
	if out, err := exec.Command(linter, "--shell=sh", "--exclude=SC2034", path).CombinedOutput(); err != nil {
		t.Errorf("shellcheck: %s", out)
	}
}

func TestJoinTakesNothingThatNeedsQuoting(t *testing.T) {
	d := newDesk(t, join.Options{})
	for _, path := range []string{"/join/a'b", "/join/a%24(reboot)", "/join/a%0Ab", "/join/" + strings.Repeat("a", 300)} {
		if resp, body := d.get(path); resp.StatusCode != 404 {
			t.Errorf("%s: %d %s", path, resp.StatusCode, body)
		}
	}
	for _, host := range []string{"a'b", "a$(reboot)", "a b", "a;b", "a`b`", `a"b`, "a|b"} {
		req, _ := http.NewRequest("GET", d.server.URL+"/join/enroll_1", nil)
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
	o := join.Options{Certificate: func() []byte { return der }, PublicURL: "https://muster.example.com"}
	d := newDesk(t, o, file("linux", runtime.GOARCH, agentScript))
	token := d.invite(1, time.Hour)
	_, script := d.get("/join/" + token)
	line, err := d.desk.Command(d.desk.Base("ignored.example.com", false), token)
	want := fmt.Sprintf("curl -fsSk https://muster.example.com/join/%s >join.sh && echo '%x  join.sh' | sha256sum -c && sudo sh join.sh", token, sha256.Sum256([]byte(script)))
	if err != nil || line != want {
		t.Errorf("the line to paste is\n%s\nwant\n%s, %v", line, want, err)
	}
	if !strings.Contains(script, "pin='"+pin+"'") || !strings.Contains(script, "server='https://muster.example.com'") {
		t.Error("the script does not pin the certificate")
	}
}

func TestDownloads(t *testing.T) {
	f := file("linux", "amd64", "the agent")
	d := newDesk(t, join.Options{}, f)
	resp, body := d.get("/download/muster-agent-linux-amd64")
	if resp.StatusCode != 200 || body != "the agent" || resp.ContentLength != 9 || resp.Header.Get("X-Checksum-Sha256") != f.SHA256 {
		t.Errorf("%d %q %v", resp.StatusCode, body, resp.Header)
	}
	resp, _ = d.get("/download/muster-agent-linux-amd64", "If-None-Match", resp.Header.Get("ETag"))
	if resp.StatusCode != http.StatusNotModified {
		t.Errorf("what is known already: %d", resp.StatusCode)
	}
	line := regexp.MustCompile(`^[0-9a-f]{64}  muster-agent-linux-amd64\n$`)
	for _, path := range []string{"/download/SHA256SUMS", "/download/muster-agent-linux-amd64.sha256"} {
		if _, body = d.get(path); !line.MatchString(body) {
			t.Errorf("%s is %q", path, body)
		}
	}
	for _, path := range []string{"/download/muster-agent-linux-mips", "/download/..%2f..%2fetc%2fpasswd", "/download/"} {
		if resp, _ := d.get(path); resp.StatusCode != 404 {
			t.Errorf("%s: %d", path, resp.StatusCode)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, url := range []string{"muster.example.com", "ftp://x", "https://a'b", "https://x/$(y)", "https://"} {
		_, err := join.New(join.Options{
			PublicURL:  url,
			Invitation: func(context.Context, []byte) (*muster.Enrollment, error) { return nil, nil },
			Refuse:     func(http.ResponseWriter, *http.Request, int, string, error) {},
		})
		if !errors.Is(err, muster.ErrInvalid) {
			t.Errorf("%s: %v", url, err)
		}
	}
	if _, err := join.New(join.Options{}); !errors.Is(err, muster.ErrInvalid) {
		t.Errorf("no doors: %v", err)
	}
}
