package checks_test

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"muster"
	"muster/api"
	"muster/internal/auth"
	"muster/internal/check"
	kinds "muster/internal/check/all"
	"muster/internal/live"
	"muster/internal/roster"
	"muster/internal/series"
	"muster/internal/shape"
	"muster/internal/web/checks"
	"muster/internal/web/shell"
)

// world is a site with checks behind the real roster and the real hub. What was measured is a function of time.
type world struct {
	t       testing.TB
	account muster.AccountID
	roster  *roster.Roster
	hub     *live.Hub
	page    *checks.Page
	shell   *shell.Shell
	role    muster.Role
	now     func() time.Time

	mu     sync.Mutex
	nodes  []*muster.Node
	docs   map[muster.CheckID]*muster.Check
	texts  map[string][]roster.StoredRow
	pasts  map[muster.CheckID]*past
	calls  []string      // of the API
	broken bool          // the series don't answer
	age    time.Duration // of the checks that are made
}

// past is what a check measured.
type past struct {
	born     time.Time
	troubles []trouble
	evidence map[string]string
	class    string
	fault    string
}

type trouble struct {
	from, to time.Time
	status   muster.CheckStatus
}

func (p *past) status(at time.Time) muster.CheckStatus {
	for _, tr := range p.troubles {
		if !at.Before(tr.from) && at.Before(tr.to) {
			return tr.status
		}
	}
	return muster.StatusOK
}

type measured struct {
	name, unit string
	value      func(t float64) float64
}

func wave(base, amp, seed float64) func(float64) float64 {
	return func(t float64) float64 {
		return math.Max(base/4, base+amp*(math.Sin(t/97+seed)+.6*math.Sin(t/23+2*seed)+.4*math.Sin(t/7.3+3*seed))/2)
	}
}

