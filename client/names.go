package client

import (
	"context"
	"iter"
	"strings"

	"muster/api"
)

// Names gives a function that names nodes, checks, alarms and channels by their ids, for one goroutine. It
// asks the server when it must and remembers; what can't be named keeps its id, and "" is "".
func (c *Client) Names(ctx context.Context) func(id string) string {
	known := map[string]string{"": ""}
	note := func(o api.Object, name string) { known[o.ID] = name }
	load := map[string]func(){
		"check":   func() { each(c.Checks().All(ctx), func(o api.Check) { note(o.Object, o.Name) }) },
		"alarm":   func() { each(c.Alarms().All(ctx), func(o api.Alarm) { note(o.Object, o.Name) }) },
		"channel": func() { each(c.Channels().All(ctx), func(o api.Channel) { note(o.Object, o.Name) }) },
		"node":    func() { each(c.AllNodes(ctx, ListOptions{}), func(o api.Node) { note(o.Object, o.Name) }) },
	}
	const single = 8 // nodes are many: some are asked for one by one
	asked := map[string]int{}
	return func(id string) string {
		if name, ok := known[id]; ok {
			return name
		}
		kind, _, _ := strings.Cut(id, "_")
		asked[kind]++
		switch n := asked[kind]; {
		case kind == "node" && n <= single && isID(kind, id):
			if node, err := c.Node(ctx, id); err == nil {
				note(node.Object, node.Name)
			}
		case (n == 1 && kind != "node" || kind == "node" && n == single+1) && load[kind] != nil:
			load[kind]()
		}
		if _, ok := known[id]; !ok {
			known[id] = id // deleted, or not to be seen
		}
		return known[id]
	}
}

// each calls fn for all that come before an error.
func each[T any](all iter.Seq2[T, error], fn func(T)) {
	for v, err := range all {
		if err != nil {
			return
		}
		fn(v)
	}
}
