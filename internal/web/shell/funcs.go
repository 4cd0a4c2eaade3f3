package shell

import (
	"fmt"
	"html/template"
	"math"
	"strconv"
	"strings"
	"time"

	"muster"
)

// Funcs gives what templates may call:
//
//	asset "shell/shell.css"   address of an asset
//	state .State              the shape and colour of a state, with its word for screen readers: ok, warning, critical or a muster.NodeState
//	ago .Time                 "4 min", ticking in the browser, with the exact time on hover; "—" for the zero time
//	clock .Time               "13:46", or the date when it is not today
//	hour .Time                "13:46"
//	meter share warn crit     a bar with its percentage; it takes colour at the limits (0 = no limit)
//	pct share                 "38 %", or "—" when unknown
//	bytes n                   "7.4 TiB"
//	mbit bytesPerSecond       "27.5": megabits per second with one decimal
//	spark values              a small line, scaled to its own peak
//	strip runs                the last runs of a check ([]Run), worse ones taller
//	tag "env=prod"            a tag with its key dimmed
//	dur .Duration             "58 d": the two largest units at most
//	markdown .Notes           what people wrote, as harmless HTML
//	version                   the program's version
func (s *Shell) Funcs() template.FuncMap {
	return template.FuncMap{
		"asset": s.Asset, "state": stateMark, "meter": meter, "pct": Percent, "bytes": Bytes,
		"mbit": Mbit, "spark": Spark, "strip": Strip, "tag": tagMark, "dur": Span,
		"ago":      func(t time.Time) template.HTML { return agoMark(t, s.Now()) },
		"clock":    func(t time.Time) template.HTML { return clockMark(t, s.Now()) },
		"hour":     func(t time.Time) template.HTML { return hourMark(t) },
		"markdown": Markdown,
		"version":  func() string { return s.opts.Version },
	}
}

// stateMark draws a state: every state has its own shape, so that colour is never alone.
func stateMark(state any) template.HTML {
	word := fmt.Sprint(state)
	shape := `<circle class="none" cx="5" cy="5" r="3"/>`
	switch word {
	case "ok", string(muster.Up):
		shape = `<circle class="ok" cx="5" cy="5" r="3.2"/>`
	case "warning":
		shape = `<path class="warn" d="M5 .8 9.6 9.2H.4Z"/>`
	case "critical", string(muster.Down):
		shape = `<rect class="crit" x="1" y="1" width="8" height="8" rx="1.5"/>`
	case string(muster.Stopped):
		shape = `<rect class="rest" x="2" y="4" width="6" height="2"/>`
	case string(muster.Terminated):
		shape = `<path class="none" d="m2.5 2.5 5 5m0-5-5 5"/>`
	}
	word = template.HTMLEscapeString(word)
	return template.HTML(`<svg class="s" viewBox="0 0 10 10" role="img" aria-label="` + word + `"><title>` + word + `</title>` + shape + `</svg>`)
}

// Percent gives a share (0 to 1) as whole percents, or a dash when it is not known.
func Percent(share float64) string {
	if math.IsNaN(share) || math.IsInf(share, 0) {
		return "—"
	}
	return strconv.Itoa(int(math.Round(share*100))) + " %"
}

// meterWidth is the length of a meter's bar in CSS pixels.
const meterWidth = 42

func meter(share, warn, crit float64) template.HTML {
	class, text := "meter", "—"
	if math.IsNaN(share) {
		class, share = "meter na", 0
	} else {
		share = min(max(share, 0), 1)
		text = strconv.Itoa(int(math.Round(share*100))) + "%"
	}
	switch {
	case crit > 0 && share >= crit:
		class += " crit"
	case warn > 0 && share >= warn:
		class += " warn"
	}
	return template.HTML(fmt.Sprintf(
		`<span class="%s"><svg width="%d" height="4" viewBox="0 0 %d 4" preserveAspectRatio="none" aria-hidden="true"><rect class="track" width="%d" height="4" rx="2"/><rect class="fill" width="%.1f" height="4" rx="2"/></svg><b>%s</b></span>`,
		class, meterWidth, meterWidth, meterWidth, share*meterWidth, text))
}

