package ledger

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"muster"
)

var rewrite = flag.Bool("rewrite", false, "write the golden file anew: only together with a new version")

// TestGolden holds the stored form of rows: what was written once must be read for ever.
func TestGolden(t *testing.T) {
	noon := time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	rows := []Row{
		{Day: 20526, Seq: 1, At: noon, Key: "incident/incident_01", State: []byte(`{"id":"incident_01"}`), Transition: []byte(`{"kind":"opened"}`)},
		{Day: 20526, Seq: 2, At: noon.Add(time.Millisecond), Key: "alarm/1/2/3", State: []byte{1, 2, 3}},
		{Day: 20526, Seq: 3, At: noon, Key: "alarm/1/2/3", Transition: []byte("t")},
		{Day: 20526, Seq: 4, At: time.Unix(0, 0).UTC(), Key: "k", State: []byte{0}},
	}
	var got bytes.Buffer
	for _, r := range rows {
		stored := newRow(r.Key, r.At.UnixMilli(), r.State, r.Transition)
		fmt.Fprintf(&got, "%d %s %s %s\n", r.Seq, r.Key, hex.EncodeToString(stored.State), hex.EncodeToString(stored.Transition))
		stored.Seq = r.Seq
		if back, err := row(r.Day, &stored); err != nil || fmt.Sprintf("%#v", back) != fmt.Sprintf("%#v", r) {
			t.Errorf("read back as\n%#v\nwant\n%#v (%v)", back, r, err)
		}
	}
	const path = "testdata/rows.golden"
	if *rewrite {
		if err := os.WriteFile(path, got.Bytes(), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("what is written is\n%s\nand was\n%s", got.String(), want)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, b := range [][]byte{nil, {0}, {2, 1}, {1}, {1, 0x80}, {1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}} {
		if _, _, err := parseState(b); !errors.Is(err, muster.ErrInvalid) {
			t.Errorf("%x: %v", b, err)
		}
	}
}

func FuzzParseState(f *testing.F) {
	f.Add(appendState(nil, 1773489600000, []byte("state")))
	f.Add(appendState(nil, 0, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		at, state, err := parseState(b)
		if err != nil {
			if !errors.Is(err, muster.ErrInvalid) {
				t.Fatal(err)
			}
			return
		}
		back, again, err := parseState(appendState(nil, at, state))
		if err != nil || back != at || !bytes.Equal(again, state) {
			t.Fatalf("%x became %d %x and then %d %x: %v", b, at, state, back, again, err)
		}
	})
}
