//go:build !linux

package agent

import "muster"

// farewell cannot tell here whether the machine goes down.
func farewell() muster.FarewellReason { return muster.FarewellStop }
