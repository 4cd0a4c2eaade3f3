// Package term gives what a command line draws with: tables that fit the terminal they are on, figures
// as people read them, graphs made of characters, texts made harmless, and a live screen with keys.
package term

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Paper is where something is drawn. Width is that of the terminal in columns; 0 is a pipe or a file, which
// gets everything, without shapes and pictures. Colour says whether Inks are shown.
type Paper struct {
	Out    io.Writer
	Width  int
	Colour bool
}

// Paint colours a text.
func (p Paper) Paint(s, ink string) string { return Paint(s, ink, p.Colour) }

// Line writes one line.
func (p Paper) Line(format string, args ...any) { fmt.Fprintf(p.Out, format+"\n", args...) }

// Pairs writes names and values below each other; values that are empty are left out.
func (p Paper) Pairs(rows [][2]string) {
	widest := 0
	for _, r := range rows {
		if r[1] != "" {
			widest = max(widest, utf8.RuneCountInString(r[0]))
		}
	}
	for _, r := range rows {
		if r[1] != "" {
			p.Hang("  "+p.Paint(fmt.Sprintf("%-*s", widest, Clean(r[0])), Dim)+"  ", widest+4, r[1])
		}
	}
}

// Hang writes a text behind a head that takes so many columns; what does not fit goes on below, behind the
// same indentation. The text is made harmless, the head is not.
func (p Paper) Hang(head string, indent int, text string) {
	for i, line := range Wrap(Clean(text), p.Width-indent) {
		if i > 0 {
			head = strings.Repeat(" ", indent)
		}
		fmt.Fprintln(p.Out, strings.TrimRight(head+line, " "))
	}
}

// Wrap breaks a text into lines of at most that many characters, between words where it can. Without room
// for some words, as in a pipe, it is one line.
func Wrap(s string, width int) []string {
	const least = 16
	if width < least {
		return []string{s}
	}
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		for {
			have := utf8.RuneCountInString(line)
			if need := have + utf8.RuneCountInString(word) + min(have, 1); need <= width {
				if line != "" {
					line += " "
				}
				line += word
				break
			}
			if line != "" {
				lines = append(lines, line)
				line = ""
				continue
			}
			r := []rune(word) // longer than a line
			lines, word = append(lines, string(r[:width])), string(r[width:])
		}
	}
	if line != "" || lines == nil {
		lines = append(lines, line)
	}
	return lines
}

// Paint colours a text where colours are shown.
func Paint(s, ink string, colour bool) string {
	if !colour || ink == Plain || s == "" {
		return s
	}
	return "\x1b[" + ink + "m" + s + "\x1b[0m"
}

// Cut shortens a text to a width and shows that it did.
func Cut(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	if width <= 1 {
		return "…"[:len("…")*max(width, 0)]
	}
	r := []rune(s)
	return string(r[:width-1]) + "…"
}

// Clean takes from a text what would move a terminal's cursor or change its colours: names and notes come
// from other machines.
func Clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '\uFFFD'
		}
		return r
	}, s)
}
