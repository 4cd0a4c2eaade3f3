package gateway

import (
	"context"
	"fmt"

	"muster"
	"muster/internal/check"
)

// Assign tells an agent which checks to run: it adds or changes those of add, removes others, or replaces
// all it has. It says whether that agent is connected here and can run checks; the message itself travels
// on its own, in the order of the calls.
func (g *Gateway) Assign(account muster.AccountID, runner muster.NodeID, add []check.Assignment, remove []muster.CheckID, replace bool) bool {
	return false
}

// RunOnce has an agent run a check now and gives the result. The error wraps muster.ErrUnavailable when the
// agent is not connected here, can't run checks or does not answer in time.
func (g *Gateway) RunOnce(ctx context.Context, account muster.AccountID, runner muster.NodeID, a check.Assignment) (muster.Result, error) {
	return muster.Result{}, fmt.Errorf("gateway: run once: %w: the agent is not connected", muster.ErrUnavailable)
}
