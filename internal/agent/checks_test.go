package agent_test

import (
	"context"
	"math"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"muster"
	"muster/internal/agent"
	"muster/internal/check"
	"muster/internal/wire"
)

// saying is a kind of check that says what its configuration says, and how often it was run.
type saying struct{ metric *muster.Metric }

func (saying) Name() string { return "saying" }

func (k saying) Parse(config []byte) (check.Probe, error) { return said{k, string(config)}, nil }

type said struct {
	kind   saying
	config string
}

func (p said) Config() []byte { return []byte(p.config) }
func (p said) Target() string { return p.config }

func (p said) Run(ctx context.Context, env *check.Env, out *check.Outcome) {
	out.Summary = p.config
	out.Put(p.kind.metric, 7)
	switch p.config {
	case "fails":
		out.Fail("status", "it fails")
		out.Note("clock", env.Now().Format(time.DateOnly))
	case "too much":
		for i := range 1000 {
			out.Note(strings.Repeat("k", i+1), strings.Repeat("ä", 5000))
			out.Put(check.Gauge("m"+strconv.Itoa(i), "1", "a", strings.Repeat("v", 300)), math.Pi)
		}
		out.Put(check.Gauge("bad\n", "1"), 1)
		out.Fail(strings.Repeat("c", 900), "%s", strings.Repeat("\xff", 5000))
	case "waits":
		<-ctx.Done()
	}
}

// push sends a message to the agent that is connected.
func (s *fakeServer) push(t *testing.T, m wire.Message) {
	t.Helper()
	s.mu.Lock()
	conn := s.conn
	s.mu.Unlock()
	if err := conn.Write(context.Background(), websocket.MessageBinary, wire.Marshal(nil, 2, 1, m)); err != nil {
		t.Fatal(err)
	}
}

// runs is an agent that runs checks, with its server.
func runs(t *testing.T, change func(*agent.Options)) *fakeServer {
	server := &fakeServer{metrics: map[string][]muster.Metric{}, frames: map[string][]wire.Frame{}}
	web := httptest.NewServer(server)
	t.Cleanup(web.Close)
	kind := saying{check.Gauge("said.value", "1")}
	options := agent.Options{
		Server: web.URL, Token: "t",
		Collectors: []check.Collector{&counting{source: muster.HostSource, metric: check.Gauge("a", "1")}},
		Kinds:      map[string]check.Kind{kind.Name(): kind},
		Env:        check.Env{Now: func() time.Time { return time.Date(2030, 1, 2, 0, 0, 0, 0, time.UTC) }},
	}
	if change != nil {
		change(&options)
	}
	start(t, options)
	server.until(t, "connection", func() bool { return server.conn != nil })
	return server
}

func assigned(id muster.CheckID, config string) wire.Assignment {
	return wire.Assignment{Check: id, Kind: "saying", Config: []byte(config), Zone: muster.LocalZone, Period: time.Second, Timeout: time.Second}
}

func TestChecksAreRunForTheServer(t *testing.T) {
	server := runs(t, nil)
	one, other := muster.NewCheckID(), muster.NewCheckID()
	away := assigned(other, "fine")
	away.Zone = "eu-1"
	server.push(t, &wire.Assign{Add: []wire.Assignment{assigned(one, "fails"), away}, Replace: true})
	source, away1 := string(one), string(other)+"@eu-1"
	server.until(t, "frames of both checks and of the machine", func() bool {
		return len(server.frames[source]) >= 3 && len(server.frames[away1]) >= 3 && len(server.frames[muster.HostSource]) >= 2
	})
	server.mu.Lock()
	frames, metrics := server.frames[source], server.metrics[source]
	server.mu.Unlock()
	if len(metrics) != 3 || metrics[0].Name != muster.CheckStatusMetric || metrics[2].Attr(muster.CheckAttr) != source {
		t.Errorf("metrics %+v", metrics)
	}
	note, err := check.ParseNote(frames[0].Note)
	if err != nil || note.Class != "status" || note.Error != "it fails" || note.Evidence["clock"] != "2030-01-02" || frames[0].Values[0] != 2 || frames[0].Values[2] != 7 {
		t.Errorf("%+v, %v, %+v", note, err, frames[0])
	}
	if frames[1].Note != nil || frames[2].Note != nil {
		t.Error("the same words were said again")
	}

	// Another connection: the server may have forgotten the words, and says which checks there are.
	server.mu.Lock()
	_ = server.conn.CloseNow()
	server.mu.Unlock()
	server.until(t, "another connection", func() bool { return len(server.hellos) == 2 })
	server.until(t, "the words again", func() bool {
		words := 0
		for _, f := range server.frames[source] {
			if f.Note != nil {
				words++
			}
		}
		return words >= 2
	})
	server.push(t, &wire.Assign{Replace: true})
	server.push(t, &wire.Run{Request: 1, Assignment: assigned(one, "fine")}) // answered after the assignment
	server.until(t, "an answer", func() bool { return len(server.answers) == 1 })
}

func TestARunIsAnswered(t *testing.T) {
	server := runs(t, nil)
	id := muster.NewCheckID()
	server.push(t, &wire.Run{Request: 5, Assignment: assigned(id, "fails")})
	server.until(t, "an answer", func() bool { return len(server.answers) == 1 })
	a := server.answers[0]
	if a.Request != 5 || a.Status != muster.StatusCritical || a.Summary != "fails" || a.Class != "status" || a.Error != "it fails" ||
		a.Evidence["clock"] != "2030-01-02" || len(a.Readings) != 1 || a.Readings[0].Metric.Name != "said.value" || a.Readings[0].Value != 7 {
		t.Errorf("%+v", a)
	}
	// The most that a run can say still fits.
	server.push(t, &wire.Run{Request: 6, Assignment: assigned(id, "too much")})
	server.until(t, "another answer", func() bool { return len(server.answers) == 2 })
	if a := server.answers[1]; len(a.Readings) < 400 || len(a.Evidence) != wire.MaxEvidence || a.Status != muster.StatusCritical {
		t.Errorf("%d readings, %d pieces of evidence, %s", len(a.Readings), len(a.Evidence), a.Status)
	}
	// More at one time than an agent bears are answered too.
	for n := range uint64(200) {
		server.push(t, &wire.Run{Request: 100 + n, Assignment: assigned(muster.NewCheckID(), "waits")})
	}
	server.until(t, "all answers", func() bool { return len(server.answers) == 202 })
	busy := 0
	for _, a := range server.answers[2:] {
		if a.Status == muster.StatusUnknown && a.Class == "busy" {
			busy++
		}
	}
	if busy < 20 || busy > 140 {
		t.Errorf("%d of 200 were refused", busy)
	}
}

func TestAnAgentWithoutKindsRunsNothing(t *testing.T) {
	server := runs(t, func(o *agent.Options) { o.Kinds = nil })
	server.push(t, &wire.Assign{Add: []wire.Assignment{assigned(muster.NewCheckID(), "fine")}})
	server.push(t, &wire.Run{Request: 5, Assignment: assigned(muster.NewCheckID(), "fine")})
	server.until(t, "an answer", func() bool { return len(server.answers) == 1 })
	if a := server.answers[0]; a.Status != muster.StatusUnknown || a.Class != "kind" {
		t.Errorf("%+v", a)
	}
}
