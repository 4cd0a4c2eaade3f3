package disk_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"muster"
	"muster/internal/disk"
)

// holdVariable makes the test binary a process that holds the named directory open until its input ends.
const holdVariable = "DISK_TEST_HOLD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(holdVariable); dir != "" {
		db, err := disk.Open(dir, options())
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		if err := write(context.Background(), db, "from the other process", "yes"); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("ready")
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0) // without Close, as when killed
	}
	os.Exit(m.Run())
}

func options() disk.Options { return disk.Options{Room: "test", Format: 2} }

func write(ctx context.Context, db *disk.DB, key, value string) error {
	batch := db.NewBatch()
	if err := batch.Set([]byte(key), []byte(value), nil); err != nil {
		return err
	}
	return db.Commit(ctx, batch, nil)
}

func read(t *testing.T, db *disk.DB, key string) string {
	t.Helper()
	value, closer, err := db.Get([]byte(key))
	if err != nil {
		t.Fatalf("read %q: %v", key, err)
	}
	defer closer.Close()
	return string(value)
}

func open(t *testing.T, dir string, o disk.Options) *disk.DB {
	t.Helper()
	db, err := disk.Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// refused checks that opening fails with the kind and says all of the words.
func refused(t *testing.T, dir string, o disk.Options, kind error, words ...string) {
	t.Helper()
	db, err := disk.Open(dir, o)
	if err == nil {
		_ = db.Close()
		t.Fatal("the directory was opened")
	}
	if !errors.Is(err, kind) {
		t.Errorf("got %v, want one of the kind %q", err, kind)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the error does not say %q: %v", word, err)
		}
	}
}

func TestWhatWasCommittedIsThereAgain(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "made", "on the way")
	db := open(t, dir, options())
	freed := false
	batch := db.NewBatch()
	if err := batch.Set([]byte("a"), []byte("1"), nil); err != nil {
		t.Fatal(err)
	}
	if err := db.Commit(t.Context(), batch, func() { freed = true }); err != nil {
		t.Fatal(err)
	}
	if !freed {
		t.Error("after was not called before Commit returned")
	}
	if db.Size() == 0 || disk.Used(dir) == 0 {
		t.Error("a database with something in it takes no room")
	}
	for range 2 {
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := write(t.Context(), db, "late", "x"); !errors.Is(err, muster.ErrUnavailable) {
		t.Errorf("a write after the close: %v", err)
	}
	if _, err := db.Use(); !errors.Is(err, muster.ErrUnavailable) {
		t.Errorf("a use after the close: %v", err)
	}
	if got := read(t, open(t, dir, options()), "a"); got != "1" {
		t.Fatalf("read %q", got)
	}
}

func TestDirectoryInUseByAnotherProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	other := exec.Command(os.Args[0])
	other.Env = append(os.Environ(), holdVariable+"="+dir)
	input, err := other.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := other.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(output).ReadString('\n')
	if line != "ready\n" {
		t.Fatalf("the other process says %q, %v", line, err)
	}
	refused(t, dir, options(), muster.ErrConflict, dir, fmt.Sprintf("in use by process %d", other.Process.Pid), "stop that process", "--data")
	if err := input.Close(); err != nil {
		t.Fatal(err)
	}
	if err := other.Wait(); err != nil {
		t.Fatal(err)
	}
	if got := read(t, open(t, dir, options()), "from the other process"); got != "yes" {
		t.Fatalf("what the other process acknowledged reads %q", got)
	}
}

func TestDirectoryInUseByThisProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open(t, dir, options())
	refused(t, dir, options(), muster.ErrConflict, "this process already")
}

func TestFormats(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file  string // content of the format file
		words []string
	}{
		"newer":        {"muster test 3\n", []string{"newer", "format 3", "up to 2", "--data"}},
		"another room": {"muster series 1\n", []string{`holds "series"`, "--data"}},
		"damaged":      {"muster te", []string{"does not say"}},
		"strange end":  {"muster test 2 \n", []string{"does not say"}},
		"zero":         {"muster test 0\n", []string{"does not say"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, disk.FormatFile)
			if err := os.WriteFile(path, []byte(c.file), 0o600); err != nil {
				t.Fatal(err)
			}
			refused(t, dir, options(), muster.ErrInvalid, c.words...)
			if after, err := os.ReadFile(path); err != nil || string(after) != c.file {
				t.Errorf("the format file was changed to %q, %v", after, err)
			}
		})
	}
	t.Run("older", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		older := disk.Options{Room: "test", Format: 1}
		if err := open(t, dir, older).Close(); err != nil {
			t.Fatal(err)
		}
		open(t, dir, options())
	})
	t.Run("written", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		open(t, dir, options())
		if text, err := os.ReadFile(filepath.Join(dir, disk.FormatFile)); err != nil || string(text) != "muster test 2\n" {
			t.Errorf("the format file says %q, %v", text, err)
		}
	})
	t.Run("somebody else's files", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "thesis.tex"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		refused(t, dir, options(), muster.ErrInvalid, "thesis.tex", "--data")
	})
}

func TestAFileInTheWay(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, path, options(), muster.ErrUnavailable, path, "--data")
}

func TestOptionsAreChecked(t *testing.T) {
	t.Parallel()
	refused(t, t.TempDir(), disk.Options{Format: 1}, muster.ErrInvalid)
	refused(t, t.TempDir(), disk.Options{Room: "test"}, muster.ErrInvalid)
}

func TestTune(t *testing.T) {
	t.Parallel()
	o := options()
	o.Tune = func(p *pebble.Options) { p.ReadOnly = false; p.MaxOpenFiles = 99 }
	open(t, t.TempDir(), o)
}

func TestCommitGivesUpWithItsContext(t *testing.T) {
	t.Parallel()
	db := open(t, t.TempDir(), options())
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	after := make(chan struct{})
	batch := db.NewBatch()
	if err := batch.Set([]byte("a"), []byte("1"), nil); err != nil {
		t.Fatal(err)
	}
	err := db.Commit(ended, batch, func() { close(after) })
	if err != nil && !errors.Is(err, muster.ErrUnavailable) {
		t.Fatal(err)
	}
	select {
	case <-after: // the outcome stands, and the lock may be freed
	case <-time.After(time.Minute):
		t.Fatal("after was never called")
	}
}
