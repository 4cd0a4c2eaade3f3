// Package chart gives the charts that pages show: which panels a node's metrics make, their points in
// one batch, and the browser modules that draw them (assets/).
//
// A Panel is one chart: a title, a unit, a scale and the queries its lines come from. Host makes the
// panels every machine has, Auto makes one of any metric that nobody wrote a panel for. Read fills
// panels with points; Data.AppendJSON writes them as assets/lines.js reads them.
package chart

import (
	"context"
	"embed"
	"time"

	"muster"
	"muster/internal/series"
)

// Files are the browser modules, below "assets"; a page adds them to the shell under the name "chart".
//
//go:embed assets/*.js assets/*.css
var Files embed.FS

// Source is where points come from; a series.DB is one.
type Source interface {
	Query(ctx context.Context, q series.Query) (*series.Answer, error)
	Metrics(ctx context.Context, account muster.AccountID, node muster.NodeID) ([]series.MetricNow, error)
}

// The units a panel may be in, as assets/units.js knows them. Any other text is shown as it is.
const (
	Share          = "share" // 0 to 1, shown in percent
	Bytes          = "By"
	BytesPerSecond = "By/s"
	BitsPerSecond  = "bit/s"
	Seconds        = "s"
)

// Panel is one chart.
type Panel struct {
	ID    string
	Title string
	Unit  string
	Max   float64 // where the scale ends; 0 = by the values
	Floor float64 // the scale never ends below; 0 = by the values
	Stack bool    // lines lie on each other
	Now   NowRule // which number is printed large
	Note  string  // what stands beside that number; the name of the line when empty and there are several
	Mono  bool    // the title is the name of a metric

	parts []part
}

// NowRule says which of a panel's newest values is printed large.
type NowRule string

const (
	// NowSum prints the sum of all lines.
	NowSum NowRule = "sum"
	// NowFirst prints the first line.
	NowFirst NowRule = "first"
	// NowMost prints the line with the greatest value, and says which that is.
	NowMost NowRule = "most"
)

// part is one query of a panel and what becomes of its answer.
type part struct {
	metric string
	attrs  map[string]string
	over   string  // a metric that values are divided by; "" = none
	factor float64 // values are multiplied by it; 0 = 1
	// group says to which line a series belongs; false leaves it out. Series of one line are summed.
	group func(m *muster.Metric) (group, bool)
}

// group is a line before it has points.
type group struct {
	key, name string
	colour    int // index of a chart colour; -1 = by its place
	order     int // lines are drawn and listed in this order
}

// mostLines is how many lines a panel shows; of more, those with the greatest newest values are kept.
const mostLines = 10

// Data is what Read found.
type Data struct {
	Now    time.Time // of the server
	From   time.Time
	To     time.Time
	Period time.Duration // at which the node measures when nobody looks
	Panels []Drawn
}

// Drawn is a panel with its lines.
type Drawn struct {
	Panel
	Step   time.Duration
	Lines  []Line
	Hidden int    // lines left out because there are too many
	Fresh  *Fresh // the newest value, where the last step is too wide to stand for it
}

// Fresh is a newest value that was read apart from the points.
type Fresh struct {
	Value float64
	Note  string
	At    int64 // Unix ms
}

// Line is one line of a panel. Slices are of equal length; Low and High are nil when every point stands for one value.
type Line struct {
	Key    string
	Name   string
	Colour int
	T      []int64 // Unix ms, ascending
	V      []float64
	Low    []float64
	High   []float64

	order  int
	joined bool // made of several series, so that least and greatest say nothing
}

// Last gives the newest value and its instant in Unix ms; false when the line is empty.
func (l *Line) Last() (v float64, at int64, ok bool) {
	if len(l.T) == 0 {
		return 0, 0, false
	}
	return l.V[len(l.V)-1], l.T[len(l.T)-1], true
}
