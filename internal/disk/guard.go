package disk

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"muster"
)

// GuardOptions are a guard's settings; the zero value is good.
type GuardOptions struct {
	MinFree   uint64                                             // bytes that must stay free; 512 MiB when zero
	MinShare  float64                                            // share of the filesystem that must stay free; 0.02 when zero
	Every     time.Duration                                      // how old an answer of the filesystem may be; 1 s when zero
	Usage     func(path string) (avail, total uint64, err error) // asks the filesystem; the real one when nil
	Now       func() time.Time                                   // the clock; time.Now when nil
	Logger    *slog.Logger                                       // discarded when nil
	Telemetry Gauges                                             // told what is free, and whether that is too little; may be nil
}

// Gauges take measurements that are asked for when somebody looks, as a *telemetry.Set does.
type Gauges interface {
	Gauge(name string, read func() float64)
}

// Guard says whether there is room to write. Below max(MinFree, MinShare of the whole) it refuses; an eighth above that it
// allows again, by itself. It never blocks a reader.
type Guard struct {
	path    string
	options GuardOptions
	state   atomic.Pointer[verdict]
	asking  sync.Mutex
	full    bool // guarded by asking
}

// verdict is one answer of the filesystem, never changed once it is made.
type verdict struct {
	at    time.Time
	avail uint64
	total uint64
	err   error
}

// NewGuard makes a guard of the filesystem that bears path, which must exist at the first Check.
func NewGuard(path string, o GuardOptions) *Guard {
	if o.MinFree == 0 {
		o.MinFree = 512 << 20
	}
	if o.MinShare == 0 {
		o.MinShare = 0.02
	}
	if o.Every == 0 {
		o.Every = time.Second
	}
	if o.Usage == nil {
		o.Usage = free
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	g := &Guard{path: path, options: o}
	if o.Telemetry != nil {
		o.Telemetry.Gauge("muster_disk_free_bytes", func() float64 { return float64(g.Free()) })
		o.Telemetry.Gauge("muster_disk_full", func() float64 {
			if g.Check() != nil {
				return 1
			}
			return 0
		})
	}
	return g
}

// Check gives nil when there is room, else an error that wraps ErrUnavailable and says how much must be
// freed. It is cheap: the filesystem is asked at most once in Every, by one caller.
func (g *Guard) Check() error { return g.current().err }

// Free gives the bytes that were free when the filesystem was asked last.
func (g *Guard) Free() uint64 { return g.current().avail }

// Run asks the filesystem once in Every until ctx ends, so that changes are told in the log when
// they happen and not when somebody next writes.
func (g *Guard) Run(ctx context.Context) error {
	tick := time.NewTicker(g.options.Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			g.asking.Lock()
			g.ask()
			g.asking.Unlock()
		}
	}
}

// Trip makes the guard refuse at once: a write has met a full disk, whatever the filesystem says of itself.
// It allows again after an answer with enough room that is newer than this.
func (g *Guard) Trip() {
	g.asking.Lock()
	defer g.asking.Unlock()
	last := g.state.Load()
	now := &verdict{at: g.options.Now(), err: fmt.Errorf("%w: the disk of %s is full; free some space, it goes on by itself", muster.ErrUnavailable, g.path)}
	if last != nil {
		now.avail, now.total = last.avail, last.total
	}
	if !g.full {
		g.options.Logger.Error("the disk is full: nothing more is accepted until there is room", "path", g.path)
	}
	g.full = true
	g.state.Store(now)
}

func (g *Guard) current() *verdict {
	last := g.state.Load()
	if last != nil && g.options.Now().Sub(last.at) < g.options.Every {
		return last
	}
	if last == nil {
		g.asking.Lock()
	} else if !g.asking.TryLock() {
		return last // somebody is asking; a hung filesystem must hold up one caller at most
	}
	defer g.asking.Unlock()
	if fresh := g.state.Load(); fresh != last {
		return fresh
	}
	return g.ask()
}

// ask is called with asking held.
func (g *Guard) ask() *verdict {
	avail, total, err := g.options.Usage(g.path)
	now := &verdict{at: g.options.Now(), avail: avail, total: total}
	floor := max(g.options.MinFree, uint64(g.options.MinShare*float64(total)))
	if g.full {
		floor += floor / 8 // not to turn on and off around one value
	}
	switch {
	case err != nil:
		now.err = fmt.Errorf("%w: the filesystem of %s does not say how much is free: %w", muster.ErrUnavailable, g.path, err)
	case avail < floor:
		now.err = fmt.Errorf("%w: the disk of %s is nearly full: %s free, at least %s are needed; free some space, it goes on by itself",
			muster.ErrUnavailable, g.path, size(avail), size(floor))
	}
	g.tell(now)
	g.state.Store(now)
	return now
}

func (g *Guard) tell(now *verdict) {
	full := now.err != nil
	switch {
	case full && !g.full:
		g.options.Logger.Error("nothing more is accepted until there is room on the disk", "error", now.err)
	case !full && g.full:
		g.options.Logger.Info("there is room on the disk again", "path", g.path, "free", size(now.avail))
	}
	g.full = full
}

// size writes bytes for people.
func size(n uint64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 10<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}
