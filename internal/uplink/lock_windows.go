package uplink

import (
	"fmt"
	"os"
	"syscall"

	"muster"
)

// lockFile opens the file so that nobody else can, until the process ends.
func lockFile(path string) (*os.File, error) {
	name, err := syscall.UTF16PtrFromString(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", muster.ErrInvalid, err)
	}
	const alone = 0
	handle, err := syscall.CreateFile(name, syscall.GENERIC_READ|syscall.GENERIC_WRITE, alone, nil,
		syscall.OPEN_ALWAYS, syscall.FILE_ATTRIBUTE_NORMAL, 0)
	if err != nil {
		return nil, fmt.Errorf("%w: another agent uses it; give each agent its own by --state (%w)", muster.ErrConflict, err)
	}
	return os.NewFile(uintptr(handle), path), nil
}
