package agent

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"time"

	"muster"
)

// farewell looks whether the machine goes down. systemd is asked; under runit a file says it; others
// at least keep people from signing in.
func farewell() muster.FarewellReason {
	const execute = 0o100 // runit goes down when its file may be executed
	for _, stop := range []string{"/run/runit.stopit", "/run/runit/stopit", "/etc/runit/stopit"} {
		if info, err := os.Stat(stop); err == nil && info.Mode().Perm()&execute != 0 {
			return muster.FarewellShutdown
		}
	}
	if _, err := os.Stat("/run/systemd/system"); err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		// It exits with an error whenever it has anything but "running" to say.
		out, _ := exec.CommandContext(ctx, "systemctl", "is-system-running").Output()
		switch strings.TrimSpace(string(out)) {
		case "": // it cannot be asked any more
		case "stopping":
			return muster.FarewellShutdown
		default:
			return muster.FarewellStop
		}
	}
	if _, err := os.Stat("/run/nologin"); err == nil {
		return muster.FarewellShutdown
	}
	return muster.FarewellStop
}
