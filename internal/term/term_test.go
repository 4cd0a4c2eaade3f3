package term

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestTableFitsItsTerminal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table := &Table{}
		n := rapid.IntRange(1, 8).Draw(t, "columns")
		for i := range n {
			table.Columns = append(table.Columns, Column{Title: fmt.Sprint("c", i), Right: i%2 == 1, Drop: rapid.IntRange(0, 4).Draw(t, "drop"), Most: rapid.IntRange(0, 20).Draw(t, "most")})
		}
		table.Columns[0].Drop = 0
		for i := 1; i < n; i++ {
			table.Columns[i].Drop = max(1, table.Columns[i].Drop)
		}
		for range rapid.IntRange(0, 5).Draw(t, "rows") {
			var row []Cell
			for range n {
				row = append(row, Text(rapid.String().Draw(t, "cell")))
			}
			table.Add(row...)
		}
		width := rapid.IntRange(8, 200).Draw(t, "width")
		var b bytes.Buffer
		table.Write(Paper{Out: &b, Width: width})
		for line := range strings.Lines(b.String()) {
			if got := utf8.RuneCountInString(strings.TrimRight(line, "\n")); got > width {
				t.Fatalf("a line of %d in %d: %q", got, width, line)
			}
		}
		if lines := strings.Count(b.String(), "\n"); lines != len(table.rows)+1 {
			t.Fatalf("%d lines for %d rows", lines, len(table.rows))
		}
	})
}

func TestFigures(t *testing.T) {
	for _, c := range []struct {
		v            float64
		metric, unit string
		want         string
	}{
		{0.1234, "system.cpu.utilization", "1", "12.3%"}, {1, "system.cpu.utilization", "1", "100%"}, {1.5, "system.load.1m", "1", "1.50"},
		{123456, "x", "1", "123 k"}, {1536, "x", "By", "1.50 KiB"}, {1023.9, "x", "By", "1.00 KiB"}, {0, "x", "By", "0 B"}, {2e9, "x", "By/s", "1.86 GiB/s"},
		{0.0123, "x", "s", "12.3 ms"}, {93784, "x", "s", "1d 2h"}, {0.5, "x", "s/s", "50%"}, {12, "x", "{packet}/s", "12/s"}, {3.7, "x", "Cel", "3.70 Cel"},
		{-5, "x", "1", "-5"}, {1e-7, "x", "1", "1e-07"},
	} {
		if got := Figure(c.v, c.metric, c.unit); got != c.want {
			t.Errorf("%g %s is %q, want %q", c.v, c.unit, got, c.want)
		}
	}
}

func TestKeys(t *testing.T) {
	in := "a\x1b[A\x1b[6~\x1bOB\x03\x7f\ré\x1b[99Z/"
	var got []string
	for b := []byte(in); len(b) > 0; {
		var key string
		key, b = nextKey(b)
		got = append(got, key)
	}
	if s := strings.Join(got, " "); s != "a up pgdown down ctrl+c backspace enter é  /" {
		t.Errorf("%q", s)
	}
}

func TestWrap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.RuneFrom([]rune("ab ä█ \n"))).Draw(t, "text")
		width := rapid.IntRange(16, 40).Draw(t, "width")
		lines := Wrap(text, width)
		for _, line := range lines {
			if utf8.RuneCountInString(line) > width {
				t.Fatalf("%q is wider than %d", line, width)
			}
		}
		bare := func(s string) string { return strings.Join(strings.Fields(s), "") }
		if bare(strings.Join(lines, "")) != bare(text) {
			t.Fatalf("%q became %q", text, lines)
		}
	})
	if got := Wrap("as it is, in a pipe", 0); len(got) != 1 || got[0] != "as it is, in a pipe" {
		t.Errorf("%q", got)
	}
}

func TestPairs(t *testing.T) {
	var b bytes.Buffer
	p := Paper{Out: &b, Width: 30}
	p.Pairs([][2]string{{"a", "one"}, {"left out", ""}, {"näme", "words that do not fit in the line\x1b[2J"}})
	if want := "  a     one\n  näme  words that do not fit\n        in the line\uFFFD[2J\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}
