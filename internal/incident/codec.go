package incident

import "muster"

// Encode gives the incident as one JSON object that an operator can read; docs/format/store.md has its fields.
func Encode(in *muster.Incident) []byte { return nil }

// Decode reads what Encode wrote, fields it does not know left out; the error wraps ErrInvalid.
func Decode(b []byte) (*muster.Incident, error) { return nil, muster.ErrInvalid }

// EncodeChange gives the change as one JSON object.
func EncodeChange(c *muster.IncidentChange) []byte { return nil }

// DecodeChange reads what EncodeChange wrote, fields it does not know left out; the error wraps ErrInvalid.
func DecodeChange(b []byte) (*muster.IncidentChange, error) { return nil, muster.ErrInvalid }
