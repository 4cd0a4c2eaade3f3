package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	"muster"
	"muster/api"
	"muster/internal/incident"
	"muster/internal/store"
	"muster/internal/wire"
)

// step is a line of the shards' log: what happened to an incident.
type step struct {
	incident string
	*muster.IncidentChange
}

// steps reads the logs of all shards while the server is not running, each in its order.
func (s *server) steps() (all []step) {
	s.t.Helper()
	ctx := s.t.Context()
	s.documents(func(docs *store.Store) {
		shards, err := docs.Shards(ctx, 0)
		if err != nil {
			s.t.Fatal(err)
		}
		today := int(time.Now().Unix() / (24 * 60 * 60))
		for shard := range shards {
			for day := today - 1; day <= today; day++ {
				for from := uint64(1); ; {
					rows, err := docs.ScanShard(ctx, store.ShardKey{Shard: shard, Domain: "all", Day: day}, from, 1000)
					if err != nil {
						s.t.Fatal(err)
					}
					for _, r := range rows {
						from = r.Seq + 1
						id, ours := strings.CutPrefix(r.Key, "incident/")
						if !ours || len(r.Transition) == 0 {
							continue
						}
						change, err := incident.DecodeChange(r.Transition)
						if err != nil {
							s.t.Fatal(err)
						}
						all = append(all, step{id, change})
					}
					if len(rows) < 1000 {
						break
					}
				}
			}
		}
	})
	return all
}

// once says whether every transition in the log is there once, and gives each incident's steps.
func once(t testing.TB, all []step) map[string][]string {
	t.Helper()
	seen := map[string]bool{}
	out := map[string][]string{}
	for _, st := range all {
		out[st.incident] = append(out[st.incident], string(st.Kind))
		if st.Transition == nil {
			continue
		}
		if st.Transition.ID == "" || seen[st.Transition.ID] {
			t.Errorf("transition %q of %s is in the log twice", st.Transition.ID, st.incident)
		}
		seen[st.Transition.ID] = true
	}
	return out
}

// gauge is an agent that measures one thing, at instants of its own.
type gauge struct {
	*peer
	metric string
	at     time.Time // of the newest frame
}

// gauge makes a node that measures a metric; its first frame will be a second after at.
func (s *server) gauge(name, token, metric string, at time.Time) *gauge {
	s.t.Helper()
	g := &gauge{peer: s.newPeer(name), metric: metric, at: at}
	g.enters(s, token)
	return g
}

func (g *gauge) enters(s *server, token string) {
	g.t.Helper()
	g.enter(s, token)
	g.tell(counting(1, g.metric))
}

// says sends a frame a second for each value, and returns when they are durable; it gives the instant of the first.
func (g *gauge) says(values ...float64) (first time.Time) {
	g.t.Helper()
	m := &wire.Frames{}
	for i, v := range values {
		g.at = g.at.Add(time.Second)
		if i == 0 {
			first = g.at
		}
		m.Frames = append(m.Frames, g.frame(1, g.at, v))
	}
	g.tell(m)
	if ack := g.ack(); len(ack.Refused) > 0 {
		g.t.Fatalf("%s: a frame was refused: %s", g.name, ack.Refused[0].Reason)
	}
	return first
}

