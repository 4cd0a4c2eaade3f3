package roster

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"muster"
	"muster/internal/roster/plan"
)

// Bounds of one page of results, and of how far one call looks for them.
const (
	defaultResults = 100
	maxResults     = 1000
	maxWindows     = 40
	maxTextPages   = 20
	textPage       = 500
	longestWindow  = 7 * 24 * time.Hour
)

// place is where a page begins: before the result of that instant and zone. texts is the store's cursor
// from which the words that the page needs are found.
type place struct {
	at    int64
	zone  string
	texts string
}

// lastZone comes after every zone's name.
const lastZone = "\U0010ffff"

// stamp names one result of a check.
type stamp struct {
	at   int64
	zone string
}

// compare puts the newest first, those of one instant by zone.
func (s stamp) compare(o stamp) int {
	if c := cmp.Compare(o.at, s.at); c != 0 {
		return c
	}
	return strings.Compare(s.zone, o.zone)
}

// page is a list of results while it is being made.
type page struct {
	check  *muster.Check
	from   place
	limit  int
	found  map[stamp]*muster.Result
	whole  map[stamp]bool // those that need nothing more
	names  map[string]bool
	ended  bool // there is nothing older
	looked int64
}

// Results gives up to limit results of a check over all zones, newest first (100 when limit is 0, never more than
// 1,000). before is the cursor that the last answer gave as next, or ""; next is "" at the end. The newest come from
// memory, older ones from Options.History, with the words that were stored when they changed; what a
// check measured before it was given to another node is not among them. The error wraps ErrNotFound, ErrInvalid (the
// cursor), or is the store's or History's.
func (r *Roster) Results(ctx context.Context, account muster.AccountID, id muster.CheckID, before string, limit int) (results []muster.Result, next string, err error) {
	from, err := parsePlace(before)
	if err != nil {
		return nil, "", fmt.Errorf("roster: results: %w", err)
	}
	e := r.entryOf(account, id)
	if e == nil {
		return nil, "", fmt.Errorf("roster: results: %w: no check %.64q", muster.ErrNotFound, id)
	}
	if limit <= 0 {
		limit = defaultResults
	}
	p := &page{
		check: e.check.Load(), from: from, limit: min(limit, maxResults),
		found: map[stamp]*muster.Result{}, whole: map[stamp]bool{}, names: map[string]bool{},
	}
	p.remember(e)
	if err := r.gather(ctx, p); err != nil {
		return nil, "", fmt.Errorf("roster: results: %w", err)
	}
	stamps, more := p.cut()
	texts, resume, err := r.textsOf(ctx, p, stamps)
	if err != nil {
		return nil, "", fmt.Errorf("roster: results: %w", err)
	}
	if err := r.measure(ctx, p, stamps); err != nil {
		return nil, "", fmt.Errorf("roster: results: %w", err)
	}
	for _, s := range stamps {
		res := p.found[s]
		if !p.whole[s] {
			say(res, s, texts[s.zone])
		}
		results = append(results, *res)
	}
	switch {
	case more:
		next = place{at: stamps[len(stamps)-1].at, zone: stamps[len(stamps)-1].zone, texts: resume}.String()
	case !p.ended:
		next = place{at: p.looked, zone: lastZone, texts: resume}.String()
	}
	return results, next, nil
}

// remember takes what is in memory.
func (p *page) remember(e *entry) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, v := range e.views {
		if v.plan == nil {
			continue
		}
		for _, name := range v.plan.Names() {
			p.names[name] = true
		}
		v.each(func(b beat) { p.add(stamp{b.at, v.zone}, b.status, float64(b.duration)) })
		if s := (stamp{v.at, v.zone}); p.found[s] != nil {
			*p.found[s], p.whole[s] = v.result(p.check, true), true
		}
	}
}

// add notes a result, if it belongs to the page or after it and is not known yet.
func (p *page) add(s stamp, status uint8, took float64) {
	if (stamp{p.from.at, p.from.zone}).compare(s) >= 0 || p.found[s] != nil {
		return
	}
	p.found[s] = &muster.Result{
		Account: p.check.Account, Check: p.check.ID, Zone: s.zone, At: instant(s.at), Status: statusOf(status), Duration: max(plan.Duration(took), 0),
	}
}

// gather looks back through the stored values until the page is full.
func (r *Roster) gather(ctx context.Context, p *page) error {
	if r.opts.History == nil {
		p.ended = true
		return nil
	}
	floor := p.check.CreatedAt.Add(-time.Minute).UnixMilli()
	to := min(p.from.at, r.opts.Now().UnixMilli()+2*ahead) + 1
	each := max(p.check.Period, time.Second) * time.Duration(p.limit/max(len(p.check.Zones), 1)+2)
	span := min(max(each+each/4, time.Minute), longestWindow)
	for range maxWindows {
		from := max(to-span.Milliseconds(), floor)
		if from < to {
			lines, err := r.past(ctx, p, muster.CheckStatusMetric, from, to)
			if err != nil {
				return err
			}
			for _, l := range lines {
				zone := zoneOf(l.Attrs)
				for _, pt := range l.Points {
					if !math.IsNaN(pt.Value) {
						p.add(stamp{pt.At, zone}, codeOf(muster.StatusOf(pt.Value)), -1)
					}
				}
			}
		}
		p.looked = from
		if from <= floor {
			p.ended = true
			return nil
		}
		if p.within(from) > p.limit {
			return nil
		}
		to, span = from, min(span*4, longestWindow)
	}
	return nil
}

