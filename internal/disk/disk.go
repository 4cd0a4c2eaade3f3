// Package disk gives what the embedded engines share: opening Pebble with settings that need little
// memory, a directory that one process at a time may use, a format version that an older program
// refuses to touch, and a guard that stops acknowledging before the disk is full.
package disk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"muster"
)

// Options say how a directory is opened. Room and Format are required.
type Options struct {
	Room     string                // what the directory holds: "store" or "series"; another room's directory is refused
	Format   int                   // the version of the keys and values this program writes, from 1
	Cache    int64                 // bytes of blocks kept in memory; 4 MiB when zero
	MemTable uint64                // bytes of one memtable, of which there are two at most; 4 MiB when zero
	Guard    *Guard                // tripped when a write meets a full disk; may be nil
	Tune     func(*pebble.Options) // changes what the engine needs otherwise; may be nil
	Logger   *slog.Logger          // discarded when nil
}

// Defaults of Options.
const (
	defaultCache    = 4 << 20
	defaultMemTable = 4 << 20
)

// Validate checks the options; the error wraps muster.ErrInvalid.
func (o *Options) Validate() error {
	if o.Room == "" || o.Format < 1 {
		return fmt.Errorf("disk: options: %w: a room and a format of at least 1 are needed", muster.ErrInvalid)
	}
	return nil
}

// DB is an open Pebble in a locked directory.
type DB struct {
	*pebble.DB
	dir    string
	lock   *pebble.Lock
	stuck  *stuckFS
	using  sync.RWMutex // held for reading while the database is used, for writing from its close on
	close  sync.Once
	closed error
}

// Use says that the caller uses the database until done is called; Close waits for that. Once it is
// being closed the error wraps ErrUnavailable: Pebble itself would panic.
func (d *DB) Use() (done func(), err error) {
	if !d.using.TryRLock() {
		return nil, fmt.Errorf("disk: use: %w: the database is being closed", muster.ErrUnavailable)
	}
	return d.using.RUnlock, nil
}

// Open locks dir, making it when it is not there, checks its format and opens Pebble in it. A directory
// in use by another process gives ErrConflict, one of another room or a newer format ErrInvalid, one
// that cannot be read or written ErrUnavailable; the text says what to do.
func Open(dir string, o Options) (*DB, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	stuck := newStuckFS(vfs.Default, dir, o.Guard, o.Logger)
	db, err := openLocked(dir, lock, stuck, o)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return &DB{DB: db, dir: dir, lock: lock, stuck: stuck}, nil
}

func openLocked(dir string, lock *pebble.Lock, stuck *stuckFS, o Options) (*pebble.DB, error) {
	if err := checkFormat(dir, o.Room, o.Format); err != nil {
		return nil, err
	}
	if o.Guard != nil {
		if err := o.Guard.Check(); err != nil {
			// Opening writes; a start on a full disk would end in the middle of it.
			return nil, fmt.Errorf("disk: open: %w", err)
		}
	}
	tellTorn(dir, o.Logger)
	settings := pebbleOptions(&o)
	settings.Lock = lock
	settings.FS = stuck.fs
	db, err := pebble.Open(dir, settings)
	if err != nil {
		return nil, fmt.Errorf("disk: open: %w: %s cannot be opened; restore it from a backup, or choose another directory with --data: %w", muster.ErrUnavailable, dir, err)
	}
	if err := writeOwner(dir); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// Close ends Pebble and frees the directory. While a full disk holds writes up it leaves Pebble
// as it is and gives ErrUnavailable: all that was acknowledged is in the log and read at the next start.
func (d *DB) Close() error {
	d.close.Do(func() { d.closed = d.closeOnce() })
	return d.closed
}

func (d *DB) closeOnce() error {
	done := make(chan error, 1)
	go func() {
		d.using.Lock() // for good
		done <- d.DB.Close()
	}()
	select {
	case err := <-done:
		removeOwner(d.dir)
		if err = errors.Join(err, d.lock.Close()); err != nil {
			return fmt.Errorf("disk: close: %w: %w", muster.ErrUnavailable, err)
		}
		return nil
	case <-d.stuck.heldUp():
		return fmt.Errorf("disk: close: %w: the disk of %s is full; left as after a power cut, nothing acknowledged is lost", muster.ErrUnavailable, d.dir)
	}
}

// Commit applies the batch and waits until it is on disk, together with whatever else is being committed;
// the batch is closed. When ctx ends first the error wraps ErrUnavailable and the outcome is unknown; after, if not nil,
// is called in every case once the outcome stands, so that a lock is not freed too early.
func (d *DB) Commit(ctx context.Context, b *pebble.Batch, after func()) error {
	unused, err := d.Use()
	if err != nil {
		if after != nil {
			after()
		}
		return err
	}
	done := make(chan error, 1)
	go func() {
		defer unused()
		err := d.DB.Apply(b, pebble.Sync)
		if err == nil {
			err = b.Close()
		}
		if after != nil {
			after()
		}
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("disk: commit: %w: %w", muster.ErrUnavailable, err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("disk: commit: %w: the outcome is unknown: %w", muster.ErrUnavailable, context.Cause(ctx))
	}
}

// Size gives the bytes that the database takes on disk, logs included; 0 when it is closed.
func (d *DB) Size() uint64 {
	done, err := d.Use()
	if err != nil {
		return 0
	}
	defer done()
	return d.DB.Metrics().DiskSpaceUsage()
}

func pebbleOptions(o *Options) *pebble.Options {
	if o.Cache == 0 {
		o.Cache = defaultCache
	}
	if o.MemTable == 0 {
		o.MemTable = defaultMemTable
	}
	settings := &pebble.Options{
		CacheSize:                   o.Cache,
		MemTableSize:                o.MemTable,
		MemTableStopWritesThreshold: 2,
		MaxOpenFiles:                256,
		MaxManifestFileSize:         8 << 20,
		FormatMajorVersion:          pebbleFormat,
		Logger:                      pebbleLogger{o.Logger},
		EventListener:               listener(o.Logger),
	}
	settings.Experimental.CompactionScheduler = newCompactions()
	if o.Tune != nil {
		o.Tune(settings)
	}
	return settings
}

// pebbleFormat is pinned, so that a newer library does not change the files until Format is raised with it.
const pebbleFormat = pebble.FormatValueSeparation

func makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("disk: open: %w: the directory %s cannot be made; make it writable for this user, or choose another with --data: %w", muster.ErrUnavailable, dir, err)
	}
	return nil
}

// Used gives the bytes of all files below dir; files that vanish meanwhile count nothing.
func Used(dir string) (total int64) {
	_ = filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // a file that was compacted away is not a fault
		}
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() {
			total += info.Size()
		}
		return nil
	})
	return total
}

// free asks the filesystem that bears path for its free and total bytes, as an ordinary user may use them.
func free(path string) (avail, total uint64, err error) {
	usage, err := vfs.Default.GetDiskUsage(path)
	return usage.AvailBytes, usage.TotalBytes, err
}
