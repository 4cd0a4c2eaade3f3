package incidents

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"muster"
	"muster/internal/web/chart"
)

// evidence is what a check found when it failed.
type evidence struct {
	Check   string
	Href    string
	Zone    string // empty for the local one
	At      time.Time
	Status  muster.CheckStatus
	Summary string
	Error   string
	Class   string
	Took    string
	Facts   []fact
}

type fact struct {
	Key, Value string
}

const (
	checksShown  = 3
	resultsRead  = 500 // at a time, while the last failure of what is over is looked for
	resultsPages = 3
)

// evidence gives the results of the checks this incident is about: the newest failing one of each zone.
func (p *Page) evidence(ctx context.Context, s *scene) []evidence {
	var out []evidence
	for _, id := range checksOf(s.Incident) {
		row, err := p.opts.Checks.Get(s.Account, id)
		if err != nil {
			continue // it was removed
		}
		results := row.Last
		if s.State == muster.IncidentResolved {
			results = p.lastFailure(ctx, s, id)
		}
		failing := slices.DeleteFunc(slices.Clone(results), func(r muster.Result) bool { return r.Status == muster.StatusOK })
		for i := range failing {
			e := evidenceOf(&failing[i])
			e.Check, e.Href = row.Check.Name, p.opts.ChecksPath+"/"+string(id)
			out = append(out, e)
		}
	}
	return out
}

// checksOf gives the checks whose series fired: those that fire now, or all when it is over.
func checksOf(in *muster.Incident) []muster.CheckID {
	var out []muster.CheckID
	add := func(id muster.CheckID) {
		if id != "" && !slices.Contains(out, id) && len(out) < checksShown {
			out = append(out, id)
		}
	}
	for i := range in.Open {
		add(in.Open[i].Check)
	}
	if in.State == muster.IncidentResolved {
		for i := range in.Transitions {
			add(in.Transitions[i].Check)
		}
	}
	return out
}

// lastFailure looks for the last result that was not well, at or before the end of the incident.
func (p *Page) lastFailure(ctx context.Context, s *scene, id muster.CheckID) []muster.Result {
	before := ""
	for range resultsPages {
		results, next, err := p.opts.Checks.Results(ctx, s.Account, id, before, resultsRead)
		if err != nil {
			return nil // the page is worth having without
		}
		for i := range results {
			r := &results[i]
			if r.At.Before(s.OpenedAt.Add(-time.Hour)) {
				return nil
			}
			if r.Status != muster.StatusOK && !r.At.After(s.ResolvedAt) {
				return results[i : i+1]
			}
		}
		if before = next; next == "" {
			break
		}
	}
	return nil
}

func evidenceOf(r *muster.Result) evidence {
	e := evidence{At: r.At, Status: r.Status, Summary: r.Summary, Error: r.Error, Class: r.Class, Took: chart.Text(r.Duration.Seconds(), chart.Seconds)}
	if r.Zone != muster.LocalZone {
		e.Zone = r.Zone
	}
	if strings.EqualFold(e.Error, e.Summary) {
		e.Error = ""
	}
	for _, key := range slices.Sorted(maps.Keys(r.Evidence)) {
		e.Facts = append(e.Facts, fact{Key: key, Value: r.Evidence[key]})
	}
	return e
}
