// Package series gives the time-series engine: frames go in and are acknowledged when they are
// durable, series come out as points. Between the two stand a log per shard (group commit), heads in
// memory, sealed blocks of columns, and rollup tiles; what stores them is an Engine.
package series

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"muster"
	"muster/internal/column"
	"muster/internal/series/catalog"
	"muster/internal/series/engine"
	"muster/internal/series/journal"
)

// DB is the time-series engine of one process. It is safe for concurrent use.
type DB struct {
	engine  Engine
	o       Options
	codec   column.Codec
	schemas *catalog.Catalog
	shards  []*shard
	journal *journal.Journal
	tell    telling

	gateway  uint64        // names this process's segments
	segmentN atomic.Uint64 // counts them
	newest   atomic.Int64  // the latest minute of receipt that was given out
	builders sync.Pool     // of *column.SegmentBuilder
	buffers  sync.Pool     // of *[]byte

	opened time.Time
	life   context.Context // ends with Close
	end    context.CancelFunc
	work   sync.WaitGroup
	prices prices
}

// Open makes a DB over an engine and returns at once: frames are taken immediately, queries wait for
// the heads to be read back from the log. The engine stays the caller's to close, after Close. The
// error wraps muster.ErrInvalid (options) or what the engine says.
func Open(ctx context.Context, e Engine, o Options) (*DB, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	db := &DB{engine: e, o: o, opened: o.Now(), schemas: catalog.New(e)}
	db.life, db.end = context.WithCancel(context.WithoutCancel(ctx))
	db.builders.New = func() any { return db.codec.NewSegmentBuilder() }
	db.buffers.New = func() any { return new([]byte) }
	var random [8]byte
	if _, err := rand.Read(random[:]); err != nil {
		return nil, fmt.Errorf("%w: series: open: %w", muster.ErrUnavailable, err)
	}
	db.gateway = binary.BigEndian.Uint64(random[:])
	for id := range o.Shards {
		s := newShard(db, id)
		// A clock that was set back must not give out minutes that count as covered.
		covered, err := e.GetCovered(ctx, id)
		if err != nil && !errors.Is(err, muster.ErrNotFound) {
			return nil, fmt.Errorf("series: open: %w", err)
		}
		s.covered = covered.Minute
		db.newest.Store(max(db.newest.Load(), int64(covered.Minute)+1))
		db.shards = append(db.shards, s)
	}
	db.journal = journal.New(o.Shards, db.writeSegment)
	db.tell = newTelling(db, o.Telemetry)
	mine := db.claimShards()
	db.work.Go(func() {
		db.readIndex(db.life)
		db.readShards(db.life, mine)
		if db.life.Err() == nil {
			o.Logger.Info("heads are complete", "took", o.Now().Sub(db.opened).Round(time.Millisecond))
		}
	})
	return db, nil
}

// minute gives the minute of receipt for now. It never goes back.
func (db *DB) minute() Minute {
	now := db.o.Now().Unix() / 60
	for {
		newest := db.newest.Load()
		if now <= newest {
			return Minute(newest)
		}
		if db.newest.CompareAndSwap(newest, now) {
			return Minute(now)
		}
	}
}

func (db *DB) shardFor(account muster.AccountID, node muster.NodeID) *shard {
	return db.shards[engine.ShardOf(account, node, db.o.Spread(account), len(db.shards))]
}

// shardsOf lists the shards that an account's nodes may be in.
func (db *DB) shardsOf(account muster.AccountID) []*shard {
	n := len(db.shards)
	spread := db.o.Spread(account)
	if spread <= 0 || spread >= n {
		return db.shards
	}
	first := int(engine.Hash(account) % uint64(n))
	out := make([]*shard, 0, spread)
	for i := range spread {
		out = append(out, db.shards[(first+i)%n])
	}
	return out
}

func (db *DB) class(account muster.AccountID) Class {
	name := db.o.Class(account)
	for _, c := range db.o.Classes {
		if c.Name == name {
			return c
		}
	}
	return db.o.Classes[0]
}

func (db *DB) className(account muster.AccountID) string { return db.class(account).Name }

