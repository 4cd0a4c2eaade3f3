package rest

import (
	"context"
	"errors"
	"net/http"
	"time"

	"muster"
	"muster/api"
	"muster/internal/alarm"
	"muster/internal/check"
	"muster/internal/judge"
	"muster/internal/roster"
	"muster/internal/shape"
)

// Checks is what the API asks of the roster. Errors wrap the kinds of the root package; those about a kind's
// own fields are *check.ConfigError.
type Checks interface {
	List(account muster.AccountID, o roster.ListOptions) []roster.Row
	Get(account muster.AccountID, id muster.CheckID) (roster.Row, error)
	Create(ctx context.Context, edit roster.Edit, c *muster.Check) (roster.Row, error)
	Update(ctx context.Context, edit roster.Edit, change func(*muster.Check) error) (roster.Row, error)
	Delete(ctx context.Context, edit roster.Edit) error
	Test(ctx context.Context, c *muster.Check) (muster.Result, error)
	Results(ctx context.Context, account muster.AccountID, id muster.CheckID, before string, limit int) (results []muster.Result, next string, err error)
}

// Alarms is what the API asks of the watch.
type Alarms interface {
	List(account muster.AccountID) []*muster.Alarm
	Get(account muster.AccountID, id muster.AlarmID) (*muster.Alarm, error)
	Create(ctx context.Context, edit alarm.Edit, a *muster.Alarm) (*muster.Alarm, error)
	Update(ctx context.Context, edit alarm.Edit, change func(*muster.Alarm) error) (*muster.Alarm, error)
	Delete(ctx context.Context, edit alarm.Edit) error
	StandingBy(account muster.AccountID, id muster.AlarmID) ([]alarm.Standing, error)
	Backtest(ctx context.Context, account muster.AccountID, a *muster.Alarm, o alarm.BacktestOptions) (*alarm.Backtest, error)
	Incidents(ctx context.Context, account muster.AccountID, f alarm.IncidentFilter) (list []*muster.Incident, next string, err error)
	Incident(ctx context.Context, account muster.AccountID, id muster.IncidentID) (*muster.Incident, error)
	Acknowledge(ctx context.Context, account muster.AccountID, id muster.IncidentID, actor string) (*muster.Incident, error)
	Comment(ctx context.Context, account muster.AccountID, id muster.IncidentID, c muster.Comment) (*muster.Incident, error)
}

func (a *API) watchRoutes() {
	a.checkRoutes()
	a.alarmRoutes()
	a.incidentRoutes()
	a.channelRoutes()
	a.suppressionRoutes()
}

func (a *API) checkRoutes() {
	things[muster.Check, api.CheckNew, api.Check]{
		path: api.PathChecks, tag: "Checks", one: "check", many: "checks",
		list: func(c caller) (list []*muster.Check) {
			for _, row := range a.o.Checks.List(c.Account, roster.ListOptions{}) {
				list = append(list, row.Check)
			}
			return list
		},
		get: func(c caller, id string) (*muster.Check, error) {
			row, err := a.o.Checks.Get(c.Account, muster.CheckID(id))
			return row.Check, err
		},
		create: a.createCheck, update: a.updateCheck,
		remove: func(ctx context.Context, c caller, e edit) error { return a.o.Checks.Delete(ctx, rosterEdit(c, e)) },
		shape: func(c caller, t *muster.Check) api.Check {
			row, err := a.o.Checks.Get(c.Account, t.ID)
			if err != nil { // deleted a moment ago
				row = roster.Row{Check: t, Status: muster.StatusUnknown}
			}
			return a.toCheck(c, row)
		},
		meta: func(c api.Check) api.Object { return c.Object }, key: func(c *muster.Check) string { return string(c.ID) },
	}.register(a)
	handle(a, route{id: "test-check", method: http.MethodPost, path: api.PathChecksTest, tag: "Checks", role: muster.Operator,
		summary: "Try a check without keeping it", about: "It runs once, in its zone, and the answer is what it found."}, a.testCheck)
	handle(a, route{id: "guess-check", method: http.MethodPost, path: api.PathChecksGuess, tag: "Checks", role: muster.Observer,
		summary: "Say which check a text stands for", about: "A URL, host:port or host, as people type it. Nothing is kept."}, a.guessCheck)
	handle(a, route{id: "check-results", method: http.MethodGet, path: api.PathChecks + "/{id}/results", tag: "Checks", role: muster.Observer,
		summary: "List what its runs gave", about: "Newest first."}, a.checkResults)
}

func rosterEdit(c caller, e edit) roster.Edit {
	return roster.Edit{Account: c.Account, ID: muster.CheckID(e.id), Rev: e.rev, Actor: c.Actor()}
}

