// Package storetest gives the suite that an engine of the store passes by being constructed, an engine
// in memory for the tests of others, and a wrapper that makes any engine fail in the ways the contract allows.
package storetest

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"muster"
	"muster/internal/store"
)

// Memory is an engine that keeps everything in memory: the contract in its plainest form.
type Memory struct {
	now func() time.Time

	mu         sync.Mutex
	objects    map[store.Key]kept[store.Object]
	listings   map[store.Key]kept[uint64]
	events     map[stream]map[eventName]kept[[]byte]
	ephemerals map[store.Key]kept[[]byte]
	shards     map[store.ShardKey]*partition
}

type kept[V any] struct {
	value V
	until time.Time // zero: for ever
}

type stream struct {
	account muster.AccountID
	name    string
}

type eventName struct {
	at int64
	id string
}

type partition struct {
	head  store.ShardHead
	rows  map[uint64]store.ShardRow
	until time.Time
}

// NewMemory makes an empty engine; now may be nil.
func NewMemory(now func() time.Time) *Memory {
	if now == nil {
		now = time.Now
	}
	return &Memory{
		now: now, objects: map[store.Key]kept[store.Object]{}, listings: map[store.Key]kept[uint64]{},
		events: map[stream]map[eventName]kept[[]byte]{}, ephemerals: map[store.Key]kept[[]byte]{}, shards: map[store.ShardKey]*partition{},
	}
}

func (m *Memory) until(ttl time.Duration) time.Time {
	if ttl <= 0 {
		return time.Time{}
	}
	return m.now().Add(ttl)
}

func live[V any](k kept[V], now time.Time) bool { return k.until.IsZero() || now.Before(k.until) }

// begin locks, unless ctx has ended.
func (m *Memory) begin(ctx context.Context) (end func(), err error) {
	if ctx.Err() != nil {
		return nil, fmt.Errorf("memory: %w: %w", muster.ErrUnavailable, context.Cause(ctx))
	}
	m.mu.Lock()
	return m.mu.Unlock, nil
}

func copied(o store.Object) store.Object {
	o.Body, o.Recent = bytes.Clone(o.Body), slices.Clone(o.Recent)
	return o
}

// Get reads an object.
func (m *Memory) Get(ctx context.Context, key store.Key, _ bool) (store.Object, error) {
	end, err := m.begin(ctx)
	if err != nil {
		return store.Object{}, err
	}
	defer end()
	return m.object(key), nil
}

func (m *Memory) object(key store.Key) store.Object {
	if k, ok := m.objects[key]; ok && live(k, m.now()) {
		return copied(k.value)
	}
	return store.Object{}
}

// GetMany reads several objects.
func (m *Memory) GetMany(ctx context.Context, keys []store.Key) ([]store.Object, error) {
	end, err := m.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	objects := make([]store.Object, len(keys))
	for i, key := range keys {
		objects[i] = m.object(key)
	}
	return objects, nil
}

// Swap stores next if the object's rev is the one before it.
func (m *Memory) Swap(ctx context.Context, key store.Key, next store.Object, ttl time.Duration) (bool, store.Object, error) {
	end, err := m.begin(ctx)
	if err != nil {
		return false, store.Object{}, err
	}
	defer end()
	if current := m.object(key); current.Rev != next.Rev-1 {
		return false, current, nil
	}
	m.objects[key] = kept[store.Object]{value: copied(next), until: m.until(ttl)}
	return true, next, nil
}

// Enlist writes a row of a listing unless a higher rev is there.
func (m *Memory) Enlist(ctx context.Context, key store.Key, rev uint64, ttl time.Duration) error {
	end, err := m.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	if m.listings[key].value <= rev {
		m.listings[key] = kept[uint64]{value: rev, until: m.until(ttl)}
	}
	return nil
}

// Delist removes a row of a listing unless a higher rev is there.
func (m *Memory) Delist(ctx context.Context, key store.Key, rev uint64) error {
	end, err := m.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	if m.listings[key].value <= rev {
		delete(m.listings, key)
	}
	return nil
}

// List gives rows in the order of ids.
func (m *Memory) List(ctx context.Context, account muster.AccountID, kind, after string, limit int) ([]store.Listing, error) {
	end, err := m.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	var rows []store.Listing
	for key, k := range m.listings {
		if key.Account == account && key.Kind == kind && key.ID > after && live(k, m.now()) {
			rows = append(rows, store.Listing{ID: key.ID, Rev: k.value})
		}
	}
	slices.SortFunc(rows, func(a, b store.Listing) int { return strings.Compare(a.ID, b.ID) })
	return rows[:min(len(rows), max(limit, 0))], nil
}

// PutEvents stores entries of a stream.
func (m *Memory) PutEvents(ctx context.Context, account muster.AccountID, name string, rows []store.EventRow, ttl time.Duration) error {
	end, err := m.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	at := stream{account, name}
	if m.events[at] == nil {
		m.events[at] = map[eventName]kept[[]byte]{}
	}
	for _, row := range rows {
		m.events[at][eventName{row.At, row.ID}] = kept[[]byte]{value: bytes.Clone(row.Body), until: m.until(ttl)}
	}
	return nil
}