// within counts what was found from an instant on.
func (p *page) within(from int64) (n int) {
	for s := range p.found {
		if s.at >= from {
			n++
		}
	}
	return n
}

func (r *Roster) past(ctx context.Context, p *page, metric string, from, to int64) ([]Line, error) {
	return r.opts.History(ctx, Past{
		Account: p.check.Account, Subject: p.check.Subject(), Check: p.check.ID, Metric: metric, From: instant(from), To: instant(to),
	})
}

func zoneOf(attrs []muster.Attr) string {
	for _, a := range attrs {
		if a.Key == muster.ZoneAttr {
			return a.Value
		}
	}
	return muster.LocalZone
}

// cut sorts what was found and gives what the page holds, and whether there is more.
func (p *page) cut() (stamps []stamp, more bool) {
	for s := range p.found {
		if p.ended || s.at >= p.looked { // what lies before was not looked through
			stamps = append(stamps, s)
		}
	}
	slices.SortFunc(stamps, stamp.compare)
	if len(stamps) > p.limit {
		return stamps[:p.limit], true
	}
	return stamps, false
}

// textsOf reads the stored words that the results need, by zone, newest first, and the cursor from which
// the next page finds its own.
func (r *Roster) textsOf(ctx context.Context, p *page, stamps []stamp) (texts map[string][]text, resume string, err error) {
	texts, resume = map[string][]text{}, p.from.texts
	needs := map[string]int64{} // by zone: a text of this instant or before is wanted
	oldest := int64(math.MaxInt64)
	for _, s := range stamps {
		oldest = min(oldest, s.at)
		if !p.whole[s] {
			needs[s.zone] = s.at
		}
	}
	keep := func(row StoredRow) {
		t, err := readText(row)
		if err != nil {
			return
		}
		texts[t.zone] = append(texts[t.zone], t)
		for _, name := range t.metrics {
			p.names[name] = true
		}
		if need, ok := needs[t.zone]; ok && t.at <= need {
			delete(needs, t.zone)
		}
	}
	waiting := r.texts.of(p.check.ID)
	slices.Reverse(waiting)
	for _, row := range waiting {
		keep(row)
	}
	cursor, passed := p.from.texts, false
	for range maxTextPages {
		if len(needs) == 0 {
			break
		}
		rows, next, err := r.store.Rows(ctx, p.check.Account, textStream(p.check.ID), cursor, textPage)
		if err != nil {
			return nil, "", err
		}
		for _, row := range rows {
			keep(row)
		}
		if !passed {
			resume = cursor
			passed = len(rows) > 0 && rows[len(rows)-1].At <= oldest
		}
		if next == "" {
			break
		}
		cursor = next
	}
	for _, list := range texts {
		slices.SortStableFunc(list, func(a, b text) int { return cmp.Compare(b.at, a.at) })
	}
	return texts, resume, nil
}

// say gives a result the words that stood when it was made.
func say(res *muster.Result, s stamp, texts []text) {
	code := codeOf(res.Status)
	for _, t := range texts {
		if t.at > s.at {
			continue
		}
		if t.status == code {
			t.said.apply(res)
			return
		}
		if code != codeOK {
			break // an older outage may have had another cause
		}
	}
	words{}.apply(res)
}

// measure reads what else was measured by the results that are not whole.
func (r *Roster) measure(ctx context.Context, p *page, stamps []stamp) error {
	var first, last int64
	for _, s := range stamps {
		if !p.whole[s] {
			first = s.at
			last = max(last, s.at)
		}
	}
	if r.opts.History == nil || last == 0 {
		return nil
	}
	names := make([]string, 0, len(p.names)+1)
	for name := range p.names {
		names = append(names, name)
	}
	slices.Sort(names)
	names = names[:min(len(names), maxNames)]
	for _, name := range append([]string{muster.CheckDurationMetric}, names...) {
		lines, err := r.past(ctx, p, name, first, last+1)
		if err != nil {
			return err
		}
		for _, l := range lines {
			p.put(name, l)
		}
	}
	return nil
}

// put lays one series over the results.
func (p *page) put(name string, l Line) {
	zone := zoneOf(l.Attrs)
	m := &muster.Metric{Name: name, Unit: l.Unit, Kind: l.Kind, Attrs: plan.OwnAttrs(l.Attrs)}
	for i, pt := range l.Points {
		s := stamp{pt.At, zone}
		res := p.found[s]
		if res == nil || p.whole[s] || math.IsNaN(pt.Value) || i > 0 && l.Points[i-1].At == pt.At {
			continue
		}
		if name == muster.CheckDurationMetric {
			res.Duration = max(plan.Duration(pt.Value), 0)
			continue
		}
		res.Metrics = append(res.Metrics, muster.Reading{Metric: m, Value: pt.Value})
	}
}

// String gives the cursor that people hand back.
func (p place) String() string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(p.at, 10) + "\x00" + p.zone + "\x00" + p.texts))
}

// parsePlace reads a cursor; "" stands before the newest result. The error wraps ErrInvalid.
func parsePlace(cursor string) (place, error) {
	if cursor == "" {
		return place{at: math.MaxInt64 - 1}, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	parts := strings.SplitN(string(raw), "\x00", 3)
	if err != nil || len(parts) != 3 {
		return place{}, fmt.Errorf("%w: the cursor is none that was given out", muster.ErrInvalid)
	}
	at, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil || at <= 0 || at == math.MaxInt64 {
		return place{}, fmt.Errorf("%w: the cursor is none that was given out", muster.ErrInvalid)
	}
	return place{at: at, zone: parts[1], texts: parts[2]}, nil
}
