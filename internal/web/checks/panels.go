package checks

import (
	"slices"

	"muster"
	"muster/internal/series"
	"muster/internal/web/chart"
)

// panels gives the charts of a check, of what it measured; metrics are those of its subject.
func panels(c *muster.Check, metrics []series.MetricNow) []chart.Panel {
	own := slices.DeleteFunc(slices.Clone(metrics), func(m series.MetricNow) bool { return m.Metric.Attr(muster.CheckAttr) != string(c.ID) })
	b := board{check: c, metrics: own}
	b.add(chart.Panel{ID: "duration", Title: "Duration", Unit: chart.Seconds, Now: chart.NowMost}, b.line(muster.CheckDurationMetric, "whole run", 0))
	for _, kind := range []string{"http", "tcp"} {
		var of []chart.Of
		for i, part := range parts {
			of = append(of, b.part(kind+part.end, part.name, []int{3, 0, 2, 1}[i]))
		}
		b.add(chart.Panel{ID: "timings", Title: "Timings", Unit: chart.Seconds, Stack: true, Now: chart.NowSum}, of...)
	}
	b.add(chart.Panel{ID: "rtt", Title: "Round trip", Unit: chart.Seconds, Now: chart.NowFirst},
		b.part("ping.rtt.avg", "average", 0), b.part("ping.rtt.max", "most", 3), b.part("ping.rtt.min", "least", 1))
	b.add(chart.Panel{ID: "loss", Title: "Loss", Unit: chart.Share, Max: 1, Now: chart.NowMost}, b.line("ping.loss", "lost", 0))
	b.add(chart.Panel{ID: "dns", Title: "Answer", Unit: chart.Seconds, Now: chart.NowMost}, b.line("dns.duration", "answer", 0))
	b.add(chart.Panel{ID: "answers", Title: "Records", Floor: 2, Now: chart.NowMost}, b.line("dns.answers", "records", 0))
	b.add(chart.Panel{ID: "ttl", Title: "Time to live", Unit: chart.Seconds, Now: chart.NowMost}, b.line("dns.ttl", "least", 0))
	b.add(chart.Panel{ID: "certificate", Title: "Certificate, time left", Unit: chart.Seconds, Now: chart.NowMost}, b.line("tls.certificate.remaining", "left", 0))
	b.add(chart.Panel{ID: "code", Title: "Status code", Floor: 600, Now: chart.NowMost}, b.line("http.response.status_code", "code", 0))
	b.add(chart.Panel{ID: "size", Title: "Body", Unit: chart.Bytes, Now: chart.NowMost}, b.line("http.response.body.size", "size", 0))
	b.add(chart.Panel{ID: "age", Title: "Since the call before", Unit: chart.Seconds, Now: chart.NowMost}, b.line("push.age", "age", 0))
	for _, name := range []string{"http.match", "tcp.match"} {
		of := b.line(name, "", 0)
		of.Each = "match"
		b.add(chart.Panel{ID: name, Title: name, Mono: true, Now: chart.NowMost}, of)
	}
	return b.panels
}

// board gathers panels.
type board struct {
	check   *muster.Check
	metrics []series.MetricNow // of the check
	panels  []chart.Panel
}

func (b *board) add(p chart.Panel, of ...chart.Of) {
	if made, ok := chart.Custom(p, b.metrics, of...); ok {
		b.panels = append(b.panels, made)
	}
}

// line asks for one metric, with a line for each zone where there are several.
func (b *board) line(metric, name string, colour int) chart.Of {
	of := chart.Of{Metric: metric, Name: name, Colour: colour, Attrs: map[string]string{muster.CheckAttr: string(b.check.ID)}}
	if len(b.check.Zones) > 1 {
		of.Each = muster.ZoneAttr
	}
	return of
}

// part asks for one of several metrics of a panel: what lies side by side is of one zone only, the first.
func (b *board) part(metric, name string, colour int) chart.Of {
	of := chart.Of{Metric: metric, Name: name, Colour: colour, Attrs: map[string]string{muster.CheckAttr: string(b.check.ID)}}
	if len(b.check.Zones) > 0 {
		of.Attrs[muster.ZoneAttr] = b.check.Zones[0]
	}
	return of
}
