package checks

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"muster"
	"muster/api"
	"muster/internal/check"
	"muster/internal/web/chart"
	"muster/internal/web/shell"
)

// shown is the result of a run, ready for the template "result".
type shown struct {
	Status   string
	Summary  string
	Class    string
	Means    string // what the class means
	Error    string
	At       time.Time
	Zone     string
	Took     string
	Parts    []segment // how long what took; empty for kinds that have no such parts
	Cert     *certificate
	Figures  []pair // what else was measured
	Evidence []pair // what else was seen
}

// segment is a part of a run's time, in thousandths of it.
type segment struct {
	Name, Text, Class string
	X, W              float64
}

type pair struct{ Name, Value string }

// certificate is what a server showed of itself.
type certificate struct {
	Good    bool
	Problem string // "expired"
	Text    string // the problem in words
	Left    string // "61 d"
	Until   string
	Rows    []pair
}

// parts are the pieces of a run's time in their order, by the ends of the metrics' names.
var parts = []struct{ end, name, class string }{
	{".dns.duration", "resolve", "k3"}, {".connect.duration", "connect", "k0"}, {".tls.duration", "TLS", "k2"}, {".first_byte.duration", "first byte", "k1"},
}

// classes says what the classes of errors mean, where the word alone does not.
var classes = map[string]string{
	check.ClassDNS:      "the name could not be resolved",
	check.ClassConnect:  "no connection came to be",
	check.ClassTLS:      "the handshake or the certificate is not good",
	check.ClassTimeout:  "the time was up",
	check.ClassStatus:   "the answer has another code than expected",
	check.ClassBody:     "what was expected in the answer is not there",
	check.ClassRedirect: "redirects lead nowhere",
	check.ClassProtocol: "the answer breaks the rules of its protocol",
	check.ClassDenied:   "it may not go there from this zone",
	"dnssec":            "the name server has not found the answer authentic",
	"silent":            "no call came in time",
}

// show makes a result ready to be shown; target is left out of the evidence.
func show(r *api.Result) shown {
	out := shown{Status: r.Status, Summary: r.Summary, At: r.At, Zone: r.Zone, Evidence: nil}
	if r.DurationMS > 0 {
		out.Took = check.Took(time.Duration(r.DurationMS * float64(time.Millisecond)))
	}
	if r.Error != nil {
		out.Class, out.Error, out.Means = r.Error.Class, r.Error.Message, classes[r.Error.Class]
	}
	used := map[string]bool{muster.CheckStatusMetric: true, muster.CheckDurationMetric: true}
	out.Parts = segments(r, used)
	out.Cert = certificateOf(r, used)
	for _, name := range slices.Sorted(maps.Keys(r.Metrics)) {
		if !used[name] {
			out.Figures = append(out.Figures, pair{name, figure(name, r.Metrics[name])})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(r.Evidence)) {
		if !strings.HasPrefix(name, "tls.") {
			out.Evidence = append(out.Evidence, pair{name, r.Evidence[name]})
		}
	}
	return out
}

// segments cuts the time of a run into its parts; what is left over is "rest".
func segments(r *api.Result, used map[string]bool) []segment {
	total := r.DurationMS / 1000
	var out []segment
	var sum float64
	kind := ""
	for _, p := range parts {
		for name, v := range r.Metrics {
			if strings.HasSuffix(name, p.end) && v >= 0 {
				used[name] = true
				kind, _, _ = strings.Cut(name, ".")
				sum += v
				out = append(out, segment{Name: p.name, Text: took2(v), Class: p.class, W: v})
			}
		}
	}
	if len(out) == 0 || total <= 0 {
		return nil
	}
	used[kind+".duration"] = true
	total = max(total, sum)
	if rest := total - sum; rest > 0.000_05 {
		out = append(out, segment{Name: "rest", Text: took2(rest), Class: "k4", W: rest})
	}
	x := 0.0
	for i := range out {
		out[i].X, out[i].W = round1(x), out[i].W/total*1000
		x += out[i].W
		out[i].W = round1(out[i].W)
	}
	return out
}

func took2(seconds float64) string { return check.Took(time.Duration(seconds * float64(time.Second))) }

func round1(v float64) float64 { return math.Round(v*10) / 10 }

// certificateOf gathers what is known of the certificate; nil when none was seen.
func certificateOf(r *api.Result, used map[string]bool) *certificate {
	const left, valid = "tls.certificate.remaining", "tls.certificate.valid"
	seconds, some := r.Metrics[left]
	if r.Evidence["tls.subject"] == "" && !some {
		return nil
	}
	used[left], used[valid] = true, true
	c := &certificate{Problem: r.Evidence["tls.problem"], Text: r.Evidence["tls.error"]}
	c.Good = c.Problem == ""
	if some {
		c.Left = shell.Span(time.Duration(seconds) * time.Second)
		if seconds < 0 {
			c.Left = "ended " + shell.Span(time.Duration(-seconds)*time.Second) + " ago"
		}
	}
	if t, err := time.Parse(time.RFC3339, r.Evidence["tls.not_after"]); err == nil {
		c.Until = t.Format("2 Jan 2006")
	}
	for _, row := range []pair{{"Names", "tls.names"}, {"Subject", "tls.subject"}, {"Issuer", "tls.issuer"}, {"Version", "tls.version"}, {"Fingerprint", "tls.fingerprint"}} {
		if v := r.Evidence[row.Value]; v != "" {
			c.Rows = append(c.Rows, pair{row.Name, v})
		}
	}
	return c
}

// figure writes a metric of which only the name is known.
func figure(name string, v float64) string {
	switch {
	case strings.HasSuffix(name, ".duration") || strings.Contains(name, ".rtt.") || strings.HasSuffix(name, ".ttl") || strings.HasSuffix(name, ".age"):
		return chart.Text(v, chart.Seconds)
	case strings.HasSuffix(name, ".size"):
		return chart.Text(v, chart.Bytes)
	case strings.HasSuffix(name, ".loss"):
		return chart.Text(v, chart.Share)
	}
	return chart.Text(v, "")
}

// mostShown is how long a result may be that is given back to be shown.
const mostShown = 256 << 10

// shownPart makes a picture of a result that a script got from the API.
func (p *Page) shownPart(w http.ResponseWriter, r *http.Request) {
	var res api.Result
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, mostShown)).Decode(&res); err != nil {
		p.opts.Shell.Fail(w, r, fmt.Errorf("%w: checks: shown: this is no result", muster.ErrInvalid))
		return
	}
	p.form.Part(w, r, "result", show(&res))
}
