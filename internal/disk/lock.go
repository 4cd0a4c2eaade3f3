package disk

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"muster"
)

// ownerFile holds the id of the process that uses the directory. The lock itself is Pebble's: the
// system frees it when the process ends, however it ends. This file only makes the error readable.
const ownerFile = "OWNER"

func lockDir(dir string) (*pebble.Lock, error) {
	lock, err := pebble.LockDirectory(dir, vfs.Default)
	switch {
	case err == nil:
		return lock, nil
	case !writable(dir):
		return nil, fmt.Errorf("disk: open: %w: the directory %s cannot be written; give it to this user, or choose another with --data: %w", muster.ErrUnavailable, dir, err)
	default:
		return nil, fmt.Errorf("disk: open: %w: the directory %s is in use%s; stop that process, or choose another directory with --data: %w", muster.ErrConflict, dir, byWhom(dir), err)
	}
}

// writable tells a directory that is locked from one that may not be written: some systems report both alike.
func writable(dir string) bool {
	probe, err := os.CreateTemp(dir, ".probe-*")
	if err != nil {
		return false
	}
	_ = probe.Close()
	_ = os.Remove(probe.Name())
	return true
}

func byWhom(dir string) string {
	text, err := os.ReadFile(filepath.Join(dir, ownerFile))
	if err != nil {
		return " by another process"
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	switch {
	case err != nil:
		return " by another process"
	case pid == os.Getpid():
		return " by this process already"
	}
	return fmt.Sprintf(" by process %d", pid)
}

func writeOwner(dir string) error {
	text := strconv.Itoa(os.Getpid()) + "\n"
	if err := os.WriteFile(filepath.Join(dir, ownerFile), []byte(text), 0o600); err != nil {
		return fmt.Errorf("disk: open: %w: %w", muster.ErrUnavailable, err)
	}
	return nil
}

func removeOwner(dir string) { _ = os.Remove(filepath.Join(dir, ownerFile)) }
