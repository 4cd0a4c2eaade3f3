package e2e

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"muster/internal/wire"
)

// serverDisk is small for a server: its guard wants 512 MiB free.
const serverDisk = "700m"

// smallDisk mounts a filesystem of its own in memory.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	require(t, os.Geteuid() == 0, "root, to mount a small filesystem")
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		require(t, false, "the right to mount a small filesystem: "+err.Error())
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// fill puts a file of so many MiB, or as many as there are, on the disk.
func fill(t *testing.T, dir string, mib int) (remove func()) {
	t.Helper()
	name := filepath.Join(dir, "filler")
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for range mib {
		if _, err := file.Write(bytes.Repeat([]byte{1}, 1<<20)); err != nil {
			break // it is full
		}
	}
	return func() {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
}

// readiness asks /readyz.
func (s *server) readiness() (code int, text string) {
	s.t.Helper()
	res, err := http.Get(s.url + "/readyz")
	if err != nil {
		s.t.Fatalf("readyz: %v; printed:\n%s", err, s.out.all())
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// TestFullDisk fills the disk under a server while an agent sends, first to what the guard leaves free and then
// wholly: nothing is acknowledged, /readyz says why, and with room again everything goes on by itself and no
// second is missing.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, serverDisk)
	s := newServer(t, "--no-agent")
	s.data = filepath.Join(disk, "data")
	s.start()
	s.ready()
	pid := s.cmd.Process.Pid
	token := s.enroll(3).Token
	s.agentFor("web", token).start()
	s.seen("web", time.Now().Add(time.Second))
	for _, mib := range []int{300, 10_000} {
		remove := fill(t, disk, mib)
		until(t, patience, "/readyz says that the disk is full", func() bool {
			code, text := s.readiness()
			return code == http.StatusServiceUnavailable && strings.Contains(text, "full") && strings.Contains(text, "disk")
		})
		s.acknowledgesNothing(token)
		s.refusesChanges()
		n, ok := s.nodeOf("web")
		if !ok || n.LastSeen == nil {
			t.Error("what is known can't be read while the disk is full")
		}
		if n.State == "down" {
			t.Error("the node is called down, for the server's own trouble")
		}
		remove()
		until(t, patience, "/readyz is well again", func() bool { code, _ := s.readiness(); return code == http.StatusOK })
		s.seen("web", time.Now().Add(time.Second))
	}
	if s.cmd.Process.Pid != pid || syscall.Kill(pid, 0) != nil {
		t.Error("the process did not survive")
	}
	n, _ := s.nodeOf("web")
	s.noHole(n.ID, time.Time{}, *n.LastSeen)
	if text := s.out.all(); strings.Contains(text, "panic") {
		t.Errorf("it panicked:\n%s", text)
	}
}

// acknowledgesNothing sends a frame that must not be acknowledged: the agent is sent away for a while.
func (s *server) acknowledgesNothing(token string) {
	s.t.Helper()
	p := s.newPeer("unlucky")
	p.dial(s)
	p.hello(token)
	m, err := p.receive()
	if r, ok := m.(*wire.Refusal); ok {
		if r.Permanent || r.RetryAfter == 0 {
			s.t.Errorf("a new agent is refused for good: %s: %s", r.Code, r.Reason)
		}
		return
	}
	if err != nil {
		s.t.Fatal(err)
	}
	p.tell(counting(1, "e2e.a"))
	p.tell(&wire.Frames{Frames: []wire.Frame{p.frame(1, time.Now(), 1)}})
	for {
		m, err := p.receive()
		if err != nil {
			s.t.Fatalf("neither acknowledged nor refused: %v", err)
		}
		switch m := m.(type) {
		case *wire.Ack:
			s.t.Error("a frame was acknowledged on a full disk")
			return
		case *wire.Refusal:
			if m.Code != wire.RefusalUnavailable || m.Permanent || m.RetryAfter == 0 {
				s.t.Errorf("%s (permanent: %v): %s", m.Code, m.Permanent, m.Reason)
			}
			return
		}
	}
}

// refusesChanges asks for a change, which must be answered with 503 and when to try again.
func (s *server) refusesChanges() {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), "POST", s.url+"/v1/enrollments", strings.NewReader("{}"))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+bootstrapToken)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer res.Body.Close()
	var problem struct{ Detail string }
	if err := json.NewDecoder(res.Body).Decode(&problem); err != nil {
		s.t.Error(err)
	}
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" || !strings.Contains(problem.Detail, "disk") {
		s.t.Errorf("a change on a full disk: %s, Retry-After %q, %q", res.Status, res.Header.Get("Retry-After"), problem.Detail)
	}
}

// TestStartOnFullDisk kills a server on a full disk: it does not start there, says why, and starts with all it
// had once there is room.
func TestStartOnFullDisk(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, serverDisk)
	s := newServer(t, "--no-agent")
	s.data = filepath.Join(disk, "data")
	s.start()
	s.ready()
	p := s.newPeer("web").enter(s, s.enroll(1).Token)
	p.tell(counting(1, "e2e.a"))
	at := time.Now().Truncate(time.Second)
	p.tell(&wire.Frames{Frames: []wire.Frame{p.frame(1, at.Add(-time.Second), 1), p.frame(1, at, 2)}})
	p.ack()
	remove := fill(t, disk, 300)
	s.kill()
	expectWords(t, serveFails(t, "--data", s.data, "--listen", s.addr), "disk", "full", "free some space")
	remove()
	s.start()
	s.ready()
	if got := s.points(p.node, "e2e.a", at.Add(-time.Second), at.Add(time.Second)); len(got) != 2 {
		t.Errorf("of two acknowledged frames there are %v", got)
	}
}

// TestAgentOnFullDisk lets an agent spool on a disk that is full: it lives, keeps what it can in memory, and
// what it measured arrives.
func TestAgentOnFullDisk(t *testing.T) {
	t.Parallel()
	dir := smallDisk(t, "4m")
	s := newServer(t, "--no-agent")
	s.start()
	s.ready()
	agent := s.agentFor("web", s.enroll(1).Token)
	state := filepath.Join(dir, "state")
	if out, err := exec.Command("cp", "-a", agent.state, state).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	agent.state = state
	agent.start()
	s.seen("web", time.Now())
	s.kill()
	fill(t, dir, 10)
	time.Sleep(4 * time.Second)
	s.start()
	s.ready()
	n := s.seen("web", time.Now())
	s.noHole(n.ID, time.Time{}, *n.LastSeen)
}
