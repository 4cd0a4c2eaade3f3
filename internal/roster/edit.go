package roster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"muster"
)

// What a check has when it is not said.
const (
	DefaultPeriod  = 10 * time.Second
	DefaultTimeout = 5 * time.Second
	// DefaultPushPeriod is for push checks.
	DefaultPushPeriod = 5 * time.Minute
	// MaxPushPeriod is the longest period of a push check: jobs may run once a month.
	MaxPushPeriod = 32 * 24 * time.Hour
)

const (
	maxName  = 200
	maxZones = 20
)

// tidy completes a check that somebody wrote and finds what is wrong with it; old is what it was, nil for a new
// one. The error wraps ErrInvalid, and a *check.ConfigError when it is about the fields of Config.
func (r *Roster) tidy(c, old *muster.Check) error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{muster.ErrInvalid}, args...)...)
	}
	if old != nil && c.Kind != old.Kind {
		return bad("kind: a check stays of the kind it was made: %s", old.Kind)
	}
	if err := r.tidyConfig(c, old); err != nil {
		return err
	}
	if err := tidyTimes(c, old); err != nil {
		return err
	}
	if c.Kind == KindPush {
		c.Target = "a call every " + span(c.Period)
	}
	if c.Name = strings.TrimSpace(c.Name); c.Name == "" {
		c.Name = clipName(c.Target)
	}
	if len(c.Name) > maxName || !plain(c.Name) {
		return bad("name: must be 1 to %d bytes of text without control characters", maxName)
	}
	if !c.Node.IsZero() && (old == nil || old.Node != c.Node) && !r.opts.HasNode(c.Account, c.Node) {
		return bad("node: there is no node %s", c.Node)
	}
	return r.tidyZones(c)
}

// tidyConfig has the kind read the configuration.
func (r *Roster) tidyConfig(c, old *muster.Check) error {
	if c.Kind == KindPush {
		token := ""
		if old != nil {
			token = PushToken(old)
		}
		config, err := parsePush(c.Config, token)
		if err != nil {
			return err
		}
		c.Config = config
		return nil
	}
	kind := r.opts.Kinds[c.Kind]
	if kind == nil {
		kinds := append(slices.Collect(maps.Keys(r.opts.Kinds)), KindPush)
		slices.Sort(kinds)
		return fmt.Errorf("%w: kind: must be one of %s", muster.ErrInvalid, strings.Join(kinds, ", "))
	}
	config := c.Config
	if len(bytes.TrimSpace(config)) == 0 {
		config = []byte("{}")
	}
	probe, err := kind.Parse(config)
	if err != nil {
		return err
	}
	c.Config, c.Target = probe.Config(), probe.Target()
	return nil
}

func (r *Roster) tidyZones(c *muster.Check) error {
	if len(c.Zones) == 0 {
		c.Zones = []string{muster.LocalZone}
	}
	zones := slices.Clone(c.Zones)
	slices.Sort(zones)
	c.Zones = slices.Compact(zones)
	if len(c.Zones) > maxZones {
		return fmt.Errorf("%w: zones: a check runs in at most %d", muster.ErrInvalid, maxZones)
	}
	for _, zone := range c.Zones {
		if !r.zones.Known(c.Account, zone) || c.Kind == KindPush && zone != muster.LocalZone {
			return fmt.Errorf("%w: zones: there is no zone %.64q for it", muster.ErrInvalid, zone)
		}
	}
	return nil
}

// tidyTimes fills period and timeout in. A timeout that nobody touched follows a shorter period.
func tidyTimes(c, old *muster.Check) error {
	longest, usual := muster.MaxCheckPeriod, DefaultPeriod
	if c.Kind == KindPush {
		longest, usual = MaxPushPeriod, DefaultPushPeriod
	}
	if c.Period == 0 {
		c.Period = usual
	}
	if c.Period < muster.MinCheckPeriod || c.Period > longest || c.Period%time.Millisecond != 0 {
		return fmt.Errorf("%w: period: must be from %s to %s, in whole milliseconds", muster.ErrInvalid, span(muster.MinCheckPeriod), span(longest))
	}
	if c.Kind == KindPush {
		c.Timeout = 0
		return nil
	}
	untouched := old != nil && c.Timeout == old.Timeout && c.Timeout >= c.Period
	if c.Timeout == 0 || untouched {
		c.Timeout = max(min(DefaultTimeout, c.Period/2), muster.MinCheckTimeout)
	}
	if c.Timeout < muster.MinCheckTimeout || c.Timeout > muster.MaxCheckTimeout || c.Timeout%time.Millisecond != 0 {
		return fmt.Errorf("%w: timeout: must be from %s to %s, in whole milliseconds", muster.ErrInvalid, span(muster.MinCheckTimeout), span(muster.MaxCheckTimeout))
	}
	if c.Timeout >= c.Period {
		return fmt.Errorf("%w: timeout: must be shorter than the period of %s", muster.ErrInvalid, span(c.Period))
	}
	return nil
}