// Append stores frames and returns when all are durable. Frames must not be changed afterwards. The
// error wraps muster.ErrInvalid (a frame that can never be stored; none was), or muster.ErrUnavailable
// (the outcome is unknown, or the disk is full: send them again, doubles are dropped).
func (db *DB) Append(ctx context.Context, frames []*muster.Frame) error {
	if len(frames) == 0 {
		return nil
	}
	if err := db.o.MayWrite(); err != nil {
		db.tell.refused.Add(len(frames))
		return fmt.Errorf("series: append: %w", err)
	}
	for _, f := range frames {
		if err := checkFrame(f); err != nil {
			return err
		}
	}
	begun := time.Now()
	batches, err := db.enqueue(ctx, frames)
	if err != nil {
		return err
	}
	if err := journal.Wait(ctx, batches); err != nil {
		return err
	}
	db.tell.appendSeconds.Update(time.Since(begun).Seconds())
	return nil
}

// checkFrame refuses what the forms of storage can't hold.
func checkFrame(f *muster.Frame) error {
	switch {
	case f == nil || f.Schema == nil || len(f.Values) != len(f.Schema.Metrics):
		return fmt.Errorf("%w: series: append: a frame does not fit its schema", muster.ErrInvalid)
	case f.Account.IsZero() || f.Node.IsZero():
		return fmt.Errorf("%w: series: append: a frame names no account or no node", muster.ErrInvalid)
	case f.Source == "" || len(f.Source) > muster.MaxSource:
		return fmt.Errorf("%w: series: append: a frame's source must be 1 to %d bytes", muster.ErrInvalid, muster.MaxSource)
	case f.At <= 0 || f.At >= 1<<45:
		return fmt.Errorf("%w: series: append: a frame's time %d is not a time in ms", muster.ErrInvalid, f.At)
	}
	return nil
}

// enqueue sorts the frames by shard and puts them in line.
func (db *DB) enqueue(ctx context.Context, frames []*muster.Frame) ([]*journal.Batch, error) {
	groups := db.byShard(frames)
	for _, g := range groups {
		var known *muster.Schema
		for _, f := range g.frames {
			if f.Schema == known {
				continue
			}
			if _, err := db.schemas.Ensure(ctx, f.Schema); err != nil {
				return nil, err
			}
			known = f.Schema
		}
		if err := g.shard.introduce(ctx, g.frames); err != nil {
			return nil, err
		}
	}
	var batches []*journal.Batch
	for _, g := range groups {
		mine, err := db.journal.Add(g.shard.id, g.frames)
		if err != nil {
			return nil, err
		}
		batches = append(batches, mine...)
	}
	return batches, nil
}

// shardFrames is frames of one shard.
type shardFrames struct {
	shard  *shard
	frames []*muster.Frame
}

// byShard groups frames by shard; nearly always all are of one node.
func (db *DB) byShard(frames []*muster.Frame) []shardFrames {
	first := frames[0]
	if !slices.ContainsFunc(frames, func(f *muster.Frame) bool { return f.Node != first.Node || f.Account != first.Account }) {
		return []shardFrames{{db.shardFor(first.Account, first.Node), frames}}
	}
	var groups []shardFrames
	places := map[*shard]int{}
	for _, f := range frames {
		s := db.shardFor(f.Account, f.Node)
		at, ok := places[s]
		if !ok {
			at = len(groups)
			places[s] = at
			groups = append(groups, shardFrames{shard: s})
		}
		groups[at].frames = append(groups[at].frames, f)
	}
	return groups
}

// ForgetNode drops a node's head and its place in the memory of schemas; its data ends with its class.
func (db *DB) ForgetNode(ctx context.Context, account muster.AccountID, node muster.NodeID) error {
	s := db.shardFor(account, node)
	if err := s.await(ctx); err != nil {
		return err
	}
	k := nodeKey{account, node}
	s.mu.Lock()
	var rows []engine.NodeSchema
	if n := s.nodes[k]; n != nil {
		for _, src := range n.Sources {
			for _, sc := range src.Schemas {
				rows = append(rows, engine.NodeSchema{Shard: s.id, Account: account, Node: node, Source: src.Name, Schema: sc.ID, First: sc.First, Last: sc.Sealed, Forgotten: true})
			}
		}
	}
	delete(s.nodes, k)
	s.mu.Unlock()
	if len(rows) == 0 {
		return nil
	}
	if err := db.engine.PutNodeSchemas(ctx, rows); err != nil {
		return fmt.Errorf("series: forget node: %w", err)
	}
	return nil
}

// Close waits for what is under way, and ends the reading of the log. Frames that are not durable when
// the engine stops answering fail with muster.ErrUnavailable.
func (db *DB) Close() error {
	db.journal.Close()
	db.end()
	db.work.Wait()
	return nil
}
