package auth

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"muster"
)

func TestHashes(t *testing.T) {
	t.Parallel()
	stored := hashPassword("correct horse")
	h, err := parsePHC(stored)
	if err != nil {
		t.Fatal(err)
	}
	if !h.matches("correct horse") || h.matches("correct horsf") || h.matches("") {
		t.Error("the hash does not tell the right password from others")
	}
	if hashPassword("correct horse") == stored {
		t.Error("two hashes of one password are the same: there is no salt")
	}
	// From the tests of the reference implementation.
	known, err := parsePHC("$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc")
	if err != nil || !known.matches("password") {
		t.Errorf("a hash of the reference implementation does not match its password: %v", err)
	}
	for _, bad := range []string{
		"", "$argon2id$", "$argon2i$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=99999999,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=19456,t=0,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
		"$argon2id$v=19$m=19456,t=2,p=1$AA$AAAAAAAAAAAAAAAAAAAAAA", "$argon2id$v=19$m=19456,t=2,p=1x$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA",
	} {
		if _, err := parsePHC(bad); !errors.Is(err, muster.ErrInvalid) {
			t.Errorf("%q is taken: %v", bad, err)
		}
	}
}

func FuzzParsePHC(f *testing.F) {
	f.Add("$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, text string) {
		h, err := parsePHC(text)
		if err != nil {
			if !errors.Is(err, muster.ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		if h.String() != text {
			t.Fatalf("%q reads as %q", text, h.String())
		}
	})
}

func TestNetworks(t *testing.T) {
	t.Parallel()
	for remote, wanted := range map[string]string{
		"192.0.2.1:80": "192.0.2.1", "192.0.2.1": "192.0.2.1", "[::ffff:192.0.2.1]:80": "192.0.2.1",
		"[2001:db8::1]:80": "2001:db8::/64", "2001:db8:0:0:ffff::1": "2001:db8::/64", "fe80::1%eth0": "fe80::/64", "@": "@", "pipe": "pipe",
	} {
		if got := network(remote); got != wanted {
			t.Errorf("%s belongs to %s, want %s", remote, got, wanted)
		}
	}
}

// However many names and addresses an attacker makes up, the memory is bounded, and those that were
// tried most are the last to be let go.
func TestLimiterIsBounded(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	l := newLimiter(func() time.Time { return now })
	for range burstPerName {
		if wait := l.take(attempts("ada", "")); wait != 0 {
			t.Fatal("an attempt within the burst must wait")
		}
	}
	for i := range limiterMost + 500 {
		l.take(attempts(fmt.Sprint("made up ", i), ""))
		now = now.Add(time.Microsecond)
	}
	if len(l.buckets) > limiterMost {
		t.Errorf("%d buckets are kept", len(l.buckets))
	}
	if l.take(attempts("ada", "")) == 0 {
		t.Error("the flood made the limiter forget whom it protects")
	}
}

func TestCache(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	c := newCache[int](func() time.Time { return now }, time.Second)
	key := [32]byte{1}
	_, ok, mark := c.get(key)
	if ok {
		t.Fatal("something is in an empty cache")
	}
	c.drop(func(int) bool { return true })
	c.put(key, 1, mark)
	if _, ok, _ = c.get(key); ok {
		t.Error("what was read before a drop was put in after it")
	}
	_, _, mark = c.get(key)
	c.put(key, 2, mark)
	if v, ok, _ := c.get(key); !ok || v != 2 {
		t.Error("what was put is not there")
	}
	now = now.Add(time.Second)
	if _, ok, _ = c.get(key); ok {
		t.Error("what is too old is believed")
	}
	for i := range cacheMost * 2 {
		c.put([32]byte{byte(i), byte(i >> 8), byte(i >> 16), 9}, i, mark)
	}
	if len(c.held) > cacheMost {
		t.Errorf("%d values are held", len(c.held))
	}
}