// ListEvents gives entries of a stream, newest first.
func (m *Memory) ListEvents(ctx context.Context, account muster.AccountID, name string, before store.EventRow, limit int) ([]store.EventRow, error) {
	end, err := m.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	order := func(a, b store.EventRow) int {
		return cmp.Or(cmp.Compare(b.At, a.At), strings.Compare(b.ID, a.ID))
	}
	var rows []store.EventRow
	for e, k := range m.events[stream{account, name}] {
		row := store.EventRow{At: e.at, ID: e.id, Body: bytes.Clone(k.value)}
		if live(k, m.now()) && order(before, row) < 0 {
			rows = append(rows, row)
		}
	}
	slices.SortFunc(rows, order)
	return rows[:min(len(rows), max(limit, 0))], nil
}

// PutEphemeral writes a row that expires.
func (m *Memory) PutEphemeral(ctx context.Context, key store.Key, body []byte, ttl time.Duration) error {
	end, err := m.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	m.ephemerals[key] = kept[[]byte]{value: bytes.Clone(body), until: m.until(ttl)}
	return nil
}

// Ephemeral reads a row that expires.
func (m *Memory) Ephemeral(ctx context.Context, key store.Key) ([]byte, error) {
	end, err := m.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	if k, ok := m.ephemerals[key]; ok && live(k, m.now()) {
		return bytes.Clone(k.value), nil
	}
	return nil, fmt.Errorf("memory: %w: no such %s", muster.ErrNotFound, key.Kind)
}

// DeleteEphemeral removes a row that expires.
func (m *Memory) DeleteEphemeral(ctx context.Context, key store.Key) error {
	end, err := m.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	delete(m.ephemerals, key)
	return nil
}

func (m *Memory) partition(key store.ShardKey) *partition {
	p := m.shards[key]
	if p == nil || !p.until.IsZero() && !m.now().Before(p.until) {
		p = &partition{rows: map[uint64]store.ShardRow{}}
		m.shards[key] = p
	}
	return p
}

// Head reads the head of a partition.
func (m *Memory) Head(ctx context.Context, key store.ShardKey) (store.ShardHead, error) {
	end, err := m.begin(ctx)
	if err != nil {
		return store.ShardHead{}, err
	}
	defer end()
	return m.partition(key).head, nil
}

// Raise sets epoch and holder if the epoch is from.
func (m *Memory) Raise(ctx context.Context, key store.ShardKey, from, to uint64, holder string) (bool, store.ShardHead, error) {
	end, err := m.begin(ctx)
	if err != nil {
		return false, store.ShardHead{}, err
	}
	defer end()
	p := m.partition(key)
	if p.head.Epoch != from {
		return false, p.head, nil
	}
	p.head.Epoch, p.head.Holder = to, holder
	return true, p.head, nil
}

// Append stores rows if the epoch is epoch and the day is open.
func (m *Memory) Append(ctx context.Context, key store.ShardKey, epoch uint64, rows []store.ShardRow) (bool, store.ShardHead, error) {
	end, err := m.begin(ctx)
	if err != nil {
		return false, store.ShardHead{}, err
	}
	defer end()
	p := m.partition(key)
	if p.head.Epoch != epoch || p.head.Closed {
		return false, p.head, nil
	}
	for _, row := range rows {
		row.State, row.Transition = bytes.Clone(row.State), bytes.Clone(row.Transition)
		p.rows[row.Seq] = row
		p.head.Last = max(p.head.Last, row.Seq)
	}
	return true, p.head, nil
}

// Scan gives rows by rising seq.
func (m *Memory) Scan(ctx context.Context, key store.ShardKey, from uint64, limit int) ([]store.ShardRow, error) {
	end, err := m.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	var rows []store.ShardRow
	for seq, row := range m.partition(key).rows {
		if seq >= from {
			row.State, row.Transition = bytes.Clone(row.State), bytes.Clone(row.Transition)
			rows = append(rows, row)
		}
	}
	slices.SortFunc(rows, func(a, b store.ShardRow) int { return cmp.Compare(a.Seq, b.Seq) })
	return rows[:min(len(rows), max(limit, 0))], nil
}

// CloseDay closes a partition if the epoch is epoch.
func (m *Memory) CloseDay(ctx context.Context, key store.ShardKey, epoch uint64, ttl time.Duration) (bool, store.ShardHead, error) {
	end, err := m.begin(ctx)
	if err != nil {
		return false, store.ShardHead{}, err
	}
	defer end()
	p := m.partition(key)
	if p.head.Epoch != epoch {
		return false, p.head, nil
	}
	if !p.head.Closed {
		p.head.Closed, p.until = true, m.until(ttl)
	}
	return true, p.head, nil
}

// Sweep does nothing: what has expired is not seen.
func (m *Memory) Sweep(context.Context, time.Time) error { return nil }

// Close does nothing.
func (m *Memory) Close() error { return nil }

var _ store.Engine = (*Memory)(nil)