// Bytes gives a number of bytes with three digits and a binary unit.
func Bytes(n float64) string {
	if math.IsNaN(n) {
		return "—"
	}
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB"}
	i := 0
	for n >= 1000 && i < len(units)-1 {
		n /= 1024
		i++
	}
	if i == 0 || n >= 99.95 {
		return strconv.FormatFloat(n, 'f', 0, 64) + " " + units[i]
	}
	return strings.TrimSuffix(strconv.FormatFloat(n, 'f', 1, 64), ".0") + " " + units[i]
}

// Mbit gives bytes per second as megabits per second with one decimal, without the unit, which stands in the header.
func Mbit(bytesPerSecond float64) string {
	if math.IsNaN(bytesPerSecond) {
		return "—"
	}
	return strconv.FormatFloat(bytesPerSecond*8/1e6, 'f', 1, 64)
}

// Spark draws values as a small line, scaled to their own peak; NaN leaves a gap.
func Spark(values []float32) template.HTML {
	const w, h = 72.0, 18.0
	if len(values) < 2 {
		return `<svg class="spark" width="72" height="18" aria-hidden="true"></svg>`
	}
	return template.HTML(`<svg class="spark" width="72" height="18" aria-hidden="true"><path d="` + sparkPath(values, w, h) + `"/></svg>`)
}

func sparkPath(values []float32, w, h float64) string {
	peak := 0.0
	for _, v := range values {
		if f := float64(v); !math.IsNaN(f) && f > peak {
			peak = f
		}
	}
	if peak == 0 {
		peak = 1
	}
	b := make([]byte, 0, len(values)*10)
	pen := byte('M')
	for i, v := range values {
		f := float64(v)
		if math.IsNaN(f) {
			pen = 'M'
			continue
		}
		b = append(b, pen)
		b = strconv.AppendFloat(b, math.Round(float64(i)/float64(len(values)-1)*w*10)/10, 'f', -1, 64)
		b = append(b, ' ')
		b = strconv.AppendFloat(b, math.Round((h-1.5-max(f, 0)/peak*(h-3))*10)/10, 'f', -1, 64)
		pen = 'L'
	}
	return string(b)
}

func tagMark(tag string) template.HTML {
	key, value, ok := strings.Cut(tag, "=")
	if !ok {
		return template.HTML(`<span class="tag">` + template.HTMLEscapeString(tag) + `</span>`)
	}
	return template.HTML(`<span class="tag"><i>` + template.HTMLEscapeString(key) + `=</i>` + template.HTMLEscapeString(value) + `</span>`)
}

func agoMark(t, now time.Time) template.HTML {
	if t.IsZero() {
		return `<span class="dim2">—</span>`
	}
	return template.HTML(fmt.Sprintf(`<time datetime="%s" data-ago>%s</time>`, t.UTC().Format(time.RFC3339), Span(now.Sub(t))))
}

func clockMark(t, now time.Time) template.HTML {
	if t.IsZero() {
		return "—"
	}
	form := "15:04"
	if now.Sub(t) > 18*time.Hour {
		form = "2 Jan"
	}
	return template.HTML(fmt.Sprintf(`<time datetime="%s" data-clock>%s</time>`, t.UTC().Format(time.RFC3339), t.Format(form)))
}

func hourMark(t time.Time) template.HTML {
	return template.HTML(fmt.Sprintf(`<time datetime="%s" data-hour>%s</time>`, t.UTC().Format(time.RFC3339), t.Format("15:04")))
}

// Span gives a duration in one unit, as people say it: "1 s", "4 min", "3 h", "58 d". time.js says the same.
func Span(d time.Duration) string {
	sec := max(int64(d/time.Second), 0)
	switch {
	case sec < 60:
		return strconv.FormatInt(sec, 10) + " s"
	case sec < 3600:
		return strconv.FormatInt(sec/60, 10) + " min"
	case sec < 48*3600:
		return strconv.FormatInt(sec/3600, 10) + " h"
	}
	return strconv.FormatInt(sec/86400, 10) + " d"
}