// metricsOf gives what a kind measures beside the status.
func metricsOf(kind string) []measured {
	switch kind {
	case "http":
		return []measured{
			{"check.duration", "s", wave(.094, .02, 1)}, {"http.dns.duration", "s", wave(.004, .002, 2)}, {"http.connect.duration", "s", wave(.012, .003, 3)},
			{"http.tls.duration", "s", wave(.031, .006, 4)}, {"http.first_byte.duration", "s", wave(.041, .012, 5)}, {"http.duration", "s", wave(.094, .02, 1)},
			{"http.response.status_code", "1", func(float64) float64 { return 200 }}, {"http.response.body.size", "By", wave(18e3, 900, 6)},
			{"tls.certificate.remaining", "s", func(t float64) float64 { return 61*86400 + 9000 - math.Mod(t, 3600) }}, {"tls.certificate.valid", "1", func(float64) float64 { return 1 }},
		}
	case "tcp":
		return []measured{{"check.duration", "s", wave(.003, .001, 1)}, {"tcp.connect.duration", "s", wave(.0021, .0008, 2)}}
	case "ping":
		return []measured{{"check.duration", "s", wave(.85, .01, 1)}, {"ping.rtt.avg", "s", wave(.011, .002, 2)}, {"ping.rtt.min", "s", wave(.009, .001, 2)}, {"ping.rtt.max", "s", wave(.016, .004, 2)}, {"ping.loss", "1", func(float64) float64 { return 0 }}}
	case "dns":
		return []measured{{"check.duration", "s", wave(.007, .003, 1)}, {"dns.duration", "s", wave(.006, .003, 1)}, {"dns.answers", "{answer}", func(float64) float64 { return 2 }}}
	}
	return []measured{{"check.duration", "s", wave(214, 30, 1)}, {"push.called", "1", func(float64) float64 { return 1 }}}
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, account: muster.NewAccountID(), hub: live.New(live.Options{}), role: muster.Admin, now: time.Now, docs: map[muster.CheckID]*muster.Check{}, texts: map[string][]roster.StoredRow{}, pasts: map[muster.CheckID]*past{}}
	t.Cleanup(w.hub.Close)
	for _, name := range []string{"db-primary", "web-1.example.org", "cache-02"} {
		w.nodes = append(w.nodes, &muster.Node{ID: muster.NewNodeID(), Account: w.account, Name: name, Hostname: name + ".internal", Addresses: []string{"10.0.4." + fmt.Sprint(12+len(w.nodes))}, Facts: map[string]string{"os.type": "linux"}})
	}
	var err error
	w.roster, err = roster.Open(context.Background(), w, roster.Options{
		Kinds: kinds.Kinds(), RunOnce: w.runOnce, History: w.history, Changed: w.changed,
		HasNode: func(_ muster.AccountID, id muster.NodeID) bool { return w.Node(w.account, id) != nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	runner := muster.NewNodeID()
	w.roster.SetLocal(w.account, runner)
	w.roster.Joined(w.account, runner)
	w.shell = shell.New(shell.Options{Version: "0.1.0", Nav: []shell.NavItem{
		{Key: "overview", Title: "Overview", Href: "/"}, {Key: "nodes", Title: "Nodes", Href: "/nodes"}, {Key: "checks", Title: "Checks", Href: "/checks"},
		{Key: "changelog", Title: "Changelog", Href: "/changelog", Wide: true}, {Key: "settings", Title: "Settings", Href: "/settings"},
	}})
	w.page = checks.New(checks.Options{Shell: w.shell, Checks: w.roster, Series: w, Hub: w.hub, Fleet: w})
	return w
}

// changed tells the hub, as the server does.
func (w *world) changed(c roster.Change) {
	if c.Zone != "" {
		w.hub.Publish(live.Event{Account: c.Account, Topic: live.TopicResults, Kind: "result", Key: string(c.Check) + c.Zone, Data: func() any {
			result, ok := w.roster.Latest(c.Account, c.Check, c.Zone)
			if !ok {
				return nil
			}
			return &result
		}})
	}
	if c.Status || c.Edited || c.Gone {
		w.hub.Publish(live.Event{Account: c.Account, Topic: live.TopicChecks, Kind: "check", Key: string(c.Check), Data: func() any { return c }})
	}
}

// runOnce really runs a check.
func (w *world) runOnce(ctx context.Context, account muster.AccountID, _ muster.NodeID, a check.Assignment) (muster.Result, error) {
	probe, err := kinds.Kinds()[a.Kind].Parse(a.Config)
	if err != nil {
		return muster.Result{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, a.Timeout)
	defer cancel()
	var out check.Outcome
	at := time.Now()
	probe.Run(ctx, &check.Env{}, &out)
	return muster.Result{
		Account: account, Zone: a.Zone, At: at, Status: cmp.Or(out.Status, muster.StatusOK), Summary: out.Summary, Duration: time.Since(at),
		Metrics: out.Readings, Class: out.Class, Error: out.Error, Evidence: out.Evidence,
	}, nil
}

// add makes a check that has run for so long.
func (w *world) add(c muster.Check, age time.Duration, troubles ...trouble) muster.CheckID {
	w.t.Helper()
	c.Enabled, w.age = true, age
	row, err := w.roster.Create(context.Background(), roster.Edit{Account: w.account, Actor: "user_1"}, &c)
	if err != nil {
		w.t.Fatal(err)
	}
	w.age = 0
	w.mu.Lock()
	defer w.mu.Unlock()
	p := &past{born: w.now().Add(-age), troubles: troubles, class: "status", fault: "HTTP 502, expected 200-299"}
	if c.Kind == "http" {
		p.evidence = map[string]string{
			"addresses": "192.0.2.7", "http.status": "HTTP/1.1 200 OK", "http.header.server": "nginx/1.24.0", "tls.version": "TLS 1.3", "tls.subject": "CN=*.example.org", "tls.names": "*.example.org example.org",
			"tls.issuer": "CN=R11,O=Let's Encrypt,C=US", "tls.not_after": w.now().Add(61 * 24 * time.Hour).UTC().Format(time.RFC3339), "tls.fingerprint": strings.Repeat("3f0ce1", 10),
		}
	}
	w.pasts[row.Check.ID] = p
	return row.Check.ID
}

// tell sends a result of a check, as it was at that instant.
func (w *world) tell(id muster.CheckID, at time.Time) {
	w.mu.Lock()
	c, p := w.docs[id], w.pasts[id]
	w.mu.Unlock()
	if c == nil {
		return
	}
	attrs := []muster.Attr{{Key: muster.CheckAttr, Value: string(id)}, {Key: muster.ZoneAttr, Value: muster.LocalZone}}
	metrics := []muster.Metric{{Name: muster.CheckStatusMetric, Unit: "1", Kind: muster.Gauge, Attrs: attrs}}
	status := p.status(at)
	values := []float64{status.Number()}
	list := metricsOf(c.Kind)
	slices.SortFunc(list, func(a, b measured) int { return strings.Compare(a.name, b.name) })
	for _, m := range list {
		metrics = append(metrics, muster.Metric{Name: m.name, Unit: m.unit, Kind: muster.Gauge, Attrs: attrs})
		values = append(values, m.value(float64(at.UnixMilli())/1000))
	}
	schema, err := muster.NewSchema(metrics)
	if err != nil {
		w.t.Fatal(err)
	}
	sorted := make([]float64, len(values))
	for i := range schema.Metrics {
		for j := range metrics {
			if metrics[j].Name == schema.Metrics[i].Name {
				sorted[i] = values[j]
			}
		}
	}
	note := check.Note{Summary: map[string]string{"http": "HTTP 200", "tcp": "port 5432 is open", "ping": "5 of 5 answered", "dns": "2 records"}[c.Kind], Evidence: p.evidence}
	if status != muster.StatusOK {
		note.Summary, note.Class, note.Error = "HTTP 502", p.class, p.fault
	}
	w.roster.Observe([]*muster.Frame{{Account: w.account, Node: c.Subject(), Source: c.Source(muster.LocalZone), At: at.UnixMilli(), Sent: at.UnixMilli(), Schema: schema, Values: sorted, Note: note.Marshal()}})
}

// run sends the last results of all checks.
func (w *world) run() {
	w.mu.Lock()
	var ids []muster.CheckID
	for id := range w.pasts {
		ids = append(ids, id)
	}
	w.mu.Unlock()
	for _, id := range ids {
		w.mu.Lock()
		c, born := w.docs[id], w.pasts[id].born
		w.mu.Unlock()
		for n := 20; n >= 0; n-- {
			if at := w.now().Truncate(c.Period).Add(-time.Duration(n) * c.Period); !at.Before(born) {
				w.tell(id, at)
			}
		}
	}
}

// The store of the roster.

func (w *world) Accounts(context.Context) ([]*muster.Account, error) {
	return []*muster.Account{{ID: w.account, Name: "acme"}}, nil
}
func (w *world) Checks(context.Context, muster.AccountID) ([]*muster.Check, error) { return nil, nil }
func (w *world) CreateCheck(_ context.Context, c *muster.Check) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, d := range w.docs {
		if strings.EqualFold(d.Name, c.Name) {
			return fmt.Errorf("fake: create: %w: a check is called %s already", muster.ErrConflict, c.Name)
		}
	}
	c.Rev, c.CreatedAt, c.UpdatedAt = 1, w.now().Add(-w.age), w.now()
	kept := *c
	w.docs[c.ID] = &kept
	return nil
}
func (w *world) UpdateCheck(_ context.Context, _ muster.AccountID, id muster.CheckID, rev uint64, change func(*muster.Check) error) (*muster.Check, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	d := w.docs[id]
	if d == nil {
		return nil, fmt.Errorf("fake: update: %w", muster.ErrNotFound)
	}
	if rev != 0 && rev != d.Rev {
		return nil, fmt.Errorf("fake: update: %w: it is at rev %d", muster.ErrConflict, d.Rev)
	}
	next := *d
	if err := change(&next); err != nil {
		return nil, err
	}
	next.Rev++
	next.UpdatedAt = w.now()
	w.docs[id] = &next
	return &next, nil
}
func (w *world) DeleteCheck(_ context.Context, _ muster.AccountID, id muster.CheckID, _ uint64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.docs, id)
	return nil
}
func (w *world) AppendEvents(context.Context, []muster.Event) error { return nil }
func (w *world) PutRows(_ context.Context, _ muster.AccountID, stream string, rows []roster.StoredRow) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.texts[stream] = append(w.texts[stream], rows...)
	return nil
}
func (w *world) Rows(_ context.Context, _ muster.AccountID, stream, _ string, _ int) ([]roster.StoredRow, string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	rows := slices.Clone(w.texts[stream])
	slices.SortFunc(rows, func(a, b roster.StoredRow) int { return cmp.Compare(b.At, a.At) })
	return rows, "", nil
}

