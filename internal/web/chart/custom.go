package chart

import (
	"slices"

	"muster"
	"muster/internal/series"
)

// Of says which metric a line of a page's own panel comes from.
type Of struct {
	Metric string
	Name   string            // of the line
	Over   string            // when set, the line is Metric divided by this one: seconds by calls
	Each   string            // when set, every value of this attribute is a line of its own, and Name is not used
	Attrs  map[string]string // that its series must have; nil: any
	Colour int
}

// Custom makes a panel of a page's own: its head is that of p, its lines come from those metrics that are there.
// It is false when none is.
func Custom(p Panel, metrics []series.MetricNow, of ...Of) (Panel, bool) {
	have := func(name string) bool {
		return name == "" || slices.ContainsFunc(metrics, func(m series.MetricNow) bool { return m.Metric.Name == name })
	}
	for i, o := range of {
		if o.Metric == "" || !have(o.Metric) || !have(o.Over) {
			continue
		}
		q := part{metric: o.Metric, over: o.Over, attrs: o.Attrs, group: one(group{key: o.Name, name: o.Name, colour: o.Colour, order: i})}
		if o.Each != "" {
			q.group = func(m *muster.Metric) (group, bool) {
				v := m.Attr(o.Each)
				return group{key: v, name: v, colour: -1, order: i}, v != ""
			}
		}
		p.parts = append(p.parts, q)
	}
	return p, len(p.parts) > 0
}

// Only keeps the panels with these ids, in this order.
func Only(panels []Panel, ids []string) []Panel {
	var out []Panel
	for _, id := range ids {
		if i := slices.IndexFunc(panels, func(p Panel) bool { return p.ID == id }); i >= 0 {
			out = append(out, panels[i])
		}
	}
	return out
}
