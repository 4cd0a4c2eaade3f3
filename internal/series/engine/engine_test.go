package engine_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"muster"
	"muster/internal/series/engine"
)

// TestPlacement pins where nodes go: a change would lose every stored one.
func TestPlacement(t *testing.T) {
	var account muster.AccountID
	var node muster.NodeID
	for i := range account {
		account[i], node[i] = byte(i), byte(200+i)
	}
	got := fmt.Sprintf("%016x %016x %d %d %d %#x", engine.Hash(account), engine.Hash(node),
		engine.ShardOf(account, node, 0, 64), engine.ShardOf(account, node, 1, 64), engine.ShardOf(account, node, 4, 64), engine.TileOf(node, 5))
	if want := "3c182ffb4c30fe82 bf6ed4fe36a233b9 59 2 3 0x50017"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestSpreadIsEven(t *testing.T) {
	account := muster.NewAccountID()
	counts := make([]int, 64)
	one := map[int]bool{}
	for range 64_000 {
		id := muster.NewNodeID()
		counts[engine.ShardOf(account, id, 64, 64)]++
		one[engine.ShardOf(account, id, 1, 64)] = true
	}
	if slices.Min(counts) < 800 || slices.Max(counts) > 1200 {
		t.Errorf("between %d and %d nodes a shard, want about 1000", slices.Min(counts), slices.Max(counts))
	}
	if len(one) != 1 {
		t.Errorf("an account of spread 1 is in %d shards", len(one))
	}
}

func TestTiles(t *testing.T) {
	if b := engine.TileBits(256, 30_000); b != 0 {
		t.Errorf("256 nodes in 1<<%d tiles", b)
	}
	if b := engine.TileBits(10_000, 1_000_000); b != 6 {
		t.Errorf("10,000 nodes of 100 series in 1<<%d tiles, want 1<<6", b)
	}
	for range 100 {
		id := muster.NewNodeID()
		for bits := range 8 {
			held := 0
			for n := range 1 << bits {
				tile := bits<<16 | n
				if bits == 0 {
					tile = 0
				}
				if engine.TileHolds(tile, id) {
					held++
				}
			}
			if held != 1 {
				t.Fatalf("of the tiles of %d bits, %d hold a node", bits, held)
			}
		}
	}
}

func TestHigherGenerationsHideLowerOnes(t *testing.T) {
	id := muster.NewNodeID()
	key := func(bits int, start int64, epoch uint64, frames uint32) engine.Tile {
		return engine.Tile{TileKey: engine.TileKey{Start: start, Tile: engine.TileOf(id, bits), Gen: engine.Gen{Epoch: epoch, Frames: frames}}}
	}
	tiles := []engine.Tile{key(0, 1, 1, 10), key(3, 1, 1, 20), key(0, 0, 1, 10), key(0, 1, 2, 5)}
	engine.SortTiles(tiles)
	var order []string
	for _, x := range tiles {
		order = append(order, fmt.Sprint(x.Start, x.Gen))
	}
	if got, want := fmt.Sprint(order), "[0 {1 10} 1 {2 5} 1 {1 20} 1 {1 10}]"; got != want {
		t.Errorf("order %s, want %s", got, want)
	}
	same := tiles[1:]
	for i, want := range []bool{true, false, false} {
		see := engine.Unhidden(same[:i], same[i].Gen, nil)
		if got := see == nil || see(id); got != want {
			t.Errorf("tile %d shows the node: %v, want %v", i, got, want)
		}
	}
	all := func(muster.NodeID) bool { return true }
	partly := []engine.Tile{key(8, 1, 1, 20), key(0, 1, 1, 10)}
	shown := 0
	for range 1000 {
		if engine.Unhidden(partly[:1], partly[1].Gen, all)(muster.NewNodeID()) {
			shown++
		}
	}
	if shown < 950 {
		t.Errorf("a newer tile of 1/256 of the nodes hides all but %d of 1000", shown)
	}
}

func TestHours(t *testing.T) {
	for at, want := range map[int64]engine.Hour{0: 0, -1: -1, engine.HourMs - 1: 0, engine.HourMs: 1, -engine.HourMs: -1} {
		if got := engine.HourOf(at); got != want {
			t.Errorf("HourOf(%d) = %d, want %d", at, got, want)
		}
	}
	if d := engine.Hour(49).Day(); d != 48 || d.Start() != 48*engine.HourMs || engine.Minute(3).Start() != 180_000 {
		t.Errorf("day of hour 49: %d", d)
	}
	if engine.OneHour.Span() != 24*time.Hour || engine.FiveMinutes.Slot() != 5*time.Minute {
		t.Error("resolutions")
	}
}

func TestEnvelope(t *testing.T) {
	data := append(engine.AppendEnvelope([]byte("x"), true, 1_200_000), "body"...)[1:]
	want := []byte{1, 1, 0, 0, 0, 0x12, 0x4f, 0x80, 0x08, 0x42, 0x3b, 0x63, 'b', 'o', 'd', 'y'}
	if !bytes.Equal(data, want) {
		t.Errorf("header %#v", data)
	}
	sealed, length, body, err := engine.OpenEnvelope(data)
	if !sealed || length != 1_200_000 || string(body) != "body" || err != nil {
		t.Errorf("%v %d %q %v", sealed, length, body, err)
	}
	for i := range engine.EnvelopeSize {
		damaged := bytes.Clone(data)
		damaged[i] ^= 4
		if _, _, _, err := engine.OpenEnvelope(damaged); !errors.Is(err, muster.ErrInvalid) {
			t.Errorf("byte %d damaged: %v, want ErrInvalid", i, err)
		}
	}
}

func FuzzOpenEnvelope(f *testing.F) {
	f.Add(engine.AppendEnvelope(nil, true, 5))
	f.Fuzz(func(t *testing.T, b []byte) {
		sealed, length, body, err := engine.OpenEnvelope(b)
		if err == nil && !bytes.HasPrefix(engine.AppendEnvelope(nil, sealed, length), b[:2]) {
			t.Errorf("%x reads as %v %d and %d bytes", b, sealed, length, len(body))
		}
	})
}

func TestClasses(t *testing.T) {
	for _, c := range engine.DefaultClasses() {
		if err := c.Validate(); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
	}
	g := engine.Growth{Raw: 100, FiveMinutes: 10, OneHour: 1}
	c := engine.Class{Raw: 10 * 24 * time.Hour, Tile5m: 100 * 24 * time.Hour, Tile1h: 1000 * 24 * time.Hour}
	if got, want := g.Cost(c), int64(86_400*(100*10+10*100+365)); got != want {
		t.Errorf("a node costs %d bytes, want %d", got, want)
	}
}
