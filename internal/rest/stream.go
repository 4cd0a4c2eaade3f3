package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"muster"
	"muster/api"
	"muster/internal/inventory"
	"muster/internal/live"
	"muster/internal/shape"
)

// How often a silent stream says that it lives, how long one write may take, and after which time a
// client that lost its stream should come back.
const (
	streamBeat    = 15 * time.Second
	streamWrite   = 20 * time.Second
	streamRetry   = "retry: 2000\n"
	streamBuffers = 16 << 10
)

func (a *API) streamRoutes() {
	op := route{id: "stream", method: http.MethodGet, path: api.PathStream, tag: "Live", role: muster.Observer,
		summary: "Hear of changes as they happen",
		about: "Server-Sent Events: event is node (with the node), node.gone (with its id), result (of a check), incident (whenever it changes), event (a line of the changelog) or resync, which says that something was left out " +
			"because the client was too slow or came back too late: read anew what you show. A stream that broke goes on where it stood with Last-Event-ID."}.operation(a)
	op.Responses["200"] = &huma.Response{
		Description: "The stream. It stays open.",
		Content:     map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString}}},
	}
	huma.Register(a.huma, op, a.stream)
}

type streamInput struct {
	Topics      []string `query:"topics" maxItems:"20" doc:"Which changes: nodes, results, incidents, events. nodes and events when absent; topics that are not known stay silent."`
	Node        []string `query:"node,explode" maxItems:"1000" doc:"Ids of nodes, when only they are of interest."`
	LastEventID string   `header:"Last-Event-ID" maxLength:"200" doc:"The id of the last event that was seen."`
}

func (a *API) stream(ctx context.Context, in *streamInput) (*huma.StreamResponse, error) {
	c := who(ctx)
	want := live.Want{Topics: in.Topics, LastID: in.LastEventID}
	if len(want.Topics) == 0 {
		want.Topics = []string{live.TopicNodes, live.TopicEvents}
	}
	for _, list := range in.Node {
		for text := range strings.SplitSeq(list, ",") {
			id, err := NodePath{ID: text}.node()
			if err == nil {
				_, err = a.o.Nodes.Get(c.Account, id)
			}
			if err != nil {
				return nil, a.toFault(ctx, err)
			}
			if want.Nodes == nil {
				want.Nodes = map[muster.NodeID]struct{}{}
			}
			want.Nodes[id] = struct{}{}
		}
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) { a.flow(hc, c, want) }}, nil
}

// flow writes events until the client goes, the hub closes or the caller's right ends.
func (a *API) flow(hc huma.Context, c caller, want live.Want) {
	_, w := humago.Unwrap(hc)
	sub := a.o.Live.Subscribe(c.Account, want)
	defer sub.Close()
	s := &sse{w: w, rc: http.NewResponseController(w)}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // nginx would gather events otherwise
	s.b.WriteString(streamRetry)
	if id := sub.Cursor(); id != "" && want.LastID == "" {
		s.b.WriteString("id: " + id + "\n")
	}
	s.b.WriteString("\n")
	for s.flush() == nil {
		ctx, cancel := context.WithTimeout(hc.Context(), streamBeat)
		messages, err := sub.Next(ctx)
		cancel()
		switch {
		case err == nil:
			a.write(s, messages)
		case errors.Is(err, context.DeadlineExceeded) && hc.Context().Err() == nil:
			if !a.stillAllowed(hc.Context(), c) {
				return
			}
			s.b.WriteString(": still here\n\n")
		default:
			return
		}
	}
}

// stillAllowed asks again whether the caller may look: a revoked token's stream ends.
func (a *API) stillAllowed(ctx context.Context, c caller) bool {
	var err error
	if c.Token != "" {
		_, err = a.o.Auth.Bearer(ctx, c.credential)
	} else {
		_, _, err = a.o.Auth.Session(ctx, c.credential)
	}
	return err == nil || !errors.Is(err, muster.ErrDenied)
}

func (a *API) write(s *sse, messages []live.Message) {
	for i := range messages {
		m := &messages[i]
		s.b.WriteString("event: " + m.Kind + "\n")
		if m.ID != "" {
			s.b.WriteString("id: " + m.ID + "\n")
		}
		s.b.WriteString("data: ")
		s.data = appendData(s.data[:0], m.Data)
		s.b.Write(bytes.TrimRight(s.data, "\n"))
		s.b.WriteString("\n\n")
		if s.b.Len() > streamBuffers && s.flush() != nil {
			return
		}
	}
}

// appendData gives the JSON of what was published, in the shapes of the API; it has no line breaks.
func appendData(b []byte, data any) []byte {
	switch d := data.(type) {
	case nil:
		return append(b, "{}"...)
	case inventory.Row:
		return shape.AppendNode(b, d.Node, &d.Now)
	case *inventory.Row:
		return shape.AppendNode(b, d.Node, &d.Now)
	case inventory.Change:
		return append(shape.AppendText(append(b, `{"id":`...), d.Node.String()), '}')
	case muster.Event:
		data = shape.Event(&d)
	case *muster.Result:
		data = shape.Result(d)
	case *muster.Incident:
		data = shape.Incident(d, nil)
	}
	raw, err := json.Marshal(data)
	if err != nil {
		return append(b, "{}"...)
	}
	return append(b, raw...)
}

// sse gathers events and writes them to one client.
type sse struct {
	w    http.ResponseWriter
	rc   *http.ResponseController
	b    bytes.Buffer
	data []byte
}

// flush sends what was gathered. A client that does not read for streamWrite is given up.
func (s *sse) flush() error {
	if err := s.rc.SetWriteDeadline(time.Now().Add(streamWrite)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	_, err := s.w.Write(s.b.Bytes())
	s.b.Reset()
	if err != nil {
		return err
	}
	return s.rc.Flush()
}
