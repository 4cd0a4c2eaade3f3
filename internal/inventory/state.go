package inventory

import (
	"fmt"
	"strconv"
	"time"

	"muster"
)

// How a node's state is found. Only frames count, by the moment they became durable here; what their
// instants say does not, for an agent that comes back sends old frames first.
//
//	never a frame, as far as anybody knows    pending
//	a goodbye after the last frame            stopped
//	a frame within the node's patience        up
//	none for longer                           down
//
// Patience is three periods, at least Options.SilentAfter. It begins anew when this process starts,
// when it slept, and when it could take no frames: until it has run out a node that was up stays so, and
// one that nobody heard of since the start is unknown. So a server's own trouble calls nobody down. A node
// that was stopped and whose agent is back stays so until its first frame, if that comes in time.

// slept is how late a tick may be before the process is taken to have been stopped or suspended.
const slept = 10 * time.Second

// judgeAll judges every node and tells of those whose state changed.
func (inv *Inventory) judgeAll() {
	now := inv.opts.Now()
	if !inv.opts.MayJudge() || now.Sub(time.Unix(0, inv.ticked.Load())) > slept {
		inv.judgeFrom.Store(now.UnixNano())
	}
	inv.ticked.Store(now.UnixNano())
	for _, b := range inv.allBoards() {
		for _, e := range b.byName() {
			e.mu.Lock()
			changed := !e.gone && inv.judge(e, now)
			e.mu.Unlock()
			if changed {
				inv.opts.Changed(Change{Account: e.account, Node: e.id})
			}
		}
	}
}

func (inv *Inventory) allBoards() []*board {
	inv.mu.RLock()
	defer inv.mu.RUnlock()
	all := make([]*board, 0, len(inv.boards))
	for _, b := range inv.boards {
		all = append(all, b)
	}
	return all
}

// judge sets the state of an entry that is locked, and says whether it changed.
func (inv *Inventory) judge(e *entry, now time.Time) bool {
	state, since := inv.verdict(e, now)
	old := e.now.State
	if state == old {
		return false
	}
	if state == muster.Up && (old == muster.Unknown || old == "") {
		since = time.Time{} // it was up before anybody here looked
	}
	inv.tellState(e, old, state, now)
	e.now.State, e.now.Since = state, since
	return true
}

func (inv *Inventory) verdict(e *entry, now time.Time) (muster.NodeState, time.Time) {
	node := e.node.Load()
	if e.now.LastSeen.IsZero() {
		if node.CreatedAt.Before(inv.started) && now.Sub(inv.started) <= e.patient {
			return muster.Unknown, time.Time{} // Seed may still tell of frames
		}
		return muster.Pending, node.CreatedAt
	}
	bye := node.Farewell
	if (bye.Reason == muster.FarewellShutdown || bye.Reason == muster.FarewellStop) && !bye.At.Before(e.heard) {
		return muster.Stopped, bye.At
	}
	if !e.heard.IsZero() && now.Sub(e.heard) <= e.patient {
		return muster.Up, now
	}
	from := time.Unix(0, inv.judgeFrom.Load())
	if e.now.State == muster.Stopped && e.arrived.After(from) {
		from = e.arrived
	}
	if now.Sub(from) <= e.patient {
		if e.now.State == "" || e.heard.IsZero() {
			return muster.Unknown, time.Time{}
		}
		return e.now.State, e.now.Since
	}
	return muster.Down, e.now.LastSeen
}

// tellState writes changes that a person wants to read about into the changelog. Their ids and instants
// follow from the last frame, so that a silence told again after a restart is the same line.
func (inv *Inventory) tellState(e *entry, old, state muster.NodeState, now time.Time) {
	node := e.node.Load()
	ev := muster.Event{Account: e.account, At: now, Actor: actorServer, Subject: e.id.String(), Name: node.Name}
	last := strconv.FormatInt(e.now.LastSeen.UnixMilli(), 10)
	switch {
	case state == muster.Down:
		ev.Kind, ev.At = "node.down", e.now.LastSeen.Add(e.patient)
		ev.Text = fmt.Sprintf("went down: nothing heard for %s", e.patient)
		if e.links > 0 {
			ev.Text += ", though its agent is connected"
		}
	case state == muster.Up && old == muster.Down:
		ev.Kind = "node.up"
		ev.Text = fmt.Sprintf("is up again after %s", now.Sub(e.now.Since).Round(time.Second))
	case state == muster.Stopped:
		ev.Kind, ev.At = "node.stopped", node.Farewell.At
		ev.Text = "was shut down"
		if node.Farewell.Reason == muster.FarewellStop {
			ev.Text = "stopped its agent"
		}
	case state == muster.Up && old == muster.Stopped:
		ev.Kind, ev.Text = "node.up", "is back"
	default:
		return
	}
	ev.ID = ev.Kind + "/" + ev.Subject + "/" + last
	inv.events.add(ev)
}
