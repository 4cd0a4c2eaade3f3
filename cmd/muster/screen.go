package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	xterm "golang.org/x/term"

	"muster/internal/term"
)

// What a terminal is told: another screen without a cursor, and back again.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l"
	leaveScreen = "\x1b[?25h\x1b[?1049l"
)

// screen shows a picture on the whole terminal, twice a second and after every key, until a key or ctx ends it.
func (a *app) screen(ctx context.Context, p term.Picture) error {
	in, ok := a.in.(*os.File)
	out, okOut := a.Out.(*os.File)
	if !ok || !okOut || !xterm.IsTerminal(int(in.Fd())) {
		return errors.New("this needs a terminal to read keys from")
	}
	state, err := xterm.MakeRaw(int(in.Fd()))
	if err != nil {
		return fmt.Errorf("prepare the terminal: %w", err)
	}
	defer func() { _ = xterm.Restore(int(in.Fd()), state) }()
	fmt.Fprint(a.Out, enterScreen)
	defer fmt.Fprint(a.Out, leaveScreen)
	size := func() (int, int) {
		w, h, err := xterm.GetSize(int(out.Fd()))
		if err != nil || w <= 0 || h <= 0 {
			return 80, 24
		}
		return w, h
	}
	return term.Show(ctx, in, a.Out, size, p)
}
