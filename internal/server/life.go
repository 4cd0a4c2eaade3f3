package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// stage is one room's loop.
type stage struct {
	name string
	run  func(ctx context.Context) error
}

// drainLimit is how long all stages together may take to end.
const drainLimit = 9 * time.Second

// runStages runs the stages until ctx ends or one of them fails, then ends them in reverse, each only after
// the one that was started later is done: nothing is pulled from under what still uses it.
func runStages(ctx context.Context, logger *slog.Logger, stages []stage) error {
	type running struct {
		stage
		cancel context.CancelFunc
		done   chan error
	}
	failed := make(chan error, len(stages))
	var all []running
	for _, s := range stages {
		own, cancel := context.WithCancel(context.WithoutCancel(ctx))
		r := running{stage: s, cancel: cancel, done: make(chan error, 1)}
		all = append(all, r)
		go func() {
			err := s.run(own)
			if err != nil && own.Err() == nil {
				failed <- fmt.Errorf("server: %s: %w", s.name, err)
			}
			r.done <- err
		}()
	}
	var fault error
	select {
	case <-ctx.Done():
	case fault = <-failed:
	}
	limit := time.NewTimer(drainLimit)
	defer limit.Stop()
	for i := len(all) - 1; i >= 0; i-- {
		all[i].cancel()
		select {
		case err := <-all[i].done:
			if err != nil && !errors.Is(err, context.Canceled) {
				logger.Warn("ended with an error", "part", all[i].name, "error", err)
			}
		case <-limit.C:
			limit.Reset(0) // the rest is told, and not waited for
			logger.Warn("did not end in time", "part", all[i].name)
		}
	}
	return fault
}
