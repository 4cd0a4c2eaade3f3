package sheet

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"muster/api"
	"muster/internal/term"
)

// Status shows how what is checked is, as a shape, a word and a colour.
func Status(status string) term.Cell {
	switch status {
	case "ok":
		return term.Cell{Text: "ok", Ink: term.Green, Shape: "●"}
	case "warning":
		return term.Cell{Text: "warning", Ink: term.Amber, Shape: "▲"}
	case "critical":
		return term.Cell{Text: "critical", Ink: term.Red, Shape: "■"}
	case "pending":
		return term.Cell{Text: "pending", Ink: term.Dim, Shape: "◌"}
	case "off":
		return term.Cell{Text: "off", Ink: term.Dim, Shape: "–"}
	}
	return term.Cell{Text: status, Ink: term.Amber, Shape: "?"}
}

func checkStatus(c *api.Check) term.Cell {
	if !c.Enabled {
		return Status("off")
	}
	return Status(c.Status)
}

// Checks lays checks out; name gives the name of what has an id.
func Checks(checks []api.Check, name func(id string) string, now time.Time) *term.Table {
	t := &term.Table{Columns: []term.Column{{Title: "name", Most: 20}, {Title: "status"}, {Title: "since", Right: true, Drop: 3}, {Title: "answer", Most: 24}, {Title: "took", Right: true, Drop: 4},
		{Title: "kind", Drop: 5}, {Title: "target", Drop: 6, Most: 24}, {Title: "node", Drop: 2, Most: 12}, {Title: "every", Right: true, Drop: 7}}}
	for i := range checks {
		c := &checks[i]
		var answer, took string
		if r := worst(c.Last); r != nil {
			answer, took = r.Summary, term.Span(r.DurationMS/1e3)
		}
		t.Add(term.Text(c.Name), checkStatus(c), term.Text(term.Since(c.Since, now)), term.Text(answer), term.Text(took), term.Text(c.Kind), term.Text(c.Target), term.Text(name(c.Node)), term.Text(c.Period))
	}
	return t
}

// worst gives the result that a check's status comes from: of several zones the worst.
func worst(results []api.Result) (w *api.Result) {
	rank := map[string]int{"critical": 4, "unknown": 3, "warning": 2, "ok": 1}
	for i := range results {
		if w == nil || rank[results[i].Status] > rank[w.Status] {
			w = &results[i]
		}
	}
	return w
}

// Check shows all that is known of a check.
func Check(p term.Paper, c *api.Check, name func(id string) string, now time.Time) {
	headline(p, c.Name, checkStatus(c), c.Since, now)
	p.Pairs(append([][2]string{
		{"id", c.ID}, {"kind", c.Kind}, {"target", c.Target}, {"node", name(c.Node)}, {"every", c.Period + ", at most " + c.Timeout},
		{"zones", strings.Join(c.Zones, " ")}, {"call", c.PushURL},
	}, Config(c.Config)...))
	for i := range c.Last {
		p.Line("")
		Result(p, &c.Last[i], now)
	}
}

// headline writes a name, how it is and since when.
func headline(p term.Paper, name string, s term.Cell, since *time.Time, now time.Time) {
	line := p.Paint(term.Clean(name), term.Bold) + "  " + p.Paint(strings.TrimSpace(s.Shape+" "+term.Clean(s.Text)), s.Ink)
	if since != nil {
		line += " since " + since.Local().Format("2 Jan 15:04") + " (" + term.Since(since, now) + ")"
	}
	p.Line("%s", line)
}

// Results lays out what runs gave, in the order in which they come.
func Results(results []api.Result) *term.Table {
	t := &term.Table{Columns: []term.Column{{Title: "when"}, {Title: "status"}, {Title: "took", Right: true}, {Title: "answer", Most: 24}, {Title: "error", Most: 10, Drop: 1}, {Title: "zone", Drop: 2}}}
	for i := range results {
		r := &results[i]
		t.Add(term.Cell{Text: r.At.Local().Format(time.DateTime), Ink: term.Dim}, Status(r.Status), term.Text(term.Span(r.DurationMS/1e3)), term.Text(r.Summary), term.Text(fault(r)), term.Text(r.Zone))
	}
	return t
}

