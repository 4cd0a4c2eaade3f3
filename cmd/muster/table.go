package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Colours mean state or rank and nothing else, and a shape or word always stands beside them.
const (
	plainInk = ""
	dim      = "2"
	bold     = "1"
	red      = "31"
	green    = "32"
	amber    = "33"
	blue     = "34"
)

// column is one column of a table.
type column struct {
	title string
	right bool // numbers stand right
	drop  int  // columns with higher numbers go first when the terminal is narrow; 0 stays
	most  int  // wider cells are cut when the terminal is narrow; 0 never
	least int  // never narrower, so that live figures do not move their neighbours
}

// cell is one value with its colour, and a shape that stands before it where people look.
type cell struct {
	text  string
	ink   string
	shape string
}

func text(s string) cell { return cell{text: s} }

// table draws aligned columns without lines: a narrow terminal loses columns from the least important on
// and then the ends of long cells; a pipe gets everything.
type table struct {
	columns []column
	rows    [][]cell
}

func (t *table) add(cells ...cell) { t.rows = append(t.rows, cells) }

const gap = 2

// write draws the table; width 0 is a pipe.
func (t *table) write(w io.Writer, width int, colour bool) {
	for i := range t.rows {
		for j := range t.rows[i] {
			c := &t.rows[i][j]
			if c.text = clean(c.text); c.shape != "" && width > 0 {
				c.text = c.shape + " " + c.text
			}
		}
	}
	shown, widths := t.fit(width)
	var line strings.Builder
	for i, c := range shown {
		t.put(&line, cell{text: strings.ToUpper(t.columns[c].title), ink: dim}, t.columns[c], widths[c], i == len(shown)-1, colour)
	}
	fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	for _, row := range t.rows {
		line.Reset()
		for i, c := range shown {
			t.put(&line, row[c], t.columns[c], widths[c], i == len(shown)-1, colour)
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
}

// fit chooses the columns and their widths. A column that is empty in all rows is left out.
func (t *table) fit(width int) (shown, widths []int) {
	widths = make([]int, len(t.columns))
	for c := range t.columns {
		widest, filled := max(utf8.RuneCountInString(t.columns[c].title), t.columns[c].least), len(t.rows) == 0
		for _, row := range t.rows {
			n := utf8.RuneCountInString(row[c].text)
			widest, filled = max(widest, n), filled || n > 0
		}
		widths[c] = widest
		if filled {
			shown = append(shown, c)
		}
	}
	if width == 0 {
		return shown, widths
	}
	total := func() int {
		sum := -gap
		for _, c := range shown {
			sum += widths[c] + gap
		}
		return sum
	}
	for total() > width { // first cut long cells, the widest first, down to what they may lose
		at := -1
		for _, c := range shown {
			if most := t.columns[c].most; most > 0 && widths[c] > most && (at < 0 || widths[c] > widths[at]) {
				at = c
			}
		}
		if at < 0 {
			break
		}
		widths[at] = max(t.columns[at].most, widths[at]-(total()-width))
	}
	for total() > width { // then whole columns
		at := -1
		for i, c := range shown {
			if t.columns[c].drop > 0 && (at < 0 || t.columns[c].drop > t.columns[shown[at]].drop) {
				at = i
			}
		}
		if at < 0 {
			break
		}
		shown = append(shown[:at:at], shown[at+1:]...)
	}
	if over := total() - width; over > 0 && len(shown) > 0 { // at last the first column, down to some letters
		widths[shown[0]] = max(min(8, widths[shown[0]]), widths[shown[0]]-over)
	}
	return shown, widths
}

// put writes one cell, cut or filled up to its width.
func (t *table) put(b *strings.Builder, c cell, col column, width int, last, colour bool) {
	s := cut(c.text, width)
	pad := strings.Repeat(" ", width-utf8.RuneCountInString(s))
	if col.right {
		b.WriteString(pad)
	}
	b.WriteString(paint(s, c.ink, colour))
	if !col.right && !last {
		b.WriteString(pad)
	}
	if !last {
		b.WriteString(strings.Repeat(" ", gap))
	}
}

// paint colours a text.
func paint(s, ink string, colour bool) string {
	if !colour || ink == plainInk || s == "" {
		return s
	}
	return "\x1b[" + ink + "m" + s + "\x1b[0m"
}

// cut shortens a text to a width and shows that it did.
func cut(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	if width <= 1 {
		return "…"[:len("…")*width]
	}
	r := []rune(s)
	return string(r[:width-1]) + "…"
}
