package ledger_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"muster"
	"muster/internal/ledger"
	"muster/internal/store"
	"muster/internal/store/pebble"
	"muster/internal/store/storetest"
	"muster/internal/telemetry"
)

// door fits the store to the ledger.
type door struct{ s *store.Store }

func (d door) TakeShard(ctx context.Context, key ledger.Partition, holder string, epoch uint64) (ledger.Head, error) {
	head, err := d.s.TakeShard(ctx, store.ShardKey(key), holder, epoch)
	return ledger.Head(head), err
}

func (d door) ShardHead(ctx context.Context, key ledger.Partition) (ledger.Head, error) {
	head, err := d.s.ShardHead(ctx, store.ShardKey(key))
	return ledger.Head(head), err
}

func (d door) AppendShard(ctx context.Context, key ledger.Partition, epoch uint64, rows []ledger.Stored) error {
	stored := make([]store.ShardRow, len(rows))
	for i := range rows {
		stored[i] = store.ShardRow(rows[i])
	}
	return d.s.AppendShard(ctx, store.ShardKey(key), epoch, stored)
}

func (d door) ScanShard(ctx context.Context, key ledger.Partition, from uint64, limit int) ([]ledger.Stored, error) {
	stored, err := d.s.ScanShard(ctx, store.ShardKey(key), from, limit)
	rows := make([]ledger.Stored, len(stored))
	for i := range stored {
		rows[i] = ledger.Stored(stored[i])
	}
	return rows, err
}

func (d door) CloseDay(ctx context.Context, key ledger.Partition, epoch uint64) error {
	return d.s.CloseDay(ctx, store.ShardKey(key), epoch)
}

// memory is a real store over the engine in memory, its clock time.Now: the bubble's in a synctest.
func memory() door {
	return door{store.New(storetest.NewMemory(nil), store.Options{})}
}

