package muster_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"muster"
)

func TestIDsReadBackAndSort(t *testing.T) {
	var last string
	for range 100 {
		id := muster.NewNodeID()
		back, err := muster.ParseNodeID(id.String())
		if err != nil || back != id {
			t.Fatalf("%s read back as %s: %v", id, back, err)
		}
		if s := id.String(); s[:15] < last {
			t.Fatalf("%s sorts before %s, which was made earlier", s, last)
		} else {
			last = s[:15]
		}
	}
}

func TestIDKnownText(t *testing.T) {
	// The example of the TypeID specification: 01890a5d-ac96-774b-bcce-b302099a8057.
	id := muster.NodeID{0x01, 0x89, 0x0a, 0x5d, 0xac, 0x96, 0x77, 0x4b, 0xbc, 0xce, 0xb3, 0x02, 0x09, 0x9a, 0x80, 0x57}
	if got := id.String(); got != "node_01h455vb4pex5vsknk084sn02q" {
		t.Fatal(got)
	}
}

func TestBadIDs(t *testing.T) {
	good := muster.NewNodeID().String()
	for _, bad := range []string{"", "node", "node_", good + "0", good[:len(good)-1], "account" + good[4:],
		"node_8zzzzzzzzzzzzzzzzzzzzzzzzz", strings.ToUpper(good), "node_01h455vb4pex5vsknk084sn02u", strings.Repeat("x", 10000)} {
		_, err := muster.ParseNodeID(bad)
		if !errors.Is(err, muster.ErrInvalid) {
			t.Errorf("%.40q: %v", bad, err)
		}
		if err != nil && len(err.Error()) > 300 {
			t.Errorf("the error repeats %d bytes of a hostile id", len(err.Error()))
		}
	}
}

func metrics() []muster.Metric {
	return []muster.Metric{
		{Name: "system.cpu.utilization", Unit: "1", Kind: muster.Gauge, Attrs: []muster.Attr{{Key: "cpu.mode", Value: "user"}}},
		{Name: "system.cpu.utilization", Unit: "1", Kind: muster.Gauge, Attrs: []muster.Attr{{Key: "cpu.mode", Value: "system"}}},
		{Name: "system.network.io", Unit: "By", Kind: muster.Counter, Attrs: []muster.Attr{{Key: "network.interface.name", Value: "eth0"}, {Key: "network.io.direction", Value: "receive"}}},
	}
}

func TestSchemaIsContentAddressed(t *testing.T) {
	one, err := muster.NewSchema(metrics())
	if err != nil {
		t.Fatal(err)
	}
	two, _ := muster.NewSchema(metrics())
	if one.ID != two.ID {
		t.Error("equal lists have different ids")
	}
	turned := metrics()
	slices.Reverse(turned)
	if other, _ := muster.NewSchema(turned); other.ID == one.ID {
		t.Error("order does not matter to the id, but values are read by order")
	}
	back, err := muster.ParseSchema(one.AppendCanonical(nil))
	if err != nil || back.ID != one.ID || back.Metrics[2].Attr("network.io.direction") != "receive" {
		t.Errorf("read back %+v: %v", back, err)
	}
}

func TestSchemaRefuses(t *testing.T) {
	one := metrics()[0]
	change := func(f func(*muster.Metric)) []muster.Metric {
		m := one
		m.Attrs = slices.Clone(one.Attrs)
		f(&m)
		return []muster.Metric{m}
	}
	for name, list := range map[string][]muster.Metric{
		"nothing":    nil,
		"a double":   {one, one},
		"no name":    change(func(m *muster.Metric) { m.Name = "" }),
		"long name":  change(func(m *muster.Metric) { m.Name = strings.Repeat("n", 201) }),
		"control":    change(func(m *muster.Metric) { m.Name = "a\nb" }),
		"not UTF-8":  change(func(m *muster.Metric) { m.Attrs[0].Value = "\xff" }),
		"no kind":    change(func(m *muster.Metric) { m.Kind = 0 }),
		"unsorted":   change(func(m *muster.Metric) { m.Attrs = []muster.Attr{{Key: "b"}, {Key: "a"}} }),
		"double key": change(func(m *muster.Metric) { m.Attrs = []muster.Attr{{Key: "a"}, {Key: "a"}} }),
		"many attrs": change(func(m *muster.Metric) { m.Attrs = make([]muster.Attr, 17) }),
	} {
		if _, err := muster.NewSchema(list); !errors.Is(err, muster.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	many := make([]muster.Metric, muster.MaxMetrics+1)
	if _, err := muster.NewSchema(many); !errors.Is(err, muster.ErrLimited) {
		t.Errorf("too many metrics: %v", err)
	}
}

func TestKeysOfDifferentSeriesDiffer(t *testing.T) {
	a := muster.Metric{Name: "m", Attrs: []muster.Attr{{Key: "a", Value: "b"}, {Key: "c", Value: "d"}}}
	b := muster.Metric{Name: "m", Attrs: []muster.Attr{{Key: "a", Value: "bc"}, {Key: "d", Value: ""}}}
	if a.Key() == b.Key() {
		t.Error("two series, one key")
	}
}

func TestWords(t *testing.T) {
	wrapped := fmt.Errorf("rest: patch: %w", fmt.Errorf("store: update node: %w: the name web is taken", muster.ErrConflict))
	if got := muster.Words(wrapped); got != "the name web is taken" || muster.Kind(wrapped) != muster.ErrConflict {
		t.Errorf("%q of kind %v", got, muster.Kind(wrapped))
	}
	for _, silent := range []error{muster.ErrDenied, errors.New("sealed"), nil} {
		if got := muster.Words(silent); got != "" {
			t.Errorf("%v says %q", silent, got)
		}
	}
}

func TestRoles(t *testing.T) {
	if !muster.Admin.May(muster.Operator) || muster.Observer.May(muster.Operator) || muster.Role("").May(muster.Role("")) || muster.Role("root").May(muster.Observer) {
		t.Error("roles do not nest as admin > operator > observer > anything else")
	}
}

func FuzzParseSchema(f *testing.F) {
	s, _ := muster.NewSchema(metrics())
	f.Add(s.AppendCanonical(nil))
	f.Add([]byte{1, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := muster.ParseSchema(b)
		if err != nil {
			return
		}
		if again := s.AppendCanonical(nil); !bytes.Equal(again, b) {
			// Varints have longer spellings of the same number; the id is of the shortest.
			if back, err := muster.ParseSchema(again); err != nil || back.ID != s.ID {
				t.Fatalf("the canonical form does not read back: %v", err)
			}
		}
	})
}