// history gives what was stored, run by run.
func (w *world) history(_ context.Context, p roster.Past) ([]roster.Line, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c, had := w.docs[p.Check], w.pasts[p.Check]
	if c == nil || had == nil {
		return nil, nil
	}
	value := func(at time.Time) float64 { return had.status(at).Number() }
	if p.Metric != muster.CheckStatusMetric {
		i := slices.IndexFunc(metricsOf(c.Kind), func(m measured) bool { return m.name == p.Metric })
		if i < 0 {
			return nil, nil
		}
		value = func(at time.Time) float64 { return metricsOf(c.Kind)[i].value(float64(at.UnixMilli()) / 1000) }
	}
	line := roster.Line{Kind: muster.Gauge, Attrs: []muster.Attr{{Key: muster.CheckAttr, Value: string(c.ID)}, {Key: muster.ZoneAttr, Value: muster.LocalZone}}}
	for at := p.From.Truncate(c.Period); at.Before(p.To); at = at.Add(c.Period) {
		if !at.Before(p.From) && at.After(had.born) && at.Before(w.now()) {
			line.Points = append(line.Points, roster.Point{At: at.UnixMilli(), Value: value(at)})
		}
	}
	return []roster.Line{line}, nil
}

// The nodes.

func (w *world) Node(_ muster.AccountID, id muster.NodeID) *muster.Node {
	for _, n := range w.nodes {
		if n.ID == id {
			return n
		}
	}
	return nil
}
func (w *world) Nodes(muster.AccountID) []*muster.Node { return w.nodes }

