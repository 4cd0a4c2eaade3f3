package webhook

import (
	"time"

	"muster"
	"muster/api"
	"muster/internal/notify"
)

// payload is the body of a message.
type payload struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      data      `json:"data"`
}

type data struct {
	Incident api.Incident `json:"incident"`
	Node     *node        `json:"node,omitempty"`
	URL      string       `json:"url"`
}

// node is what of a node the server knows without asking anybody, in the API's words.
type node struct {
	ID        string            `json:"id"`
	Name      string            `json:"name"`
	Hostname  string            `json:"hostname"`
	State     string            `json:"state,omitempty"`
	LastSeen  *time.Time        `json:"last_seen,omitempty"`
	Addresses []string          `json:"addresses"`
	Tags      []string          `json:"tags"`
	Facts     map[string]string `json:"facts"`
	Agent     *api.Agent        `json:"agent,omitempty"`
}

func (s *sender) payload(m *notify.Message) payload {
	item := &m.Items[0]
	return payload{Type: m.Type, Timestamp: m.At.UTC(), Data: data{Incident: incident(item.Incident), Node: s.node(item.Node), URL: item.URL}}
}

func (s *sender) node(n *muster.Node) *node {
	if n == nil {
		return nil
	}
	out := &node{ID: n.ID.String(), Name: n.Name, Hostname: n.Hostname, Addresses: list(n.Addresses), Tags: list(n.Tags), Facts: n.Facts}
	if out.Facts == nil {
		out.Facts = map[string]string{}
	}
	if n.AgentVersion != "" {
		out.Agent = &api.Agent{Version: n.AgentVersion}
	}
	if s.o.NodeNow == nil {
		return out
	}
	now, ok := s.o.NodeNow(n.Account, n.ID)
	if !ok {
		return out
	}
	out.State, out.LastSeen = string(now.State), instant(now.LastSeen)
	if out.Agent != nil {
		out.Agent.Connected = now.Connected
	}
	return out
}

// incident writes an incident as the API does. Who was told of it is not known while telling.
func incident(i *muster.Incident) api.Incident {
	out := api.Incident{
		ID: string(i.ID), State: string(i.State), Level: string(i.Level), Title: i.Title, Check: string(i.Check), Alarm: string(i.Alarm),
		OpenedAt: i.OpenedAt.UTC(), AcknowledgedAt: instant(i.AcknowledgedAt), AcknowledgedBy: i.AcknowledgedBy, ResolvedAt: instant(i.ResolvedAt),
		UpdatedAt: i.UpdatedAt.UTC(), Cut: i.Cut,
		Firing: []api.Firing{}, Transitions: []api.Transition{}, Deliveries: []api.Delivery{}, Comments: []api.Comment{},
	}
	if !i.Node.IsZero() {
		out.Node = i.Node.String()
	}
	for _, f := range i.Open {
		out.Firing = append(out.Firing, api.Firing{Alarm: string(f.Alarm), Name: f.Name, Series: f.Series, Check: string(f.Check), Level: string(f.Level), Since: f.Since.UTC(), Why: f.Why})
	}
	for k := range i.Transitions {
		out.Transitions = append(out.Transitions, transition(&i.Transitions[k]))
	}
	for _, c := range i.Comments {
		out.Comments = append(out.Comments, api.Comment{At: c.At.UTC(), By: c.By, Name: c.Name, Text: c.Text})
	}
	return out
}

func transition(t *muster.Transition) api.Transition {
	out := api.Transition{
		At: t.At.UTC(), Alarm: string(t.Alarm), Name: t.Name, Series: t.Series, Check: string(t.Check), From: string(t.From), To: string(t.To),
		Level: string(t.Level), Why: t.Why, Inputs: []api.Input{},
	}
	for _, in := range t.Inputs {
		seen := api.Input{At: in.At.UTC(), Text: in.Text}
		if v := in.Value; v-v == 0 { // JSON has no NaN: none came
			seen.Value = &v
		}
		out.Inputs = append(out.Inputs, seen)
	}
	return out
}

func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// list gives an empty list instead of none, which JSON would write as null.
func list(l []string) []string {
	if l == nil {
		return []string{}
	}
	return l
}
