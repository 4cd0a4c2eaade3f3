package seriestest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"muster"
	"muster/internal/series/engine"
)

// Opened is an engine under test. Reopen ends it as a crash would and gives it back with what was
// durable; nil for engines that live elsewhere.
type Opened struct {
	Engine engine.Engine
	Reopen func(t *testing.T) Opened
}

// Suite proves that an engine keeps the contract of engine.Engine, alone and under a whole DB with
// faults. open gives an empty engine with at least 4 shards, and closes it with the test.
func Suite(t *testing.T, open func(t *testing.T) Opened) {
	for _, part := range []struct {
		name string
		run  func(t *testing.T, o Opened)
	}{
		{"segments", segments}, {"schemas", schemas}, {"blocks", blocks}, {"tiles", tiles}, {"marks", marks},
		{"stops when told", stops}, {"durable", durable}, {"expires whole ranges", expires}, {"under a DB that is killed", killed},
	} {
		t.Run(part.name, func(t *testing.T) { part.run(t, open(t)) })
	}
}

var (
	ctx     = context.Background()
	account = muster.AccountID{3: 1, 9: 255}
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func node(n byte) muster.NodeID { return muster.NodeID{0: n, 7: 255 - n, 15: n} }

func segments(t *testing.T, o Opened) {
	e := o.Engine
	var want []engine.SegmentKey
	for _, minute := range []engine.Minute{0, 1, 255, 256, 1 << 20, 1<<20 + 1} {
		for shard := range 4 {
			for n := range uint64(3) {
				k := engine.SegmentKey{Shard: shard, Minute: minute, Gateway: 1<<63 + n, N: n}
				must(t, e.AppendSegment(ctx, k, fmt.Append(nil, k)))
				if shard == 2 && minute >= 1 && minute <= 1<<20 {
					want = append(want, k)
				}
			}
		}
	}
	must(t, e.AppendSegment(ctx, want[0], fmt.Append(nil, want[0]))) // a retry
	var got []engine.SegmentKey
	must(t, e.ScanSegments(ctx, 2, 1, 1<<20, func(k engine.SegmentKey, data []byte) error {
		if !bytes.Equal(data, fmt.Append(nil, k)) {
			t.Errorf("segment %v holds %q", k, data)
		}
		if n := len(got); n > 0 && got[n-1].Minute > k.Minute {
			t.Errorf("minute %d after %d", k.Minute, got[n-1].Minute)
		}
		got = append(got, k)
		return nil
	}))
	slices.SortFunc(got, compareSegments)
	slices.SortFunc(want, compareSegments)
	if !slices.Equal(got, want) {
		t.Errorf("scanned %v\nwant %v", got, want)
	}
}

func schemas(t *testing.T, o Opened) {
	e := o.Engine
	id := muster.SchemaID{1, 2, 3}
	if _, err := e.GetSchema(ctx, id); !errors.Is(err, muster.ErrNotFound) {
		t.Errorf("a schema that was never stored: %v, want ErrNotFound", err)
	}
	must(t, e.PutSchema(ctx, id, []byte("canonical")))
	if b, err := e.GetSchema(ctx, id); err != nil || string(b) != "canonical" {
		t.Errorf("schema: %q, %v", b, err)
	}
	rows := []engine.NodeSchema{
		{Shard: 1, Account: account, Node: node(1), Source: "host", Schema: id, First: 5, Last: -9},
		{Shard: 1, Account: account, Node: node(1), Source: "container/α", Schema: id, First: 1 << 50, Last: 1 << 51},
		{Shard: 1, Account: account, Node: node(2), Source: "host", Schema: muster.SchemaID{9}},
		{Shard: 2, Account: account, Node: node(3), Source: "host", Schema: id},
	}
	must(t, e.PutNodeSchemas(ctx, rows))
	rows[0].Last, rows[2].Forgotten = 77, true
	must(t, e.PutNodeSchemas(ctx, []engine.NodeSchema{rows[0], rows[2]}))
	seen := map[muster.NodeID]bool{}
	var last muster.NodeID
	count := 0
	must(t, e.ScanNodeSchemas(ctx, 1, func(row engine.NodeSchema) error {
		if !slices.Contains(rows[:3], row) {
			t.Errorf("row %+v", row)
		}
		if seen[row.Node] && row.Node != last {
			t.Errorf("rows of node %s are apart", row.Node)
		}
		seen[row.Node], last = true, row.Node
		count++
		return nil
	}))
	if count != 3 {
		t.Errorf("%d rows, want 3", count)
	}
}

// days crosses a day's end, and a month's.
var days = time.Date(2026, 2, 28, 22, 0, 0, 0, time.UTC).UnixMilli()

func blocks(t *testing.T, o Opened) {
	e := o.Engine
	key := func(n byte, source string, hours int, frames uint32) engine.BlockKey {
		return engine.BlockKey{Class: "standard", Account: account, Node: node(n), Source: source, Start: days + int64(hours)*3_600_000, Gen: engine.Gen{Epoch: 1, Frames: frames}}
	}
	var all []engine.Block
	for hours := range 6 {
		for _, source := range []string{"host", "x"} {
			for n := byte(1); n < 4; n++ {
				k := key(n, source, hours, 60)
				all = append(all, engine.Block{BlockKey: k, Data: fmt.Append(nil, k)})
			}
		}
	}
	must(t, e.PutBlocks(ctx, all))
	newer := key(2, "host", 2, 120)
	must(t, e.PutBlocks(ctx, []engine.Block{{BlockKey: newer, Data: fmt.Append(nil, newer), Over: []engine.Gen{{Epoch: 1, Frames: 60}}}}))
	other := key(2, "host", 2, 7)
	other.Gen.Epoch = 2
	must(t, e.PutBlocks(ctx, []engine.Block{{BlockKey: other, Data: fmt.Append(nil, other)}}))

	var got []engine.BlockKey
	collect := func(b *engine.Block) error {
		if !bytes.Equal(b.Data, fmt.Append(nil, b.BlockKey)) {
			t.Errorf("block %v holds %q", b.BlockKey, b.Data)
		}
		if n := len(got); n > 0 && got[n-1].Start > b.Start {
			t.Errorf("start %d after %d", b.Start, got[n-1].Start)
		}
		got = append(got, b.BlockKey)
		return nil
	}
	r := engine.BlockRange{Class: "standard", Account: account, Node: node(2), Source: "host", From: days + 3_600_000, To: days + 4*3_600_000}
	must(t, e.ScanBlocks(ctx, r, collect))
	old := key(2, "host", 2, 60) // may be dropped, as newer holds it
	got = slices.DeleteFunc(got, func(k engine.BlockKey) bool { return k == old })
	// Of one window, the generations come from the newest on.
	if want := []engine.BlockKey{key(2, "host", 1, 60), other, newer, key(2, "host", 3, 60)}; !slices.Equal(got, want) {
		t.Errorf("one source: %v\nwant %v", got, want)
	}
	got = nil
	r.Source, r.Node = "", node(3)
	must(t, e.ScanBlocks(ctx, r, collect))
	if len(got) != 6 {
		t.Errorf("all sources: %d blocks, want 6", len(got))
	}
	for _, r := range []engine.BlockRange{{Class: "short", Account: account, Node: node(2), To: 1 << 50}, {Class: "standard", Account: muster.AccountID{}, Node: node(2), From: days, To: days + 1}, {Class: "standard", Account: account, Node: node(2), From: 9, To: 9}} {
		must(t, e.ScanBlocks(ctx, r, func(b *engine.Block) error { t.Errorf("range %+v has %v", r, b.BlockKey); return nil }))
	}
}

func tiles(t *testing.T, o Opened) {
	e := o.Engine
	for _, res := range []engine.Resolution{engine.FiveMinutes, engine.OneHour} {
		span := res.Span().Milliseconds()
		begin := days - days%span
		for i := range int64(6) {
			for tile := range 3 {
				for _, metric := range []string{"cpu", "cpu.more", "disk"} {
					k := engine.TileKey{Class: "standard", Res: res, Account: account, Metric: metric, Shard: 3, Start: begin + i*span, Tile: 2<<16 | tile, Gen: engine.Gen{Epoch: 1, Frames: 10}}
					must(t, e.PutTiles(ctx, []engine.Tile{{TileKey: k, Data: fmt.Append(nil, k)}}))
				}
			}
		}
		again := engine.TileKey{Class: "standard", Res: res, Account: account, Metric: "cpu", Shard: 3, Start: begin + 2*span, Tile: 2 << 16, Gen: engine.Gen{Epoch: 1, Frames: 20}}
		must(t, e.PutTiles(ctx, []engine.Tile{{TileKey: again, Data: fmt.Append(nil, again)}}))
		found := map[engine.TileKey]bool{}
		r := engine.TileRange{Class: "standard", Res: res, Account: account, Metric: "cpu", Shard: 3, From: begin + span, To: begin + 5*span}
		must(t, e.ScanTiles(ctx, r, func(tile *engine.Tile) error {
			if !bytes.Equal(tile.Data, fmt.Append(nil, tile.TileKey)) {
				t.Errorf("tile %v holds %q", tile.TileKey, tile.Data)
			}
			if tile.Metric != "cpu" || tile.Start < r.From || tile.Start >= r.To {
				t.Errorf("tile %v is outside of %v", tile.TileKey, r)
			}
			found[tile.TileKey] = true
			return nil
		}))
		if !found[again] {
			t.Errorf("resolution %d: the higher generation is missing", res)
		}
		lower := again
		lower.Gen.Frames = 10
		delete(found, lower)
		if len(found) != 12 {
			t.Errorf("resolution %d: %d tiles, want 12", res, len(found))
		}
	}
}

func marks(t *testing.T, o Opened) {
	e := o.Engine
	must(t, e.PutDirty(ctx, []engine.Dirty{{Shard: 1, Hour: 500, Arrival: 30_000}, {Shard: 1, Hour: 500, Arrival: 31_441}, {Shard: 1, Hour: 499, Arrival: 31_441}, {Shard: 2, Hour: 500, Arrival: 31_441}}))
	must(t, e.PutDirty(ctx, []engine.Dirty{{Shard: 1, Hour: 499, Arrival: 31_441}}))
	got := map[engine.Dirty]bool{}
	must(t, e.ScanDirty(ctx, 1, 31_000, func(d engine.Dirty) error { got[d] = true; return nil }))
	delete(got, engine.Dirty{Shard: 1, Hour: 500, Arrival: 30_000}) // earlier ones may come too
	if len(got) != 2 || !got[engine.Dirty{Shard: 1, Hour: 500, Arrival: 31_441}] || !got[engine.Dirty{Shard: 1, Hour: 499, Arrival: 31_441}] {
		t.Errorf("dirty: %v", got)
	}
	for hour := range engine.Hour(4) {
		must(t, e.PutBuilt(ctx, engine.Built{Shard: 1, Res: engine.FiveMinutes, Hour: 100 + hour, Through: 7}))
	}
	must(t, e.PutBuilt(ctx, engine.Built{Shard: 1, Res: engine.FiveMinutes, Hour: 102, Through: 9}))
	must(t, e.PutBuilt(ctx, engine.Built{Shard: 1, Res: engine.OneHour, Hour: 96, Through: 9}))
	var built []engine.Built
	must(t, e.ScanBuilt(ctx, 1, engine.FiveMinutes, 101, func(b engine.Built) error { built = append(built, b); return nil }))
	if want := []engine.Built{{Shard: 1, Res: engine.FiveMinutes, Hour: 101, Through: 7}, {Shard: 1, Res: engine.FiveMinutes, Hour: 102, Through: 9}, {Shard: 1, Res: engine.FiveMinutes, Hour: 103, Through: 7}}; !slices.Equal(built, want) {
		t.Errorf("built: %v, want %v", built, want)
	}
	if _, err := e.GetCovered(ctx, 3); !errors.Is(err, muster.ErrNotFound) {
		t.Errorf("a covered mark that was never stored: %v, want ErrNotFound", err)
	}
	must(t, e.PutCovered(ctx, engine.Covered{Shard: 3, Epoch: 5, Minute: 9}))
	must(t, e.PutCovered(ctx, engine.Covered{Shard: 3, Epoch: 5, Minute: 12}))
	if c, err := e.GetCovered(ctx, 3); err != nil || c != (engine.Covered{Shard: 3, Epoch: 5, Minute: 12}) {
		t.Errorf("covered: %v, %v", c, err)
	}
}

var errEnough = errors.New("enough")

// stops proves that a callback's error ends a scan and comes back as it is.
func stops(t *testing.T, o Opened) {
	e := o.Engine
	for n := range uint64(3) {
		must(t, e.AppendSegment(ctx, engine.SegmentKey{N: n}, []byte{1}))
	}
	calls := 0
	err := e.ScanSegments(ctx, 0, 0, 1, func(engine.SegmentKey, []byte) error { calls++; return errEnough })
	if !errors.Is(err, errEnough) || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
}

func durable(t *testing.T, o Opened) {
	if o.Reopen == nil {
		t.Skip("nothing of this engine ends with the process")
	}
	key := engine.SegmentKey{Shard: 1, Minute: 5, Gateway: 6, N: 7}
	block := engine.Block{BlockKey: engine.BlockKey{Class: "standard", Account: account, Node: node(1), Source: "host", Start: days}, Data: []byte("block")}
	must(t, o.Engine.AppendSegment(ctx, key, []byte("segment")))
	must(t, o.Engine.PutBlocks(ctx, []engine.Block{block}))
	o = o.Reopen(t)
	found := 0
	must(t, o.Engine.ScanSegments(ctx, 1, 0, 9, func(k engine.SegmentKey, b []byte) error {
		if k == key && string(b) == "segment" {
			found++
		}
		return nil
	}))
	r := engine.BlockRange{Class: "standard", Account: account, Node: node(1), From: days, To: days + 1}
	must(t, o.Engine.ScanBlocks(ctx, r, func(b *engine.Block) error {
		if string(b.Data) == "block" {
			found++
		}
		return nil
	}))
	if found != 2 {
		t.Errorf("%d of 2 are there after a crash", found)
	}
}

// expires proves that nothing goes that is to be kept.
func expires(t *testing.T, o Opened) {
	e := o.Engine
	kept := func(start int64) engine.Block {
		return engine.Block{BlockKey: engine.BlockKey{Class: "standard", Account: account, Node: node(1), Source: "host", Start: start}, Data: []byte{1}}
	}
	must(t, e.PutBlocks(ctx, []engine.Block{kept(days - 40*86_400_000), kept(days)}))
	for _, minute := range []engine.Minute{10, 20} {
		must(t, e.AppendSegment(ctx, engine.SegmentKey{Shard: 1, Minute: minute}, []byte{1}))
	}
	ends := engine.ClassEnds{Blocks: days, FiveMinutes: days, OneHour: days}
	for range 2 {
		must(t, e.Expire(ctx, engine.Expiry{Segments: 20, Marks: 5, Classes: map[string]engine.ClassEnds{"standard": ends}}))
	}
	found := 0
	must(t, e.ScanBlocks(ctx, engine.BlockRange{Class: "standard", Account: account, Node: node(1), From: days, To: days + 1}, func(*engine.Block) error { found++; return nil }))
	must(t, e.ScanSegments(ctx, 1, 20, 20, func(engine.SegmentKey, []byte) error { found++; return nil }))
	if found != 2 {
		t.Errorf("%d of 2 are kept", found)
	}
}
