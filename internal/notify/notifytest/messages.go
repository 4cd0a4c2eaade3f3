// Package notifytest gives the suite that every channel driver passes, and what it needs: messages of all
// kinds, an HTTP receiver that misbehaves on command, and a mail server that does.
package notifytest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"muster"
	"muster/internal/notify"
	"muster/internal/plot"
)

// Start is when the incidents of the sample messages began.
func Start() time.Time { return time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC) }

func id[T ~string](prefix string, n int) T {
	return T(fmt.Sprintf("%s_01jq8z6v9ke2b8m4n5p6q7r8%02d", prefix, n))
}

// Opened gives the message of one incident that a full filesystem opened on a node.
func Opened() *notify.Message {
	item := item(1, "db-1", "Filesystem nearly full", muster.LevelCritical)
	return &notify.Message{ID: item.ID, Type: notify.TypeOpened, At: item.Change.At, Account: "Home", Items: []notify.Item{item}, Chart: Chart}
}

func item(n int, name, alarm string, level muster.Level) notify.Item {
	at := Start().Add(time.Duration(n) * time.Second)
	node := &muster.Node{
		ID: muster.NodeID{1, byte(n)}, Account: muster.AccountID{1}, Rev: 3, Name: name, Hostname: name + ".example.org", Addresses: []string{"192.0.2.7"},
		Tags: []string{"db", "env=prod"}, Facts: map[string]string{"os.type": "linux"}, AgentKey: []byte{1}, AgentVersion: "1.2.3", CreatedAt: Start(), UpdatedAt: Start(),
	}
	change := &muster.Transition{
		ID: fmt.Sprintf("t%d", n), At: at, Alarm: id[muster.AlarmID]("alarm", n), Name: alarm, Subject: node.ID, Series: "system.filesystem.mountpoint=/var",
		From: muster.AlarmOK, To: muster.AlarmFiring, Level: level, Why: "97 % for 5 min, limit 95 %",
		Inputs: []muster.Input{{At: at.Add(-time.Minute), Value: math.NaN()}, {At: at, Value: 0.97, Text: "no space left"}},
	}
	in := &muster.Incident{
		ID: id[muster.IncidentID]("incident", n), Account: muster.AccountID{1}, State: muster.IncidentOpen, Level: level, Title: name + ": " + strings.ToLower(alarm[:1]) + alarm[1:],
		Subject: node.ID, Name: name, Node: node.ID, Alarm: change.Alarm, OpenedAt: at, UpdatedAt: at, Seq: 1, Transitions: []muster.Transition{*change},
		Open: []muster.Firing{{Alarm: change.Alarm, Name: alarm, Series: change.Series, Level: level, Since: at, Why: change.Why}},
	}
	base := "https://muster.example.org/"
	return notify.Item{
		ID: fmt.Sprintf("message_%032d", n), Incident: in, Change: muster.IncidentChange{Kind: muster.IncidentOpened, At: at, Transition: change}, Node: node,
		URL: base + "incidents/" + string(in.ID), AckURL: base + "act/ack-token-" + fmt.Sprint(n) + "?a=1&b=2", SilenceURL: base + "act/silence-token-" + fmt.Sprint(n),
	}
}

// Acknowledged gives the message that somebody has taken the incident of Opened.
func Acknowledged() *notify.Message {
	m := Opened()
	in := *m.Items[0].Incident
	at := Start().Add(5 * time.Minute)
	in.State, in.AcknowledgedAt, in.AcknowledgedBy, in.UpdatedAt, in.Seq = muster.IncidentAcknowledged, at, "user_x", at, 2
	m.Items[0].Incident, m.Items[0].AckURL = &in, ""
	return change(m, notify.TypeAcknowledged, muster.IncidentTaken, at, 90)
}

// Resolved gives the message that the incident of Opened is over.
func Resolved() *notify.Message {
	m := Opened()
	in := *m.Items[0].Incident
	at := Start().Add(48 * time.Minute)
	in.State, in.ResolvedAt, in.UpdatedAt, in.Open, in.Seq = muster.IncidentResolved, at, at, nil, 3
	m.Items[0].Incident, m.Items[0].AckURL, m.Items[0].SilenceURL = &in, "", ""
	return change(m, notify.TypeResolved, muster.IncidentClosed, at, 91)
}

