package incident

import (
	"fmt"
	"time"

	"muster"
)

// The bodies are the shapes on disk; docs/format/store.md describes them. A field that is absent has
// its zero value, an input without value has none (NaN). Fields may be added, never given another meaning.

type incidentBody struct {
	ID             muster.IncidentID    `json:"id"`
	Account        string               `json:"account"`
	Seq            uint64               `json:"seq"`
	State          muster.IncidentState `json:"state"`
	Level          muster.Level         `json:"level,omitempty"`
	Title          string               `json:"title,omitempty"`
	Subject        string               `json:"subject"`
	Name           string               `json:"name,omitempty"`
	Check          muster.CheckID       `json:"check,omitempty"`
	Alarm          muster.AlarmID       `json:"alarm,omitempty"`
	OpenedAt       stamp                `json:"opened_at,omitzero"`
	AcknowledgedAt stamp                `json:"acknowledged_at,omitzero"`
	AcknowledgedBy string               `json:"acknowledged_by,omitempty"`
	ResolvedAt     stamp                `json:"resolved_at,omitzero"`
	UpdatedAt      stamp                `json:"updated_at,omitzero"`
	Open           []firingBody         `json:"open,omitempty"`
	Transitions    []transitionBody     `json:"transitions,omitempty"`
	Comments       []commentBody        `json:"comments,omitempty"`
	Cut            int                  `json:"cut,omitempty"`
}

type firingBody struct {
	Alarm  muster.AlarmID `json:"alarm"`
	Name   string         `json:"name,omitempty"`
	Series string         `json:"series,omitempty"`
	Check  muster.CheckID `json:"check,omitempty"`
	Level  muster.Level   `json:"level,omitempty"`
	Since  stamp          `json:"since,omitzero"`
	Why    string         `json:"why,omitempty"`
}

type transitionBody struct {
	ID       string             `json:"id"`
	At       stamp              `json:"at,omitzero"`
	Alarm    muster.AlarmID     `json:"alarm"`
	Name     string             `json:"name,omitempty"`
	Subject  string             `json:"subject"`
	Check    muster.CheckID     `json:"check,omitempty"`
	Series   string             `json:"series,omitempty"`
	From     muster.AlarmState  `json:"from,omitempty"`
	To       muster.AlarmState  `json:"to"`
	Level    muster.Level       `json:"level,omitempty"`
	Why      string             `json:"why,omitempty"`
	Inputs   []inputBody        `json:"inputs,omitempty"`
	Channels []muster.ChannelID `json:"channels,omitempty"`
}

type inputBody struct {
	At    stamp    `json:"at,omitzero"`
	Value *float64 `json:"value,omitempty"`
	Text  string   `json:"text,omitempty"`
}

type commentBody struct {
	At   stamp  `json:"at,omitzero"`
	By   string `json:"by,omitempty"`
	Name string `json:"name,omitempty"`
	Text string `json:"text"`
}

type changeBody struct {
	Kind       muster.IncidentChangeKind `json:"kind"`
	At         stamp                     `json:"at,omitzero"`
	By         string                    `json:"by,omitempty"`
	Transition *transitionBody           `json:"transition,omitempty"`
}

// stamp is an instant as RFC 3339 in UTC, to the millisecond.
type stamp time.Time

const stampForm = "2006-01-02T15:04:05.000Z07:00"

// IsZero lets absent times be left out.
func (s stamp) IsZero() bool { return time.Time(s).IsZero() }

// MarshalText writes the instant.
func (s stamp) MarshalText() ([]byte, error) {
	return []byte(time.Time(s).UTC().Format(stampForm)), nil
}

// UnmarshalText reads any RFC 3339 time of the years 1 to 9999, as UTC.
func (s *stamp) UnmarshalText(text []byte) error {
	at, err := time.Parse(time.RFC3339Nano, string(text))
	if err != nil {
		return err
	}
	at = instant(at)
	if year := at.Year(); year < 1 || year > 9999 {
		return fmt.Errorf("the year %d is out of range", year)
	}
	*s = stamp(at)
	return nil
}
