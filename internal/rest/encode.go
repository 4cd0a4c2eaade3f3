package rest

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
	"muster/internal/inventory"
)

// toNode gives the API's shape of a node.
func toNode(row inventory.Row) api.Node {
	n, now := row.Node, &row.Now
	out := api.Node{
		Object:   api.Object{ID: n.ID.String(), Rev: n.Rev, CreatedAt: n.CreatedAt.UTC(), UpdatedAt: n.UpdatedAt.UTC()},
		Name:     n.Name,
		Hostname: n.Hostname,
		State:    string(stateOf(now)),
		LastSeen: timeOf(now.LastSeen), StateSince: timeOf(now.Since),
		Addresses: filled(n.Addresses), Tags: filled(n.Tags),
		Star: n.Star, Colour: n.Colour, Notes: n.Notes,
		Facts: n.Facts,
		Now: api.NodeNow{
			CPU: number(now.CPU), Memory: number(now.Memory), Disk: number(now.Disk), DiskMount: now.DiskMount,
			Load: number(now.Load), Uptime: number(now.Uptime), NetIn: number(now.NetIn), NetOut: number(now.NetOut),
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

// filled makes an empty list of none.
func filled(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// timeOf gives nil for the zero time.
func timeOf(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// number gives nil for what JSON has no number for.
func number(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

// A list of ten thousand nodes is appended by hand, since reflection would take longer than everything
// else together; a test holds the two forms equal.

// appendNodes appends a page of nodes as JSON.
func appendNodes(b []byte, rows []inventory.Row, next string) []byte {
	b = slices.Grow(b, 64+1200*len(rows))
	b = append(b, `{"items":[`...)
	for i := range rows {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendNode(b, &rows[i])
	}
	b = append(b, ']')
	if next != "" {
		b = appendText(append(b, `,"next":`...), next)
	}
	return append(b, "}\n"...)
}

func appendNode(b []byte, row *inventory.Row) []byte {
	n, now := row.Node, &row.Now
	b = append(b, `{"id":"`...)
	b = append(b, n.ID.String()...)
	b = append(b, `","rev":`...)
	b = strconv.AppendUint(b, n.Rev, 10)
	b = appendTime(append(b, `,"created_at":`...), n.CreatedAt)
	b = appendTime(append(b, `,"updated_at":`...), n.UpdatedAt)
	b = appendText(append(b, `,"name":`...), n.Name)
	b = appendText(append(b, `,"hostname":`...), n.Hostname)
	b = appendText(append(b, `,"state":`...), string(stateOf(now)))
	if !now.Since.IsZero() {
		b = appendTime(append(b, `,"state_since":`...), now.Since)
	}
	if !now.LastSeen.IsZero() {
		b = appendTime(append(b, `,"last_seen":`...), now.LastSeen)
	}
	b = appendTexts(append(b, `,"addresses":`...), n.Addresses)
	b = appendTexts(append(b, `,"tags":`...), n.Tags)
	b = strconv.AppendBool(append(b, `,"star":`...), n.Star)
	if n.Colour != "" {
		b = appendText(append(b, `,"colour":`...), n.Colour)
	}
	if n.Notes != "" {
		b = appendText(append(b, `,"notes":`...), n.Notes)
	}
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
		b = append(appendText(append(b, `"disk_mount":`...), now.DiskMount), ',')
	}
	b = appendNumber(b, `"load":`, now.Load)
	b = appendNumber(b, `"uptime":`, now.Uptime)
	b = appendNumber(b, `"net_in":`, now.NetIn)
	b = appendNumber(b, `"net_out":`, now.NetOut)
	b = strconv.AppendInt(append(b, `"metrics":`...), int64(now.Metrics), 10)
	return append(b, '}')
}

// appendNumber appends a key, a number and a comma, or nothing when JSON has no such number.
func appendNumber(b []byte, key string, v float64) []byte {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return b
	}
	return append(appendFloat(append(b, key...), v), ',')
}

// appendFloat writes a number as encoding/json does.
func appendFloat(b []byte, v float64) []byte {
	if abs := math.Abs(v); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		raw, _ := json.Marshal(v)
		return append(b, raw...)
	}
	return strconv.AppendFloat(b, v, 'f', -1, 64)
}

func appendTime(b []byte, t time.Time) []byte {
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
		b = appendText(b, s)
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
		b = append(appendText(b, key), ':')
		b = appendText(b, facts[key])
	}
	return append(b, '}')
}

// appendText writes a string: as it is when nothing in it means anything to JSON, else by encoding/json.
func appendText(b []byte, s string) []byte {
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
