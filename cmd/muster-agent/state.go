package main

import (
	"os"
	"path/filepath"
	"runtime"
)

// defaultState is where state is kept: that of the system for root, else the user's own.
func defaultState() string {
	const name = "muster-agent"
	if os.Geteuid() == 0 && runtime.GOOS != "windows" {
		return filepath.Join("/var/lib", name)
	}
	if dir, err := os.UserConfigDir(); err == nil && runtime.GOOS != "linux" {
		return filepath.Join(dir, name)
	}
	if dir := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, name)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return filepath.Join(os.TempDir(), name)
	}
	return filepath.Join(home, ".local", "state", name)
}
