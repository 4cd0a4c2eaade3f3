package webhook

import (
	"math"
	"time"

	"muster"
	"muster/api"
	"muster/internal/notify"
	"muster/internal/shape"
)

// payload is the body of a message.
type payload struct {
	Type      string    `json:"type"`
	Timestamp time.Time `json:"timestamp"`
	Data      data      `json:"data"`
}

type data struct {
	Incident api.Incident `json:"incident"` // without deliveries: they are under way
	Node     *api.Node    `json:"node,omitempty"`
	URL      string       `json:"url"`
}

func (s *sender) payload(m *notify.Message) payload {
	item := &m.Items[0]
	out := payload{Type: m.Type, Timestamp: m.At.UTC(), Data: data{Incident: shape.Incident(item.Incident, nil), URL: item.URL}}
	if item.Node != nil {
		now := s.now(item.Node)
		node := shape.Node(item.Node, &now)
		out.Data.Node = &node
	}
	return out
}

// now tells how the node is, as far as anybody knows.
func (s *sender) now(n *muster.Node) muster.NodeNow {
	if s.o.NodeNow != nil {
		if now, ok := s.o.NodeNow(n.Account, n.ID); ok {
			return now
		}
	}
	none := math.NaN()
	return muster.NodeNow{State: muster.Unknown, CPU: none, Memory: none, Disk: none, Load: none, Uptime: none, NetIn: none, NetOut: none}
}
