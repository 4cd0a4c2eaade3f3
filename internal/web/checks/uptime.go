package checks

import (
	"context"
	"math"
	"strconv"
	"time"

	"muster"
	"muster/internal/roster"
	"muster/internal/series"
	"muster/internal/web/shell"
)

const (
	day       = 24 * time.Hour
	slotShort = 5 * time.Minute // the finest rollup
	// upKept is how long an uptime is good for; upMost how many are kept.
	upKept = time.Minute
	upMost = 20_000
	// upPatience is how long a page waits for uptimes before it is shown without.
	upPatience = 2 * time.Second
)

// uptime is which share of a time a check was ok, over the steps in which it ran at all.
type uptime struct {
	Known bool
	Share float64
	Bad   time.Duration // about how long it was not
	From  time.Time     // of the first step with a result
	made  time.Time
}

// Text gives the share in percent, never "100 %" when something was wrong.
func (u uptime) Text() string {
	if !u.Known {
		return "—"
	}
	if u.Share >= 1 {
		return "100 %"
	}
	digits := 2
	if u.Share < 0.9 {
		digits = 1
	}
	pow := math.Pow10(digits)
	v := math.Floor(u.Share*100*pow) / pow
	return strconv.FormatFloat(v, 'f', digits, 64) + " %"
}

// Words says how long the check was not ok, and since when there are results at all when that is not the whole length
// of time that ends now.
func (u uptime) Words(length time.Duration, now time.Time) string {
	out := "ok all the time"
	switch {
	case !u.Known:
		return "no result"
	case u.Share < 1:
		out = "not ok for " + shell.Span(u.Bad)
	}
	if had := now.Sub(u.From); had < length*9/10 {
		out += ", of " + shell.Span(had)
	}
	return out
}

// badShare gives which share of a step a check was not ok. Numbers of statuses are averaged within a step: where only
// one kind of trouble was in it, as usual, this is exact.
func badShare(pt *series.Point) float64 {
	switch {
	case !(pt.Max > 0):
		return 0
	case pt.Min > 0:
		return 1
	}
	return min(pt.Avg/pt.Max, 1)
}

// uptimeOf reckons it from lines of muster.CheckStatusMetric between the making of the check and now; those of several
// zones count alike.
func uptimeOf(lines []series.Line, step time.Duration, made, now time.Time) uptime {
	var u uptime
	var all, bad time.Duration
	for i := range lines {
		for j := range lines[i].Points {
			pt := &lines[i].Points[j]
			from, to := time.UnixMilli(pt.T), time.UnixMilli(pt.T).Add(step)
			if from.Before(made) {
				from = made
			}
			if to.After(now) {
				to = now
			}
			length := max(to.Sub(from), time.Second)
			all += length
			bad += time.Duration(badShare(pt) * float64(length))
			if u.From.IsZero() || from.Before(u.From) {
				u.From = from
			}
		}
	}
	if all == 0 {
		return u
	}
	u.Known, u.Share = true, 1-float64(bad)/float64(all)
	u.Bad = bad / time.Duration(len(lines))
	return u
}

// uptimes gives the uptime of the last 24 hours of several checks, as far as it can be found quickly.
func (p *Page) uptimes(ctx context.Context, account muster.AccountID, rows []roster.Row) map[muster.CheckID]uptime {
	now := p.opts.Shell.Now()
	out := make(map[muster.CheckID]uptime, len(rows))
	var nodes []muster.NodeID
	asked := map[muster.NodeID]bool{}
	p.mu.Lock()
	for i := range rows {
		c := rows[i].Check
		if u, ok := p.ups[c.ID]; ok && now.Sub(u.made) < upKept {
			out[c.ID] = u
		} else if s := c.Subject(); !asked[s] {
			asked[s] = true
			nodes = append(nodes, s)
		}
	}
	p.mu.Unlock()
	if len(nodes) == 0 {
		return out
	}
	ctx, cancel := context.WithTimeout(ctx, upPatience)
	defer cancel()
	answer, err := p.opts.Series.Query(ctx, series.Query{
		Account: account, Nodes: nodes, Metric: muster.CheckStatusMetric, From: now.Add(-day).Truncate(slotShort), To: now, Step: slotShort,
	})
	if err != nil {
		return out // the column stays empty; the health page says what is wrong with the series
	}
	lines := map[muster.CheckID][]series.Line{}
	for _, l := range answer.Lines {
		id := muster.CheckID((&muster.Metric{Attrs: l.Attrs}).Attr(muster.CheckAttr))
		lines[id] = append(lines[id], l)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.ups) > upMost {
		clear(p.ups)
	}
	for i := range rows {
		id := rows[i].Check.ID
		if _, ok := out[id]; !ok {
			u := uptimeOf(lines[id], answer.Step, rows[i].Check.CreatedAt, now)
			u.made = now
			p.ups[id], out[id] = u, u
		}
	}
	return out
}

// statusLines reads how a check stood in the time before now.
func (p *Page) statusLines(ctx context.Context, c *muster.Check, length, step time.Duration) ([]series.Line, time.Duration, error) {
	now := p.opts.Shell.Now()
	answer, err := p.opts.Series.Query(ctx, series.Query{
		Account: c.Account, Nodes: []muster.NodeID{c.Subject()}, Metric: muster.CheckStatusMetric,
		Attrs: map[string]string{muster.CheckAttr: string(c.ID)}, From: now.Add(-length).Truncate(step), To: now, Step: step,
	})
	if err != nil {
		return nil, 0, err
	}
	return answer.Lines, answer.Step, nil
}

// stretch is a piece of the picture of the last day.
type stretch struct {
	X, Y, H int
	Class   string
	Words   string // "3 h ago: ok"
}

const (
	stretches  = 96 // of a quarter of an hour
	stretchLen = day / stretches
	stretchH   = 24
)

// dayOf draws the last 24 hours: the worse a quarter of an hour was, the taller it stands.
func dayOf(lines []series.Line, now time.Time) []stretch {
	type sum struct {
		n   int
		bad float64
		max float64
	}
	sums := make([]sum, stretches)
	end := now.Truncate(stretchLen).Add(stretchLen)
	for i := range lines {
		for j := range lines[i].Points {
			pt := &lines[i].Points[j]
			k := stretches - int((end.Sub(time.UnixMilli(pt.T))+stretchLen-1)/stretchLen)
			if k < 0 || k >= stretches {
				continue
			}
			sums[k].n++
			sums[k].bad += badShare(pt)
			sums[k].max = max(sums[k].max, pt.Max)
		}
	}
	out := make([]stretch, stretches)
	for k, s := range sums {
		st := stretch{X: 5 * k, H: 8, Class: "ok", Words: "ok"}
		switch share := s.bad / float64(max(s.n, 1)); {
		case s.n == 0:
			st.Class, st.H, st.Words = "void", 2, "no result"
		case share > 0:
			st.Class, st.H = "crit", stretchH
			if s.max == muster.StatusWarning.Number() {
				st.Class, st.H = "warn", 16
			}
			st.Words = "not ok for " + shell.Span(time.Duration(share*float64(stretchLen)))
		}
		st.Words = shell.Span(time.Duration(stretches-k)*stretchLen) + " ago: " + st.Words
		st.Y = stretchH - st.H
		out[k] = st
	}
	return out
}