func onDisk(t testing.TB, dir string) door {
	t.Helper()
	e, err := pebble.Open(dir, pebble.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := store.New(e, store.Options{})
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return door{s}
}

// verb is one call to a store.
type verb struct {
	name string // "take", "head", "append", "scan", "close"
	key  ledger.Partition
	rows []ledger.Stored // of an append
}

// hooked lets a test come between the ledger and its store.
type hooked struct {
	inner ledger.Store
	hook  func(v verb, do func() error) error
}

func (h hooked) TakeShard(ctx context.Context, key ledger.Partition, holder string, epoch uint64) (head ledger.Head, err error) {
	err = h.hook(verb{name: "take", key: key}, func() error {
		head, err = h.inner.TakeShard(ctx, key, holder, epoch)
		return err
	})
	return head, err
}

func (h hooked) ShardHead(ctx context.Context, key ledger.Partition) (head ledger.Head, err error) {
	err = h.hook(verb{name: "head", key: key}, func() error {
		head, err = h.inner.ShardHead(ctx, key)
		return err
	})
	return head, err
}

func (h hooked) AppendShard(ctx context.Context, key ledger.Partition, epoch uint64, rows []ledger.Stored) error {
	return h.hook(verb{name: "append", key: key, rows: rows}, func() error { return h.inner.AppendShard(ctx, key, epoch, rows) })
}

func (h hooked) ScanShard(ctx context.Context, key ledger.Partition, from uint64, limit int) (rows []ledger.Stored, err error) {
	err = h.hook(verb{name: "scan", key: key}, func() error {
		rows, err = h.inner.ScanShard(ctx, key, from, limit)
		return err
	})
	return rows, err
}

func (h hooked) CloseDay(ctx context.Context, key ledger.Partition, epoch uint64) error {
	return h.hook(verb{name: "close", key: key}, func() error { return h.inner.CloseDay(ctx, key, epoch) })
}

func timedOut() error { return fmt.Errorf("%w: injected: timed out", muster.ErrUnavailable) }

var holders atomic.Int64

// process is a ledger with what it told, opened as a new process would.
type process struct {
	*ledger.Ledger
	telemetry *telemetry.Set
	away      atomic.Bool

	mu   sync.Mutex
	told map[int][]ledger.Row
}

// start opens a ledger over the store under the next epoch of each shard.
func start(t testing.TB, s ledger.Store, shards int, change func(*ledger.Options)) *process {
	t.Helper()
	p, err := tryStart(s, shards, change)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func tryStart(s ledger.Store, shards int, change func(*ledger.Options)) (*process, error) {
	p := &process{told: map[int][]ledger.Row{}, telemetry: telemetry.New()}
	holder := fmt.Sprintf("process %d", holders.Add(1))
	epochs := make([]uint64, shards)
	for shard := range shards {
		head, err := s.TakeShard(context.Background(), ledger.Partition{Shard: shard, Domain: "all"}, holder, 0)
		if err != nil {
			return nil, err
		}
		epochs[shard] = head.Epoch
	}
	o := ledger.Options{
		Shards: shards, Holder: holder, Telemetry: p.telemetry, Logger: slog.New(slog.DiscardHandler),
		Owns: func(shard int) (uint64, bool) { return epochs[shard], !p.away.Load() },
		Appended: func(shard int, rows []ledger.Row) {
			p.mu.Lock()
			defer p.mu.Unlock()
			p.told[shard] = append(p.told[shard], rows...)
		},
	}
	if change != nil {
		change(&o)
	}
	var err error
	p.Ledger, err = ledger.Open(context.Background(), s, o)
	return p, err
}

func (p *process) heard(shard int) []ledger.Row {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.told[shard])
}

func (p *process) states(shard int) map[string]string {
	out := map[string]string{}
	p.Each(shard, "", func(key string, state []byte) { out[key] = string(state) })
	return out
}

func (p *process) count(name string) float64 {
	sum := 0.0
	p.telemetry.Each(func(n string, _ []muster.Attr, _ muster.MetricKind, v float64) {
		if n == name {
			sum += v
		}
	})
	return sum
}

// run runs the ledger's loop until the test ends.
func (p *process) run(t testing.TB) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func entry(key, state, transition string) ledger.Entry {
	return ledger.Entry{Key: key, State: []byte(state), Transition: []byte(transition)}
}

func must[V any](t testing.TB) func(V, error) V {
	t.Helper()
	return func(v V, err error) V {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func put(t testing.TB, p *process, shard int, entries ...ledger.Entry) ledger.Position {
	t.Helper()
	return must[ledger.Position](t)(p.Append(context.Background(), shard, entries))
}

// log reads all rows after a place, a few at a time.
func logOf(t testing.TB, p *process, shard int, after ledger.Position, limit int) (rows []ledger.Row) {
	t.Helper()
	for {
		more := must[[]ledger.Row](t)(p.Rows(context.Background(), shard, after, limit))
		if len(more) == 0 {
			return rows
		}
		rows = append(rows, more...)
		after = more[len(more)-1].Position()
	}
}

// brief writes rows as "key=state/transition".
func brief(rows []ledger.Row) (out []string) {
	for _, r := range rows {
		text := r.Key + "=" + string(r.State)
		if r.Transition != nil {
			text += "/" + string(r.Transition)
		}
		out = append(out, text)
	}
	return out
}

func same(t testing.TB, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("%s: got\n%q\nwant\n%q", what, got, want)
	}
}

func sameStates(t testing.TB, p *process, shard int, want map[string]string) {
	t.Helper()
	if got := p.states(shard); !maps.Equal(got, want) {
		t.Fatalf("states are\n%v\nwant\n%v", got, want)
	}
}

// midnight sleeps to a moment after the next one, UTC.
func midnight() {
	now := time.Now().UTC()
	next := now.Truncate(24 * time.Hour).Add(24 * time.Hour)
	time.Sleep(next.Sub(now) + 500*time.Millisecond)
}

func today() int { return int(time.Now().Unix() / 86400) }