// Result shows one run: how it was, what it took, the certificate, and what was seen.
func Result(p term.Paper, r *api.Result, now time.Time) {
	s := Status(r.Status)
	head := strings.TrimSpace(s.Shape + " " + term.Clean(s.Text))
	p.Hang(p.Paint(head, s.Ink)+"  ", utf8.RuneCountInString(head)+2, r.Summary)
	p.Pairs([][2]string{{"error", fault(r)}, {"ran", r.At.Local().Format(time.DateTime) + " in zone " + r.Zone}})
	timings(p, r)
	rows := certificate(r.Evidence, now)
	for _, metric := range keys(r.Metrics) {
		if _, timing := phase(metric); !timing && !strings.HasPrefix(metric, "tls.") && !strings.HasPrefix(metric, "check.") {
			rows = append(rows, [2]string{metric, measured(metric, r.Metrics[metric])})
		}
	}
	for _, key := range keys(r.Evidence) {
		if !strings.HasPrefix(key, "tls.") {
			rows = append(rows, [2]string{key, r.Evidence[key]})
		}
	}
	p.Pairs(rows)
}

// fault writes the class of a run's error, and its words where the summary has others.
func fault(r *api.Result) string {
	switch {
	case r.Error == nil:
		return ""
	case r.Error.Message == r.Summary:
		return r.Error.Class
	}
	return r.Error.Class + ": " + r.Error.Message
}

// measured writes a value whose unit only its name tells.
func measured(metric string, v float64) string {
	switch {
	case strings.HasSuffix(metric, ".size"):
		return term.Bytes(v)
	case strings.Contains(metric, ".rtt.") || strings.HasSuffix(metric, ".duration") || strings.HasSuffix(metric, ".ttl") || strings.HasSuffix(metric, ".age"):
		return term.Span(v)
	case strings.HasSuffix(metric, ".loss"):
		return term.Digits(v*100) + "%"
	}
	return term.Digits(v)
}

// phases are the parts of a run, in their order.
func phases() [][2]string {
	return [][2]string{{".dns.duration", "resolve"}, {".connect.duration", "connect"}, {".tls.duration", "TLS"}, {".first_byte.duration", "first byte"}, {".duration", "total"}}
}

// phase says which part of a run a metric is the duration of.
func phase(metric string) (word string, ok bool) {
	for _, ph := range phases() {
		if kind, found := strings.CutSuffix(metric, ph[0]); found && !strings.Contains(kind, ".") && kind != "check" {
			return ph[1], true
		}
	}
	return "", false
}

// timings writes the parts of a run below each other, on a terminal each where it lay in time.
func timings(p term.Paper, r *api.Result) {
	took := map[string]float64{"total": r.DurationMS / 1e3}
	for metric, v := range r.Metrics {
		if word, ok := phase(metric); ok && word != "total" {
			took[word] = v
		}
	}
	const labels, most = 26, 48
	room := min(p.Width-labels, most)
	begun := 0.0
	for _, ph := range phases() {
		word := ph[1]
		v, ok := took[word]
		if !ok {
			continue
		}
		line := fmt.Sprintf("  %s  %10s", p.Paint(fmt.Sprintf("%-10s", word), term.Dim), term.Span(v))
		if word == "total" {
			begun = 0
		}
		if room > 0 && took["total"] > 0 {
			from := min(int(begun/took["total"]*float64(room)), room-1)
			n := max(1, min(int(v/took["total"]*float64(room)+0.5), room-from))
			line += "  " + strings.Repeat(" ", from) + p.Paint(strings.Repeat("▇", n), term.Blue)
		}
		begun += v
		p.Line("%s", line)
	}
}

// certificate says whose it was, until when it is good and what is wrong with it.
func certificate(seen map[string]string, now time.Time) (rows [][2]string) {
	if seen["tls.subject"] == "" && seen["tls.not_after"] == "" {
		return nil
	}
	text := seen["tls.names"]
	if text == "" {
		text = seen["tls.subject"]
	}
	if until, err := time.Parse(time.RFC3339, seen["tls.not_after"]); err == nil {
		left := "for " + term.Ago(until.Sub(now)) + " more"
		if until.Before(now) {
			left = "ended " + term.Ago(now.Sub(until)) + " ago"
		}
		text += ", until " + until.Local().Format("2 Jan 2006") + " (" + left + ")"
	}
	rows = append(rows, [2]string{"certificate", text}, [2]string{"issued by", seen["tls.issuer"]}, [2]string{"protocol", seen["tls.version"]})
	if problem := seen["tls.problem"]; problem != "" {
		rows = append(rows, [2]string{"problem", "▲ " + problem + ": " + seen["tls.error"]})
	}
	return rows
}