// The series.

func (w *world) Query(_ context.Context, q series.Query) (*series.Answer, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.broken {
		return nil, fmt.Errorf("fake: query: %w", muster.ErrUnavailable)
	}
	step := q.Step
	if step == 0 {
		step = max(q.MinStep, q.To.Sub(q.From)/time.Duration(max(q.Points, 1)), 10*time.Second).Round(time.Second)
	}
	a := &series.Answer{Metric: q.Metric, From: q.From, To: q.To, Step: step, Kind: muster.Gauge}
	for id, p := range w.pasts {
		c := w.docs[id]
		if c == nil || !slices.Contains(q.Nodes, c.Subject()) || q.Attrs[muster.CheckAttr] != "" && q.Attrs[muster.CheckAttr] != string(id) {
			continue
		}
		line := series.Line{Node: c.Subject(), Attrs: []muster.Attr{{Key: muster.CheckAttr, Value: string(id)}, {Key: muster.ZoneAttr, Value: muster.LocalZone}}}
		line.Points, a.Unit = p.points(c.Kind, q, step, w.now())
		if len(line.Points) > 0 {
			a.Lines = append(a.Lines, line)
		}
	}
	return a, nil
}

func (p *past) points(kind string, q series.Query, step time.Duration, now time.Time) (out []series.Point, unit string) {
	const samples = 4
	value := func(at time.Time) float64 { return p.status(at).Number() }
	if q.Metric != muster.CheckStatusMetric {
		list := metricsOf(kind)
		i := slices.IndexFunc(list, func(m measured) bool { return m.name == q.Metric })
		if i < 0 {
			return nil, ""
		}
		unit = list[i].unit
		value = func(at time.Time) float64 {
			if p.status(at) != muster.StatusOK {
				return math.NaN()
			}
			return list[i].value(float64(at.UnixMilli()) / 1000)
		}
	}
	for at := q.From.Truncate(step); at.Before(q.To) && at.Before(now); at = at.Add(step) {
		if at.Before(q.From) || at.Before(p.born) {
			continue
		}
		pt := series.Point{T: at.UnixMilli(), Min: math.Inf(1), Max: math.Inf(-1)}
		n := 0.0
		for k := range samples {
			if v := value(at.Add(step * time.Duration(k) / samples)); !math.IsNaN(v) {
				n++
				pt.Avg += (v - pt.Avg) / n
				pt.Min, pt.Max = min(pt.Min, v), max(pt.Max, v)
			}
		}
		if n > 0 {
			out = append(out, pt)
		}
	}
	return out, unit
}

func (w *world) Metrics(_ context.Context, _ muster.AccountID, node muster.NodeID) ([]series.MetricNow, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []series.MetricNow
	for id, c := range w.docs {
		if c.Subject() != node || w.pasts[id] == nil {
			continue
		}
		for _, m := range append(metricsOf(c.Kind), measured{muster.CheckStatusMetric, "1", nil}) {
			out = append(out, series.MetricNow{Source: string(id), Metric: muster.Metric{Name: m.name, Unit: m.unit, Kind: muster.Gauge, Attrs: []muster.Attr{{Key: muster.CheckAttr, Value: string(id)}, {Key: muster.ZoneAttr, Value: muster.LocalZone}}}})
		}
	}
	slices.SortFunc(out, func(a, b series.MetricNow) int { return strings.Compare(a.Metric.Name, b.Metric.Name) })
	return out, nil
}

