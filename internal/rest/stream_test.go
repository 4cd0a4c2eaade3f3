package rest_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"testing"
	"time"

	"muster"
	"muster/api"
	"muster/client"
	"muster/internal/inventory"
	"muster/internal/live"
)

func (w *world) open(c *client.Client, o client.StreamOptions) *client.Stream {
	w.t.Helper()
	s, err := c.Stream(context.Background(), o)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = s.Close() })
	return s
}

func next(t *testing.T, s *client.Stream) client.StreamEvent {
	t.Helper()
	e, err := s.Next()
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// publish tells of a node's change as the server does.
func (w *world) publish(row *inventory.Row) {
	w.hub.Publish(live.Event{Account: row.Node.Account, Topic: live.TopicNodes, Kind: "node", Node: row.Node.ID, Data: func() any { return *row }})
}

func TestStreamBringsWhatChanges(t *testing.T) {
	w := newWorld(t)
	mine, theirs := w.node(w.mine, "web-1"), w.node(w.theirs, "web-2")
	s := w.open(w.observer, client.StreamOptions{Topics: []string{"nodes", "results", "incidents"}})
	w.publish(theirs)
	w.publish(mine)
	e := next(t, s)
	var n api.Node
	if err := json.Unmarshal(e.Data, &n); err != nil || e.Kind != "node" || n.ID != mine.Node.ID.String() || n.Name != "web-1" || e.ID == "" {
		t.Errorf("%+v %s %v", e, e.Data, err)
	}
	w.hub.Publish(live.Event{Account: w.mine, Topic: live.TopicNodes, Kind: "node.gone", Node: mine.Node.ID, Data: func() any {
		return inventory.Change{Account: w.mine, Node: mine.Node.ID, Gone: true}
	}})
	if e = next(t, s); e.Kind != "node.gone" || string(e.Data) != `{"id":"`+mine.Node.ID.String()+`"}` {
		t.Errorf("%s %s", e.Kind, e.Data)
	}
}

func TestStreamOfChosenNodesAndTopics(t *testing.T) {
	w := newWorld(t)
	one, two := w.node(w.mine, "web-1"), w.node(w.mine, "web-2")
	s := w.open(w.observer, client.StreamOptions{Topics: []string{"nodes"}, Nodes: []string{two.Node.ID.String()}})
	w.publish(one)
	w.hub.Publish(live.Event{Account: w.mine, Topic: live.TopicEvents, Kind: "event", Data: func() any { return muster.Event{ID: "e1", Text: "hello"} }})
	w.publish(two)
	var n api.Node
	if e := next(t, s); json.Unmarshal(e.Data, &n) != nil || n.Name != "web-2" {
		t.Errorf("%s %s", e.Kind, e.Data)
	}
	s = w.open(w.observer, client.StreamOptions{Topics: []string{"events"}})
	w.hub.Publish(live.Event{Account: w.mine, Topic: live.TopicEvents, Kind: "event", Data: func() any { return muster.Event{ID: "e2", Text: "hello"} }})
	var line api.Event
	if e := next(t, s); json.Unmarshal(e.Data, &line) != nil || line.ID != "e2" || line.Text != "hello" {
		t.Errorf("%s %s", e.Kind, e.Data)
	}
}

func TestStreamGoesOnWhereItStood(t *testing.T) {
	w := newWorld(t)
	row := w.node(w.mine, "web-1")
	s := w.open(w.observer, client.StreamOptions{Topics: []string{"nodes"}})
	w.publish(row)
	last := next(t, s).ID
	_ = s.Close()
	row2 := w.node(w.mine, "web-2")
	w.publish(row2) // nobody listens now
	s = w.open(w.observer, client.StreamOptions{Topics: []string{"nodes"}, LastID: last})
	var n api.Node
	if e := next(t, s); e.Kind != "node" || json.Unmarshal(e.Data, &n) != nil || n.Name != "web-2" {
		t.Errorf("%s %s", e.Kind, e.Data)
	}
	s = w.open(w.observer, client.StreamOptions{Topics: []string{"nodes"}, LastID: "nobody-1"})
	if e := next(t, s); e.Kind != "resync" {
		t.Errorf("an id that nobody knows gives %s %s", e.Kind, e.Data)
	}
}

func TestStreamEndsWithTheHub(t *testing.T) {
	w := newWorld(t)
	s := w.open(w.observer, client.StreamOptions{})
	w.hub.Close()
	if _, err := s.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
}

func TestStreamNeedsAToken(t *testing.T) {
	w := newWorld(t)
	if _, err := w.client("wrong").Stream(context.Background(), client.StreamOptions{}); !errors.Is(err, muster.ErrDenied) {
		t.Errorf("got %v", err)
	}
}

func TestFollowOpensTheStreamAgain(t *testing.T) {
	w := newWorld(t)
	row := w.node(w.mine, "web-1")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	events := make(chan client.StreamEvent, 10)
	done := make(chan error, 1)
	enough := errors.New("enough")
	go func() {
		done <- w.observer.Follow(ctx, client.StreamOptions{Topics: []string{"nodes"}}, func(e client.StreamEvent) error {
			events <- e
			if len(events) == 2 {
				return enough
			}
			return nil
		})
	}()
	for len(events) == 0 { // until somebody listens
		w.publish(row)
		time.Sleep(time.Millisecond)
	}
	w.server.CloseClientConnections()
	go func() {
		for ctx.Err() == nil {
			w.publish(row)
			time.Sleep(time.Millisecond)
		}
	}()
	if err := <-done; !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
}
