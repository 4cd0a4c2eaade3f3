package archive

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"muster"
)

// Filter chooses incidents.
type Filter struct {
	State   muster.IncidentState // empty: all
	Open    bool                 // open or acknowledged; State is not looked at then
	Subject muster.NodeID        // only its; zero: all
	Before  string               // the cursor that the last answer gave
	Limit   int                  // 100 when zero, at most 1000
}

// Bounds of one page of incidents, and of how many rows of the history are read for one.
const (
	defaultPage = 100
	maxPage     = 1000
	maxScan     = 5000
)

func (f *Filter) wants(in *muster.Incident) bool {
	over := in.State == muster.IncidentResolved
	if f.Open && over || !f.Open && f.State != "" && f.State != in.State {
		return false
	}
	return f.Subject.IsZero() || f.Subject == in.Subject
}

// living says whether only incidents that are not over are asked for.
func (f *Filter) living() bool {
	return f.Open || f.State == muster.IncidentOpen || f.State == muster.IncidentAcknowledged
}

// List gives incidents, those opened last first; next is "" at the end. They are shared and not to be changed. The
// error wraps ErrInvalid (the filter) or is the history's.
func (x *Archive) List(ctx context.Context, account muster.AccountID, f Filter) (list []*muster.Incident, next string, err error) {
	before, err := parsePlace(f.Before)
	if err != nil {
		return nil, "", fmt.Errorf("archive: list: %w", err)
	}
	if !f.Open && !slices.Contains([]muster.IncidentState{"", muster.IncidentOpen, muster.IncidentAcknowledged, muster.IncidentResolved}, f.State) {
		return nil, "", fmt.Errorf("archive: list: %w: state: %.40q is none of open, acknowledged, resolved", muster.ErrInvalid, string(f.State))
	}
	limit := min(max(cmp.Or(f.Limit, defaultPage), 1), maxPage)
	living := x.Held(account)
	list = slices.DeleteFunc(slices.Clone(living), func(in *muster.Incident) bool { return !f.wants(in) || !placeOf(in).after(before) })
	var seen Row // how far the history was read
	if !f.living() {
		known := map[muster.IncidentID]bool{}
		for _, in := range living {
			known[in.ID] = true
		}
		var past []*muster.Incident
		if past, seen, err = x.past(ctx, account, before, limit, func(in *muster.Incident) bool { return !known[in.ID] && f.wants(in) }); err != nil {
			return nil, "", err
		}
		list = append(list, past...)
	}
	slices.SortFunc(list, func(x, y *muster.Incident) int {
		return cmp.Or(cmp.Compare(y.OpenedAt.UnixMilli(), x.OpenedAt.UnixMilli()), cmp.Compare(y.ID, x.ID))
	})
	if seen.ID != "" { // what is older was not looked for yet
		list = slices.DeleteFunc(list, func(in *muster.Incident) bool { return placeOf(in).after(seen) })
		next = seen.place()
	}
	if len(list) > limit {
		list = list[:limit]
		next = placeOf(list[limit-1]).place()
	}
	return list, next, nil
}

// past reads wanted incidents from the history until there are enough of them; seen is the row it ended at when there may be more.
func (x *Archive) past(ctx context.Context, account muster.AccountID, before Row, limit int, wants func(*muster.Incident) bool) (list []*muster.Incident, seen Row, err error) {
	for scanned := 0; ; {
		rows, err := x.o.History.Rows(ctx, account, before, limit)
		if err != nil {
			return nil, Row{}, fmt.Errorf("archive: list: %w", err)
		}
		for _, row := range rows {
			before = Row{At: row.At, ID: row.ID}
			in, err := x.o.Decode(row.Body)
			if err != nil {
				x.o.Logger.Error("an incident can't be read and is left out", "id", row.ID, "error", err)
				continue
			}
			if in.Account = account; wants(in) {
				list = append(list, in)
			}
			if len(list) == limit {
				return list, before, nil
			}
		}
		if scanned += len(rows); len(rows) < limit {
			return list, Row{}, nil
		}
		if scanned >= maxScan {
			return list, before, nil
		}
	}
}

func placeOf(in *muster.Incident) Row { return Row{At: in.OpenedAt.UnixMilli(), ID: string(in.ID)} }

// after says whether r comes after other in the order of lists, newest first; all come after the zero Row.
func (r Row) after(other Row) bool {
	return other.ID == "" || r.At < other.At || r.At == other.At && r.ID < other.ID
}

func (r Row) place() string { return strconv.FormatInt(r.At, 36) + "." + r.ID }

func parsePlace(text string) (Row, error) {
	if text == "" {
		return Row{}, nil
	}
	ms, id, _ := strings.Cut(text, ".")
	at, err := strconv.ParseInt(ms, 36, 64)
	if err != nil || !strings.HasPrefix(id, "incident_") || len(id) > 64 {
		return Row{}, fmt.Errorf("%w: cursor: it is none that was given out", muster.ErrInvalid)
	}
	return Row{At: at, ID: id}, nil
}

// Find gives one incident, open or past, shared and not to be changed; the error wraps ErrNotFound.
func (x *Archive) Find(ctx context.Context, account muster.AccountID, id muster.IncidentID) (*muster.Incident, error) {
	if in := x.Get(account, id); in != nil {
		return in, nil
	}
	missing := fmt.Errorf("archive: get: %w: no incident %.64q", muster.ErrNotFound, string(id))
	at, ok := openedAt(id)
	if !ok {
		return nil, missing
	}
	rows, err := x.o.History.Rows(ctx, account, Row{At: at, ID: string(id) + "~"}, 1)
	if err != nil {
		return nil, fmt.Errorf("archive: get: %w", err)
	}
	if len(rows) == 0 || rows[0].ID != string(id) {
		return nil, missing
	}
	in, err := x.o.Decode(rows[0].Body)
	if err != nil {
		return nil, fmt.Errorf("archive: get: %w", err)
	}
	in.Account = account
	return in, nil
}

// openedAt takes from an incident's id when it was opened, in Unix milliseconds: that is its first 48 bits.
func openedAt(id muster.IncidentID) (int64, bool) {
	digits, ok := strings.CutPrefix(string(id), "incident_")
	raw := muster.CheckID("check_" + digits).Subject() // all ids are written alike
	if !ok || raw.IsZero() {
		return 0, false
	}
	return int64(binary.BigEndian.Uint64(raw[:8]) >> 16), true
}