// site gives the pages and the API's calls that they make.
func (w *world) site() http.Handler {
	mux := http.NewServeMux()
	w.page.Routes(mux)
	w.api(mux)
	mux.Handle(shell.AssetPrefix, w.shell.AssetHandler())
	frame := shell.NewView[template.HTML](w.shell, "ofnode", fstest.MapFS{"page.html": {Data: []byte(`{{define "body"}}<h1>A node</h1>{{.}}{{end}}`)}}, "page.html")
	mux.HandleFunc("GET /nodes/{id}/checks", func(out http.ResponseWriter, r *http.Request) {
		id, _ := muster.ParseNodeID(r.PathValue("id"))
		html, err := w.page.OfNode(r.Context(), shell.Identity(r.Context()), id)
		if err != nil {
			w.t.Error(err)
		}
		frame.Render(out, r, shell.Page{Title: "A node", Nav: "nodes", Live: true, Styles: []string{"checks/checks.css"}, Modules: []string{"checks/list.js"}}, &html)
	})
	mux.HandleFunc("GET /nodes", func(out http.ResponseWriter, r *http.Request) { fmt.Fprint(out, "nodes like ", r.URL.Query().Get("q")) })
	return shell.Secure(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		v := shell.Viewer{Identity: auth.Identity{Account: w.account, User: "user_1", Name: "admin", Role: w.role}, AccountName: "acme", CSRF: "token", HasPassword: true}
		if !shell.Safe(r.Method) && shell.GivenCSRF(out, r) != "token" {
			http.Error(out, "forged", http.StatusForbidden)
			return
		}
		mux.ServeHTTP(out, r.WithContext(shell.WithViewer(r.Context(), v)))
	}))
}

// api answers as the REST API does.
func (w *world) api(mux *http.ServeMux) {
	answer := func(out http.ResponseWriter, status int, v any) {
		out.Header().Set("Content-Type", "application/json")
		out.WriteHeader(status)
		json.NewEncoder(out).Encode(v)
	}
	fail := func(out http.ResponseWriter, err error, faults shape.Faults) {
		p := api.Problem{Status: shell.Status(err), Detail: shell.Words(err), Errors: faults}
		var wrong *check.ConfigError
		if errors.As(err, &wrong) {
			p.Detail = "The configuration is not valid."
			for _, f := range wrong.Fields {
				p.Errors = append(p.Errors, api.Fault{Location: "body.config." + f.Field, Message: f.Message})
			}
		} else if p.Detail != "" {
			p.Detail = strings.ToUpper(p.Detail[:1]) + p.Detail[1:]
		}
		out.Header().Set("Content-Type", "application/problem+json")
		out.WriteHeader(p.Status)
		json.NewEncoder(out).Encode(p)
	}
	shaped := func(row roster.Row) api.Check { return shape.Check(row.Check, row.Status, row.Since, row.Last, "") }
	read := func(out http.ResponseWriter, raw []byte) *muster.Check {
		var said api.CheckNew
		if err := json.Unmarshal(raw, &said); err != nil {
			fail(out, fmt.Errorf("%w: %v", muster.ErrInvalid, err), nil)
			return nil
		}
		c, faults := shape.ReadCheck(&said)
		if len(faults) > 0 {
			fail(out, fmt.Errorf("%w: The input is not valid.", muster.ErrInvalid), faults)
			return nil
		}
		c.Account = w.account
		return c
	}
	note := func(r *http.Request) []byte {
		raw := make([]byte, 0, 1024)
		buf := make([]byte, 1024)
		for {
			n, err := r.Body.Read(buf)
			raw = append(raw, buf[:n]...)
			if err != nil {
				break
			}
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.calls = append(w.calls, r.Method+" "+r.URL.Path+" "+string(raw))
		return raw
	}
	mux.HandleFunc("POST /v1/checks/test", func(out http.ResponseWriter, r *http.Request) {
		c := read(out, note(r))
		if c == nil {
			return
		}
		res, err := w.roster.Test(r.Context(), c)
		if err != nil {
			fail(out, err, nil)
			return
		}
		answer(out, 200, shape.Result(&res))
	})
	mux.HandleFunc("POST /v1/checks", func(out http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Idempotency-Key") == "" {
			w.t.Error("a check is made without a key against doing it twice")
		}
		c := read(out, note(r))
		if c == nil {
			return
		}
		row, err := w.roster.Create(r.Context(), roster.Edit{Account: w.account}, c)
		if err != nil {
			fail(out, err, nil)
			return
		}
		w.mu.Lock()
		w.pasts[row.Check.ID] = &past{born: w.now()}
		w.mu.Unlock()
		answer(out, 201, shaped(row))
	})
	mux.HandleFunc("GET /v1/checks/{id}", func(out http.ResponseWriter, r *http.Request) {
		row, err := w.roster.Get(w.account, muster.CheckID(r.PathValue("id")))
		if err != nil {
			fail(out, err, nil)
			return
		}
		answer(out, 200, shaped(row))
	})
	mux.HandleFunc("PATCH /v1/checks/{id}", func(out http.ResponseWriter, r *http.Request) {
		patch := note(r)
		var rev uint64
		fmt.Sscanf(r.Header.Get("If-Match"), `"%d"`, &rev)
		row, err := w.roster.Update(r.Context(), roster.Edit{Account: w.account, ID: muster.CheckID(r.PathValue("id")), Rev: rev}, func(c *muster.Check) error {
			raw, _ := json.Marshal(shape.CheckNew(c))
			merged, err := shape.Merge(raw, patch)
			if err != nil {
				return err
			}
			var said api.CheckNew
			if err := json.Unmarshal(merged, &said); err != nil {
				return fmt.Errorf("%w: %v", muster.ErrInvalid, err)
			}
			next, _ := shape.ReadCheck(&said)
			c.Name, c.Node, c.Config, c.Period, c.Timeout, c.Zones, c.Enabled = next.Name, next.Node, next.Config, next.Period, next.Timeout, next.Zones, next.Enabled
			return nil
		})
		if err != nil {
			fail(out, err, nil)
			return
		}
		answer(out, 200, shaped(row))
	})
	mux.HandleFunc("DELETE /v1/checks/{id}", func(out http.ResponseWriter, r *http.Request) {
		note(r)
		if err := w.roster.Delete(r.Context(), roster.Edit{Account: w.account, ID: muster.CheckID(r.PathValue("id"))}); err != nil {
			fail(out, err, nil)
			return
		}
		out.WriteHeader(204)
	})
}

