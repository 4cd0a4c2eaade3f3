package chart

import "muster"

// Single makes a panel of the series of one metric: its head is that of p, its lines are those series for which line
// gives a key that tells them apart and a name. attrs are attributes that a series must have; nil: any.
func Single(p Panel, metric string, attrs map[string]string, line func(m *muster.Metric) (key, name string, ok bool)) Panel {
	p.parts = []part{{metric: metric, attrs: attrs, group: func(m *muster.Metric) (group, bool) {
		key, name, ok := line(m)
		return group{key: key, name: name, colour: -1}, ok
	}}}
	return p
}
