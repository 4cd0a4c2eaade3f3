package term

import (
	"context"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// drawEvery is how often a picture is drawn when no key is pressed.
const drawEvery = 500 * time.Millisecond

// Picture is what a screen shows. A key is a character, or a name such as "up" or "ctrl+c".
type Picture interface {
	Resize(width, height int)
	Key(key string) (end bool)
	View() string
}

// Show draws a picture on the whole screen, twice a second and after every key, until a key, the end of in
// or ctx ends it. The terminal must be raw, so that keys come one by one.
func Show(ctx context.Context, in io.Reader, out io.Writer, size func() (int, int), p Picture) error {
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
