package shell

import (
	"fmt"
	"html/template"
	"slices"
	"strconv"
	"strings"
	"time"

	"muster"
)

// Run is one run of a check, as a strip draws it.
type Run struct {
	Status muster.CheckStatus
	At     time.Time
}

// How a strip is drawn, in CSS pixels.
const (
	stripRuns   = 20
	stripStep   = 5
	stripHeight = 16
)

// Strip draws the last runs of a check, oldest first: the worse one was, the taller it stands, and what nobody knows
// of is hollow. The words for it stand beside it, for those who don't see it.
func Strip(runs []Run) template.HTML {
	runs = runs[max(0, len(runs)-stripRuns):]
	width := stripRuns * stripStep
	b := make([]byte, 0, 200+60*len(runs))
	b = fmt.Appendf(b, `<svg class="strip" width="%d" height="%d" viewBox="0 0 %d %d" role="img" aria-label="%s">`, width, stripHeight, width, stripHeight, stripWords(runs))
	for i, r := range runs {
		class, height := "ok", 6
		switch r.Status {
		case muster.StatusWarning:
			class, height = "warn", 11
		case muster.StatusCritical:
			class, height = "crit", stripHeight
		case muster.StatusUnknown, muster.StatusPending:
			class, height = "none", 11
		}
		x := width - (len(runs)-i)*stripStep + 1
		if class == "none" {
			b = fmt.Appendf(b, `<rect class="none" x="%d.5" y="%d.5" width="2" height="%d"/>`, x, stripHeight-height, height-1)
			continue
		}
		b = fmt.Appendf(b, `<rect class="%s" x="%d" y="%d" width="3" height="%d"/>`, class, x, stripHeight-height, height)
	}
	return template.HTML(append(b, "</svg>"...))
}

// stripWords says the same as the picture.
func stripWords(runs []Run) string {
	if len(runs) == 0 {
		return "no run yet"
	}
	counts := map[muster.CheckStatus]int{}
	for _, r := range runs {
		counts[r.Status]++
	}
	words := []string{"last run", "last " + strconv.Itoa(len(runs)) + " runs"}[min(len(runs)-1, 1)] + ": "
	var parts []string
	for _, s := range []muster.CheckStatus{muster.StatusCritical, muster.StatusWarning, muster.StatusUnknown, muster.StatusPending, muster.StatusOK} {
		if n := counts[s]; n == len(runs) {
			return words + string(s)
		} else if n > 0 {
			parts = append(parts, strconv.Itoa(n)+" "+string(s))
		}
	}
	return words + strings.Join(slices.Clip(parts), ", ")
}