// TestKilledInEveryState kills the server while a hold is under way, an alarm fires, is taken, recovers, and a message
// waits for a dead receiver: afterwards nothing is forgotten, doubled, or fired for the time the server was away.
func TestKilledInEveryState(t *testing.T) {
	t.Parallel()
	s := watchman(t, "--no-agent")
	h, dead := s.hookOf("hook", fields{"default": true}), s.hookOf("dead", nil)
	dead.down.Store(true)
	s.hasten("node-silent", fields{"enabled": false})
	for _, a := range []fields{
		{"name": "load", "metric": "e2e.load", "condition": fields{"op": ">", "value": 0.9, "for": "5s", "recover": fields{"op": "<", "value": 0.5, "for": "5s"}}},
		{"name": "other", "metric": "e2e.other", "condition": fields{"op": ">", "value": 0.9}, "channels": []string{dead.id}},
		{"name": "pulse", "metric": "e2e.pulse", "condition": fields{"op": ">", "value": 100}, "no_data": fields{"after": "5s", "is": "critical"}},
	} {
		answer[api.Alarm](s, "POST", api.PathAlarms, a)
	}
	token := s.enroll(10).Token
	begin := time.Now().Truncate(time.Second).Add(-12 * time.Second)
	load := func(name string) *gauge { return s.gauge(name, token, "e2e.load", begin) }
	pending, firing, taken, recovering, well := load("pending"), load("firing"), load("taken"), load("recovering"), load("well")
	waiting := s.gauge("waiting", token, "e2e.other", begin)
	pulse, mute := s.gauge("pulse", token, "e2e.pulse", begin.Add(11*time.Second)), s.gauge("mute", token, "e2e.pulse", begin.Add(11*time.Second))

	waiting.says(0, 1)
	firing.says(0, 1, 1, 1, 1, 1, 1)
	taken.says(0, 1, 1, 1, 1, 1, 1)
	recovering.says(0, 1, 1, 1, 1, 1, 1)
	well.says(0, 1, 1, 0, 0, 0, 0)
	fired := map[*gauge]api.Incident{}
	for _, g := range []*gauge{firing, taken, recovering, waiting} {
		fired[g] = s.opens(g.node)
	}
	for _, g := range []*gauge{firing, taken, recovering} {
		h.hears(fired[g].ID, "incident.opened")
	}
	answer[api.Incident](s, "POST", api.PathIncidents+"/"+fired[taken].ID+"/acknowledge", nil)
	h.hears(fired[taken].ID, "incident.acknowledged")
	waits := s.tells(fired[waiting].ID, dead.id, "incident.opened", "waiting")
	held := pending.says(0, 1, 1, 1).Add(time.Second) // for 2 s now
	better := recovering.says(0.2, 0.2, 0.2)          // for 2 s now
	pulse.says(1)
	mute.says(1)

	s.kill()
	dead.down.Store(false)
	time.Sleep(2 * time.Second)
	s.start()
	s.ready()
	s.same(fired, map[*gauge]string{firing: "open", taken: "acknowledged", recovering: "open", waiting: "open"})
	time.Sleep(7 * time.Second) // longer than the silence that the pulse's alarm takes, were there no grace
	for _, g := range []*gauge{pending, firing, taken, recovering, well, waiting, pulse} {
		g.enters(s, "")
	}
	pulse.at = time.Now()
	pulse.says(1)
	answer[node](s, "PATCH", "/v1/nodes/"+pulse.node, fields{"watched": false}) // it has shown that it is alive

	// The holds go on where they were.
	pending.says(1, 1, 1)
	if tr := s.opens(pending.node).Transitions; len(tr) != 1 || !tr[0].At.Equal(held.Add(5*time.Second)) || !tr[0].Inputs[0].At.Equal(held) {
		t.Errorf("a hold from %s fired as %+v", held, tr)
	}
	recovering.says(0.2, 0.2, 0.2)
	if tr := s.turns(fired[recovering].ID, "resolved").Transitions; len(tr) != 2 || !tr[1].At.Equal(better.Add(5*time.Second)) {
		t.Errorf("better from %s on, it was well as %+v", better, tr)
	}
	for _, g := range []*gauge{firing, taken} {
		g.says(1, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2)
		s.turns(fired[g].ID, "resolved")
		h.hears(fired[g].ID, "incident.resolved")
	}
	well.says(0, 0)
	waiting.says(1)
	if d := s.tells(fired[waiting].ID, dead.id, "incident.opened", "delivered"); d.Message != waits.Message || d.Attempt <= waits.Attempt {
		t.Errorf("the message that waited was %+v and is %+v", waits, d)
	}
	if m := dead.hears(fired[waiting].ID, "incident.opened"); m.ID != waits.Message {
		t.Errorf("it came as %s and waited as %s", m.ID, waits.Message)
	}

	// Who came back is well; who did not is silent once the grace is over, and stays one incident over another kill.
	var silent []api.Incident
	until(t, 3*patience, "the mute node is silent", func() bool {
		silent = s.incidents(mute.node)
		return len(silent) > 0
	})
	fired[mute] = silent[0]
	h.hears(silent[0].ID, "incident.opened")
	s.kill()
	s.start()
	s.ready()
	s.same(fired, map[*gauge]string{firing: "resolved", taken: "resolved", recovering: "resolved", waiting: "open", mute: "open"})
	mute.enters(s, "")
	mute.at = time.Now()
	mute.says(1)
	s.turns(silent[0].ID, "resolved")
	h.hears(silent[0].ID, "incident.resolved")
	for _, g := range []*gauge{well, pulse} {
		if got := s.incidents(g.node); len(got) > 0 {
			t.Errorf("%s fired: %+v", g.name, got)
		}
	}
	s.kill()
	s.reckon(h, fired, map[*gauge][]string{
		firing: {"opened", "resolved"}, taken: {"opened", "acknowledged", "resolved"}, recovering: {"opened", "resolved"}, mute: {"opened", "resolved"}, waiting: {"opened"},
	})
}

// same says whether incidents are as they were before a kill, and no other is there.
func (s *server) same(was map[*gauge]api.Incident, states map[*gauge]string) {
	s.t.Helper()
	for g, state := range states {
		now := s.incidents(g.node)
		if len(now) != 1 || now[0].ID != was[g].ID || now[0].State != state || !now[0].OpenedAt.Equal(was[g].OpenedAt) {
			s.t.Errorf("%s: the incident was %s and is %+v, want %s", g.name, was[g].ID, now, state)
		}
	}
}

// reckon compares the log and what the receiver heard with what happened.
func (s *server) reckon(h *hook, fired map[*gauge]api.Incident, want map[*gauge][]string) {
	s.t.Helper()
	log := once(s.t, s.steps())
	for g, steps := range want {
		id := fired[g].ID
		if !slices.Equal(log[id], steps) {
			s.t.Errorf("%s: in the log there is %v, want %v", g.name, log[id], steps)
		}
	}
	if len(log) != len(want)+1 { // and the one that was pending
		s.t.Errorf("%d incidents are in the log, want %d", len(log), len(want)+1)
	}
	kinds := map[string]map[string]string{} // incident -> type -> message
	times := map[string]int{}
	for _, m := range h.heard() {
		id := m.Data.Incident.ID
		if kinds[id] == nil {
			kinds[id] = map[string]string{}
		}
		if before := kinds[id][m.Type]; before != "" && before != m.ID {
			s.t.Errorf("%s of %s came as %s and as %s", m.Type, id, before, m.ID)
		}
		kinds[id][m.Type] = m.ID
		if times[m.ID]++; times[m.ID] > 3 {
			s.t.Errorf("message %s came more often than the server was killed", m.ID)
		}
	}
	for g, steps := range want {
		if got := kinds[fired[g].ID]; len(got) != len(steps) && g.metric != "e2e.other" {
			s.t.Errorf("%s: the receiver heard %v", g.name, got)
		}
	}
}
