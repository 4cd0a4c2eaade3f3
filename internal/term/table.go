package term

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// Inks. Colours mean state or rank and nothing else, and a shape or word always stands beside them.
const (
	Plain = ""
	Dim   = "2"
	Bold  = "1"
	Red   = "31"
	Green = "32"
	Amber = "33"
	Blue  = "34"
)

// Column is one column of a table.
type Column struct {
	Title string
	Right bool // numbers stand right
	Drop  int  // columns with higher numbers go first when the terminal is narrow; 0 stays
	Most  int  // wider cells are cut when the terminal is narrow; 0 never
	Least int  // never narrower, so that live figures do not move their neighbours
}

// Cell is one value with its colour, and a shape that stands before it where people look.
type Cell struct {
	Text  string
	Ink   string
	Shape string
}

// Text makes a cell without colour.
func Text(s string) Cell { return Cell{Text: s} }

// Table draws aligned columns without lines: a narrow terminal loses columns from the least important on
// and then the ends of long cells; a pipe gets everything.
type Table struct {
	Columns []Column
	rows    [][]Cell
}

// Add appends a row: a cell for each column.
func (t *Table) Add(cells ...Cell) { t.rows = append(t.rows, cells) }

const gap = 2

// Rows gives how many rows there are.
func (t *Table) Rows() int { return len(t.rows) }

// Write draws the table.
func (t *Table) Write(p Paper) {
	w, width, colour := p.Out, p.Width, p.Colour
	for i := range t.rows {
		for j := range t.rows[i] {
			c := &t.rows[i][j]
			if c.Text = Clean(c.Text); c.Shape != "" && width > 0 {
				c.Text = c.Shape + " " + c.Text
			}
		}
	}
	shown, widths := t.fit(width)
	var line strings.Builder
	for i, c := range shown {
		t.put(&line, Cell{Text: strings.ToUpper(t.Columns[c].Title), Ink: Dim}, t.Columns[c], widths[c], i == len(shown)-1, colour)
	}
	fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	for _, row := range t.rows {
		line.Reset()
		for i, c := range shown {
			t.put(&line, row[c], t.Columns[c], widths[c], i == len(shown)-1, colour)
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
}

// fit chooses the columns and their widths. A column that is empty in all rows is left out.
func (t *Table) fit(width int) (shown, widths []int) {
	widths = make([]int, len(t.Columns))
	for c := range t.Columns {
		widest, filled := max(utf8.RuneCountInString(t.Columns[c].Title), t.Columns[c].Least), len(t.rows) == 0
		for _, row := range t.rows {
			n := utf8.RuneCountInString(row[c].Text)
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
	whole := slices.Clone(widths)
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
			if most := t.Columns[c].Most; most > 0 && widths[c] > most && (at < 0 || widths[c] > widths[at]) {
				at = c
			}
		}
		if at < 0 {
			break
		}
		widths[at] = max(t.Columns[at].Most, widths[at]-(total()-width))
	}
	for total() > width { // then whole columns
		at := -1
		for i, c := range shown {
			if t.Columns[c].Drop > 0 && (at < 0 || t.Columns[c].Drop > t.Columns[shown[at]].Drop) {
				at = i
			}
		}
		if at < 0 {
			break
		}
		shown = append(shown[:at:at], shown[at+1:]...)
	}
	for _, c := range shown { // what the columns left behind goes to what was cut
		if widths[c] < whole[c] {
			widths[c] = min(whole[c], widths[c]+max(0, width-total()))
		}
	}
	if over := total() - width; over > 0 && len(shown) > 0 { // at last the first column, down to some letters
		widths[shown[0]] = max(min(8, widths[shown[0]]), widths[shown[0]]-over)
	}
	return shown, widths
}

// put writes one cell, cut or filled up to its width.
func (t *Table) put(b *strings.Builder, c Cell, col Column, width int, last, colour bool) {
	s := Cut(c.Text, width)
	pad := strings.Repeat(" ", width-utf8.RuneCountInString(s))
	if col.Right {
		b.WriteString(pad)
	}
	b.WriteString(Paint(s, c.Ink, colour))
	if !col.Right && !last {
		b.WriteString(pad)
	}
	if !last {
		b.WriteString(strings.Repeat(" ", gap))
	}
}