func (a *API) toCheck(c caller, row roster.Row) api.Check {
	push := ""
	if token := roster.PushToken(row.Check); token != "" {
		base, _ := c.at.of(a) // a host that is none gets the path alone
		push = base + api.PathPush + "/" + token
	}
	return shape.Check(row.Check, row.Status, row.Since, row.Last, push)
}

func (a *API) createCheck(ctx context.Context, c caller, said *api.CheckNew) (id string, out api.Check, err error) {
	check, faults := shape.ReadCheck(said)
	if err := faulty(faults); err != nil {
		return "", out, err
	}
	check.Account = c.Account
	row, err := a.o.Checks.Create(ctx, rosterEdit(c, edit{}), check)
	if err != nil {
		return "", out, configFault(err)
	}
	return string(row.Check.ID), a.toCheck(c, row), nil
}

func (a *API) updateCheck(ctx context.Context, c caller, e edit, change func(*api.CheckNew) error) (out api.Check, err error) {
	row, err := a.o.Checks.Update(ctx, rosterEdit(c, e), func(t *muster.Check) error {
		said := shape.CheckNew(t)
		if err := change(&said); err != nil {
			return err
		}
		next, faults := shape.ReadCheck(&said)
		t.Name, t.Kind, t.Node, t.Config, t.Period, t.Timeout, t.Zones, t.Enabled = next.Name, next.Kind, next.Node, next.Config, next.Period, next.Timeout, next.Zones, next.Enabled
		return faulty(faults)
	})
	if err != nil {
		return out, configFault(err)
	}
	return a.toCheck(c, row), nil
}

// configFault names the fields of a configuration or a rule that are wrong.
func configFault(err error) error {
	var wrong *check.ConfigError
	var rule *judge.RuleError
	var faults shape.Faults
	switch {
	case errors.As(err, &wrong):
		for _, field := range wrong.Fields {
			faults.Add("config."+field.Field, "%s", field.Message)
		}
	case errors.As(err, &rule):
		for _, field := range rule.Fields {
			faults.Add(field.Field, "%s", field.Message)
		}
	default:
		return err
	}
	return faulty(faults)
}

type testCheckInput struct {
	Body api.CheckNew
}

type resultOutput struct {
	Body api.Result
}

func (a *API) testCheck(ctx context.Context, in *testCheckInput) (*resultOutput, error) {
	t, faults := shape.ReadCheck(&in.Body)
	if err := faulty(faults); err != nil {
		return nil, err
	}
	t.Account = who(ctx).Account
	r, err := a.o.Checks.Test(ctx, t)
	if err != nil {
		return nil, configFault(err)
	}
	r.Check = ""
	return &resultOutput{shape.Result(&r)}, nil
}

type guessInput struct {
	Body struct {
		Text string `json:"text" minLength:"1" maxLength:"2000" doc:"A URL, db-1:5432 or example.org."`
	}
}

type guessOutput struct {
	Body api.CheckNew
}

func (a *API) guessCheck(_ context.Context, in *guessInput) (*guessOutput, error) {
	t, err := roster.Guess(in.Body.Text)
	if err != nil {
		return nil, err
	}
	return &guessOutput{shape.CheckNew(t)}, nil
}

type resultsInput struct {
	ThingPath
	PageInput
}

func (a *API) checkResults(ctx context.Context, in *resultsInput) (*page[api.Result], error) {
	results, next, err := a.o.Checks.Results(ctx, who(ctx).Account, muster.CheckID(in.ID), in.Cursor, in.Limit)
	if err != nil {
		return nil, missing(err)
	}
	out := &page[api.Result]{Body: api.List[api.Result]{Items: []api.Result{}, Next: next}}
	for i := range results {
		out.Body.Items = append(out.Body.Items, shape.Result(&results[i]))
	}
	return out, nil
}

func (a *API) alarmRoutes() {
	things[muster.Alarm, api.AlarmNew, api.Alarm]{
		path: api.PathAlarms, tag: "Alarms", one: "alarm", many: "alarms",
		list:   func(c caller) []*muster.Alarm { return a.o.Alarms.List(c.Account) },
		get:    func(c caller, id string) (*muster.Alarm, error) { return a.o.Alarms.Get(c.Account, muster.AlarmID(id)) },
		create: a.createAlarm, update: a.updateAlarm,
		remove: func(ctx context.Context, c caller, e edit) error { return a.o.Alarms.Delete(ctx, alarmEdit(c, e)) },
		shape:  a.toAlarm,
		meta:   func(x api.Alarm) api.Object { return x.Object }, key: func(x *muster.Alarm) string { return string(x.ID) },
	}.register(a)
	handle(a, route{id: "test-alarm", method: http.MethodPost, path: api.PathAlarmsTest, tag: "Alarms", role: muster.Observer,
		summary: "Say when an alarm would have fired", about: "By the evaluator that judges the present. Nothing is kept."}, a.testAlarm)
}

