package alarm

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"muster"
	"muster/internal/alarm/rules"
)

// MaxAlarms is how many alarms an account may have.
const MaxAlarms = 1000

// book is one account's alarms. A ruleset is replaced, never changed: who matched by it sees by the pointer whether it still stands.
type book struct {
	account muster.AccountID
	making  sync.Mutex // held while an alarm is created, so that the limit holds
	mu      sync.Mutex // held while the ruleset is replaced
	rules   atomic.Pointer[ruleset]
}

type ruleset struct {
	sorted []*rule // by name
	byID   map[muster.AlarmID]*rule
}

func newBook(account muster.AccountID) *book {
	b := &book{account: account}
	b.rules.Store(&ruleset{})
	return b
}

// put takes a rule in, unless a newer one of its alarm is known; it says whether anything changed.
func (b *book) put(r *rule) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	old := b.rules.Load()
	if known := old.byID[r.doc.ID]; known != nil && known.doc.Rev >= r.doc.Rev {
		return false
	}
	byID := maps.Clone(old.byID)
	if byID == nil {
		byID = map[muster.AlarmID]*rule{}
	}
	byID[r.doc.ID] = r
	b.rules.Store(newRuleset(byID))
	return true
}

func (b *book) drop(id muster.AlarmID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	byID := maps.Clone(b.rules.Load().byID)
	delete(byID, id)
	b.rules.Store(newRuleset(byID))
}

func newRuleset(byID map[muster.AlarmID]*rule) *ruleset {
	set := &ruleset{byID: byID, sorted: slices.Collect(maps.Values(byID))}
	slices.SortFunc(set.sorted, func(x, y *rule) int {
		return cmp.Or(cmp.Compare(strings.ToLower(x.doc.Name), strings.ToLower(y.doc.Name)), cmp.Compare(x.doc.ID, y.doc.ID))
	})
	return set
}

func (b *book) builtIn(key string) *rule {
	for _, r := range b.rules.Load().sorted {
		if r.doc.BuiltIn == key {
			return r
		}
	}
	return nil
}

// book gives the account's, making it at first use.
func (w *Watch) book(account muster.AccountID) *book {
	if b, ok := w.books.Load(account); ok {
		return b.(*book)
	}
	b, _ := w.books.LoadOrStore(account, newBook(account))
	return b.(*book)
}

// List gives the account's alarms by name. They are shared and not to be changed.
func (w *Watch) List(account muster.AccountID) []*muster.Alarm {
	set := w.book(account).rules.Load()
	list := make([]*muster.Alarm, len(set.sorted))
	for i, r := range set.sorted {
		list[i] = r.doc
	}
	return list
}

// Get gives one alarm, shared and not to be changed; the error wraps ErrNotFound.
func (w *Watch) Get(account muster.AccountID, id muster.AlarmID) (*muster.Alarm, error) {
	if r := w.book(account).rules.Load().byID[id]; r != nil {
		return r.doc, nil
	}
	return nil, fmt.Errorf("alarm: get: %w: no alarm %.64q", muster.ErrNotFound, string(id))
}

// Find gives the alarm of that id or, failing that, of that name in any case; the error wraps ErrNotFound.
func (w *Watch) Find(account muster.AccountID, idOrName string) (*muster.Alarm, error) {
	if a, err := w.Get(account, muster.AlarmID(idOrName)); err == nil {
		return a, nil
	}
	for _, r := range w.book(account).rules.Load().sorted {
		if strings.EqualFold(r.doc.Name, idOrName) {
			return r.doc, nil
		}
	}
	return nil, fmt.Errorf("alarm: find: %w: no alarm %.64q", muster.ErrNotFound, idOrName)
}

// Create stores a new alarm and gives it as it is kept; edit.ID and edit.Rev are not looked at. The error
// wraps ErrInvalid (naming the field), ErrConflict (the name is taken) or ErrLimited (more than MaxAlarms).
func (w *Watch) Create(ctx context.Context, edit Edit, a *muster.Alarm) (*muster.Alarm, error) {
	fresh := *a
	fresh.ID, fresh.BuiltIn = muster.NewAlarmID(), ""
	made, err := w.create(ctx, edit, &fresh)
	if err != nil {
		return nil, fmt.Errorf("alarm: create: %w", err)
	}
	return made, nil
}

func (w *Watch) create(ctx context.Context, edit Edit, a *muster.Alarm) (*muster.Alarm, error) {
	b := w.book(edit.Account)
	b.making.Lock()
	defer b.making.Unlock()
	if n := len(b.rules.Load().sorted); n >= MaxAlarms {
		return nil, fmt.Errorf("%w: an account has at most %d alarms", muster.ErrLimited, MaxAlarms)
	}
	fresh := *a
	fresh.Account, fresh.Rev = edit.Account, 0
	tidy(&fresh)
	if err := w.valid(&fresh, &muster.Alarm{}); err != nil {
		return nil, err
	}
	if err := w.store.CreateAlarm(ctx, &fresh); err != nil {
		return nil, err
	}
	if err := w.adopt(&fresh); err != nil {
		return nil, err
	}
	w.told(ctx, edit.Actor, "alarm.created", &fresh, rules.Describe(&fresh))
	return w.Get(edit.Account, fresh.ID)
}

