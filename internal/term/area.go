package term

import (
	"math"
	"strings"
)

// Area draws one row of an area of so many rows; row 0 is the lowest. A value that is NaN is a gap, so that
// a gap in the data is one in the picture.
func Area(values []float64, low, high float64, row, height int) string {
	blocks := [...]rune{' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'} // by eighths, from the bottom
	var b strings.Builder
	for _, v := range values {
		if math.IsNaN(v) {
			b.WriteByte(' ')
			continue
		}
		filled := (v-low)/(high-low)*float64(height) - float64(row)
		eighths := int(math.Round(filled * 8))
		if row == 0 {
			eighths = max(eighths, 1) // a value of zero is a value
		}
		b.WriteRune(blocks[min(max(eighths, 0), 8)])
	}
	return b.String()
}

// Sparkline draws values in one row of characters.
func Sparkline(values []float64, low, high float64) string { return Area(values, low, high, 0, 1) }
