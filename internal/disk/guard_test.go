package disk_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"muster"
	"muster/internal/disk"
	"muster/internal/telemetry"
)

// filesystem says what a test wants it to say.
type filesystem struct {
	mu    sync.Mutex
	avail uint64
	total uint64
	err   error
	asked int
}

func (f *filesystem) usage(string) (avail, total uint64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	return f.avail, f.total, f.err
}

func (f *filesystem) set(avail uint64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.avail, f.err = avail, err
}

const gib = 1 << 30

func TestGuardRefusesAndRecovers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		total, floor uint64
	}{
		"small disk: 512 MiB": {10 * gib, gib / 2},
		"large disk: 2 %":     {1000 * gib, 20 * gib},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				fs := &filesystem{avail: c.floor, total: c.total}
				var log bytes.Buffer
				guard := disk.NewGuard("/data", disk.GuardOptions{Usage: fs.usage, Logger: slog.New(slog.NewTextHandler(&log, nil)), Telemetry: telemetry.New()})
				check := func(avail uint64, full bool) {
					t.Helper()
					fs.set(avail, nil)
					time.Sleep(time.Second)
					err := guard.Check()
					if (err != nil) != full || full && !errors.Is(err, muster.ErrUnavailable) {
						t.Fatalf("with %d bytes free of %d: %v", avail, c.total, err)
					}
					if guard.Free() != avail {
						t.Fatalf("Free gives %d, want %d", guard.Free(), avail)
					}
				}
				check(c.floor, false)
				check(c.floor-1, true)
				check(c.floor, true) // a little more is needed to go on
				check(c.floor+c.floor/8, false)
				check(c.floor, false)
				if got := strings.Count(log.String(), "level="); got != 2 {
					t.Errorf("one fall and one recovery make %d lines in the log:\n%s", got, log.String())
				}
			})
		})
	}
}

func TestGuardSaysWhatToDo(t *testing.T) {
	t.Parallel()
	fs := &filesystem{avail: 100 << 20, total: 10 * gib}
	err := disk.NewGuard("/data", disk.GuardOptions{Usage: fs.usage}).Check()
	for _, word := range []string{"/data", "100 MiB free", "512 MiB", "free some space", "by itself"} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("the error does not say %q: %v", word, err)
		}
	}
}

func TestGuardAsksSeldom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fs := &filesystem{avail: 5 * gib, total: 10 * gib}
		guard := disk.NewGuard("/data", disk.GuardOptions{Usage: fs.usage})
		for range 1000 {
			if err := guard.Check(); err != nil {
				t.Fatal(err)
			}
		}
		if fs.asked != 1 {
			t.Errorf("the filesystem was asked %d times at one instant", fs.asked)
		}
	})
}

func TestGuardDistrustsSilence(t *testing.T) {
	t.Parallel()
	fs := &filesystem{err: errors.New("input/output error")}
	if err := disk.NewGuard("/data", disk.GuardOptions{Usage: fs.usage}).Check(); !errors.Is(err, muster.ErrUnavailable) {
		t.Errorf("a filesystem that does not answer is taken for one with room: %v", err)
	}
}

func TestGuardTripped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fs := &filesystem{avail: 5 * gib, total: 10 * gib}
		guard := disk.NewGuard("/data", disk.GuardOptions{Usage: fs.usage})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- guard.Run(ctx) }()
		guard.Trip()
		if err := guard.Check(); !errors.Is(err, muster.ErrUnavailable) {
			t.Errorf("after a write met a full disk: %v", err)
		}
		time.Sleep(1500 * time.Millisecond)
		if err := guard.Check(); err != nil {
			t.Errorf("with room again: %v", err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestRealFilesystem(t *testing.T) {
	t.Parallel()
	guard := disk.NewGuard(t.TempDir(), disk.GuardOptions{MinFree: 1, MinShare: 1e-12})
	if err := guard.Check(); err != nil || guard.Free() == 0 {
		t.Errorf("the real filesystem: %v, %d free", err, guard.Free())
	}
}

func TestNoStartOnAFullDisk(t *testing.T) {
	t.Parallel()
	fs := &filesystem{avail: 1, total: 10 * gib}
	o := options()
	o.Guard = disk.NewGuard("/data", disk.GuardOptions{Usage: fs.usage})
	refused(t, t.TempDir(), o, muster.ErrUnavailable, "free some space")
}