func plain(s string) bool {
	return strings.IndexFunc(s, unicode.IsControl) < 0 && strings.ToValidUTF8(s, "") == s
}

// clipName makes a name of what is checked.
func clipName(target string) string {
	const most = maxName - 10 // room for a number behind it
	name := cleanLine(target, most)
	if name == "" {
		name = "check"
	}
	return strings.TrimSpace(name)
}

// Create makes a check of its Name, Kind, Node, Config, Period, Timeout, Zones and Enabled; what is zero among them
// gets its default, a missing name is made of the target, a push check gets its token. The error wraps
// ErrInvalid (and a *check.ConfigError where fields of Config are wrong), ErrConflict when the name is
// taken, or ErrLimited.
func (r *Roster) Create(ctx context.Context, edit Edit, c *muster.Check) (Row, error) {
	made := muster.Check{
		ID: edit.ID, Account: edit.Account, Name: c.Name, Kind: c.Kind, Node: c.Node, Config: bytes.Clone(c.Config),
		Period: c.Period, Timeout: c.Timeout, Zones: slices.Clone(c.Zones), Enabled: c.Enabled,
	}
	if made.ID == "" {
		made.ID = muster.NewCheckID()
	}
	named := strings.TrimSpace(c.Name) != ""
	if err := r.tidy(&made, nil); err != nil {
		return Row{}, fmt.Errorf("roster: create: %w", err)
	}
	if err := r.reserve(edit.Account); err != nil {
		return Row{}, fmt.Errorf("roster: create: %w", err)
	}
	err := r.store1(ctx, &made, named)
	r.unreserve(edit.Account)
	if err != nil {
		return Row{}, fmt.Errorf("roster: create: %w", err)
	}
	e, _ := r.admit(&made)
	r.renew(e, nil)
	r.tellOne(edit.Account, made.ID, nil)
	r.line("check.created", &made, edit.Actor, "was made: "+made.Kind+" "+made.Target)
	r.opts.Changed(Change{Account: edit.Account, Check: made.ID, Subject: made.Subject(), Edited: true, Status: true})
	return r.Get(edit.Account, made.ID)
}

// store1 saves a new check. A name that nobody chose gets a number when it is taken.
func (r *Roster) store1(ctx context.Context, c *muster.Check, named bool) error {
	base := c.Name
	if !named {
		c.Name = r.freeName(c.Account, base, 1)
	}
	for try := 2; ; try++ {
		err := r.store.CreateCheck(ctx, c)
		if err == nil || named || !errors.Is(err, muster.ErrConflict) || try > 20 {
			return err
		}
		c.Name = r.freeName(c.Account, base, try)
	}
}

// freeName gives the name with the first number from n on that makes it one of its own here.
func (r *Roster) freeName(account muster.AccountID, base string, n int) string {
	taken := map[string]bool{}
	for _, e := range r.byName(account) {
		taken[strings.ToLower(e.check.Load().Name)] = true
	}
	for ; ; n++ {
		name := base
		if n > 1 {
			name = base + " " + strconv.Itoa(n)
		}
		if !taken[strings.ToLower(name)] {
			return name
		}
	}
}

// reserve takes a place for a check that is being made.
func (r *Roster) reserve(account muster.AccountID) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.boards[account]
	if b == nil {
		b = &board{rows: map[muster.CheckID]*entry{}}
		r.boards[account] = b
	}
	if len(b.rows)+b.pending >= r.opts.MaxChecks {
		return fmt.Errorf("%w: an account has at most %d checks", muster.ErrLimited, r.opts.MaxChecks)
	}
	b.pending++
	return nil
}

func (r *Roster) unreserve(account muster.AccountID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.boards[account].pending--
}

// Update changes what people may change of a check: Name, Node, Config, Period, Timeout, Zones and Enabled; what change
// does to the rest is undone, and a check stays of its kind. The row is what it is afterwards. The error wraps
// ErrNotFound, ErrConflict (a newer rev, or a name that is taken), ErrInvalid as for Create, or is what change gave.
func (r *Roster) Update(ctx context.Context, edit Edit, change func(*muster.Check) error) (Row, error) {
	var old muster.Check
	c, err := r.store.UpdateCheck(ctx, edit.Account, edit.ID, edit.Rev, func(c *muster.Check) error {
		old = *c
		old.Config, old.Zones = bytes.Clone(c.Config), slices.Clone(c.Zones)
		edited := old
		edited.Config, edited.Zones = bytes.Clone(c.Config), slices.Clone(c.Zones)
		if err := change(&edited); err != nil {
			return err
		}
		edited.ID, edited.Account = old.ID, old.Account
		if err := r.tidy(&edited, &old); err != nil {
			return err
		}
		c.Name, c.Node, c.Config, c.Target = edited.Name, edited.Node, edited.Config, edited.Target
		c.Period, c.Timeout, c.Zones, c.Enabled = edited.Period, edited.Timeout, edited.Zones, edited.Enabled
		return nil
	})
	if err != nil {
		return Row{}, fmt.Errorf("roster: update: %w", err)
	}
	e, known := r.admit(c)
	changed := r.renew(e, known)
	r.tellOne(c.Account, c.ID, &old)
	if text := diff(&old, c); text != "" {
		r.line("check.changed", c, edit.Actor, text)
	}
	r.opts.Changed(Change{Account: c.Account, Check: c.ID, Subject: c.Subject(), Edited: true, Status: changed})
	return r.Get(c.Account, c.ID)
}

