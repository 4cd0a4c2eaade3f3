package incident

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"time"

	"muster"
)

// Encode gives the incident as one JSON object that an operator can read; docs/format/store.md has its fields.
func Encode(in *muster.Incident) []byte {
	body := incidentBody{
		ID: in.ID, Account: in.Account.String(), Seq: in.Seq, State: in.State, Level: in.Level, Title: in.Title,
		Subject: subjectText(in.Subject, in.Node.IsZero()), Name: in.Name, Check: in.Check, Alarm: in.Alarm,
		OpenedAt: stamp(in.OpenedAt), AcknowledgedAt: stamp(in.AcknowledgedAt), AcknowledgedBy: in.AcknowledgedBy,
		ResolvedAt: stamp(in.ResolvedAt), UpdatedAt: stamp(in.UpdatedAt), Cut: in.Cut,
	}
	for _, f := range in.Open {
		body.Open = append(body.Open, firingBody{f.Alarm, f.Name, f.Series, f.Check, f.Level, stamp(f.Since), f.Why})
	}
	for i := range in.Transitions {
		body.Transitions = append(body.Transitions, encodeTransition(&in.Transitions[i]))
	}
	for _, c := range in.Comments {
		body.Comments = append(body.Comments, commentBody{stamp(c.At), c.By, c.Name, c.Text})
	}
	return write(body)
}

// Decode reads what Encode wrote, fields it does not know left out; the error wraps ErrInvalid.
func Decode(b []byte) (*muster.Incident, error) {
	var body incidentBody
	if err := json.Unmarshal(b, &body); err != nil {
		return nil, fmt.Errorf("incident: read: %w: %w", muster.ErrInvalid, err)
	}
	account, err := muster.ParseAccountID(body.Account)
	if err != nil {
		return nil, fmt.Errorf("incident: read: account: %w", err)
	}
	subject, bare, err := parseSubject(body.Subject)
	if err != nil {
		return nil, fmt.Errorf("incident: read: %w", err)
	}
	if body.ID == "" || body.State == "" {
		return nil, fmt.Errorf("incident: read: %w: an incident has an id and a state", muster.ErrInvalid)
	}
	in := &muster.Incident{
		ID: body.ID, Account: account, Seq: body.Seq, State: body.State, Level: body.Level, Title: body.Title,
		Subject: subject, Node: subject, Name: body.Name, Check: body.Check, Alarm: body.Alarm,
		OpenedAt: time.Time(body.OpenedAt), AcknowledgedAt: time.Time(body.AcknowledgedAt), AcknowledgedBy: body.AcknowledgedBy,
		ResolvedAt: time.Time(body.ResolvedAt), UpdatedAt: time.Time(body.UpdatedAt), Cut: body.Cut,
	}
	if bare {
		in.Node = muster.NodeID{}
	}
	for _, f := range body.Open {
		in.Open = append(in.Open, muster.Firing{Alarm: f.Alarm, Name: f.Name, Series: f.Series, Check: f.Check, Level: f.Level, Since: time.Time(f.Since), Why: f.Why})
	}
	for i := range body.Transitions {
		t, err := decodeTransition(&body.Transitions[i])
		if err != nil {
			return nil, fmt.Errorf("incident: read: transition %d: %w", i, err)
		}
		in.Transitions = append(in.Transitions, *t)
	}
	for _, c := range body.Comments {
		in.Comments = append(in.Comments, muster.Comment{At: time.Time(c.At), By: c.By, Name: c.Name, Text: c.Text})
	}
	return in, nil
}

// EncodeChange gives the change as one JSON object.
func EncodeChange(c *muster.IncidentChange) []byte {
	body := changeBody{Kind: c.Kind, At: stamp(c.At), By: c.By}
	if c.Transition != nil {
		t := encodeTransition(c.Transition)
		body.Transition = &t
	}
	return write(body)
}

// DecodeChange reads what EncodeChange wrote, fields it does not know left out; the error wraps ErrInvalid.
func DecodeChange(b []byte) (*muster.IncidentChange, error) {
	var body changeBody
	if err := json.Unmarshal(b, &body); err != nil {
		return nil, fmt.Errorf("incident: read change: %w: %w", muster.ErrInvalid, err)
	}
	if body.Kind == "" {
		return nil, fmt.Errorf("incident: read change: %w: a change has a kind", muster.ErrInvalid)
	}
	change := &muster.IncidentChange{Kind: body.Kind, At: time.Time(body.At), By: body.By}
	if body.Transition != nil {
		t, err := decodeTransition(body.Transition)
		if err != nil {
			return nil, fmt.Errorf("incident: read change: %w", err)
		}
		change.Transition = t
	}
	return change, nil
}

func encodeTransition(t *muster.Transition) transitionBody {
	body := transitionBody{
		ID: t.ID, At: stamp(t.At), Alarm: t.Alarm, Name: t.Name, Subject: subjectText(t.Subject, t.Check.Subject() == t.Subject), Check: t.Check,
		Series: t.Series, From: t.From, To: t.To, Level: t.Level, Why: t.Why, Channels: t.Channels,
	}
	for _, in := range t.Inputs {
		input := inputBody{At: stamp(in.At), Text: in.Text}
		if !math.IsNaN(in.Value) && !math.IsInf(in.Value, 0) {
			input.Value = &in.Value
		}
		body.Inputs = append(body.Inputs, input)
	}
	return body
}

func decodeTransition(body *transitionBody) (*muster.Transition, error) {
	subject, _, err := parseSubject(body.Subject)
	if err != nil {
		return nil, err
	}
	t := &muster.Transition{
		ID: body.ID, At: time.Time(body.At), Alarm: body.Alarm, Name: body.Name, Subject: subject, Check: body.Check, Series: body.Series,
		From: body.From, To: body.To, Level: body.Level, Why: body.Why, Channels: body.Channels,
	}
	for _, in := range body.Inputs {
		input := muster.Input{At: time.Time(in.At), Value: math.NaN(), Text: in.Text}
		if in.Value != nil {
			input.Value = *in.Value
		}
		t.Inputs = append(t.Inputs, input)
	}
	return t, nil
}

// subjectText writes a subject as what it is: a node, or a check that belongs to none.
func subjectText(id muster.NodeID, bare bool) string {
	if bare && !id.IsZero() {
		return string(muster.CheckOf(id))
	}
	return id.String()
}

func parseSubject(text string) (id muster.NodeID, bare bool, err error) {
	if !strings.HasPrefix(text, "check_") {
		id, err = muster.ParseNodeID(text)
		return id, false, err
	}
	if id = muster.CheckID(text).Subject(); id.IsZero() {
		return id, true, fmt.Errorf("%w: the subject is no id of a check", muster.ErrInvalid)
	}
	return id, true, nil
}

// write leaves <, > and & as they are: these bytes are read by people, not by browsers.
func write(body any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(body); err != nil {
		panic("incident: " + err.Error()) // texts, whole numbers and finite ones only: it cannot fail
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
