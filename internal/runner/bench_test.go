//go:build linux

package runner

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"muster"
	"muster/internal/check"
)

var figures = flag.Duration("figures", 0, "run 5,000 checks on one core for so long and print how late they start (1m is good)")

// ten is a kind that puts ten values, as the real ones do, after it connected to its configuration when
// that is an address.
type ten struct {
	metrics []*muster.Metric
	began   func(time.Time)
}

func newTen() *ten {
	k := &ten{began: func(time.Time) {}}
	for i := range 10 {
		k.metrics = append(k.metrics, check.Gauge("ten.metric."+strconv.Itoa(i), "s"))
	}
	return k
}

func (k *ten) Name() string { return "ten" }

func (k *ten) Parse(config []byte) (check.Probe, error) { return &tenProbe{k, string(config)}, nil }

type tenProbe struct {
	of     *ten
	config string
}

func (p *tenProbe) Config() []byte { return nil }
func (p *tenProbe) Target() string { return "" }

func (p *tenProbe) Run(ctx context.Context, _ *check.Env, out *check.Outcome) {
	p.of.began(time.Now())
	out.Readings = make([]muster.Reading, 0, len(p.of.metrics))
	for i, m := range p.of.metrics {
		out.Put(m, float64(i))
	}
	if p.config == "" {
		return
	}
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.config)
	if err != nil {
		out.Fail("connect", "%v", err)
		return
	}
	defer c.Close()
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		out.Fail("connect", "%v", err)
	}
}

func tens(n int, config string, period time.Duration) []check.Assignment {
	list := make([]check.Assignment, n)
	for i := range list {
		list[i] = check.Assignment{
			Check: muster.NewCheckID(), Kind: "ten", Config: []byte(config), Zone: muster.LocalZone, Period: period, Timeout: 5 * time.Second,
		}
	}
	return list
}

func quiet(kind check.Kind, deliver func(Frame)) Options {
	return Options{Kinds: map[string]check.Kind{"ten": kind}, Deliver: deliver, Logger: slog.New(slog.DiscardHandler)}
}

func heapBytes() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A check at rest is small: a runner with thousands of them fits beside a machine's own work.
func TestAChecksMemoryAtRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const checks = 5000
		r, err := New(quiet(newTen(), func(Frame) {}))
		if err != nil {
			t.Fatal(err)
		}
		before := heapBytes()
		r.Assign(tens(checks, "", 10*time.Second), nil, true)
		ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
		defer cancel()
		if err := r.Run(ctx); err != nil || r.Stats().Runs < 2*checks {
			t.Fatalf("%v, %+v", err, r.Stats())
		}
		each := (heapBytes() - before) / checks
		t.Logf("a check of 12 metrics takes %d bytes at rest", each)
		if each > 2000 {
			t.Errorf("a check takes %d bytes at rest, at most 2,000 are good", each)
		}
		runtime.KeepAlive(r)
	})
}

// BenchmarkRun is one run from its start to the frame, without what the probe does.
func BenchmarkRun(b *testing.B) {
	r, err := New(quiet(newTen(), func(Frame) {}))
	if err != nil {
		b.Fatal(err)
	}
	r.runs = context.Background()
	all := tens(1, "", time.Second)
	e := newEntry(&all[0], r.opts.Kinds["ten"])
	b.ReportAllocs()
	for b.Loop() {
		f := &flight{check: e.id, timeout: e.timeout, began: time.Now()}
		f.result = func(out check.Outcome, took time.Duration) { r.deliver(e, 0, out, took) }
		r.fly(r.runs, f, &e.plan)
	}
}

// TestFigures prints; it judges nothing. Repeat with
//
//	go test ./internal/runner -run Figures -figures 1m -v
func TestFigures(t *testing.T) {
	if *figures == 0 {
		t.Skip("only with -figures")
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	const checks, period = 5000, 10 * time.Second
	address := service(t)
	var mu sync.Mutex
	var late []time.Duration
	kind := newTen()
	r, err := New(quiet(kind, func(Frame) {}))
	if err != nil {
		t.Fatal(err)
	}
	all := tens(checks, address, period)
	r.Assign(all, nil, true)
	// A run knows only when it began: each is matched with the nearest start before it.
	var due []int64
	for _, e := range r.checks {
		due = append(due, e.phase)
	}
	slices.Sort(due)
	next, begun := 0, time.Now()
	kind.began = func(at time.Time) {
		mu.Lock()
		defer mu.Unlock()
		if len(late) == 0 { // the first one that was due after the start
			next, _ = slices.BinarySearch(due, begun.UnixNano()%int64(period))
		}
		// Starts are taken off the heap in the order in which they are due, and so are begun nearly in it.
		l := time.Duration(at.UnixNano()%int64(period) - due[next%checks])
		if l < -period/2 {
			l += period
		}
		late = append(late, l)
		next++
	}
	ctx, cancel := context.WithTimeout(context.Background(), *figures)
	defer cancel()
	used := cpuTime()
	if err := r.Run(ctx); err != nil {
		t.Fatal(err)
	}
	used = cpuTime() - used
	slices.Sort(late)
	at := func(share float64) time.Duration {
		return late[int(float64(len(late)-1)*share)].Round(10 * time.Microsecond)
	}
	fmt.Printf("%d checks each %v for %v on one core, their target on the same: %+v\n", checks, period, *figures, r.Stats())
	fmt.Printf("start after it was due: p50 %v, p99 %v, p99.9 %v, most %v; %.0f %% of the core\n",
		at(0.5), at(0.99), at(0.999), at(1), 100*used.Seconds()/figures.Seconds())
}

// service answers every connection after a while.
func service(t *testing.T) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				time.Sleep(20 * time.Millisecond)
				_, _ = c.Write([]byte("x"))
				c.Close()
			}()
		}
	}()
	return listener.Addr().String()
}

func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
