package chart

import (
	"slices"
	"strings"

	"muster"
	"muster/internal/series"
)

// Auto gives one panel for each metric name that keep accepts (nil accepts all): a line for each series, the scale by
// the unit. metrics must be ordered by name, as Source.Metrics gives them.
func Auto(metrics []series.MetricNow, keep func(m *muster.Metric) bool) []Panel {
	var out []Panel
	for len(metrics) > 0 {
		n := 1
		for n < len(metrics) && metrics[n].Metric.Name == metrics[0].Metric.Name {
			n++
		}
		if keep == nil || keep(&metrics[0].Metric) {
			out = append(out, auto(metrics[:n]))
		}
		metrics = metrics[n:]
	}
	return out
}

// auto makes the panel of one metric name.
func auto(same []series.MetricNow) Panel {
	m := &same[0].Metric
	vary := varying(same)
	p := Panel{
		ID: "m:" + m.Name, Title: m.Name, Mono: true, Unit: Unit(m), Now: NowMost,
		parts: []part{{metric: m.Name, group: func(m *muster.Metric) (group, bool) {
			name := LineName(m, vary)
			return group{key: m.Key(), name: name, colour: -1}, true
		}}},
	}
	if len(same) == 1 {
		p.Now = NowFirst
	}
	if p.Unit == Share && m.Kind == muster.Gauge {
		p.Max = 1
	}
	return p
}

// varying gives the keys of those attributes that tell the series of one name apart.
func varying(same []series.MetricNow) []string {
	values := map[string]map[string]bool{}
	for i := range same {
		for _, a := range same[i].Metric.Attrs {
			if values[a.Key] == nil {
				values[a.Key] = map[string]bool{}
			}
			values[a.Key][a.Value] = true
		}
	}
	var keys []string
	for key, v := range values {
		if len(v) > 1 {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// LineName gives the text that tells a series from others of its name: the values of the attributes named.
func LineName(m *muster.Metric, keys []string) string {
	var parts []string
	for _, key := range keys {
		if v := m.Attr(key); v != "" {
			parts = append(parts, v)
		}
	}
	if len(parts) == 0 {
		if len(m.Attrs) == 1 {
			return m.Attrs[0].Value
		}
		return m.Name
	}
	return strings.Join(parts, " · ")
}

// Unit gives the unit a metric's chart is in: of the rate for counters, in the words of this package.
func Unit(m *muster.Metric) string {
	unit := m.Unit
	if unit == "" || unit == "1" {
		if guess := unitByName(m.Name); guess != "" {
			unit = guess
		}
	}
	if m.Kind != muster.Counter {
		return gaugeUnit(unit)
	}
	switch unit {
	case "s", "ms", "us", "ns":
		return Share // seconds of every second
	case "", "1":
		return "/s"
	}
	return gaugeUnit(unit) + "/s"
}

func gaugeUnit(unit string) string {
	switch {
	case unit == "1":
		return ""
	case strings.HasPrefix(unit, "{") && strings.HasSuffix(unit, "}"):
		return plural(unit[1 : len(unit)-1])
	}
	return unit
}

// unitByName reads the unit off names in the habits of OpenTelemetry and Prometheus, where the metric itself has none.
func unitByName(name string) string {
	name = strings.TrimSuffix(strings.TrimSuffix(name, "_total"), "_sum")
	for _, suffix := range []string{"utilization", "_ratio", ".ratio", "_share"} {
		if strings.HasSuffix(name, suffix) {
			return Share
		}
	}
	if strings.HasSuffix(name, "_bytes") {
		return Bytes
	}
	if strings.HasSuffix(name, "_seconds") {
		return Seconds
	}
	return ""
}

func plural(word string) string {
	switch {
	case word == "" || strings.HasSuffix(word, "s") && !strings.HasSuffix(word, "ss"):
		return word
	case strings.HasSuffix(word, "s") || strings.HasSuffix(word, "ch") || strings.HasSuffix(word, "sh") || strings.HasSuffix(word, "x"):
		return word + "es"
	}
	return word + "s"
}