func change(m *notify.Message, typ string, kind muster.IncidentChangeKind, at time.Time, n int) *notify.Message {
	m.Type, m.At, m.ID = typ, at, fmt.Sprintf("message_%032d", n)
	m.Items[0].ID, m.Items[0].Change = m.ID, muster.IncidentChange{Kind: kind, At: at, By: "user_x"}
	return m
}

// Bare gives a message about a check that belongs to no node, with a picture that cannot be drawn.
func Bare() *notify.Message {
	m := Opened()
	it := &m.Items[0]
	in := *it.Incident
	in.Node, in.Check, in.Level, in.Title = muster.NodeID{}, id[muster.CheckID]("check", 5), muster.LevelWarning, "https://example.org/: answers slowly"
	it.Incident, it.Node = &in, nil
	m.Chart = func(context.Context) ([]byte, error) { return nil, errors.New("nothing to draw") }
	return m
}

// Several gives a message about n incidents, every third a warning.
func Several(n int) *notify.Message {
	m := &notify.Message{ID: "message_group", Type: notify.TypeOpened, At: Start(), Account: "Home", Chart: Chart}
	for i := range n {
		level := muster.LevelCritical
		if i%3 == 2 {
			level = muster.LevelWarning
		}
		m.Items = append(m.Items, item(i, fmt.Sprintf("web-%d", i+1), "Node silent", level))
	}
	return m
}

// HostileText breaks out of every markup, header and line it is put into without care.
const HostileText = "</b></td><script>alert(1)</script>&amp; \"quoted\" 'single' <!channel> <http://evil.example|x> *bold* _x_ `code` {{.}} =?utf-8?q?x?= \r\nBcc: victim@example.org\r\n.\r\nQUIT\r\n\x00\x1b[31m \u202e \xff "

// Hostile gives a message whose every text is hostile and long.
func Hostile(items int) *notify.Message {
	m := Several(items)
	long := HostileText + strings.Repeat("ä&<>\"", 4000)
	m.Account = long
	for i := range m.Items {
		it := &m.Items[i]
		in, node, t := *it.Incident, *it.Node, *it.Change.Transition
		in.Title, in.Name, node.Name, node.Hostname, node.Tags = long, long, long, long, []string{long}
		t.Why, t.Name, t.Series = long, long, long
		in.Open = []muster.Firing{{Alarm: t.Alarm, Name: long, Series: long, Why: long}}
		t.Inputs = []muster.Input{{At: t.At, Value: math.Inf(1), Text: long}}
		in.Transitions = []muster.Transition{t}
		it.Incident, it.Node, it.Change.Transition = &in, &node, &t
	}
	return m
}

// Messages gives one of each kind; all have a single item.
func Messages() map[string]*notify.Message {
	return map[string]*notify.Message{
		"opened": Opened(), "acknowledged": Acknowledged(), "resolved": Resolved(), "bare": Bare(), "hostile": Hostile(1),
	}
}

// Groups gives messages of several items.
func Groups() map[string]*notify.Message {
	return map[string]*notify.Message{"three": Several(3), "many": Several(60), "hostile": Hostile(30)}
}

// Chart draws the picture of the sample messages.
func Chart(context.Context) ([]byte, error) {
	limit := 0.95
	c := plot.Chart{From: Start().Add(-50 * time.Minute), To: Start().Add(10 * time.Minute), Unit: "1", Limit: &limit, Level: muster.LevelCritical,
		Spans: []plot.Span{{From: Start(), Level: muster.LevelCritical}}}
	for i := range 181 {
		v := 0.78 + 0.0011*float64(i) + 0.004*math.Sin(float64(i)/3)
		c.Points = append(c.Points, plot.Point{At: c.From.UnixMilli() + int64(i)*20_000, Value: v})
	}
	return plot.PNG(c)
}
