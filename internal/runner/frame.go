package runner

import (
	"hash/maphash"
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"muster"
	"muster/internal/check"
)

// Limits of what one run gives, so that it fits a frame's note and the wire. In bytes and in number.
const (
	maxSummary  = 300
	maxClass    = 64
	maxError    = 1000
	maxEvidence = 64
	maxKey      = 100
	maxValue    = 1000
	maxReadings = 500
	maxDescribe = 256 << 10 // of all metrics' descriptions together, about
)

// form is how a check's results become frames. It is kept between runs: nearly always the same metrics come.
type form struct {
	mu     sync.Mutex
	known  []*muster.Metric // what schema was made of
	kept   []int            // which of them are in the schema; nil: all
	schema *muster.Schema
	said   uint64 // status, class and error that were told last, as a hash
	saying uint64 // the runner's, then; zero: never
}

// deliver makes a frame of an outcome and hands it on, unless the check or the runner is gone.
func (r *Runner) deliver(e *entry, at int64, out check.Outcome, took time.Duration) {
	r.mu.Lock()
	if r.closed || e.gone || r.runs.Err() != nil { // what ended with the runner says nothing about the target
		r.mu.Unlock()
		return
	}
	r.stats.Runs++
	r.delivery.Add(1)
	r.mu.Unlock()
	defer r.delivery.Done()
	e.form.mu.Lock()
	defer e.form.mu.Unlock()
	r.opts.Deliver(r.frame(e, at, &out, took))
}

// own gives the attributes by which every metric says which check and zone it is of.
func (e *entry) own() []muster.Attr {
	return []muster.Attr{{Key: muster.CheckAttr, Value: string(e.id)}, {Key: muster.ZoneAttr, Value: e.zone}}
}

// frame makes a frame. The caller holds the form's mu.
func (r *Runner) frame(e *entry, at int64, out *check.Outcome, took time.Duration) Frame {
	readings := make([]muster.Reading, 0, len(out.Readings)+2)
	readings = append(readings, muster.Reading{Metric: r.status, Value: out.Status.Number()}, muster.Reading{Metric: r.duration, Value: took.Seconds()})
	readings = append(readings, out.Readings...)
	form := &e.form
	if form.schema == nil || !slices.EqualFunc(form.known, readings, func(m *muster.Metric, r muster.Reading) bool { return same(m, r.Metric) }) {
		form.describe(e, readings)
	}
	f := Frame{Source: e.source, At: at / int64(time.Millisecond), Schema: form.schema, Values: make([]float64, len(form.schema.Metrics))}
	for to := range f.Values {
		from := to
		if form.kept != nil {
			from = form.kept[to]
		}
		f.Values[to] = readings[from].Value
	}
	// A number in the summary changes with each run; what kind of result it is does not.
	said := maphash.Comparable(r.seed, [3]string{string(out.Status), out.Class, out.Error})
	if saying := r.saying.Load() + 1; form.said != said || form.saying != saying {
		form.said, form.saying = said, saying
		f.Note = (&check.Note{Summary: out.Summary, Class: out.Class, Error: out.Error, Evidence: out.Evidence}).Marshal()
	}
	return f
}

// same says whether two descriptions are of one metric.
func same(a, b *muster.Metric) bool {
	return a == b || a.Name == b.Name && a.Unit == b.Unit && a.Kind == b.Kind && slices.Equal(a.Attrs, b.Attrs)
}

// describe makes the schema anew. Metrics that are not valid, and the second of two that are the same,
// are left out; the status is always there, since Assign takes no check for which it would not be valid.
func (f *form) describe(e *entry, readings []muster.Reading) {
	own := e.own()
	known := make([]*muster.Metric, len(readings))
	metrics := make([]muster.Metric, 0, len(readings))
	kept := make([]int, 0, len(readings))
	seen := make(map[string]struct{}, len(readings))
	for i, r := range readings {
		known[i] = r.Metric
		m := *r.Metric
		m.Attrs = with(m.Attrs, own)
		key := m.Key()
		if _, double := seen[key]; double || m.Validate() != nil {
			continue
		}
		seen[key] = struct{}{}
		metrics, kept = append(metrics, m), append(kept, i)
	}
	schema, err := muster.NewSchema(metrics)
	if err != nil {
		panic(err) // see above
	}
	f.known, f.kept, f.schema = known, nil, schema
	if len(kept) < len(known) {
		f.kept = kept
	}
}

// with gives attributes with a check's own among them, in order. Most metrics have no others: then all
// share one list.
func with(attrs, own []muster.Attr) []muster.Attr {
	if len(attrs) == 0 {
		return own
	}
	all := slices.Clone(own)
	for _, a := range attrs {
		if a.Key != muster.CheckAttr && a.Key != muster.ZoneAttr {
			all = append(all, a)
		}
	}
	slices.SortFunc(all, func(a, b muster.Attr) int { return strings.Compare(a.Key, b.Key) })
	return all
}

// result makes a result of an outcome, for who asked for a single run.
func result(e *entry, at time.Time, out *check.Outcome, took time.Duration) muster.Result {
	return muster.Result{
		Check: e.id, Zone: e.zone, At: at, Status: out.Status, Summary: out.Summary, Duration: took,
		Metrics: out.Readings, Class: out.Class, Error: out.Error, Evidence: out.Evidence,
	}
}

// tidy puts an outcome within the limits and makes it whole.
func tidy(out *check.Outcome) {
	switch out.Status {
	case muster.StatusOK, muster.StatusWarning, muster.StatusCritical, muster.StatusUnknown:
	case "":
		out.Status = muster.StatusOK
	default:
		out.Status = muster.StatusUnknown
	}
	out.Class, out.Error = line(out.Class, maxClass), line(out.Error, maxError)
	if out.Summary == "" {
		out.Summary = out.Error
	}
	if out.Summary = line(out.Summary, maxSummary); out.Summary == "" {
		out.Summary = string(out.Status)
	}
	out.Evidence = tidyEvidence(out.Evidence)
	size := 0
	out.Readings = slices.DeleteFunc(out.Readings, func(r muster.Reading) bool {
		if r.Metric == nil || math.IsNaN(r.Value) || math.IsInf(r.Value, 0) {
			return true
		}
		size += len(r.Metric.Name) + len(r.Metric.Unit)
		for _, a := range r.Metric.Attrs {
			size += len(a.Key) + len(a.Value)
		}
		return size > maxDescribe
	})
	out.Readings = out.Readings[:min(len(out.Readings), maxReadings)]
}

func tidyEvidence(all map[string]string) map[string]string {
	if len(all) == 0 {
		return nil
	}
	kept := make(map[string]string, min(len(all), maxEvidence))
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if len(kept) < maxEvidence && key != "" {
			kept[line(key, maxKey)] = cut(all[key], maxValue)
		}
	}
	return kept
}

// line makes one line of a text: no longer than most bytes, without control characters.
func line(s string, most int) string {
	s = cut(s, most)
	if strings.IndexFunc(s, unicode.IsControl) < 0 {
		return s
	}
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s))
}

// cut makes valid UTF-8 of at most so many bytes.
func cut(s string, most int) string {
	s = strings.ToValidUTF8(s, "?")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "")
	}
	return s
}

// words gives what an error says to people.
func words(err error) string {
	if text := muster.Words(err); text != "" {
		return text
	}
	return err.Error()
}
