package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

// What a terminal is told: another screen without a cursor, and back again.
const (
	enterScreen = "\x1b[?1049h\x1b[?25l"
	leaveScreen = "\x1b[?25h\x1b[?1049l"
	drawEvery   = 500 * time.Millisecond
)

// picture is what a screen shows. A key is a character, or a name such as "up" or "ctrl+c".
type picture interface {
	Resize(width, height int)
	Key(key string) (end bool)
	View() string
}

// screen shows a picture on the whole terminal, twice a second and after every key, until a key or ctx ends it.
func (a *app) screen(ctx context.Context, p picture) error {
	in, ok := a.in.(*os.File)
	out, okOut := a.out.(*os.File)
	if !ok || !okOut || !term.IsTerminal(int(in.Fd())) {
		return errors.New("this needs a terminal to read keys from")
	}
	state, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return fmt.Errorf("prepare the terminal: %w", err)
	}
	defer func() { _ = term.Restore(int(in.Fd()), state) }()
	fmt.Fprint(a.out, enterScreen)
	defer fmt.Fprint(a.out, leaveScreen)
	size := func() (int, int) {
		w, h, err := term.GetSize(int(out.Fd()))
		if err != nil || w <= 0 || h <= 0 {
			return 80, 24
		}
		return w, h
	}
	return show(ctx, in, a.out, size, p)
}

// show is screen without the terminal's preparation.
func show(ctx context.Context, in io.Reader, out io.Writer, size func() (int, int), p picture) error {
	keys := make(chan string, 16)
	go readKeys(ctx, in, keys)
	tick := time.NewTicker(drawEvery)
	defer tick.Stop()
	shown := ""
	for {
		p.Resize(size())
		if view := draw(p.View()); view != shown {
			if _, err := io.WriteString(out, view); err != nil {
				return err
			}
			shown = view
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case key, open := <-keys:
			if !open || p.Key(key) {
				return nil
			}
		}
	}
}

// draw puts a view over the one before: each line is written out and what stood behind it wiped.
func draw(view string) string {
	return "\x1b[H" + strings.ReplaceAll(strings.TrimRight(view, "\n"), "\n", "\x1b[K\r\n") + "\x1b[K\x1b[J"
}

// readKeys sends what is typed until in ends.
func readKeys(ctx context.Context, in io.Reader, keys chan<- string) {
	defer close(keys)
	buf := make([]byte, 256)
	for {
		n, err := in.Read(buf)
		for rest := buf[:n]; len(rest) > 0; {
			var key string
			key, rest = nextKey(rest)
			if key == "" {
				continue
			}
			select {
			case keys <- key:
			case <-ctx.Done():
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// sequences are the keys that terminals send as several bytes.
func sequences() map[string]string {
	return map[string]string{
		"[A": "up", "[B": "down", "OA": "up", "OB": "down", "[5~": "pgup", "[6~": "pgdown",
		"[H": "home", "[F": "end", "OH": "home", "OF": "end", "[1~": "home", "[4~": "end", "[7~": "home", "[8~": "end",
	}
}

// nextKey takes one key off what was read; "" for one without a name.
func nextKey(b []byte) (key string, rest []byte) {
	switch c := b[0]; {
	case c == 0x1b && len(b) > 1 && (b[1] == '[' || b[1] == 'O'):
		end := 2
		for end < len(b) && (b[end] < '@' || b[end] > '~') {
			end++
		}
		end = min(end+1, len(b))
		return sequences()[string(b[1:end])], b[end:]
	case c == 0x1b:
		return "esc", b[1:]
	case c == '\r' || c == '\n':
		return "enter", b[1:]
	case c == 0x7f || c == 0x08:
		return "backspace", b[1:]
	case c < ' ':
		return "ctrl+" + string(rune('a'+c-1)), b[1:]
	}
	r, n := utf8.DecodeRune(b)
	if r == utf8.RuneError {
		return "", b[n:]
	}
	return string(r), b[n:]
}
