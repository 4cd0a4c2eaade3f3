package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"muster"
	"muster/internal/agent"
)

// enrolPatience is how long install waits for the server's welcome.
const enrolPatience = 30 * time.Second

// service is what runs the agent at each start of the machine.
type service interface {
	// name says what it is: "systemd".
	name() string
	// install writes the service and starts it.
	install(program string, s *settings) error
	// stop stops it until start or install; it is no error when there is none.
	stop() error
	// start starts it again, if there is one.
	start() error
	// uninstall stops and removes it; it is no error when there is none.
	uninstall() error
	// logs is the command that shows the agent's log.
	logs() string
}

// install enrols the machine, which shows at once what is wrong, and then makes a service of the
// agent. The service knows the identity, so the token is written nowhere.
func install(ctx context.Context, s *settings, out io.Writer) error {
	if s.server == "" {
		return fmt.Errorf("%w: --server URL is needed (or %s)", errUsage, envName("server"))
	}
	if s.foreground {
		return serve(ctx, s, out)
	}
	manager, err := findService()
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: installing a service needs root; try again with sudo, or run it with --foreground", muster.ErrDenied)
	}
	// An agent that runs already holds the state directory.
	if err := manager.stop(); err != nil {
		return err
	}
	if err := enrol(ctx, s, out); err != nil {
		return errors.Join(err, manager.start()) // what was there goes on
	}
	if err := giveToOwner(s.state); err != nil {
		return fmt.Errorf("state directory: %w: %w", muster.ErrUnavailable, err)
	}
	program, err := placeProgram()
	if err != nil {
		return err
	}
	if err := manager.install(program, s); err != nil {
		return err
	}
	fmt.Fprintf(out, "muster-agent runs as a %s service. Its log: %s\n", manager.name(), manager.logs())
	return nil
}

// enrol runs the agent until the server welcomed it.
func enrol(ctx context.Context, s *settings, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, enrolPatience)
	defer cancel()
	options, machine := s.options(out)
	defer machine.Close()
	welcomed := make(chan struct{}, 1)
	options.Farewell = func() muster.FarewellReason { return muster.FarewellUpgrade } // it is back at once
	options.OnWelcome = func(muster.NodeID) {
		select {
		case welcomed <- struct{}{}:
		default:
		}
	}
	a, err := agent.New(options)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	select {
	case err := <-ended:
		if err == nil {
			err = fmt.Errorf("%w: no answer from %s within %v; nothing was installed", muster.ErrUnavailable, s.server, enrolPatience)
		}
		return err
	case <-welcomed:
		cancel()
		return <-ended
	}
}

// programPath is where the program lives once it is installed.
const programPath = "/usr/local/bin/muster-agent"

// placeProgram copies the running program to its place, as a whole or not at all.
func placeProgram() (string, error) {
	fail := func(err error) (string, error) {
		return "", fmt.Errorf("copy the program to %s: %w: %w", programPath, muster.ErrUnavailable, err)
	}
	self, err := os.Executable()
	if err != nil {
		return fail(err)
	}
	if resolved, err := filepath.EvalSymlinks(self); err == nil {
		self = resolved
	}
	if self == programPath {
		return programPath, nil
	}
	if err := os.MkdirAll(filepath.Dir(programPath), 0o755); err != nil {
		return fail(err)
	}
	content, err := os.ReadFile(self)
	if err != nil {
		return fail(err)
	}
	next := programPath + ".new"
	if err := os.WriteFile(next, content, 0o755); err != nil {
		return fail(err)
	}
	if err := os.Chmod(next, 0o755); err != nil { // whatever the umask is
		return fail(err)
	}
	if err := os.Rename(next, programPath); err != nil {
		return fail(err)
	}
	return programPath, nil
}

// uninstall stops and removes the service, and the state directory when that is wanted.
func uninstall(s *settings, out io.Writer) error {
	manager, err := findService()
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: removing a service needs root; try again with sudo", muster.ErrDenied)
	}
	if err := manager.uninstall(); err != nil {
		return err
	}
	if s.purge {
		// A service with a user of its own has it behind a link.
		for _, dir := range []string{s.state, filepath.Join("/var/lib/private", filepath.Base(s.state))} {
			if _, err := os.Stat(filepath.Join(dir, "identity.json")); err != nil {
				continue // not an agent's
			}
			if err := os.RemoveAll(dir); err != nil {
				return fmt.Errorf("remove %s: %w: %w", dir, muster.ErrUnavailable, err)
			}
		}
		_ = os.Remove(s.state) // the link
	}
	fmt.Fprintf(out, "The %s service is removed. The program stays: %s\n", manager.name(), programPath)
	return nil
}