func config(text string, args ...any) []byte { return fmt.Appendf(nil, text, args...) }

// fleet makes checks of every kind and state.
func (w *world) fleet() map[string]muster.CheckID {
	now, year := w.now(), 400*24*time.Hour
	ids := map[string]muster.CheckID{}
	ids["site"] = w.add(muster.Check{Name: "site", Kind: "http", Config: config(`{"url":"https://www.example.org/"}`)}, year,
		trouble{now.Add(-5 * time.Hour), now.Add(-5*time.Hour + 20*time.Minute), muster.StatusCritical}, trouble{now.Add(-11 * time.Hour), now.Add(-11*time.Hour + time.Minute), muster.StatusWarning})
	ids["api"] = w.add(muster.Check{Name: "api health", Kind: "http", Node: w.nodes[1].ID, Config: config(`{"url":"https://api.example.org/health"}`)}, year, trouble{now.Add(-4 * time.Minute), now.Add(time.Hour), muster.StatusCritical})
	ids["db"] = w.add(muster.Check{Name: "postgres", Kind: "tcp", Node: w.nodes[0].ID, Config: config(`{"host":"db-1.example.org","port":5432}`)}, year)
	ids["edge"] = w.add(muster.Check{Name: "edge-fra", Kind: "ping", Config: config(`{"host":"192.0.2.40"}`), Period: 30 * time.Second}, 3*time.Hour)
	ids["dns"] = w.add(muster.Check{Name: "example.org records", Kind: "dns", Config: config(`{"query":"example.org"}`)}, year)
	ids["backup"] = w.add(muster.Check{Name: "nightly backup", Kind: "push", Period: 24 * time.Hour}, 20*24*time.Hour)
	ids["old"] = w.add(muster.Check{Name: "old shop", Kind: "http", Config: config(`{"url":"http://shop.example.org/"}`)}, year)
	w.run()
	ids["new"] = w.add(muster.Check{Name: "a-very-long-name-that-somebody-gave-a-check-in-a-hurry.production.eu-central-1.example.internal", Kind: "tcp", Config: config(`{"host":"a-very-long-name-that-somebody-gave-a-machine.eu-central-1.example.internal","port":8443}`)}, 0)
	if _, err := w.roster.Update(context.Background(), roster.Edit{Account: w.account, ID: ids["old"]}, func(c *muster.Check) error { c.Enabled = false; return nil }); err != nil {
		w.t.Fatal(err)
	}
	return ids
}
