// Package rules gives the parts of alarms that need nothing but their documents: the alarms that every account begins
// with, which metrics an alarm looks at, and how alarms and values are said in words.
package rules

import (
	"cmp"
	"slices"
	"strings"

	"muster"
)

// Metrics chooses the metrics that an alarm looks at.
type Metrics struct {
	Name  string // empty: none, the alarm watches that agents report
	attrs []wanted
}

// wanted is an attribute that a metric must have.
type wanted struct {
	key, pattern string
}

// MetricsOf gives what an alarm looks at: with a check and without a metric it is the check's status.
func MetricsOf(a *muster.Alarm) Metrics {
	m := Metrics{Name: a.Metric}
	for key, pattern := range a.Attrs {
		m.attrs = append(m.attrs, wanted{key, pattern})
	}
	if a.Check != "" {
		m.Name = cmp.Or(m.Name, muster.CheckStatusMetric)
		m.attrs = append(m.attrs, wanted{muster.CheckAttr, string(a.Check)})
	}
	slices.SortFunc(m.attrs, func(x, y wanted) int { return cmp.Compare(x.key, y.key) })
	return m
}

// Exact gives the attributes that must have just one value.
func (w *Metrics) Exact() map[string]string {
	out := map[string]string{}
	for _, a := range w.attrs {
		if !strings.ContainsAny(a.pattern, "*?") {
			out[a.key] = a.pattern
		}
	}
	return out
}

// Hits says whether a metric is one of them.
func (w *Metrics) Hits(m *muster.Metric) bool {
	if m.Name != w.Name || w.Name == "" {
		return false
	}
	for _, want := range w.attrs {
		at := slices.IndexFunc(m.Attrs, func(a muster.Attr) bool { return a.Key == want.key })
		if at < 0 || !wild(want.pattern, m.Attrs[at].Value) {
			return false
		}
	}
	return true
}

// Sibling finds the column of another metric with the same attributes in a schema; -1 when there is none, or name is empty.
func Sibling(schema *muster.Schema, of *muster.Metric, name string) int {
	other := muster.Metric{Name: name, Attrs: of.Attrs}
	key := other.Key()
	for i := range schema.Metrics {
		if name != "" && schema.Metrics[i].Name == name && schema.Metrics[i].Key() == key {
			return i
		}
	}
	return -1
}

// ParseKey takes muster.Metric.Key apart: the metric has name and attributes, and no more.
func ParseKey(key string) *muster.Metric {
	parts := strings.Split(key, "\x00")
	m := &muster.Metric{Name: parts[0]}
	for _, part := range parts[1:] {
		k, v, _ := strings.Cut(part, "\x01")
		m.Attrs = append(m.Attrs, muster.Attr{Key: k, Value: v})
	}
	return m
}

// wild compares a text with a pattern in which * stands for any characters and ? for one. On a mismatch only
// the last * is tried again, which keeps the time within the product of both lengths.
func wild(pattern, text string) bool {
	p, t, star, from := 0, 0, -1, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, from = p, t
			p++
		case p < len(pattern) && pattern[p] == '?':
			p++
			t += runeLen(text[t:])
		case p < len(pattern) && pattern[p] == text[t]:
			p, t = p+1, t+1
		case star >= 0:
			from++
			p, t = star+1, from
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// runeLen gives how many bytes the first character has.
func runeLen(s string) int {
	for i := range s {
		if i > 0 {
			return i
		}
	}
	return len(s)
}

// Series names a series for people: the check's name for one of a check, else the attributes that tell it apart.
func Series(m *muster.Metric, check *muster.Check) string {
	var parts []string
	for _, a := range m.Attrs {
		switch {
		case a.Key == muster.CheckAttr, a.Key == muster.ZoneAttr && a.Value == muster.LocalZone:
		case dull(a.Key) && m.Attr(mountAttr) != "":
		default:
			parts = append(parts, a.Key+"="+a.Value)
		}
	}
	text := strings.Join(parts, ", ")
	if check == nil {
		return Clip(text)
	}
	if text == "" {
		return Clip(check.Name)
	}
	return Clip(check.Name + ", " + text)
}

const mountAttr = "system.filesystem.mountpoint"

// dull says whether an attribute says nothing more where the mount point is known.
func dull(key string) bool {
	return key == "system.device" || key == "system.filesystem.type"
}

// Clip bounds what becomes part of states and messages.
func Clip(s string) string {
	const most = 200
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
