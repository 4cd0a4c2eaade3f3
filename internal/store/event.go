package store

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"muster"
)

// eventBody is the body of an event; time and id are in its key.
type eventBody struct {
	Kind    string `json:"kind"`
	Actor   string `json:"actor,omitempty"`
	Subject string `json:"subject,omitempty"`
	Name    string `json:"name,omitempty"`
	Text    string `json:"text,omitempty"`
}

// changelog is the stream that events go to.
const changelog = "changelog"

// Bounds of one page of events.
const (
	defaultEvents = 100
	maxEvents     = 1000
)

// AppendEvents stores events of any accounts. One without ID gets one; one told twice with the same
// ID and At is there once. Times are kept in milliseconds.
func (s *Store) AppendEvents(ctx context.Context, events []muster.Event) error {
	byAccount := map[muster.AccountID][]EventRow{}
	for i := range events {
		e := &events[i]
		if e.At.IsZero() {
			e.At = s.now()
		}
		if e.ID == "" {
			e.ID = newEventID(e.At)
		}
		if err := checkKey(Key{Kind: changelog, ID: e.ID}); err != nil {
			return fmt.Errorf("store: append events: %w", err)
		}
		body, err := json.Marshal(eventBody{Kind: e.Kind, Actor: e.Actor, Subject: e.Subject, Name: e.Name, Text: e.Text})
		if err != nil {
			return fmt.Errorf("store: append events: %w: %w", muster.ErrInvalid, err)
		}
		byAccount[e.Account] = append(byAccount[e.Account], EventRow{At: e.At.UnixMilli(), ID: e.ID, Body: body})
	}
	for account, rows := range byAccount {
		err := persist(ctx, func() error { return s.engine.PutEvents(ctx, account, changelog, rows, s.options.EventTTL) })
		if err != nil {
			return fmt.Errorf("store: append events: %w", err)
		}
	}
	return nil
}

// Events reads up to limit events of an account, newest first (100 when limit is 0, never more than 1000).
// before is the cursor that the last answer gave as next, or ""; next is "" at the end.
func (s *Store) Events(ctx context.Context, account muster.AccountID, before string, limit int) (events []muster.Event, next string, err error) {
	rows, next, err := s.Rows(ctx, account, changelog, before, limit)
	if err != nil {
		return nil, "", err
	}
	for _, row := range rows {
		body, err := parse[eventBody](Key{Kind: changelog, ID: row.ID}, row.Body)
		if err != nil {
			s.options.Logger.Error("an event can't be read and is left out", "id", row.ID, "error", err)
			continue
		}
		events = append(events, muster.Event{
			ID: row.ID, Account: account, At: time.UnixMilli(row.At).UTC(),
			Kind: body.Kind, Actor: body.Actor, Subject: body.Subject, Name: body.Name, Text: body.Text,
		})
	}
	return events, next, nil
}

// PutRows stores entries of a stream, a name of the caller's ("incidents"); one written again, with the same
// At and ID, replaces what was there. They expire like events.
func (s *Store) PutRows(ctx context.Context, account muster.AccountID, stream string, rows []EventRow) error {
	if stream == changelog || checkKey(Key{Kind: stream, ID: "x"}) != nil {
		return fmt.Errorf("store: put rows: %w: no stream of a caller can be named %q", muster.ErrInvalid, stream)
	}
	for _, row := range rows {
		if err := checkKey(Key{Kind: stream, ID: row.ID}); err != nil {
			return fmt.Errorf("store: put rows: %w", err)
		}
		if len(row.Body) > maxBody {
			return fmt.Errorf("store: put rows: %w: an entry of %d bytes, at most %d are kept", muster.ErrLimited, len(row.Body), maxBody)
		}
	}
	if len(rows) == 0 {
		return nil
	}
	if err := persist(ctx, func() error { return s.engine.PutEvents(ctx, account, stream, rows, s.options.EventTTL) }); err != nil {
		return fmt.Errorf("store: put rows: %w", err)
	}
	return nil
}

// Rows reads up to limit entries of a stream, newest first (100 when limit is 0, never more than 1000).
// before is the cursor that the last answer gave as next, or ""; next is "" at the end.
func (s *Store) Rows(ctx context.Context, account muster.AccountID, stream, before string, limit int) (rows []EventRow, next string, err error) {
	from, err := parseCursor(before)
	if err != nil {
		return nil, "", fmt.Errorf("store: read %s: %w", stream, err)
	}
	if limit <= 0 {
		limit = defaultEvents
	}
	limit = min(limit, maxEvents)
	rows, err = s.RowsBefore(ctx, account, stream, from, limit+1)
	if len(rows) > limit {
		rows = rows[:limit]
		next = cursor(rows[limit-1])
	}
	return rows, next, err
}

// RowsBefore reads up to limit entries of a stream that come strictly before (place.At, place.ID), newest
// first and then by falling id; before the zero place come all.
func (s *Store) RowsBefore(ctx context.Context, account muster.AccountID, stream string, place EventRow, limit int) ([]EventRow, error) {
	if place.At == 0 && place.ID == "" {
		place.At = math.MaxInt64
	}
	rows, err := s.engine.ListEvents(ctx, account, stream, place, limit)
	if err != nil {
		return nil, fmt.Errorf("store: read %s: %w", stream, err)
	}
	return rows, nil
}

func newEventID(at time.Time) string {
	var random [10]byte
	rand.Read(random[:]) // never fails since Go 1.24: the process ends instead
	return fmt.Sprintf("event_%012x%s", at.UnixMilli(), hex.EncodeToString(random[:]))
}

func cursor(row EventRow) string {
	return base64.RawURLEncoding.EncodeToString([]byte(strconv.FormatInt(row.At, 10) + " " + row.ID))
}

// parseCursor reads what cursor wrote; "" stands before the newest event. The error wraps ErrInvalid.
func parseCursor(text string) (EventRow, error) {
	if text == "" {
		return EventRow{At: math.MaxInt64}, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(raw) > 2*maxID {
		return EventRow{}, fmt.Errorf("%w: the cursor is none that was given out", muster.ErrInvalid)
	}
	at, id, _ := strings.Cut(string(raw), " ")
	ms, err := strconv.ParseInt(at, 10, 64)
	if err != nil || id == "" || strings.ContainsRune(id, 0) {
		return EventRow{}, fmt.Errorf("%w: the cursor is none that was given out", muster.ErrInvalid)
	}
	return EventRow{At: ms, ID: id}, nil
}