// Update changes an alarm and gives it as it is then; what change does to ID, Account, BuiltIn and times is undone. The error
// wraps ErrNotFound, ErrConflict (a newer rev, or a name that is taken), ErrInvalid (naming the field), or is what change gave.
func (w *Watch) Update(ctx context.Context, edit Edit, change func(*muster.Alarm) error) (*muster.Alarm, error) {
	var old muster.Alarm
	a, err := w.store.UpdateAlarm(ctx, edit.Account, edit.ID, edit.Rev, func(a *muster.Alarm) error {
		old = *a
		edited := copyAlarm(a)
		if err := change(edited); err != nil {
			return err
		}
		edited.ID, edited.Account, edited.BuiltIn, edited.Rev = a.ID, a.Account, a.BuiltIn, a.Rev
		edited.CreatedAt, edited.UpdatedAt = a.CreatedAt, a.UpdatedAt
		tidy(edited)
		if err := w.valid(edited, a); err != nil {
			return err
		}
		*a = *edited
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("alarm: update: %w", err)
	}
	if err := w.adopt(a); err != nil {
		return nil, fmt.Errorf("alarm: update: %w", err)
	}
	w.tellEdit(ctx, edit.Actor, &old, a)
	return w.Get(edit.Account, edit.ID)
}

// Delete removes an alarm and closes what it has open. The error wraps ErrNotFound or ErrConflict.
func (w *Watch) Delete(ctx context.Context, edit Edit) error {
	known, err := w.Get(edit.Account, edit.ID)
	if err != nil { // the store may have one that nobody understands any more
		known = &muster.Alarm{ID: edit.ID, Account: edit.Account, Name: string(edit.ID)}
	}
	if err := w.store.DeleteAlarm(ctx, edit.Account, edit.ID, edit.Rev); err != nil {
		return fmt.Errorf("alarm: delete: %w", err)
	}
	b := w.book(edit.Account)
	b.drop(edit.ID)
	w.rematch(b)
	w.told(ctx, edit.Actor, "alarm.deleted", known, "was deleted")
	return nil
}

// adopt takes a stored alarm in and matches anew.
func (w *Watch) adopt(a *muster.Alarm) error {
	r, err := compile(a)
	if err != nil {
		return err
	}
	b := w.book(a.Account)
	if b.put(r) {
		w.rematch(b)
	}
	return nil
}

// valid checks an alarm before it is stored. What it names must be there, unless it was named before.
func (w *Watch) valid(a, old *muster.Alarm) error {
	if _, err := compile(a); err != nil {
		return err
	}
	if a.Node != old.Node && !a.Node.IsZero() && w.opts.Fleet.Node(a.Account, a.Node) == nil {
		return fmt.Errorf("%w: node: there is no such node", muster.ErrInvalid)
	}
	if a.Check != old.Check && a.Check != "" && w.opts.Fleet.Check(a.Account, a.Check) == nil {
		return fmt.Errorf("%w: check: there is no such check", muster.ErrInvalid)
	}
	for _, id := range a.Channels {
		if !slices.Contains(old.Channels, id) && !w.opts.HasChannel(a.Account, id) {
			return fmt.Errorf("%w: channels: there is no channel %.64q", muster.ErrInvalid, string(id))
		}
	}
	return nil
}

// tidy brings an alarm into the one form that is kept.
func tidy(a *muster.Alarm) {
	a.Name, a.Query, a.Metric = strings.TrimSpace(a.Name), strings.TrimSpace(a.Query), strings.TrimSpace(a.Metric)
	if a.Query == "*" {
		a.Query = ""
	}
	if a.Level == "" {
		a.Level = muster.LevelCritical
	}
	if len(a.Attrs) == 0 {
		a.Attrs = nil
	}
	if len(a.Channels) == 0 {
		a.Channels = nil
	}
}

func copyAlarm(a *muster.Alarm) *muster.Alarm {
	c := *a
	c.Attrs, c.Channels = maps.Clone(a.Attrs), slices.Clone(a.Channels)
	if a.Condition != nil {
		condition := *a.Condition
		c.Condition = &condition
	}
	return &c
}

// told writes a changelog line of an alarm.
func (w *Watch) told(ctx context.Context, actor, kind string, a *muster.Alarm, text string) {
	w.opts.Tell(ctx, muster.Event{
		ID: fmt.Sprintf("%s/%s/%d", kind, a.ID, a.Rev), Account: a.Account, At: w.opts.Now(), Kind: kind, Actor: actor,
		Subject: string(a.ID), Name: a.Name, Text: text,
	})
}

// tellEdit writes what a change did.
func (w *Watch) tellEdit(ctx context.Context, actor string, old, now *muster.Alarm) {
	if old.Enabled != now.Enabled {
		w.told(ctx, actor, "alarm.enabled", now, map[bool]string{true: "was switched on", false: "was switched off"}[now.Enabled])
	}
	var parts []string
	value := func(what, a, b string) {
		if a != b {
			parts = append(parts, fmt.Sprintf("%s: %s -> %s", what, orNone(a), orNone(b)))
		}
	}
	value("name", old.Name, now.Name)
	value("watches", rules.Describe(old), rules.Describe(now))
	value("level", string(old.Level), string(now.Level))
	value("channels", channels(old), channels(now))
	if len(parts) > 0 {
		w.told(ctx, actor, "alarm.changed", now, strings.Join(parts, "; "))
	}
}

func channels(a *muster.Alarm) string {
	var ids []string
	for _, c := range a.Channels {
		ids = append(ids, string(c))
	}
	return strings.Join(ids, " ")
}

func orNone(s string) string {
	if s == "" {
		return "(none)"
	}
	return s
}
