package wire

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"muster"
)

// Assignment is a check as the agent that runs it gets it. Whether it makes sense is for who runs it to say.
type Assignment struct {
	Check   muster.CheckID
	Kind    string // "http"
	Config  []byte // a JSON object of the kind's own fields
	Zone    string
	Period  time.Duration // whole milliseconds, as Timeout
	Timeout time.Duration
}

// Validate says whether the assignment is within the limits of the wire; the error wraps muster.ErrInvalid.
func (a *Assignment) Validate() error {
	if a.Check == "" || len(a.Check) > MaxText || len(a.Kind) > MaxText || len(a.Zone) > MaxZone || len(a.Config) > MaxConfig {
		return fmt.Errorf("wire: assignment: %w: it has no id, or its kind, zone or configuration is too long", muster.ErrInvalid)
	}
	return nil
}

// Assign tells an agent which checks to run from now on.
type Assign struct {
	Add     []Assignment // or to change, by their ids
	Remove  []muster.CheckID
	Replace bool // those not among Add are removed
	More    bool // this is a part: the next Assign goes on with it, and the last one makes all take effect
}

// Run asks an agent to run a check once, now, whether it was assigned or not.
type Run struct {
	Request    uint64 // names the request; not zero
	Assignment Assignment
}

// Ran answers a Run. The server knows which check and zone it asked for.
type Ran struct {
	Request  uint64
	Status   muster.CheckStatus
	Summary  string
	Duration time.Duration // whole microseconds
	Class    string        // of the error
	Error    string
	Evidence map[string]string
	Readings []Reading
}

// Reading is a metric and its value.
type Reading struct {
	Metric muster.Metric // not validated
	Value  float64
}

// Kind is KindAssign.
func (*Assign) Kind() Kind { return KindAssign }

// Kind is KindRun.
func (*Run) Kind() Kind { return KindRun }

// Kind is KindRan.
func (*Ran) Kind() Kind { return KindRan }

func (m *Assign) appendBody(b []byte) []byte {
	for i := range m.Add {
		b = appendNested(b, 1, m.Add[i].appendBody)
	}
	for _, id := range m.Remove {
		b = protowire.AppendString(protowire.AppendTag(b, 2, protowire.BytesType), string(id))
	}
	b = appendBool(b, 3, m.Replace)
	return appendBool(b, 4, m.More)
}

func (a *Assignment) appendBody(b []byte) []byte {
	b = appendText(b, 1, string(a.Check))
	b = appendText(b, 2, a.Kind)
	b = appendBytes(b, 3, a.Config)
	b = appendText(b, 4, a.Zone)
	b = appendMillis(b, 5, a.Period)
	return appendMillis(b, 6, a.Timeout)
}

func (m *Run) appendBody(b []byte) []byte {
	b = appendUint(b, 1, m.Request)
	return appendNested(b, 2, m.Assignment.appendBody)
}

func (m *Ran) appendBody(b []byte) []byte {
	b = appendUint(b, 1, m.Request)
	b = appendText(b, 2, string(m.Status))
	b = appendText(b, 3, m.Summary)
	b = appendUint(b, 4, uint64(max(0, m.Duration.Microseconds())))
	b = appendText(b, 5, m.Class)
	b = appendText(b, 6, m.Error)
	b = appendMap(b, 7, m.Evidence)
	for i := range m.Readings {
		r := &m.Readings[i]
		b = appendNested(b, 8, func(b []byte) []byte {
			b = appendNested(b, 1, func(b []byte) []byte { return appendMetric(b, &r.Metric) })
			return appendDouble(b, 2, r.Value)
		})
	}
	return b
}

// ParseAssign reads the body of a KindAssign. Nothing of it aliases b.
func ParseAssign(b []byte) (*Assign, error) {
	m := new(Assign)
	err := eachField(b, func(num protowire.Number, f *field) error {
		switch num {
		case 1:
			if len(m.Add) == MaxAssigned {
				return fmt.Errorf("%w: more than %d checks in one message", muster.ErrLimited, MaxAssigned)
			}
			m.Add = append(m.Add, Assignment{})
			return f.assignment(&m.Add[len(m.Add)-1])
		case 2:
			if len(m.Remove) == MaxAssigned {
				return fmt.Errorf("%w: more than %d checks removed in one message", muster.ErrLimited, MaxAssigned)
			}
			m.Remove = append(m.Remove, "")
			return f.text((*string)(&m.Remove[len(m.Remove)-1]), MaxText)
		case 3:
			return f.bool(&m.Replace)
		case 4:
			return f.bool(&m.More)
		}
		return nil
	})
	return done(m, "assign", err)
}

func (f *field) assignment(m *Assignment) error {
	var raw []byte
	if err := f.bytes(&raw, MaxMessage); err != nil {
		return err
	}
	err := eachField(raw, func(num protowire.Number, f *field) error {
		switch num {
		case 1:
			return f.text((*string)(&m.Check), MaxText)
		case 2:
			return f.text(&m.Kind, MaxText)
		case 3:
			return f.clone(&m.Config, MaxConfig)
		case 4:
			return f.text(&m.Zone, MaxZone)
		case 5:
			return f.millis(&m.Period)
		case 6:
			return f.millis(&m.Timeout)
		}
		return nil
	})
	if err == nil && m.Check == "" {
		err = fmt.Errorf("%w: a check without an id", muster.ErrInvalid)
	}
	return err
}

// ParseRun reads the body of a KindRun. Nothing of it aliases b.
func ParseRun(b []byte) (*Run, error) {
	m := new(Run)
	err := eachField(b, func(num protowire.Number, f *field) error {
		switch num {
		case 1:
			return f.uint64(&m.Request)
		case 2:
			return f.assignment(&m.Assignment)
		}
		return nil
	})
	if err == nil && (m.Request == 0 || m.Assignment.Check == "") {
		err = fmt.Errorf("%w: it has no number, or no check", muster.ErrInvalid)
	}
	return done(m, "run", err)
}

// ParseRan reads the body of a KindRan. Nothing of it aliases b.
func ParseRan(b []byte) (*Ran, error) {
	m := new(Ran)
	err := eachField(b, func(num protowire.Number, f *field) error {
		switch num {
		case 1:
			return f.uint64(&m.Request)
		case 2:
			return f.text((*string)(&m.Status), MaxText)
		case 3:
			return f.text(&m.Summary, MaxWords)
		case 4:
			return f.micros(&m.Duration)
		case 5:
			return f.text(&m.Class, MaxText)
		case 6:
			return f.text(&m.Error, MaxWords)
		case 7:
			return f.evidence(&m.Evidence)
		case 8:
			if len(m.Readings) == MaxReadings {
				return fmt.Errorf("%w: more than %d readings", muster.ErrLimited, MaxReadings)
			}
			m.Readings = append(m.Readings, Reading{})
			return f.reading(&m.Readings[len(m.Readings)-1])
		}
		return nil
	})
	if err == nil && m.Request == 0 {
		err = fmt.Errorf("%w: it answers no request", muster.ErrInvalid)
	}
	return done(m, "ran", err)
}

func (f *field) reading(m *Reading) error {
	var raw []byte
	if err := f.bytes(&raw, MaxMessage); err != nil {
		return err
	}
	return eachField(raw, func(num protowire.Number, f *field) error {
		switch num {
		case 1:
			return f.metric(&m.Metric)
		case 2:
			return f.double(&m.Value)
		}
		return nil
	})
}
