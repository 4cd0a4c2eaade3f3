package alarm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"muster"
	"muster/internal/incident"
	"muster/internal/judge"
)

// Incidents gives incidents, those opened last first; next is "" at the end. They are shared and not to be changed. The
// error wraps ErrInvalid (the filter) or is the history's.
func (w *Watch) Incidents(ctx context.Context, account muster.AccountID, f IncidentFilter) (list []*muster.Incident, next string, err error) {
	if list, next, err = w.incidents.List(ctx, account, f); err != nil {
		return nil, "", fmt.Errorf("alarm: %w", err)
	}
	return list, next, nil
}

// Incident gives one incident, open or past, shared and not to be changed; the error wraps ErrNotFound.
func (w *Watch) Incident(ctx context.Context, account muster.AccountID, id muster.IncidentID) (*muster.Incident, error) {
	in, err := w.incidents.Find(ctx, account, id)
	if err != nil {
		return nil, fmt.Errorf("alarm: %w", err)
	}
	return in, nil
}

// Acknowledge notes that somebody takes an incident, and gives it as it is once that is saved. Acknowledging twice changes
// nothing. The error wraps ErrNotFound, ErrConflict (it is resolved) or ErrUnavailable.
func (w *Watch) Acknowledge(ctx context.Context, account muster.AccountID, id muster.IncidentID, actor string) (*muster.Incident, error) {
	at := w.opts.Now()
	in, err := w.change(ctx, account, id, func(in *muster.Incident) (*muster.Incident, *muster.IncidentChange, error) {
		return incident.Acknowledge(in, actor, at)
	})
	if err != nil {
		return nil, fmt.Errorf("alarm: acknowledge: %w", err)
	}
	return in, nil
}

// Comment adds what a person says to an incident, also to one that is over; At is set when it is zero. The error wraps
// ErrNotFound, ErrInvalid or ErrUnavailable.
func (w *Watch) Comment(ctx context.Context, account muster.AccountID, id muster.IncidentID, c muster.Comment) (*muster.Incident, error) {
	if c.At.IsZero() {
		c.At = w.opts.Now()
	}
	in, err := w.change(ctx, account, id, func(in *muster.Incident) (*muster.Incident, *muster.IncidentChange, error) {
		return incident.Comment(in, c)
	})
	if err != nil {
		return nil, fmt.Errorf("alarm: comment: %w", err)
	}
	return in, nil
}

// change does something to an incident, in the order of its shard, and waits until it is saved.
func (w *Watch) change(ctx context.Context, account muster.AccountID, id muster.IncidentID, do func(*muster.Incident) (*muster.Incident, *muster.IncidentChange, error)) (*muster.Incident, error) {
	in, err := w.Incident(ctx, account, id)
	if err != nil {
		return nil, err
	}
	c := &change{do: do, id: id, old: in, who: incident.Subject{Account: account, ID: in.Subject}}
	return w.shardOf(account, in.Subject).ask(ctx, c)
}

// OpenCount says how many incidents of the account are open and acknowledged, and how bad the worst of them is.
func (w *Watch) OpenCount(account muster.AccountID) (open, acknowledged int, worst muster.Level) {
	for _, in := range w.incidents.Held(account) {
		switch in.State {
		case muster.IncidentOpen:
			open++
		case muster.IncidentAcknowledged:
			acknowledged++
		default:
			continue
		}
		if in.Level.Worse(worst) {
			worst = in.Level
		}
	}
	return open, acknowledged, worst
}

// troubleName stands for the subject of the system's own incidents.
const troubleName = "Muster"

// TroubleSubject gives the subject of the incident that Trouble opens under a key.
func TroubleSubject(account muster.AccountID, key string) muster.NodeID {
	sum := sha256.Sum256([]byte("muster trouble 1\x00" + string(account[:]) + key))
	return muster.NodeID(sum[:16])
}

// Trouble opens an incident of the system's own, known by a key, that no alarm watches: title says what is wrong, why says it
// at length. Telling it again changes nothing while it is open. It returns once that is saved; the error wraps ErrUnavailable.
func (w *Watch) Trouble(ctx context.Context, account muster.AccountID, key, title, why string) error {
	return w.trouble(ctx, account, key, muster.Transition{From: muster.AlarmOK, To: muster.AlarmFiring, Name: title, Level: muster.LevelCritical, Why: why})
}

// TroubleOver resolves what Trouble opened; nothing happens when it is not open.
func (w *Watch) TroubleOver(ctx context.Context, account muster.AccountID, key, why string) error {
	return w.trouble(ctx, account, key, muster.Transition{From: muster.AlarmFiring, To: muster.AlarmOK, Level: muster.LevelCritical, Why: why})
}

func (w *Watch) trouble(ctx context.Context, account muster.AccountID, key string, t muster.Transition) error {
	who := incident.Subject{Account: account, ID: TroubleSubject(account, key), Name: troubleName}
	t.Subject, t.At = who.ID, w.opts.Now().UTC()
	hash := sha256.Sum256([]byte(key))
	t.ID = judge.TransitionID(t.Alarm, who.ID, hex.EncodeToString(hash[:8]), t.At, t.To)
	_, err := w.shardOf(account, who.ID).ask(ctx, &change{who: who, do: func(in *muster.Incident) (*muster.Incident, *muster.IncidentChange, error) {
		open := in != nil && in.State != muster.IncidentResolved
		if open == (t.To == muster.AlarmFiring) {
			return in, nil, nil
		}
		if open {
			t.Name = in.Open[0].Name
		}
		after, changed := incident.Fold(in, who, t)
		return after, changed, nil
	}})
	if err != nil {
		return fmt.Errorf("alarm: trouble: %w", err)
	}
	return nil
}
