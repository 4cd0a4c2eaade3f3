package runner_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"muster"
	"muster/internal/check"
	"muster/internal/runner"
)

// scripted is a kind whose runs do what the test says, by the text of their configuration.
type scripted struct {
	mu     sync.Mutex
	runs   map[string]func(ctx context.Context, out *check.Outcome)
	began  map[string][]time.Time
	now    map[string]int // runs under way
	most   map[string]int
	parsed int
}

func (s *scripted) Name() string { return "scripted" }

func (s *scripted) Parse(config []byte) (check.Probe, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parsed++
	if string(config) == `"bad"` {
		return nil, &check.ConfigError{Fields: []check.FieldError{{Field: "url", Message: "is needed"}}}
	}
	return &probe{s, string(config)}, nil
}

type probe struct {
	of     *scripted
	config string
}

func (p *probe) Config() []byte { return []byte(p.config) }
func (p *probe) Target() string { return p.config }

func (p *probe) Run(ctx context.Context, _ *check.Env, out *check.Outcome) {
	s := p.of
	s.mu.Lock()
	s.began[p.config] = append(s.began[p.config], time.Now())
	s.now[p.config]++
	s.most[p.config] = max(s.most[p.config], s.now[p.config])
	run := s.runs[p.config]
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.now[p.config]--
		s.mu.Unlock()
	}()
	if run != nil {
		run(ctx, out)
	}
}

// world is a runner in a bubble of its own time.
type world struct {
	t      *testing.T
	kind   *scripted
	runner *runner.Runner
	stop   func() error

	mu     sync.Mutex
	frames []runner.Frame
	shift  time.Duration // of the runner's clock
}

func newWorld(t *testing.T, change func(*runner.Options)) *world {
	t.Helper()
	w := &world{t: t, kind: &scripted{
		runs: map[string]func(context.Context, *check.Outcome){}, began: map[string][]time.Time{}, now: map[string]int{}, most: map[string]int{},
	}}
	o := runner.Options{Kinds: map[string]check.Kind{"scripted": w.kind}, Deliver: w.deliver, Now: w.now, Logger: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&o)
	}
	var err error
	if w.runner, err = runner.New(o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.runner.Run(ctx) }()
	w.stop = sync.OnceValue(func() error { cancel(); return <-ended })
	return w
}

// bubble runs a test in synthetic time.
func bubble(t *testing.T, change func(*runner.Options), test func(t *testing.T, w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, change)
		defer func() {
			if err := w.stop(); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Minute) // for probes that heed nothing
		}()
		test(t, w)
	})
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.shift)
}

func (w *world) deliver(f runner.Frame) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.frames = append(w.frames, f)
}

// took gives the frames delivered since the last call.
func (w *world) took() []runner.Frame {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	frames := w.frames
	w.frames = nil
	return frames
}

// script says what runs of the configuration do.
func (w *world) script(config string, run func(ctx context.Context, out *check.Outcome)) {
	w.kind.mu.Lock()
	defer w.kind.mu.Unlock()
	w.kind.runs[config] = run
}

// id gives the same check's id for the same number.
func id(n int) muster.CheckID {
	return muster.CheckOf(muster.NodeID{0: 1, 6: 0x70, 8: 0x80, 14: byte(n >> 8), 15: byte(n)})
}

func assignment(n int, config string) check.Assignment {
	return check.Assignment{
		Check: id(n), Kind: "scripted", Config: []byte(config), Zone: muster.LocalZone, Period: 10 * time.Second, Timeout: 2 * time.Second,
	}
}

// value gives the value of a metric in a frame.
func value(t *testing.T, f runner.Frame, name string) float64 {
	t.Helper()
	for i := range f.Schema.Metrics {
		if f.Schema.Metrics[i].Name == name {
			return f.Values[i]
		}
	}
	t.Fatalf("no %s among %v", name, f.Schema.Metrics)
	return 0
}

func note(t *testing.T, f runner.Frame) string {
	t.Helper()
	if f.Note == nil {
		return ""
	}
	n, err := check.ParseNote(f.Note)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s|%s|%s|%d", n.Summary, n.Class, n.Error, len(n.Evidence))
}
