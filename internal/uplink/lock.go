package uplink

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"muster"
)

// LockState makes the state directory when it is missing and keeps other agents out of it until the
// lock is closed or the process ends. The error wraps muster.ErrConflict when another agent is in it.
func LockState(dir string) (io.Closer, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("uplink: state directory: %w: %w", muster.ErrUnavailable, err)
	}
	file, err := lockFile(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("uplink: state directory %s: %w", dir, err)
	}
	return file, nil
}
