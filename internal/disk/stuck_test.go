package disk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"muster"
)

// narrowFS is a filesystem on which appending to a log fails as long as it is full.
type narrowFS struct {
	vfs.FS
	full atomic.Bool
	met  sync.Once
	seen chan struct{}
}

func (f *narrowFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	file, err := f.FS.Create(name, category)
	if err == nil && strings.HasSuffix(name, ".log") {
		file = &narrowFile{File: file, fs: f}
	}
	return file, err
}

type narrowFile struct {
	vfs.File
	fs *narrowFS
}

func (f *narrowFile) Write(p []byte) (int, error) {
	if f.fs.full.Load() {
		f.fs.met.Do(func() { close(f.fs.seen) })
		return 0, syscall.ENOSPC
	}
	return f.File.Write(p)
}

// openNarrow opens a database whose filesystem can be made full under it.
func openNarrow(t *testing.T) (*DB, *narrowFS, *Guard) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "db")
	narrow := &narrowFS{FS: vfs.Default, seen: make(chan struct{})}
	usage := func(string) (avail, total uint64, err error) {
		if narrow.full.Load() {
			return 0, 100 << 30, nil
		}
		return 50 << 30, 100 << 30, nil
	}
	guard := NewGuard(dir, GuardOptions{Usage: usage, Every: time.Millisecond})
	o := Options{Room: "test", Format: 1, Guard: guard, Logger: slog.New(slog.DiscardHandler)}
	if err := makeDir(dir); err != nil {
		t.Fatal(err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	stuck := newStuckFS(narrow, dir, guard, o.Logger)
	stuck.pause = time.Millisecond
	db, err := openLocked(dir, lock, stuck, o)
	if err != nil {
		t.Fatal(err)
	}
	return &DB{DB: db, dir: dir, lock: lock, stuck: stuck}, narrow, guard
}

func put(ctx context.Context, db *DB, key string) error {
	batch := db.NewBatch()
	if err := batch.Set([]byte(key), []byte("x"), nil); err != nil {
		return err
	}
	return db.Commit(ctx, batch, nil)
}

// A write that meets a full disk, because somebody else filled it at once, waits and goes on; the
// process lives, and the guard refuses what comes meanwhile.
func TestAWriteOnAFullDiskWaitsAndGoesOn(t *testing.T) {
	t.Parallel()
	db, narrow, guard := openNarrow(t)
	if err := put(t.Context(), db, "before"); err != nil {
		t.Fatal(err)
	}
	narrow.full.Store(true)
	impatient, cancel := context.WithCancel(t.Context())
	outcome := make(chan error, 1)
	go func() { outcome <- put(impatient, db, "during") }()
	<-narrow.seen
	if err := guard.Check(); !errors.Is(err, muster.ErrUnavailable) {
		t.Errorf("the guard lets writes through on a full disk: %v", err)
	}
	cancel()
	if err := <-outcome; !errors.Is(err, muster.ErrUnavailable) {
		t.Errorf("a caller who gave up was told %v", err)
	}
	narrow.full.Store(false)
	if err := put(t.Context(), db, "after"); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"before", "during", "after"} {
		_, closer, err := db.Get([]byte(key))
		if err != nil {
			t.Errorf("%s: %v", key, err)
			continue
		}
		_ = closer.Close()
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestCloseOnAFullDiskDoesNotHang(t *testing.T) {
	t.Parallel()
	db, narrow, _ := openNarrow(t)
	narrow.full.Store(true)
	abandoned, cancel := context.WithCancel(t.Context())
	go func() { _ = put(abandoned, db, "during") }()
	<-narrow.seen
	err := db.Close()
	cancel()
	if err != nil && !errors.Is(err, muster.ErrUnavailable) {
		t.Fatal(err)
	}
	narrow.full.Store(false) // let what waits end with the test
}

func FuzzParseFormat(f *testing.F) {
	f.Add([]byte("muster store 1\n"))
	f.Add([]byte("muster series 12\nmore"))
	f.Fuzz(func(t *testing.T, text []byte) {
		room, format, err := parseFormat(text)
		if err != nil {
			if !errors.Is(err, muster.ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		if again := fmt.Sprintf("muster %s %d\n", room, format); again != string(text) {
			t.Fatalf("%q reads as %q", text, again)
		}
	})
}
