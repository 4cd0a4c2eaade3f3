package inventory

import (
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"time"

	"muster"
)

// Matcher decides which nodes are listed; *filter.Query is one. It must not keep its arguments.
type Matcher interface {
	Match(n *muster.Node, now *muster.NodeNow, at time.Time) bool
}

// What a list can be sorted by. Rows that are equal in it come in the order of their names; a value
// that is not known comes last, whichever the direction.
const (
	SortName     = "name"
	SortState    = "state" // worst first
	SortCPU      = "cpu"
	SortMemory   = "memory"
	SortDisk     = "disk"
	SortLoad     = "load"
	SortNetwork  = "net"  // sum of both directions
	SortLastSeen = "seen" // longest silence first
)

// ListOptions choose what List gives.
type ListOptions struct {
	Query  Matcher // nil: all nodes (a nil pointer in it is not nil)
	Sort   string  // one of the Sort names; by name when empty
	Desc   bool    // the other way round
	Offset int     // how many rows to leave out, after After was applied
	Limit  int     // how many rows to give at most; 0: all
	After  string  // a cursor: only rows after it
}

// Validate says what is wrong with the options; the error wraps ErrInvalid.
func (o *ListOptions) Validate() error {
	if _, known := sortKey(o.Sort); !known {
		return fmt.Errorf("inventory: list: %w: can't sort by %.64q", muster.ErrInvalid, o.Sort)
	}
	if o.Offset < 0 || o.Limit < 0 {
		return fmt.Errorf("inventory: list: %w: offset and limit can't be negative", muster.ErrInvalid)
	}
	if o.After != "" {
		if _, err := o.place(); err != nil {
			return err
		}
	}
	return nil
}

// List gives the account's rows that match, sorted, and how many match in all. Options that are not
// valid give nothing: ask Validate first where they come from outside.
func (inv *Inventory) List(account muster.AccountID, o ListOptions) (rows []Row, total int) {
	b := inv.known(account)
	if b == nil || o.Validate() != nil {
		return nil, 0
	}
	items := inv.matching(b, &o)
	total = len(items)
	order := o.order()
	slices.SortFunc(items, order)
	if o.After != "" {
		place, _ := o.place()
		at, _ := slices.BinarySearchFunc(items, place, func(x, y item) int {
			if c := order(x, y); c != 0 {
				return c
			}
			return -1 // the first one after the place
		})
		items = items[at:]
	}
	items = items[min(o.Offset, len(items)):]
	if o.Limit > 0 {
		items = items[:min(o.Limit, len(items))]
	}
	rows = make([]Row, len(items))
	for i := range items {
		rows[i] = items[i].e.row()
	}
	return rows, total
}

// item is an entry with what it is sorted by.
type item struct {
	key  float64
	rank int32  // its place in the order of names
	name string // only where the rank can't tell: in a cursor
	e    *entry
}

func (inv *Inventory) matching(b *board, o *ListOptions) []item {
	key, _ := sortKey(o.Sort)
	all := b.byName()
	at := inv.opts.Now()
	items := make([]item, 0, len(all))
	now := new(muster.NodeNow) // one for all: Match is an interface's, so it lives on the heap
	for i, e := range all {
		e.peek(now)
		if o.Query != nil && !o.Query.Match(e.node.Load(), now, at) {
			continue
		}
		items = append(items, item{key: key(now), rank: int32(i), e: e})
	}
	return items
}

// order compares two items: by key in the wanted direction, unknown ones last, then by name.
func (o *ListOptions) order() func(x, y item) int {
	sign := 1
	if o.Desc {
		sign = -1
	}
	byName := o.Sort == "" || o.Sort == SortName
	return func(x, y item) int {
		if byName {
			return sign * compareNames(x, y)
		}
		switch xnan, ynan := math.IsNaN(x.key), math.IsNaN(y.key); {
		case xnan && !ynan:
			return 1
		case ynan && !xnan:
			return -1
		case x.key != y.key && !xnan:
			return sign * cmp.Compare(x.key, y.key)
		}
		return compareNames(x, y)
	}
}

func compareNames(x, y item) int {
	if x.e != nil && y.e != nil {
		return cmp.Compare(x.rank, y.rank)
	}
	return cmp.Compare(x.text(), y.text())
}

func (i item) text() string {
	if i.e == nil {
		return i.name
	}
	return nameKey(i.e.node.Load())
}

// sortKey gives what a row is sorted by, ascending; it says whether the name is known.
func sortKey(by string) (func(*muster.NodeNow) float64, bool) {
	switch by {
	case "", SortName:
		return func(*muster.NodeNow) float64 { return 0 }, true
	case SortState:
		return func(n *muster.NodeNow) float64 { return stateRank(n.State) }, true
	case SortCPU:
		return func(n *muster.NodeNow) float64 { return n.CPU }, true
	case SortMemory:
		return func(n *muster.NodeNow) float64 { return n.Memory }, true
	case SortDisk:
		return func(n *muster.NodeNow) float64 { return n.Disk }, true
	case SortLoad:
		return func(n *muster.NodeNow) float64 { return n.Load }, true
	case SortNetwork:
		return func(n *muster.NodeNow) float64 { return n.NetIn + n.NetOut }, true
	case SortLastSeen:
		return func(n *muster.NodeNow) float64 {
			if n.LastSeen.IsZero() {
				return math.NaN()
			}
			return float64(n.LastSeen.UnixMilli())
		}, true
	}
	return nil, false
}

// stateRank puts the worst first.
func stateRank(s muster.NodeState) float64 {
	for i, state := range []muster.NodeState{muster.Down, muster.Unknown, muster.Pending, muster.Up, muster.Stopped, muster.Terminated} {
		if s == state {
			return float64(i)
		}
	}
	return math.NaN()
}

// Cursor gives the place after a row in a list of these options, for After of the next one. It holds
// while values move: rows that moved past it may be left out or come twice, others not.
func (o *ListOptions) Cursor(row Row) string {
	key, known := sortKey(o.Sort)
	if !known || row.Node == nil {
		return ""
	}
	b := binary.BigEndian.AppendUint64([]byte{cursorVersion}, math.Float64bits(key(&row.Now)))
	return base64.RawURLEncoding.EncodeToString(append(b, nameKey(row.Node)...))
}

// cursorVersion changes with what a cursor holds or how names are ordered.
const cursorVersion = 2

func (o *ListOptions) place() (item, error) {
	raw, err := base64.RawURLEncoding.DecodeString(o.After)
	if err != nil || len(raw) < 9 || raw[0] != cursorVersion {
		return item{}, fmt.Errorf("inventory: list: %w: the cursor is not one of this list's", muster.ErrInvalid)
	}
	return item{key: math.Float64frombits(binary.BigEndian.Uint64(raw[1:])), name: string(raw[9:])}, nil
}
