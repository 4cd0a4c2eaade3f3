package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	"muster/api"
)

// TestSilentNodes kills agents and stops one: a node that is silent has one incident, which its failing check joins;
// one that said goodbye has none; one that is not watched any more has none any more.
func TestSilentNodes(t *testing.T) {
	t.Parallel()
	s := watchman(t)
	h := s.hookOf("hook", fields{"default": true})
	quiet := s.hasten("node-silent", fields{"no_data": fields{"after": "10s"}})
	fails := s.failsAtOnce()
	token := s.enroll(3).Token
	crashed, stopped, given := s.agentFor("crashed", token).start(), s.agentFor("stopped", token).start(), s.agentFor("given-up", token).start()
	ids := map[string]string{}
	for _, name := range []string{"crashed", "stopped", "given-up"} {
		ids[name] = s.seen(name, time.Now()).ID
	}
	g := newTarget(t).up()
	c := s.check("http", fields{"url": g.url()}, fields{"node": ids["crashed"], "name": "shop on crashed"})
	s.awaits(c.ID, "ok")

	if code := stopped.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	crashed.kill()
	given.kill()
	left := time.Now()
	in := s.opens(ids["crashed"]) // silence counts from 30 s after the server's start on
	if m := h.hears(in.ID, "incident.opened"); m.Data.Node == nil || m.Data.Node.ID != ids["crashed"] || m.Data.Incident.Node != ids["crashed"] || m.Data.Incident.Alarm != quiet.ID ||
		!strings.Contains(m.Data.Incident.Title, "crashed") {
		t.Errorf("told as %+v", m)
	}
	g.down()
	until(t, 2*patience, "the failing check joins", func() bool { return len(s.incident(in.ID).Firing) == 2 })
	both := s.incident(in.ID)
	if f := both.Firing[1]; f.Alarm != fails.ID || f.Check != c.ID || both.State != "open" {
		t.Errorf("with the check it is %+v", both)
	}

	forgotten := s.opens(ids["given-up"])
	answer[node](s, "PATCH", "/v1/nodes/"+ids["given-up"], fields{"watched": false})
	if over := s.turns(forgotten.ID, "resolved"); !strings.Contains(over.Transitions[len(over.Transitions)-1].Why, "watched") {
		t.Errorf("it is over because of %+v", over.Transitions)
	}
	h.hears(forgotten.ID, "incident.resolved")

	g.up()
	crashed.start()
	s.turns(in.ID, "resolved")
	h.hears(in.ID, "incident.resolved")
	if got := h.of(in.ID); !slices.Equal(got, []string{"opened", "resolved"}) {
		t.Errorf("of one incident it heard %v", got)
	}
	if all := s.incidents(ids["crashed"]); len(all) != 1 {
		t.Errorf("%d incidents of one silence: %+v", len(all), all)
	}
	if all := s.incidents(ids["stopped"]); len(all) > 0 { // it has been away as long as the others
		t.Errorf("stopped on purpose %s ago, it has %+v", time.Since(left), all)
	}
	if n, _ := s.nodeOf("stopped"); n.State != "stopped" {
		t.Errorf("the node is %s", n.State)
	}
	if open := list[api.Incident](s, api.PathIncidents+"?state=unresolved"); len(open) > 0 {
		t.Errorf("in the end there is still %+v", open)
	}
}
