package judge

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"muster"
)

// Rule is a muster.Alarm, checked and made ready. It is safe for concurrent use.
type Rule struct {
	metric string // "": every frame is a sign of life
	status bool   // inputs are the status of a check, and their texts say why

	op       muster.Op // "": only silence is judged
	limit    float64
	hold     int64     // milliseconds
	backOp   muster.Op // "": when op does not hold
	back     float64
	backHold int64

	within time.Duration // 0: the value itself is looked at
	memory time.Duration
	warm   int64

	after int64 // 0: silence means nothing
	slack int64 // added to after where points are coarse
	is    muster.NoDataIs
	level muster.Level
}

// Bounds of an alarm's times.
const (
	// MaxHold is the longest condition.for and condition.recover.for.
	MaxHold = 24 * time.Hour
	// MinNoData and MaxNoData bound no_data.after where it is given.
	MinNoData = time.Second
	MaxNoData = 7 * 24 * time.Hour
	// MinWithin and MaxWithin bound condition.within.
	MinWithin = 10 * time.Minute
	MaxWithin = 30 * 24 * time.Hour
)

// RuleError says which fields of an alarm are wrong; it wraps muster.ErrInvalid.
type RuleError struct{ Fields []FieldError }

// FieldError is what is wrong with one field.
type FieldError struct {
	Field   string // as the API names it: "condition.for"
	Message string // what follows the name: "must be between 0 and 24 h"
}

// Error lists the fields.
func (e *RuleError) Error() string {
	texts := make([]string, len(e.Fields))
	for i, f := range e.Fields {
		texts[i] = f.Field + " " + f.Message
	}
	return "judge: compile: " + muster.ErrInvalid.Error() + ": " + strings.Join(texts, "; ")
}

// Unwrap gives muster.ErrInvalid.
func (e *RuleError) Unwrap() error { return muster.ErrInvalid }

func (e *RuleError) add(field, format string, args ...any) {
	e.Fields = append(e.Fields, FieldError{field, fmt.Sprintf(format, args...)})
}

// Compile checks what of an alarm decides (check, metric, attributes, condition, no_data, level) and fills in defaults: an
// alarm on a check without a metric watches the check's status, and fires at critical or unknown unless the condition
// says otherwise. The error is a *RuleError, which wraps ErrInvalid and names every field that is wrong.
func Compile(a *muster.Alarm) (*Rule, error) {
	var faults RuleError
	r := &Rule{metric: a.Metric, level: a.Level, after: milliseconds(a.NoData.After), is: a.NoData.Is}
	if a.Check != "" && r.metric == "" {
		r.metric = muster.CheckStatusMetric
	}
	r.status = r.metric == muster.CheckStatusMetric
	target(a, &faults)
	silenceOf(a, &faults)
	if a.Level != muster.LevelWarning && a.Level != muster.LevelCritical {
		faults.add("level", "must be warning or critical")
	}
	c := r.condition(a, &faults)
	if c != nil {
		r.take(c)
	}
	if len(faults.Fields) > 0 {
		return nil, &faults
	}
	return r, nil
}

func (r *Rule) take(c *muster.Condition) {
	r.op, r.limit, r.hold = c.Op, c.Value, milliseconds(c.For)
	r.backOp, r.back, r.backHold = c.Recover.Op, c.Recover.Value, milliseconds(c.Recover.For)
	if c.Fn == muster.FnForecast {
		r.within = c.Within
		r.memory = c.Within / memoryShare
		r.warm = milliseconds(c.Within / warmShare)
	}
}

// Metric gives the name of the metric that inputs are values of; empty when every frame of the subject's agent is a sign of life and no more.
func (r *Rule) Metric() string { return r.metric }

// Condition gives the condition with defaults filled in; false when only silence is judged.
func (r *Rule) Condition() (muster.Condition, bool) {
	c := muster.Condition{Op: r.op, Value: r.limit, For: time.Duration(r.hold) * time.Millisecond, Within: r.within}
	if r.within > 0 {
		c.Fn = muster.FnForecast
	}
	c.Recover = muster.Recovery{Op: r.backOp, Value: r.back, For: time.Duration(r.backHold) * time.Millisecond}
	return c, r.op != ""
}

// target checks what is watched.
func target(a *muster.Alarm, faults *RuleError) {
	if a.Check != "" && a.Check.Subject().IsZero() {
		faults.add("check", "is not an id that begins with check_")
	}
	if len(a.Metric) > muster.MaxMetricName || !plain(a.Metric) {
		faults.add("metric", "must be at most %d bytes of text without control characters", muster.MaxMetricName)
	}
	if len(a.Attrs) > 0 && a.Metric == "" {
		faults.add("attributes", "choose among the series of a metric: name the metric, or leave them out")
	}
	if len(a.Attrs) > muster.MaxAttrs {
		faults.add("attributes", "must be at most %d", muster.MaxAttrs)
	}
	for key, value := range a.Attrs {
		if key == "" || len(key) > muster.MaxAttrKey || len(value) > muster.MaxAttrValue || !plain(key) || !plain(value) {
			faults.add("attributes", "must have names of 1 to %d bytes and values of at most %d, of text without control characters", muster.MaxAttrKey, muster.MaxAttrValue)
			break
		}
	}
}

func plain(s string) bool { return utf8.ValidString(s) && strings.IndexFunc(s, unicode.IsControl) < 0 }