// Delete removes a check; what it measured stays until its time is up. The error wraps ErrNotFound or ErrConflict.
func (r *Roster) Delete(ctx context.Context, edit Edit) error {
	if err := r.store.DeleteCheck(ctx, edit.Account, edit.ID, edit.Rev); err != nil {
		return fmt.Errorf("roster: delete: %w", err)
	}
	c := r.drop(edit.Account, edit.ID)
	if c == nil {
		return nil
	}
	r.tellOne(edit.Account, edit.ID, c)
	r.line("check.deleted", c, edit.Actor, "was removed")
	r.opts.Changed(Change{Account: edit.Account, Check: edit.ID, Subject: c.Subject(), Gone: true})
	return nil
}

// line writes a line of the changelog.
func (r *Roster) line(kind string, c *muster.Check, actor, text string) {
	id := kind + "/" + string(c.ID)
	if kind == "check.changed" {
		id += "/" + strconv.FormatUint(c.Rev, 10)
	}
	r.events.add(muster.Event{ID: id, Account: c.Account, At: r.opts.Now(), Kind: kind, Actor: actor, Subject: string(c.ID), Name: c.Name, Text: text})
}

// diff says in words what of a check is not what it was. Of the configuration it names the fields, not
// their values: passwords and tokens are among them.
func diff(old, now *muster.Check) string {
	var parts []string
	value := func(what, a, b string) {
		if a != b {
			parts = append(parts, fmt.Sprintf("%s: %s -> %s", what, orNone(a), orNone(b)))
		}
	}
	value("name", old.Name, now.Name)
	if old.Enabled != now.Enabled {
		parts = append(parts, map[bool]string{true: "switched on", false: "switched off"}[now.Enabled])
	}
	value("target", old.Target, now.Target)
	if old.Node != now.Node {
		value("node", nodeText(old.Node), nodeText(now.Node))
	}
	value("period", span(old.Period), span(now.Period))
	value("timeout", span(old.Timeout), span(now.Timeout))
	value("zones", strings.Join(old.Zones, " "), strings.Join(now.Zones, " "))
	if fields := diffFields(old.Config, now.Config); len(fields) > 0 {
		parts = append(parts, "config: "+strings.Join(fields, ", "))
	}
	return strings.Join(parts, "; ")
}

// diffFields gives the names of the fields that differ.
func diffFields(old, now []byte) (names []string) {
	var a, b map[string]json.RawMessage
	if json.Unmarshal(old, &a) != nil || json.Unmarshal(now, &b) != nil {
		return nil
	}
	for name, v := range b {
		if !bytes.Equal(a[name], v) {
			names = append(names, name)
		}
		delete(a, name)
	}
	names = slices.AppendSeq(names, maps.Keys(a))
	slices.Sort(names)
	return names
}

func nodeText(id muster.NodeID) string {
	if id.IsZero() {
		return ""
	}
	return id.String()
}

func orNone(s string) string {
	const most = 120
	switch {
	case s == "":
		return "(none)"
	case len(s) > most:
		return strings.ToValidUTF8(s[:most], "") + "..."
	}
	return s
}

// goneNodes are nodes that were deleted and whose checks still have to be.
type goneNodes struct {
	mu    sync.Mutex
	nodes []runnerKey
}

// NodeGone has the checks of a node deleted that was. It does not wait for it.
func (r *Roster) NodeGone(account muster.AccountID, node muster.NodeID) {
	r.gone.mu.Lock()
	defer r.gone.mu.Unlock()
	r.gone.nodes = append(r.gone.nodes, runnerKey{account, node})
}

// sweep finds the checks whose node went while nobody looked.
func (r *Roster) sweep() {
	r.each(func(e *entry) {
		if c := e.check.Load(); !c.Node.IsZero() && !r.opts.HasNode(c.Account, c.Node) {
			r.NodeGone(c.Account, c.Node)
		}
	})
}

// bury deletes the checks of nodes that are gone.
func (r *Roster) bury(ctx context.Context) {
	r.gone.mu.Lock()
	nodes := r.gone.nodes
	r.gone.nodes = nil
	r.gone.mu.Unlock()
	for _, key := range nodes {
		for _, e := range r.byName(key.account) {
			c := e.check.Load()
			if c.Node != key.node {
				continue
			}
			err := r.Delete(ctx, Edit{Account: key.account, ID: c.ID, Actor: actorServer})
			if err != nil && !errors.Is(err, muster.ErrNotFound) {
				r.opts.Logger.Warn("roster: a check whose node is gone can't be deleted yet", "check", c.ID, "error", err)
				r.NodeGone(key.account, key.node)
				break
			}
		}
	}
}
