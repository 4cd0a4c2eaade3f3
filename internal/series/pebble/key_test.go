package pebble

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"muster"
	"muster/internal/series/engine"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

func ids() (account muster.AccountID, node muster.NodeID, schema muster.SchemaID) {
	for i := range account {
		account[i], node[i], schema[i] = 0xa0+byte(i), 0xb0+byte(i), 0xc0+byte(i)
	}
	return account, node, schema
}

// TestKeys pins every kind of key as docs/format/series.md describes it.
func TestKeys(t *testing.T) {
	account, node, schema := ids()
	const start = 1_782_000_000_000
	keys := []struct {
		name string
		key  []byte
	}{
		{"segment", segmentKey(engine.SegmentKey{Shard: 63, Minute: 29_700_000, Gateway: 0x0102030405060708, N: 9})},
		{"schema", schemaKey(schema)},
		{"node", nodeKey(&engine.NodeSchema{Shard: 63, Account: account, Node: node, Source: "host", Schema: schema})},
		{"block", blockKey(&engine.BlockKey{Class: "standard", Account: account, Node: node, Source: "host", Start: start, Gen: engine.Gen{Epoch: 1, Frames: 120}})},
		{"tile of 5 minutes", tileKey(&engine.TileKey{Class: "standard", Res: engine.FiveMinutes, Account: account, Metric: "cpu", Shard: 63, Tile: 2<<16 | 3, Start: start})},
		{"tile of 1 hour", tileKey(&engine.TileKey{Class: "standard", Res: engine.OneHour, Account: account, Metric: "cpu", Shard: 63, Tile: 2<<16 | 3, Start: start})},
		{"dirty", dirtyKey(engine.Dirty{Shard: 63, Hour: 495_000, Arrival: 29_700_000})},
		{"built", builtKey(63, engine.FiveMinutes, 495_000)},
		{"covered", coveredKey(63)},
	}
	var text strings.Builder
	for _, k := range keys {
		fmt.Fprintf(&text, "%s: %x\n", k.name, k.key)
	}
	path := filepath.Join("testdata", "keys.golden")
	if *rewrite {
		if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if text.String() != string(want) {
		t.Errorf("keys are\n%s\nwant\n%s", text.String(), want)
	}
}

func TestGenerationsSortNewestFirst(t *testing.T) {
	account, node, _ := ids()
	var keys [][]byte
	for _, g := range []engine.Gen{{Epoch: 2, Frames: 9}, {Epoch: 2, Frames: 1}, {Epoch: 1, Frames: 120}, {Epoch: 1, Frames: 60}} {
		keys = append(keys, blockKey(&engine.BlockKey{Class: "c", Account: account, Node: node, Source: "s", Start: 5, Gen: g}))
	}
	if !slices.IsSortedFunc(keys, bytes.Compare) {
		t.Error("a newer generation stands after an older one")
	}
}

func TestBuckets(t *testing.T) {
	const jan31 = 1_769_860_800_000 // 2026-01-31 12:00 UTC
	if b := tileBucket(engine.OneHour, jan31); b != dayOf(1_767_225_600_000) {
		t.Errorf("bucket of a day in January: day %d", b)
	}
	if b := nextBucket(engine.OneHour, tileBucket(engine.OneHour, jan31)); b != tileBucket(engine.OneHour, jan31+dayMs) {
		t.Errorf("bucket after January: day %d", b)
	}
	if dayOf(-1) != -1 || dayOf(0) != 0 || dayOf(dayMs) != 1 {
		t.Error("days before 1970 or at their edges")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(segmentKey(engine.SegmentKey{Shard: 1, Minute: 2, Gateway: 3, N: 4}))
	f.Fuzz(func(t *testing.T, b []byte) {
		key, err := parseSegment(b)
		if err == nil && !bytes.Equal(segmentKey(key)[1:], b[1:]) {
			t.Errorf("%x reads as %v", b, key)
		}
	})
}
