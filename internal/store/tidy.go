package store

import (
	"context"
	"time"

	"muster"
)

// How often expired rows are freed, and listings without objects looked for.
const (
	sweepEvery = 5 * time.Minute
	tidyEvery  = time.Hour
)

// Run frees what has expired and tidies listings until ctx ends.
func (s *Store) Run(ctx context.Context) error {
	sweep, tidy := time.NewTicker(sweepEvery), time.NewTicker(tidyEvery)
	defer sweep.Stop()
	defer tidy.Stop()
	seen := stray{}
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-sweep.C:
			err = s.engine.Sweep(ctx, s.options.Now())
		case <-tidy.C:
			seen, err = s.tidy(ctx, seen)
		}
		if err != nil && ctx.Err() == nil {
			s.options.Logger.Warn("tidying the store failed and is tried again", "error", err)
		}
	}
}

// stray holds listing rows that had no object when they were looked at, with the rev they had.
type stray map[Key]uint64

// tidy removes listing rows that had no object in the pass before either: an object comes after its
// row, but not an hour after.
func (s *Store) tidy(ctx context.Context, before stray) (stray, error) {
	now := stray{}
	accounts, err := s.Accounts(ctx)
	if err != nil {
		return before, err
	}
	if err := s.strays(ctx, muster.AccountID{}, s.accounts.kind, now); err != nil {
		return before, err
	}
	for _, account := range accounts {
		for _, kind := range []string{s.users.kind, s.tokens.kind, s.enrollments.kind, s.nodes.kind} {
			if err := s.strays(ctx, account.ID, kind, now); err != nil {
				return before, err
			}
		}
	}
	for key, rev := range now {
		if was, twice := before[key]; !twice || was != rev {
			continue
		}
		if err := s.engine.Delist(ctx, key, rev); err != nil {
			return now, err
		}
		delete(now, key)
	}
	return now, nil
}

func (s *Store) strays(ctx context.Context, account muster.AccountID, kind string, into stray) error {
	const page, most = 1000, 100_000
	for after := ""; ; {
		rows, err := s.engine.List(ctx, account, kind, after, page)
		if err != nil {
			return err
		}
		keys := make([]Key, len(rows))
		for i, row := range rows {
			keys[i] = Key{Account: account, Kind: kind, ID: row.ID}
		}
		objects, err := s.engine.GetMany(ctx, keys)
		if err != nil {
			return err
		}
		for i, object := range objects {
			if (object.Rev == 0 || object.Deleted) && len(into) < most {
				into[keys[i]] = rows[i].Rev
			}
		}
		if len(rows) < page {
			return nil
		}
		after = rows[len(rows)-1].ID
	}
}
