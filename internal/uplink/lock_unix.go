//go:build unix

package uplink

import (
	"fmt"
	"os"
	"syscall"

	"muster"
)

// lockFile takes a lock that the system lets go when the process ends, however it ends.
func lockFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", muster.ErrUnavailable, err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close() // the error above says more
		return nil, fmt.Errorf("%w: another agent uses it; give each agent its own by --state (%w)", muster.ErrConflict, err)
	}
	return file, nil
}
