package auth

import (
	"net/netip"
	"strings"
	"sync"
	"time"
)

// Attempts at a password that are looked at without waiting, and how long one more takes after that.
const (
	burstPerName   = 10
	everyPerName   = 30 * time.Second
	burstPerRemote = 20
	everyPerRemote = 6 * time.Second
	// limiterMost bounds the memory; when it is full, the one that has waited longest is let go.
	limiterMost = 20_000
)

// limiter counts attempts by name and by remote address. Each has a bucket that an attempt takes from and time fills again.
type limiter struct {
	now     func() time.Time
	mu      sync.Mutex
	buckets map[string]bucket
}

// bucket is full again at full; an attempt moves that later by what one costs.
type bucket struct {
	full time.Time
}

// attempt is one key with the bounds that hold for it.
type attempt struct {
	key   string
	burst int
	every time.Duration
}

func newLimiter(now func() time.Time) *limiter {
	return &limiter{now: now, buckets: map[string]bucket{}}
}

func attempts(name, remote string) []attempt {
	all := []attempt{{"name " + clip(strings.ToLower(name)), burstPerName, everyPerName}}
	if remote != "" {
		all = append(all, attempt{"remote " + network(remote), burstPerRemote, everyPerRemote})
	}
	return all
}

// network gives what one party is likely to hold as a whole: an IPv4 address, or 64 bits of an IPv6 one.
func network(remote string) string {
	addr, err := netip.ParseAddr(remote)
	if err != nil {
		port, err := netip.ParseAddrPort(remote)
		if err != nil {
			return clip(remote)
		}
		addr = port.Addr()
	}
	addr = addr.Unmap().WithZone("")
	if addr.Is4() {
		return addr.String()
	}
	prefix, _ := addr.Prefix(64) // cannot fail: the address has 128 bits
	return prefix.String()
}

func clip(s string) string { return strings.Clone(s[:min(len(s), 200)]) }

// take takes one attempt from each bucket, or from none and says how long to wait.
func (l *limiter) take(all []attempt) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	for _, a := range all {
		full := l.buckets[a.key].full
		if full.Before(now) {
			continue
		}
		if over := full.Sub(now) - time.Duration(a.burst-1)*a.every; over > 0 {
			wait = max(wait, over)
		}
	}
	if wait > 0 {
		return wait
	}
	for _, a := range all {
		l.make(a.key, now)
		from := l.buckets[a.key].full
		if from.Before(now) {
			from = now
		}
		l.buckets[a.key] = bucket{full: from.Add(a.every)}
	}
	return 0
}

// give puts back what a successful attempt took.
func (l *limiter) give(all []attempt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range all {
		if b, ok := l.buckets[a.key]; ok {
			l.buckets[a.key] = bucket{full: b.full.Add(-a.every)}
		}
	}
}

// make makes room for key: full buckets say nothing and go; if none is full, the one that is nearest to it goes.
func (l *limiter) make(key string, now time.Time) {
	if _, there := l.buckets[key]; there || len(l.buckets) < limiterMost {
		return
	}
	nearest := ""
	for other, b := range l.buckets {
		if !b.full.After(now) {
			delete(l.buckets, other)
			continue
		}
		if nearest == "" || b.full.Before(l.buckets[nearest].full) {
			nearest = other
		}
	}
	if len(l.buckets) >= limiterMost {
		delete(l.buckets, nearest)
	}
}
