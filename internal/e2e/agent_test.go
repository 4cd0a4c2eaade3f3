package e2e

import (
	"crypto/ed25519"
	"crypto/sha256"
	bits "encoding/binary"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"testing"
	"time"

	"muster"
	"muster/internal/disk"
	"muster/internal/uplink"
)

// program is a running muster-agent.
type program struct {
	t     testing.TB
	state string
	args  []string
	env   []string
	cmd   *exec.Cmd
	out   *lines
}

// agentFor prepares an agent with a name and a state directory of its own; start starts it.
func (s *server) agentFor(name, token string, args ...string) *program {
	s.t.Helper()
	state := filepath.Join(s.t.TempDir(), "state")
	steadyIdentity(s.t, state)
	args = append([]string{"--server", s.url, "--hostname", name, "--period", "1s"}, args...)
	if token != "" {
		args = append(args, "--token", token)
	}
	p := &program{t: s.t, state: state, args: args}
	s.t.Cleanup(func() { p.kill() })
	return p
}

// steadyIdentity makes an identity whose phase lies in the middle of the second, so that an agent that is
// woken a little late on a busy machine still measures within it.
func steadyIdentity(t testing.TB, state string) {
	t.Helper()
	for {
		id, err := uplink.LoadIdentity(state, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(id.Key.Public().(ed25519.PublicKey))
		if phase := float64(bits.LittleEndian.Uint32(sum[:])) / (1 << 32); phase > 0.2 && phase < 0.5 {
			return
		}
		if err := os.Remove(filepath.Join(state, "identity.json")); err != nil {
			t.Fatal(err)
		}
	}
}

func (p *program) start() *program {
	p.t.Helper()
	p.cmd = exec.Command(binary(p.t, "muster-agent"), append(slices.Clone(p.args), "--state", p.state)...)
	p.cmd.Env = append(os.Environ(), p.env...)
	p.out = run(p.t, p.cmd)
	return p
}

func (p *program) kill() {
	if p.cmd != nil {
		p.cmd.Process.Kill()
		p.cmd.Wait()
		p.cmd = nil
	}
}

// end waits until the agent has ended and gives its exit code.
func (p *program) end() int {
	p.t.Helper()
	done := make(chan struct{})
	go func() { p.cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(patience):
		p.cmd.Process.Kill()
		<-done
		p.t.Fatalf("the agent does not end; printed:\n%s", p.out.all())
	}
	code := p.cmd.ProcessState.ExitCode()
	p.cmd = nil
	return code
}

func (p *program) stop() int {
	p.t.Helper()
	p.cmd.Process.Signal(syscall.SIGTERM)
	return p.end()
}

// measured is a metric of the agent's own that is in each of its frames.
const measured = "muster.agent.memory.usage"

// seen waits until the node's newest measurement is newer than an instant, and gives the node.
func (s *server) seen(name string, after time.Time) node {
	s.t.Helper()
	var found node
	until(s.t, 2*patience, name+" sends", func() bool {
		n, ok := s.nodeOf(name)
		found = n
		return ok && n.LastSeen != nil && n.LastSeen.After(after)
	})
	return found
}

// noHole says whether each second from first to last has a point; first zero is the first point there is.
func (s *server) noHole(node string, first, last time.Time) {
	s.t.Helper()
	from := first
	if from.IsZero() {
		from = time.Now().Add(-time.Hour)
	}
	points := s.points(node, measured, from, last.Add(2*time.Second))
	if len(points) == 0 {
		s.t.Fatal("there is no point at all")
	}
	begin := first.Unix()
	if first.IsZero() {
		begin = slices.Min(slices.Collect(maps.Keys(points)))
	}
	var holes []int64
	for at := begin; at <= last.Unix(); at++ {
		if _, ok := points[at]; !ok {
			holes = append(holes, at-begin)
		}
	}
	if len(holes) > 0 {
		s.t.Errorf("of %d seconds these are missing: %v", last.Unix()-begin+1, holes)
	}
}

// TestNoHoleWhileTheServerIsAway kills the server for some seconds, twice: in the end no second is missing. It is
// halted before, so that frames are on their way which it never takes.
func TestNoHoleWhileTheServerIsAway(t *testing.T) {
	t.Parallel()
	s := newServer(t, "--no-agent")
	s.start()
	s.ready()
	s.agentFor("web", s.enroll(1).Token).start()
	s.seen("web", time.Now().Add(time.Second))
	for _, away := range []time.Duration{4 * time.Second, time.Second} {
		s.cmd.Process.Signal(syscall.SIGSTOP)
		time.Sleep(2500 * time.Millisecond)
		s.kill()
		time.Sleep(away)
		s.start()
		s.ready()
		s.seen("web", time.Now().Add(time.Second))
	}
	n, _ := s.nodeOf("web")
	s.noHole(n.ID, time.Time{}, *n.LastSeen)
}

// TestSpooledFramesOutliveTheAgent kills the server, then the agent: what the agent measured in between
// arrives when both are back.
func TestSpooledFramesOutliveTheAgent(t *testing.T) {
	t.Parallel()
	s := newServer(t, "--no-agent")
	s.start()
	s.ready()
	agent := s.agentFor("web", s.enroll(1).Token).start()
	s.seen("web", time.Now().Add(time.Second))
	s.kill()
	killed := time.Now()
	time.Sleep(4 * time.Second)
	agent.kill()
	last := time.Now().Add(-time.Second)
	s.start()
	s.ready()
	agent.args = agent.args[:len(agent.args)-2] // it needs no token any more
	agent.start()
	n := s.seen("web", time.Now())
	s.noHole(n.ID, killed.Add(-time.Second), last)
}

// TestAgentSaysGoodbye stops an agent as an operator does: its node is stopped, not down.
func TestAgentSaysGoodbye(t *testing.T) {
	t.Parallel()
	s := newServer(t, "--no-agent")
	s.start()
	s.ready()
	agent := s.agentFor("web", s.enroll(1).Token).start()
	n := s.seen("web", time.Time{})
	until(t, patience, "the node is up", func() bool { n, _ = s.nodeOf("web"); return n.State == "up" && n.Agent.Connected })
	if code := agent.stop(); code != 0 {
		t.Errorf("exit code %d; it said:\n%s", code, agent.out.all())
	}
	until(t, patience, "the node is stopped", func() bool { n, _ = s.nodeOf("web"); return n.State == "stopped" && !n.Agent.Connected })
	until(t, patience, "the changelog says so", func() bool { return s.eventOf("node.stopped", n.ID) != nil })
	agent.start()
	until(t, patience, "the node is up again", func() bool { n, _ = s.nodeOf("web"); return n.State == "up" })
}

// spoolMost is the greatest size of an agent's spool, with room for the file that is just being written.
const spoolMost = 64<<20 + 2<<20

// TestSpoolIsBounded lets an agent start on a spool that is over its limit, with no server there: it is
// cut to the limit, and what is left arrives when there is one.
func TestSpoolIsBounded(t *testing.T) {
	t.Parallel()
	s := newServer(t, "--no-agent")
	s.start()
	s.ready()
	agent := s.agentFor("web", s.enroll(1).Token).start()
	n := s.seen("web", time.Time{})
	if code := agent.stop(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	s.kill()
	spool := filepath.Join(agent.state, "spool")
	newest := overfill(t, spool, 80<<20)
	if size := disk.Used(spool); size < spoolMost {
		t.Fatalf("the spool has only %d bytes: this proves nothing", size)
	}
	agent.start()
	until(t, patience, "the spool is cut", func() bool { return disk.Used(spool) <= spoolMost })
	time.Sleep(2 * time.Second)
	if size := disk.Used(spool); size > spoolMost {
		t.Errorf("the spool has %d bytes again", size)
	}
	s.start()
	s.ready()
	until(t, 2*patience, "the newest of the old frames has arrived", func() bool {
		return len(s.points(n.ID, "e2e.filler.0", newest, newest.Add(time.Second))) == 1
	})
}

// overfill puts frames of yesterday into a spool until it has a size, and gives the instant of the last.
func overfill(t *testing.T, dir string, size int64) (at time.Time) {
	t.Helper()
	spool, err := uplink.OpenSpool(uplink.SpoolOptions{Dir: dir, MaxBytes: 2 * size})
	if err != nil {
		t.Fatal(err)
	}
	const metrics = 2000
	list := make([]muster.Metric, metrics)
	for i := range list {
		list[i] = muster.Metric{Name: "e2e.filler." + strconv.Itoa(i), Unit: "1", Kind: muster.Gauge}
	}
	schema, err := muster.NewSchema(list)
	if err != nil {
		t.Fatal(err)
	}
	at = time.Now().Add(-24 * time.Hour).Truncate(time.Second)
	for n := 0; spool.Stats().Bytes < size; n++ {
		at = at.Add(time.Second)
		values := make([]float64, metrics)
		for i := range values {
			values[i] = float64(n*i) / 7
		}
		if err := spool.Append(uplink.Frame{Source: muster.HostSource, At: at.UnixMilli(), Schema: schema, Values: values}); err != nil {
			t.Fatal(err)
		}
	}
	if err := spool.Close(); err != nil {
		t.Fatal(err)
	}
	return at
}