func alarmEdit(c caller, e edit) alarm.Edit {
	return alarm.Edit{Account: c.Account, ID: muster.AlarmID(e.id), Rev: e.rev, Actor: c.Actor()}
}

func (a *API) toAlarm(c caller, x *muster.Alarm) api.Alarm {
	firing := 0
	standing, _ := a.o.Alarms.StandingBy(c.Account, x.ID)
	for i := range standing {
		if s := standing[i].State; s == muster.AlarmFiring || s == muster.AlarmRecovering {
			firing++
		}
	}
	var within time.Duration
	if a.o.TellWithin != nil {
		within = a.o.TellWithin(x)
	}
	return shape.Alarm(x, firing, within)
}

func (a *API) createAlarm(ctx context.Context, c caller, said *api.AlarmNew) (id string, out api.Alarm, err error) {
	x, faults := shape.ReadAlarm(said)
	if err := faulty(faults); err != nil {
		return "", out, err
	}
	x.Account = c.Account
	made, err := a.o.Alarms.Create(ctx, alarmEdit(c, edit{}), x)
	if err != nil {
		return "", out, configFault(err)
	}
	return string(made.ID), a.toAlarm(c, made), nil
}

func (a *API) updateAlarm(ctx context.Context, c caller, e edit, change func(*api.AlarmNew) error) (out api.Alarm, err error) {
	x, err := a.o.Alarms.Update(ctx, alarmEdit(c, e), func(x *muster.Alarm) error {
		said := shape.AlarmNew(x)
		if err := change(&said); err != nil {
			return err
		}
		next, faults := shape.ReadAlarm(&said)
		next.ID, next.Account, next.Rev, next.BuiltIn, next.CreatedAt, next.UpdatedAt = x.ID, x.Account, x.Rev, x.BuiltIn, x.CreatedAt, x.UpdatedAt
		*x = *next
		return faulty(faults)
	})
	if err != nil {
		return out, configFault(err)
	}
	return a.toAlarm(c, x), nil
}

type testAlarmInput struct {
	Body api.AlarmTest
}

type testAlarmOutput struct {
	Body api.AlarmTested
}

// defaultPast is how far an alarm is tried on the past when nobody says.
const defaultPast = 24 * time.Hour

func (a *API) testAlarm(ctx context.Context, in *testAlarmInput) (*testAlarmOutput, error) {
	x, faults := shape.ReadAlarm(&in.Body.AlarmNew)
	now := a.o.Now()
	o := alarm.BacktestOptions{From: now.Add(-defaultPast), To: now}
	for field, at := range map[string]*time.Time{"from": &o.From, "to": &o.To} {
		text := map[string]string{"from": in.Body.From, "to": in.Body.To}[field]
		if text == "" {
			continue
		}
		t, err := api.ParseTime(text, now)
		if err != nil {
			faults.Add(field, "%v", err)
		}
		*at = t
	}
	if err := faulty(faults); err != nil {
		return nil, err
	}
	c := who(ctx)
	x.Account = c.Account
	b, err := a.o.Alarms.Backtest(ctx, c.Account, x, o)
	if err != nil {
		return nil, configFault(err)
	}
	return &testAlarmOutput{a.toTested(c, b)}, nil
}

func (a *API) toTested(c caller, b *alarm.Backtest) api.AlarmTested {
	out := api.AlarmTested{
		From: b.From.UTC(), To: b.To.UTC(), Step: api.FormatDuration(b.Step), Nodes: b.Matched, Fired: b.Fired, Unit: b.Unit,
		Series: []api.AlarmTestLine{}, Cut: b.Tried < b.Matched,
	}
	for _, l := range b.Lines {
		line := api.AlarmTestLine{Name: l.Name, Series: l.Series, Spans: []api.AlarmTestSpan{}}
		if _, err := a.o.Nodes.Get(c.Account, l.Subject); err == nil {
			line.Node = l.Subject.String()
		} else {
			line.Check = string(muster.CheckOf(l.Subject))
		}
		longest := time.Duration(0)
		for _, s := range l.Spans {
			end := s.To
			if end.IsZero() {
				end = b.To
			}
			longest = max(longest, end.Sub(s.From))
			line.Spans = append(line.Spans, api.AlarmTestSpan{From: s.From.UTC(), To: shape.Time(s.To), Why: s.Why})
		}
		if longest > 0 {
			line.Longest = api.FormatDuration(longest)
		}
		for _, p := range l.Points {
			line.Points = append(line.Points, api.Point{float64(p.T) / 1000, p.Min, p.Avg, p.Max})
		}
		out.Series = append(out.Series, line)
	}
	return out
}
