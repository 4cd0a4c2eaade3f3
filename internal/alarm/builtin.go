package alarm

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"muster"
	"muster/internal/alarm/rules"
)

// madeFor is how long it is remembered that an account got a built-in alarm, so that one which was deleted stays so.
const madeFor = 19 * 365 * 24 * time.Hour

// EnsureDefaults makes the built-in alarms that the account never had.
func (w *Watch) EnsureDefaults(ctx context.Context, account muster.AccountID) error {
	for _, a := range rules.Defaults() {
		key := "alarm/default/" + a.BuiltIn
		_, err := w.store.Once(ctx, account, key)
		if errors.Is(err, muster.ErrNotFound) {
			if err = w.makeDefault(ctx, account, a); err == nil {
				err = w.store.PutOnce(ctx, account, key, []byte("made"), madeFor)
			}
			if errors.Is(err, muster.ErrConflict) {
				err = nil // somebody else was as quick
			}
		}
		if err != nil {
			return fmt.Errorf("alarm: make defaults: %w", err)
		}
	}
	return nil
}

// makeDefault creates one built-in alarm under an id that follows from the account, so that two who do it make one.
func (w *Watch) makeDefault(ctx context.Context, account muster.AccountID, a *muster.Alarm) error {
	b := w.book(account)
	name := a.Name
	for try := 2; try < 10; try++ {
		if b.builtIn(a.BuiltIn) != nil {
			return nil
		}
		a.ID, a.Enabled = defaultID(account, a.BuiltIn), true
		_, err := w.create(ctx, Edit{Account: account, Actor: "muster"}, a)
		if !errors.Is(err, muster.ErrConflict) {
			return err
		}
		if known, found := w.store.Alarms(ctx, account); found == nil {
			for _, old := range known {
				if old.ID == a.ID {
					return w.adopt(old)
				}
			}
		}
		a.Name = fmt.Sprintf("%s (%d)", name, try) // somebody has an alarm of that name
	}
	return fmt.Errorf("%w: every name for %q is taken", muster.ErrConflict, name)
}

func defaultID(account muster.AccountID, builtIn string) muster.AlarmID {
	sum := sha256.Sum256([]byte("muster default alarm 1\x00" + string(account[:]) + builtIn))
	raw := muster.AccountID(sum[:16]) // any id writes the same digits
	raw[6] = raw[6]&0x0f | 0x80       // a UUIDv8
	raw[8] = raw[8]&0x3f | 0x80
	return muster.AlarmID("alarm" + raw.String()[len("account"):])
}
