// Package shape gives the API's shapes of the nouns, and reads those that people send into nouns. What
// must be quick is appended as JSON by hand; the rest are values of package api.
package shape

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"muster"
	"muster/api"
)

// Node gives the API's shape of a node.
func Node(n *muster.Node, now *muster.NodeNow) api.Node {
	out := api.Node{
		Object:   api.Object{ID: n.ID.String(), Rev: n.Rev, CreatedAt: n.CreatedAt.UTC(), UpdatedAt: n.UpdatedAt.UTC()},
		Name:     n.Name,
		Hostname: n.Hostname,
		State:    string(stateOf(now)),
		LastSeen: Time(now.LastSeen), StateSince: Time(now.Since),
		Addresses: Texts(n.Addresses), Tags: Texts(n.Tags),
		Star: n.Star, Colour: n.Colour, Notes: n.Notes, Watched: !n.Unwatched,
		Facts: n.Facts,
		Now: api.NodeNow{
			CPU: Number(now.CPU), Memory: Number(now.Memory), Disk: Number(now.Disk), DiskMount: now.DiskMount,
			Load: Number(now.Load), Uptime: Number(now.Uptime), NetIn: Number(now.NetIn), NetOut: Number(now.NetOut),
			Metrics: now.Metrics,
		},
	}
	if out.Facts == nil {
		out.Facts = map[string]string{}
	}
	if len(n.AgentKey) > 0 || now.Connected {
		out.Agent = toAgent(n, now)
	}
	return out
}

func toAgent(n *muster.Node, now *muster.NodeNow) *api.Agent {
	a := &api.Agent{Version: n.AgentVersion, Connected: now.Connected, Dropped: now.Dropped}
	if n.Period > 0 {
		a.Period = api.FormatDuration(n.Period)
	}
	if off := now.ClockOff.Truncate(time.Millisecond); off != 0 {
		a.ClockOff = api.FormatDuration(off)
	}
	if n.Farewell.Reason != "" {
		a.Farewell = &api.Parted{Reason: string(n.Farewell.Reason), At: n.Farewell.At.UTC()}
	}
	return a
}

func stateOf(now *muster.NodeNow) muster.NodeState {
	if now.State == "" {
		return muster.Unknown
	}
	return now.State
}

// Texts makes an empty list of none.
func Texts(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// Time gives UTC, nil for the zero time.
func Time(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// Number gives nil for what JSON has no Number for.
func Number(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

// A list of ten thousand nodes is appended by hand, since reflection would take longer than everything
// else together; a test holds the two forms equal.

// AppendNode appends a node as JSON, equal to that of Node.
func AppendNode(b []byte, n *muster.Node, now *muster.NodeNow) []byte {
	b = append(b, `{"id":"`...)
	b = append(b, n.ID.String()...)
	b = append(b, `","rev":`...)
	b = strconv.AppendUint(b, n.Rev, 10)
	b = AppendTime(append(b, `,"created_at":`...), n.CreatedAt)
	b = AppendTime(append(b, `,"updated_at":`...), n.UpdatedAt)
	b = AppendText(append(b, `,"name":`...), n.Name)
	b = AppendText(append(b, `,"hostname":`...), n.Hostname)
	b = AppendText(append(b, `,"state":`...), string(stateOf(now)))
	if !now.Since.IsZero() {
		b = AppendTime(append(b, `,"state_since":`...), now.Since)
	}
	if !now.LastSeen.IsZero() {
		b = AppendTime(append(b, `,"last_seen":`...), now.LastSeen)
	}
	b = appendTexts(append(b, `,"addresses":`...), n.Addresses)
	b = appendTexts(append(b, `,"tags":`...), n.Tags)
	b = strconv.AppendBool(append(b, `,"star":`...), n.Star)
	if n.Colour != "" {
		b = AppendText(append(b, `,"colour":`...), n.Colour)
	}
	if n.Notes != "" {
		b = AppendText(append(b, `,"notes":`...), n.Notes)
	}
	b = strconv.AppendBool(append(b, `,"watched":`...), !n.Unwatched)
	b = appendFacts(append(b, `,"facts":`...), n.Facts)
	if len(n.AgentKey) > 0 || now.Connected {
		raw, _ := json.Marshal(toAgent(n, now)) // strings, numbers and a time: it can't fail
		b = append(append(b, `,"agent":`...), raw...)
	}
	b = appendNow(append(b, `,"now":`...), now)
	return append(b, '}')
}

func appendNow(b []byte, now *muster.NodeNow) []byte {
	b = append(b, '{')
	b = appendNumber(b, `"cpu":`, now.CPU)
	b = appendNumber(b, `"memory":`, now.Memory)
	b = appendNumber(b, `"disk":`, now.Disk)
	if now.DiskMount != "" {
		b = append(AppendText(append(b, `"disk_mount":`...), now.DiskMount), ',')
	}
	b = appendNumber(b, `"load":`, now.Load)
	b = appendNumber(b, `"uptime":`, now.Uptime)
	b = appendNumber(b, `"net_in":`, now.NetIn)
	b = appendNumber(b, `"net_out":`, now.NetOut)
	b = strconv.AppendInt(append(b, `"metrics":`...), int64(now.Metrics), 10)
	return append(b, '}')
}

// appendNumber appends a key, a Number and a comma, or nothing when JSON has no such Number.
func appendNumber(b []byte, key string, v float64) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return b
	}
	return append(AppendFloat(append(b, key...), v), ',')
}

// AppendFloat writes a Number as encoding/json does.
func AppendFloat(b []byte, v float64) []byte {
	if abs := math.Abs(v); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		raw, _ := json.Marshal(v)
		return append(b, raw...)
	}
	return strconv.AppendFloat(b, v, 'f', -1, 64)
}

// AppendTime appends a time as JSON, in UTC.
func AppendTime(b []byte, t time.Time) []byte {
	b = append(b, '"')
	b = t.UTC().AppendFormat(b, time.RFC3339Nano)
	return append(b, '"')
}

func appendTexts(b []byte, texts []string) []byte {
	b = append(b, '[')
	for i, s := range texts {
		if i > 0 {
			b = append(b, ',')
		}
		b = AppendText(b, s)
	}
	return append(b, ']')
}

func appendFacts(b []byte, facts map[string]string) []byte {
	var room [32]string
	keys := slices.AppendSeq(room[:0], maps.Keys(facts))
	slices.Sort(keys)
	b = append(b, '{')
	for i, key := range keys {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(AppendText(b, key), ':')
		b = AppendText(b, facts[key])
	}
	return append(b, '}')
}

// AppendText writes a string: as it is when nothing in it means anything to JSON, else by encoding/json.
func AppendText(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf || c == '<' || c == '>' || c == '&' || c == 0x7f {
			raw, _ := json.Marshal(s)
			return append(b, raw...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
