package check_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"muster"
	"muster/internal/check"
)

// world is a network in which each address takes its time to be connected to, or refuses.
type world struct {
	mu     sync.Mutex
	takes  map[string]time.Duration // negative: refuses at once
	tried  []string
	closed int
}

type fake struct {
	net.Conn
	w *world
}

func (f *fake) Close() error {
	f.w.mu.Lock()
	defer f.w.mu.Unlock()
	f.w.closed++
	return nil
}

func (w *world) dial(ctx context.Context, network, address string) (net.Conn, error) {
	w.mu.Lock()
	w.tried = append(w.tried, address)
	takes := w.takes[address]
	w.mu.Unlock()
	if takes < 0 {
		return nil, &net.OpError{Op: "dial", Net: network, Err: syscall.ECONNREFUSED}
	}
	select {
	case <-time.After(takes):
		return &fake{w: w}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func resolves(texts ...string) func(context.Context, string, string) ([]netip.Addr, error) {
	return func(context.Context, string, string) (addrs []netip.Addr, err error) {
		for _, text := range texts {
			addrs = append(addrs, netip.MustParseAddr(text))
		}
		return addrs, nil
	}
}

func TestConnectTakesTheFirstThatAnswers(t *testing.T) {
	const slow = time.Hour
	for name, c := range map[string]struct {
		takes map[string]time.Duration
		want  string
		after time.Duration
		tried int
	}{
		"all well":            {map[string]time.Duration{}, "[2001:db8::1]:80", 0, 1},
		"first family broken": {map[string]time.Duration{"[2001:db8::1]:80": slow, "[2001:db8::2]:80": slow}, "192.0.2.1:80", 250 * time.Millisecond, 2},
		"refused":             {map[string]time.Duration{"[2001:db8::1]:80": -1}, "192.0.2.1:80", 0, 2},
		"slow but first":      {map[string]time.Duration{"[2001:db8::1]:80": 300 * time.Millisecond, "192.0.2.1:80": slow}, "[2001:db8::1]:80", 300 * time.Millisecond, 2},
		"both, then third":    {map[string]time.Duration{"[2001:db8::1]:80": slow, "192.0.2.1:80": -1}, "[2001:db8::2]:80", 250 * time.Millisecond, 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{takes: c.takes}
				env := &check.Env{Resolve: resolves("2001:db8::1", "2001:db8::2", "192.0.2.1"), Dial: w.dial}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				start := time.Now()
				link, err := env.Connect(ctx, "tcp", check.FamilyAny, "a.example", 80)
				if err != nil || link.Address.String() != c.want || time.Since(start) != c.after || len(w.tried) != c.tried {
					t.Fatalf("%v after %v, having tried %v: %v", link.Address, time.Since(start), w.tried, err)
				}
				if link.Connect != c.after || link.Names() != "192.0.2.1 2001:db8::1 2001:db8::2" || link.Conn == nil {
					t.Errorf("%+v", link)
				}
			})
		})
	}
}

func TestConnectClosesWhatItDoesNotTake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{takes: map[string]time.Duration{"192.0.2.1:80": 300 * time.Millisecond, "192.0.2.2:80": 50 * time.Millisecond}}
		env := &check.Env{Resolve: resolves("192.0.2.1", "192.0.2.2"), Dial: w.dial}
		link, err := env.Connect(t.Context(), "tcp", check.FamilyAny, "a.example", 80)
		if err != nil || w.closed > 1 {
			t.Fatalf("%+v %v, %d closed", link, err, w.closed)
		}
	})
}

func TestConnectFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, c := range map[string]struct {
			takes time.Duration
			class string
			says  string
		}{"refused": {-1, check.ClassConnect, "connection refused"}, "silent": {time.Hour, check.ClassTimeout, "time was up"}} {
			for _, addrs := range [][]string{{"192.0.2.1"}, {"192.0.2.1", "192.0.2.2", "2001:db8::1"}} {
				w := &world{takes: map[string]time.Duration{"192.0.2.1:80": c.takes, "192.0.2.2:80": c.takes, "[2001:db8::1]:80": c.takes}}
				env := &check.Env{Resolve: resolves(addrs...), Dial: w.dial}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				start := time.Now()
				_, err := env.Connect(ctx, "tcp", check.FamilyAny, "a.example", 80)
				cancel()
				var f *check.Failure
				if !errors.As(err, &f) || f.Class != c.class || !strings.Contains(f.Text, c.says) || len(w.tried) != len(addrs) || time.Since(start) > time.Second {
					t.Errorf("%s with %v: %+v after %v, having tried %v", name, addrs, f, time.Since(start), w.tried)
				}
			}
		}
	})
}

func TestLookupAsksForEachAddress(t *testing.T) {
	var asked []string
	env := &check.Env{
		Resolve: resolves("10.0.0.1", "192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1", "192.0.2.1"),
		Allow: func(addr netip.Addr) error {
			asked = append(asked, addr.String())
			if addr.IsPrivate() {
				return fmt.Errorf("x: %w: %s is private", muster.ErrDenied, addr)
			}
			return nil
		},
	}
	found, err := env.Lookup(t.Context(), check.Family4, "a.example")
	if err != nil || len(found) != 1 || found[0].String() != "192.0.2.1" || !slices.Contains(asked, "10.0.0.1") || slices.Contains(asked, "2001:db8::1") {
		t.Errorf("%v %v, asked for %v", found, err, asked)
	}
	for name, c := range map[string]struct {
		host, family string
		resolve      func(context.Context, string, string) ([]netip.Addr, error)
		class        string
	}{
		"none":    {"a.example", check.FamilyAny, resolves(), check.ClassDNS},
		"family":  {"a.example", check.Family6, resolves("192.0.2.1"), check.ClassDNS},
		"private": {"a.example", check.FamilyAny, resolves("10.0.0.1"), check.ClassDenied},
		"literal": {"10.0.0.1", check.FamilyAny, nil, check.ClassDenied},
		"mapped":  {"::ffff:10.0.0.1", check.FamilyAny, nil, check.ClassDenied},
		"broken": {"a.example", check.FamilyAny, func(context.Context, string, string) ([]netip.Addr, error) {
			return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
		}, check.ClassDNS},
		"no resolver": {"a.example", check.FamilyAny, func(context.Context, string, string) ([]netip.Addr, error) {
			return nil, &net.DNSError{Err: "i/o timeout", IsTimeout: true}
		}, check.ClassTimeout},
	} {
		env.Resolve = c.resolve
		_, err := env.Lookup(t.Context(), c.family, c.host)
		var f *check.Failure
		if !errors.As(err, &f) || f.Class != c.class || f.Unable != (c.class == check.ClassDenied) {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

func TestGuardEndsReading(t *testing.T) {
	one, other := net.Pipe()
	defer one.Close()
	defer other.Close()
	ctx, cancel := context.WithCancel(t.Context())
	release := check.Guard(ctx, one)
	defer release()
	go cancel()
	if _, err := one.Read(make([]byte, 1)); check.Failed(ctx, check.ClassProtocol, "reading", err).Class != check.ClassTimeout {
		t.Errorf("reading ends with %v", err)
	}
}
