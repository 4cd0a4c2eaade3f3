package series

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"muster"
	"muster/internal/column"
	"muster/internal/series/engine"
	"muster/internal/series/graph"
	"muster/internal/series/head"
)

// lateAtOnce is how many bytes of late frames are held in memory; beyond it the log is read in several passes.
const lateAtOnce = 64 << 20

var errTooMuch = errors.New("too many late frames for one pass")

type sourceKey struct {
	nodeKey
	source string
}

// mergeLate unites the hour's frames that the log got in the minutes first..last with the sealed blocks
// they belong to, and writes those as higher generations.
func (s *shard) mergeLate(ctx context.Context, g *gatherer, epoch uint64, hour Hour, first, last Minute) error {
	for passes := uint64(1); ; passes *= 2 {
		err := s.mergePasses(ctx, g, epoch, hour, first, last, passes)
		if !errors.Is(err, errTooMuch) || passes > 1024 {
			return err
		}
	}
}

func (s *shard) mergePasses(ctx context.Context, g *gatherer, epoch uint64, hour Hour, first, last Minute, passes uint64) error {
	for pass := range passes {
		mine := func(id muster.NodeID) bool { return engine.Hash(id)>>20%passes == pass }
		late, err := s.lateFrames(ctx, hour, first, last, mine)
		if err != nil {
			return err
		}
		for key, frames := range late {
			g.room.Reset()
			if err := s.mergeSource(ctx, g, epoch, key, frames); err != nil {
				return err
			}
		}
	}
	return nil
}

// lateFrames reads the frames of an hour from the log, without those that an open window holds.
func (s *shard) lateFrames(ctx context.Context, hour Hour, first, last Minute, mine func(muster.NodeID) bool) (map[sourceKey][]*muster.Frame, error) {
	late := map[sourceKey][]*muster.Frame{}
	size := 0
	err := s.db.engine.ScanSegments(ctx, s.id, first, last, func(key engine.SegmentKey, data []byte) error {
		frames, err := s.db.readSegment(ctx, key, data)
		if err != nil {
			return err
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, f := range frames {
			if engine.HourOf(f.At) != hour || !mine(f.Node) {
				continue
			}
			k := nodeKey{f.Account, f.Node}
			if n := s.nodes[k]; n != nil {
				if src := n.Find(f.Source); src != nil && src.WindowAt(f.At) != nil {
					continue
				}
			}
			late[sourceKey{k, f.Source}] = append(late[sourceKey{k, f.Source}], f)
			if size += 8*len(f.Values) + 64; size > lateAtOnce && len(late) > 1 {
				return errTooMuch
			}
		}
		return nil
	})
	return late, err
}

// target is a block that late frames go into.
type target struct {
	start, length int64
	class         string
	pieces        []*head.Piece // of stored generations
	over          []engine.Gen
	held          int // frames in the newest of this epoch
	frames        []*muster.Frame
}

// mergeSource unites late frames of one source with its blocks.
func (s *shard) mergeSource(ctx context.Context, g *gatherer, epoch uint64, key sourceKey, frames []*muster.Frame) error {
	slices.SortStableFunc(frames, func(a, b *muster.Frame) int { return int(a.At - b.At) })
	targets, err := s.targets(ctx, g, epoch, key, frames[0].At, frames[len(frames)-1].At)
	if err != nil {
		return err
	}
	for _, f := range frames {
		t := targetOf(targets, f.At)
		if t == nil {
			t = &target{start: graph.Floor(f.At, head.ShortWindow), length: head.ShortWindow, class: s.db.className(key.account)}
			targets = append(targets, t)
		}
		t.frames = append(t.frames, f)
	}
	var blocks []engine.Block
	for _, t := range targets {
		if len(t.frames) == 0 {
			continue
		}
		b, err := g.gather(ctx, append(t.pieces, gathered(t.frames)))
		if err != nil {
			return err
		}
		if len(b.Times) == t.held {
			continue // nothing that is not there
		}
		data, err := g.encode(b, true, t.length)
		if err != nil {
			return fmt.Errorf("series: unite late frames of %s: %w", key.node, err)
		}
		id := engine.BlockKey{
			Class: t.class, Account: key.account, Node: key.node, Source: key.source,
			Start: t.start, Gen: engine.Gen{Epoch: epoch, Frames: uint32(len(b.Times))},
		}
		blocks = append(blocks, engine.Block{BlockKey: id, Data: data, Over: t.over})
	}
	if len(blocks) == 0 {
		return nil
	}
	s.db.tell.rebuiltBlocks.Add(len(blocks))
	return s.db.engine.PutBlocks(ctx, blocks)
}

// gathered turns frames of one source into columns.
func gathered(frames []*muster.Frame) *head.Piece {
	b := column.Gather(frames)
	p := &head.Piece{Schemas: b.Schemas, Times: b.Times}
	for _, c := range b.Columns {
		p.Columns = append(p.Columns, head.Column(c))
	}
	return p
}

// targets reads the blocks that may hold instants of first..last.
func (s *shard) targets(ctx context.Context, g *gatherer, epoch uint64, key sourceKey, first, last int64) (all []*target, err error) {
	for _, class := range s.db.o.Classes {
		r := engine.BlockRange{Class: class.Name, Account: key.account, Node: key.node, Source: key.source, From: first - head.LongWindow, To: last + 1}
		err := s.db.scanNewest(ctx, r, func(b *engine.Block, _ bool, length int64, body []byte) error {
			if b.Start+length <= first {
				return nil
			}
			piece, err := g.decode(slices.Clone(body))
			if err != nil {
				return err
			}
			i := slices.IndexFunc(all, func(t *target) bool { return t.start == b.Start })
			if i < 0 {
				i = len(all)
				all = append(all, &target{start: b.Start, class: class.Name})
			}
			t := all[i]
			t.length = max(t.length, length)
			t.pieces = append(t.pieces, piece)
			if b.Gen.Epoch == epoch {
				t.over = append(t.over, b.Gen)
				t.held = max(t.held, int(b.Gen.Frames))
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

func targetOf(targets []*target, at int64) *target {
	for _, t := range targets {
		if t.start <= at && at < t.start+t.length {
			return t
		}
	}
	for _, t := range targets {
		if t.start == graph.Floor(at, head.ShortWindow) {
			t.length = max(t.length, at-t.start+1)
			return t
		}
	}
	return nil
}

// scanNewest calls each for the blocks of a range that no other holds: of each window and epoch the one
// with most frames. What can't be read is told, counted and left out.
func (db *DB) scanNewest(ctx context.Context, r engine.BlockRange, each func(b *engine.Block, isSealed bool, length int64, body []byte) error) error {
	type window struct {
		source string
		start  int64
		epoch  uint64
	}
	var above window
	return db.engine.ScanBlocks(ctx, r, func(b *engine.Block) error {
		this := window{b.Source, b.Start, b.Gen.Epoch}
		if this == above {
			return nil
		}
		isSealed, length, body, err := engine.OpenEnvelope(b.Data)
		if err == nil {
			err = each(b, isSealed, length, body)
		}
		if err != nil && (errors.Is(err, muster.ErrInvalid) || errors.Is(err, muster.ErrNotFound)) {
			db.corruptBlock(b, err)
			return nil // a lower generation may be whole
		}
		above = this
		return err
	})
}
