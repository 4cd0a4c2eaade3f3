package e2e

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"muster"
	"muster/internal/store"
	storepebble "muster/internal/store/pebble"
)

// documents opens the documents of a server that is not running.
func (s *server) documents(with func(*store.Store)) {
	s.t.Helper()
	engine, err := storepebble.Open(filepath.Join(s.data, "documents"), storepebble.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	docs := store.New(engine, store.Options{})
	with(docs)
	if err := docs.Close(); err != nil {
		s.t.Fatal(err)
	}
}

// TestBadTokens starts agents with tokens that are no good: each ends with code 4 and says why.
func TestBadTokens(t *testing.T) {
	t.Parallel()
	s := newServer(t, "--no-agent")
	s.start()
	s.ready()
	if code := s.stop(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	const expired = "enroll_expired_in_the_year_2020"
	s.documents(func(docs *store.Store) {
		accounts, err := docs.Accounts(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256([]byte(expired))
		e := &muster.Enrollment{Account: accounts[0].ID, SecretHash: sum[:], UsesLeft: 1, ExpiresAt: time.Now().Add(-time.Hour)}
		if err := docs.CreateEnrollment(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	})
	s.start()
	s.ready()
	used, revoked := s.enroll(1), s.enroll(1)
	s.agentFor("first", used.Token).start()
	s.seen("first", time.Time{})
	if code := s.call("DELETE", "/v1/enrollments/"+revoked.ID, nil, nil); code != http.StatusNoContent {
		t.Fatalf("take back: %d", code)
	}
	for name, c := range map[string]struct{ token, words string }{
		"unknown": {"enroll_nobody_made_this", "muster-agent: this enrolment token is not known here"},
		"used":    {used.Token, "muster-agent: this enrolment token has been used"},
		"expired": {expired, "muster-agent: this enrolment token expired"},
		"revoked": {revoked.Token, "muster-agent: this enrolment token is not known here"},
		"none":    {"", "token"},
	} {
		agent := s.agentFor(name, c.token).start()
		if code := agent.end(); code != 4 {
			t.Errorf("%s: exit code %d", name, code)
		}
		until(t, patience, "it says why", func() bool { return strings.Contains(agent.out.all(), "muster-agent:") })
		if said := agent.out.all(); !strings.Contains(said, c.words) || strings.Contains(said, "goroutine") {
			t.Errorf("%s: it says\n%s", name, said)
		}
		if _, there := s.nodeOf(name); there {
			t.Errorf("%s: it became a node", name)
		}
	}
}

// TestTwoAgentsWithOneIdentity copies an agent's state directory: the copy is refused while the first is
// connected, and the changelog says so; two agents on one directory do not even start.
func TestTwoAgentsWithOneIdentity(t *testing.T) {
	t.Parallel()
	s := newServer(t, "--no-agent")
	s.start()
	s.ready()
	first := s.agentFor("web", s.enroll(1).Token).start()
	n := s.seen("web", time.Now())
	twin := s.agentFor("web", "")
	if err := os.RemoveAll(twin.state); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(twin.state, os.DirFS(first.state)); err != nil {
		t.Fatal(err)
	}
	twin.start()
	twin.out.wait(t, patience, "identity", "state directory")
	until(t, patience, "the changelog says so", func() bool { return s.eventOf("node.duplicate", n.ID) != nil })
	if e := s.eventOf("node.duplicate", n.ID); !strings.Contains(e.Text, "same identity") {
		t.Errorf("it says %q", e.Text)
	}
	s.seen("web", time.Now().Add(time.Second)) // the first goes on
	if len(s.nodes()) != 1 {
		t.Errorf("there are %d nodes", len(s.nodes()))
	}
	same := s.agentFor("other", "")
	same.state = first.state
	same.start()
	if code := same.end(); code != 1 {
		t.Errorf("on a directory in use: exit code %d", code)
	}
	same.out.wait(t, patience, "muster-agent:", first.state, "another agent uses it")
}

// joining is what a person pastes, with the flags behind it, run by a shell.
func joining(t *testing.T, command string, env ...string) *exec.Cmd {
	t.Helper()
	for _, tool := range []string{"curl", "sha256sum"} {
		_, err := exec.LookPath(tool)
		require(t, err == nil, tool)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) } // the agent too
	cmd.WaitDelay = time.Second
	t.Cleanup(func() {
		if cmd.Process != nil && cmd.ProcessState == nil {
			syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			cmd.Wait()
		}
	})
	return cmd
}

// TestJoinInTheForeground pastes the line, without installing anything.
func TestJoinInTheForeground(t *testing.T) {
	t.Parallel()
	s := newServer(t, "--no-agent")
	s.start()
	s.ready()
	e := s.enroll(1)
	if want := "curl -fsS " + s.url + "/join/" + e.Token + " | sudo sh"; e.Command != want {
		t.Errorf("the line is %q, want %q", e.Command, want)
	}
	dir, state := t.TempDir(), t.TempDir()
	cmd := joining(t, "curl -fsS "+s.url+"/join/"+e.Token+" | sh -s -- --foreground --hostname joined --period 1s --state "+state, "MUSTER_AGENT_DIR="+dir)
	out := run(t, cmd)
	out.wait(t, patience, "checksum is right")
	n := s.seen("joined", time.Time{})
	if n.Facts["os.type"] != "linux" || n.Agent.Version == "" {
		t.Errorf("the node is %+v", n)
	}
	for _, name := range []string{filepath.Join(dir, "muster-agent"), filepath.Join(state, "identity.json")} {
		if _, err := os.Stat(name); err != nil {
			t.Error(err)
		}
	}
	// The invitation was for one.
	again, err := joining(t, "curl -fsS "+s.url+"/join/"+e.Token+" | sh -s -- --foreground --state "+t.TempDir(), "MUSTER_AGENT_DIR="+t.TempDir()).CombinedOutput()
	if err == nil || !strings.Contains(string(again), "used up") || !strings.Contains(string(again), "make a new one") {
		t.Errorf("a second time: %v:\n%s", err, again)
	}
}

// TestDamagedDownload changes the agent on its way: nothing is run and nothing stays.
func TestDamagedDownload(t *testing.T) {
	t.Parallel()
	agents := t.TempDir()
	file := filepath.Join(agents, "muster-agent-linux-"+runtime.GOARCH)
	content, err := os.ReadFile(binary(t, "muster-agent"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	s := newServer(t, "--no-agent", "--agents", agents)
	s.start()
	s.ready()
	script := s.get("/join/" + s.enroll(1).Token)
	content[len(content)/2] ^= 1
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	dir, state := t.TempDir(), filepath.Join(t.TempDir(), "state")
	cmd := joining(t, "sh -s -- --foreground --state "+state, "MUSTER_AGENT_DIR="+dir)
	cmd.Stdin = strings.NewReader(script)
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "damaged") || !strings.Contains(string(out), fmt.Sprintf("%x", sha256.Sum256(content))) {
		t.Errorf("%v:\n%s", err, out)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("this was left: %v", left)
	}
	if _, err := os.Stat(state); err == nil {
		t.Error("the agent ran")
	}
	if len(s.nodes()) > 0 {
		t.Error("it became a node")
	}
	// A script that broke off does nothing.
	half := joining(t, "sh", "MUSTER_AGENT_DIR="+dir)
	half.Stdin = strings.NewReader(script[:len(script)-20])
	if out, _ := half.CombinedOutput(); bytes.Contains(out, []byte("downloading")) {
		t.Errorf("half a script did:\n%s", out)
	}
}

// aside hides the machine's own directories behind empty ones and lets runit watch /etc/service; then it runs
// what it is given. All of it is in namespaces of its own and ends with it.
const aside = `set -e
watched=$(readlink -f /etc/service)
for d in /etc/sv /usr/local/bin /var/lib /var/log /var/cache "$watched"; do mount -t tmpfs -o mode=0755 none "$d"; done
runsvdir -P /etc/service &
exec sh -c "$1"`

// TestJoinAsRunitService pastes the line on a machine with runit: the agent runs as a service, comes again
// when it is killed, survives a bad second invitation, and goes away without a trace.
func TestJoinAsRunitService(t *testing.T) {
	t.Parallel()
	_, errRunit := exec.LookPath("runsvdir")
	_, errUnshare := exec.LookPath("unshare")
	_, errDir := os.Stat("/etc/service")
	_, errSystemd := os.Stat("/run/systemd/system")
	require(t, os.Geteuid() == 0 && errRunit == nil && errUnshare == nil && errDir == nil && errSystemd != nil,
		"root, unshare and runit (apt install runit), and no systemd, to install a service")
	s := newServer(t, "--no-agent")
	s.start()
	s.ready()
	good, bad := s.enroll(1), s.enroll(1)
	if code := s.call("DELETE", "/v1/enrollments/"+bad.ID, nil, nil); code != http.StatusNoContent {
		t.Fatalf("take back: %d", code)
	}
	line := func(e enrollment) string {
		return strings.Replace(e.Command, "| sudo sh", "| sh", 1) + " -s -- --hostname served --period 1s"
	}
	next := filepath.Join(t.TempDir(), "next")
	wait := "; while ! [ -e " + next + ".%d ]; do sleep 0.1; done; "
	steps := line(good) + "; echo installed: $?" + fmt.Sprintf(wait, 1) +
		"kill -9 $(cat /etc/service/muster-agent/supervise/pid); echo killed: $?" + fmt.Sprintf(wait, 2) +
		line(bad) + "; echo bad: $?; /usr/local/bin/muster-agent install --token enroll_bad --state /var/lib/other --server " + s.url + "; echo worse: $?" + fmt.Sprintf(wait, 3) +
		"/usr/local/bin/muster-agent uninstall --purge; echo removed: $?; ls -A /etc/sv /etc/service/ /var/lib; echo done"
	cmd := exec.Command("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private", "sh", "-c", aside, "sh", steps)
	out := run(t, cmd)
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	mark := func(n int) {
		if err := os.WriteFile(fmt.Sprintf("%s.%d", next, n), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out.wait(t, 2*patience, "runs as a runit service")
	out.wait(t, patience, "installed: 0")
	n := s.seen("served", time.Now())
	mark(1)
	out.wait(t, patience, "killed: 0")
	s.seen("served", time.Now().Add(3*time.Second))
	mark(2)
	out.wait(t, patience, "taken back or used up")
	out.wait(t, 2*patience, "worse: 4")
	s.seen("served", time.Now().Add(3*time.Second))
	mark(3)
	out.wait(t, 2*patience, "removed: 0")
	out.wait(t, patience, "done")
	until(t, patience, "the node is stopped", func() bool { n, _ = s.nodeOf("served"); return n.State == "stopped" })
	if text := out.all(); slices.Contains(strings.Split(text, "\n"), "muster-agent") {
		t.Errorf("something is left:\n%s", text)
	}
}

// TestInstallWhereNothingStartsServices asks for a service where runit lies on the disk and does not run: the
// agent says what to do, touches nothing, and the invitation stays good.
func TestInstallWhereNothingStartsServices(t *testing.T) {
	t.Parallel()
	_, errUnshare := exec.LookPath("unshare")
	_, errSystemd := os.Stat("/run/systemd/system")
	require(t, os.Geteuid() == 0 && errUnshare == nil && errSystemd != nil, "root and unshare, and no systemd, to look like a machine without a service manager")
	s := newServer(t, "--no-agent")
	s.start()
	s.ready()
	e := s.enroll(1)
	const hide = `set -e; for d in /etc/service/ /etc/sv /usr/local/bin /var/lib /var/cache; do ! [ -d "$d" ] || mount -t tmpfs none "$d"; done; exec sh -c "$1"`
	line := strings.Replace(e.Command, "| sudo sh", "| sh", 1) + "; echo ended: $?; ls /etc/service/ /etc/sv /usr/local/bin /var/lib; true"
	out, err := exec.Command("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private", "sh", "-c", hide, "sh", line).CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	said, left, _ := strings.Cut(string(out), "ended: ")
	if !strings.Contains(said, "neither systemd nor runit runs here") || !strings.Contains(said, "--foreground") || strings.HasPrefix(left, "0") {
		t.Errorf("it says:\n%s", said)
	}
	if strings.Contains(left, "muster-agent") {
		t.Errorf("something is left:\n%s", left)
	}
	var after struct {
		UsesLeft int `json:"uses_left"`
	}
	if s.call("GET", "/v1/enrollments/"+e.ID, nil, &after); after.UsesLeft != 1 {
		t.Errorf("the invitation has %d uses left", after.UsesLeft)
	}
}