// silenceOf checks the no-data policy.
func silenceOf(a *muster.Alarm, faults *RuleError) {
	life := a.Metric == "" && a.Check == ""
	switch n := a.NoData; {
	case n.Is != "" && n.Is != muster.NoDataCritical && n.Is != muster.NoDataOK && n.Is != muster.NoDataKeep:
		faults.add("no_data.is", "must be critical, ok or keep")
	case n.After == 0 && life:
		faults.add("no_data.after", "is needed: without a metric or a check the alarm watches that frames arrive")
	case n.After == 0 && (n.Is == muster.NoDataCritical || n.Is == muster.NoDataOK):
		faults.add("no_data.after", "is needed to know when silence begins to mean %s", n.Is)
	case n.After == 0:
	case n.After < MinNoData || n.After > MaxNoData:
		faults.add("no_data.after", "must be between 1 s and 7 days")
	case n.Is == "":
		faults.add("no_data.is", "is needed: what silence means, critical, ok or keep")
	case n.Is != muster.NoDataCritical && life:
		faults.add("no_data.is", "must be critical: without a metric or a check nothing else can fire")
	}
}

// condition checks the condition and gives it with its defaults; nil when it can't be used.
func (r *Rule) condition(a *muster.Alarm, faults *RuleError) *muster.Condition {
	c := muster.Condition{}
	if a.Condition != nil {
		c = *a.Condition
	}
	empty := c.Op == "" && c.Value == 0 && c.Fn == muster.FnValue && c.Within == 0
	statusOf := a.Check != "" && a.Metric == ""
	quiet := a.NoData.After > 0 && a.NoData.Is == muster.NoDataCritical
	switch {
	case empty && statusOf:
		c.Op, c.Value = ">=", muster.StatusCritical.Number()
	case empty && a.Metric == "":
		// Only signs of life: what else is wrong with that was said of no_data.
	case empty && quiet && c.For == 0:
	case a.Metric == "" && !statusOf:
		faults.add("condition.op", "has nothing to look at: without a metric or a check the alarm watches that frames arrive, by no_data alone")
	case a.Condition == nil:
		faults.add("condition", "is needed, or a no_data that is critical: else nothing can fire")
	default:
		compare(&c, faults)
		look(&c, statusOf, faults)
	}
	holds(&c, faults)
	if c.Op == "" && c.For != 0 {
		faults.add("condition.for", "has nothing to hold: no_data.after says how long silence lasts before it fires")
	}
	if c.Op == "" && c.Recover.Op != "" {
		faults.add("condition.recover.op", "has nothing to recover from without condition.op")
	}
	return &c
}

// compare checks both comparisons, and that they don't contradict each other.
func compare(c *muster.Condition, faults *RuleError) {
	known := func(op muster.Op) bool { return op.Holds(0, 0) || op.Holds(0, 1) || op.Holds(1, 0) }
	finite := func(v float64) bool { return v-v == 0 }
	good := known(c.Op) && finite(c.Value)
	if !known(c.Op) {
		faults.add("condition.op", "must be one of > >= < <= == !=")
	}
	if !finite(c.Value) {
		faults.add("condition.value", "must be a number")
	}
	switch back := c.Recover; {
	case back.Op == "" && back.Value != 0:
		faults.add("condition.recover.op", "is needed beside condition.recover.value")
	case back.Op == "":
	case !known(back.Op):
		faults.add("condition.recover.op", "must be one of > >= < <= == !=")
	case !finite(back.Value):
		faults.add("condition.recover.value", "must be a number")
	case good:
		if v, both := overlap(c); both {
			faults.add("condition.recover", "must not overlap the condition: %s both fires (%s %s) and recovers (%s %s)",
				number(v), c.Op, number(c.Value), back.Op, number(back.Value))
		}
	}
}

// overlap finds a value that fires and recovers at once. What either comparison says changes only at its limit, so
// that the limits, what lies beside them and the middle stand for all values.
func overlap(c *muster.Condition) (v float64, both bool) {
	a, b := c.Value, c.Recover.Value
	low, high := min(a, b), max(a, b)
	for _, v := range []float64{low, high, low/2 + high/2, low - max(1, math.Abs(low)), high + max(1, math.Abs(high)),
		math.Nextafter(low, math.Inf(-1)), math.Nextafter(low, math.Inf(1)), math.Nextafter(high, math.Inf(-1)), math.Nextafter(high, math.Inf(1))} {
		if v-v == 0 && c.Op.Holds(v, a) && c.Recover.Op.Holds(v, b) {
			return v, true
		}
	}
	return 0, false
}

// look checks what of the metric is looked at.
func look(c *muster.Condition, status bool, faults *RuleError) {
	switch c.Fn {
	case muster.FnValue:
		if c.Within != 0 {
			faults.add("condition.within", "goes with condition.fn forecast only")
		}
	case muster.FnForecast:
		if c.Within < MinWithin || c.Within > MaxWithin {
			faults.add("condition.within", "must be between 10 min and 30 days: how far the forecast looks ahead")
		}
		if c.Op == "==" || c.Op == "!=" {
			faults.add("condition.op", "must be one of > >= < <= for a forecast")
		}
		if status {
			faults.add("condition.fn", "must name a metric to forecast: a status has no trend")
		}
	default:
		faults.add("condition.fn", "must be forecast, or left out for the value itself")
	}
}

func holds(c *muster.Condition, faults *RuleError) {
	if c.For < 0 || c.For > MaxHold {
		faults.add("condition.for", "must be between 0 and 24 h")
	}
	if c.Recover.For < 0 || c.Recover.For > MaxHold {
		faults.add("condition.recover.for", "must be between 0 and 24 h")
	}
}
