package disk_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"muster/internal/disk"
)

// leave makes a directory as a killed process leaves it, and gives the name of its newest log.
func leave(t *testing.T, keys int) (dir, log string) {
	t.Helper()
	from := t.TempDir()
	db, err := disk.Open(from, options())
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for i := range keys {
		if err := write(t.Context(), db, fmt.Sprintf("key-%04d", i), strings.Repeat("x", 100)); err != nil {
			t.Fatal(err)
		}
	}
	dir = filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(dir, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	logs, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil || len(logs) == 0 {
		t.Fatalf("no log: %v", err)
	}
	return dir, slices.Max(logs)
}

// TestTornLog damages the end of the log of a killed process: what stands before it is there, and it is told.
func TestTornLog(t *testing.T) {
	const keys = 700 // more than two blocks
	for name, c := range map[string]struct {
		damage func([]byte) []byte
		lost   int
		told   bool
	}{
		"as it was":      {func(b []byte) []byte { return b }, 0, false},
		"room after it":  {func(b []byte) []byte { return append(b, make([]byte, 100_000)...) }, 0, false},
		"cut in a value": {func(b []byte) []byte { return b[:len(b)-10] }, 1, true},
		"cut in a head":  {func(b []byte) []byte { return b[:len(b)-recordSize(b)+5] }, 1, true},
		"cut between":    {func(b []byte) []byte { return b[:len(b)-recordSize(b)] }, 1, false},
		"changed":        {func(b []byte) []byte { b[len(b)-3] ^= 0xff; return b }, 1, true},
		"wiped":          {func(b []byte) []byte { clear(b[len(b)-40:]); return b }, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			dir, log := leave(t, keys)
			content, err := os.ReadFile(log)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(log, c.damage(bytes.TrimRight(content, "\x00")), 0o600); err != nil {
				t.Fatal(err)
			}
			var said bytes.Buffer
			o := options()
			o.Logger = slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelWarn}))
			db, err := disk.Open(dir, o)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			for i := range keys - c.lost {
				read(t, db, fmt.Sprintf("key-%04d", i))
			}
			if told := strings.Contains(said.String(), "within a record"); told != c.told {
				t.Errorf("told: %v, want %v; it said %q", told, c.told, said.String())
			}
		})
	}
}

// recordSize gives the size of the last record of a log, all of which have the same.
func recordSize(b []byte) int {
	last := bytes.LastIndex(b, []byte("key-"))
	before := bytes.LastIndex(b[:last], []byte("key-"))
	return last - before
}
