package rest

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"muster"
	"muster/api"
	"muster/internal/inventory"
	"muster/internal/series"
	"muster/internal/shape"
)

// FuzzNodeByHand holds the list's encoding by hand to the encoding by reflection.
func FuzzNodeByHand(f *testing.F) {
	f.Add("web-1", "linux", 0.25, 1e-9, uint64(3), true)
	f.Add("\"<&>\\\u2028\x00\xff é", "", math.NaN(), math.Inf(1), uint64(math.MaxUint64), false)
	f.Add("", "\x7f", math.Copysign(0, -1), 1e21, uint64(0), true)
	f.Fuzz(func(t *testing.T, text, fact string, a, b float64, rev uint64, flag bool) {
		at := time.UnixMilli(int64(rev % (1 << 40)))
		n := &muster.Node{ID: muster.NewNodeID(), Rev: rev, Name: text, Hostname: fact, Notes: text, Colour: fact,
			Tags: []string{text, fact}, Facts: map[string]string{text: fact, fact: text, "os.type": "linux"}, Star: flag, CreatedAt: at}
		now := muster.NodeNow{State: muster.NodeState(fact), CPU: a, Memory: b, Disk: b, DiskMount: text, Load: a, Uptime: a, NetIn: b, NetOut: a, ClockOff: time.Duration(rev)}
		if flag {
			n.Addresses, n.AgentKey, n.AgentVersion, n.Period = []string{text}, []byte{1}, text, time.Duration(rev%1e12)
			n.Farewell = muster.Farewell{Reason: muster.FarewellStop, At: at}
			now.LastSeen, now.Since, now.Dropped = at, at, rev
		}
		row := inventory.Row{Node: n, Now: now}
		want, err := json.Marshal(shape.Node(row.Node, &row.Now))
		if err != nil {
			t.Fatal(err)
		}
		var byHand, byReflection any
		if err := json.Unmarshal(shape.AppendNode(nil, row.Node, &row.Now), &byHand); err != nil {
			t.Fatalf("%v: %s", err, shape.AppendNode(nil, row.Node, &row.Now))
		}
		if err := json.Unmarshal(want, &byReflection); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(byHand, byReflection) {
			t.Errorf("by hand %v\nby reflection %v", byHand, byReflection)
		}
	})
}

func TestSeriesByHand(t *testing.T) {
	node := muster.NewNodeID()
	answer := &series.Answer{Unit: "By/s", From: time.Unix(0, 0), To: time.Unix(100, 0), Step: 10 * time.Second, Lines: []series.Line{
		{Node: node, Attrs: []muster.Attr{{Key: "disk", Value: `s"da`}}, Points: []series.Point{
			{T: 10_000, Min: 1, Avg: 2, Max: 3e22}, {T: 20_500, Min: -1, Avg: 1e-9, Max: 0}, {T: 30_000, Min: math.NaN(), Avg: 1, Max: 1}}},
		{Node: node},
	}}
	var got api.Series
	if err := json.Unmarshal(shape.AppendSeries(nil, "system.disk.io", answer), &got); err != nil {
		t.Fatal(err)
	}
	want := api.Series{Metric: "system.disk.io", Unit: "By/s", From: time.Unix(0, 0).UTC(), To: time.Unix(100, 0).UTC(), Step: "10s", Series: []api.Line{
		{Node: node.String(), Attributes: map[string]string{"disk": `s"da`}, Points: []api.Point{{10, 1, 2, 3e22}, {20.5, -1, 1e-9, 0}}},
		{Node: node.String(), Attributes: map[string]string{}, Points: []api.Point{}},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestSplitAttributes(t *testing.T) {
	for in, want := range map[string][]string{
		"cpu.mode:user":             {"cpu.mode:user"},
		"cpu.mode:user,disk:sda":    {"cpu.mode:user", "disk:sda"},
		"mount:/a,b":                {"mount:/a,b"},
		"a:1,B:2":                   {"a:1,B:2"},
		"url:http://x,system.x_y:z": {"url:http://x", "system.x_y:z"},
	} {
		if got := splitAttributes(in); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %q, want %q", in, got, want)
		}
	}
}

// manyRows makes nodes as an agent describes them.
func manyRows(n int) []inventory.Row {
	rows := make([]inventory.Row, n)
	for i := range rows {
		at := time.UnixMilli(1_760_000_000_000 + int64(i))
		rows[i] = inventory.Row{
			Node: &muster.Node{ID: muster.NewNodeID(), Rev: 7, Name: fmt.Sprintf("web-%05d", i), Hostname: fmt.Sprintf("web-%05d.example.com", i),
				Addresses: []string{"192.0.2.1", "2001:db8::1"}, Tags: []string{"env=prod", "web"}, AgentKey: make([]byte, 32), AgentVersion: "1.0.0", Period: 10 * time.Second,
				Facts: map[string]string{"os.type": "linux", "os.name": "Debian GNU/Linux", "os.version": "12", "host.arch": "amd64", "host.cpu.model.name": "AMD EPYC",
					"host.cpu.count": "4", "host.memory": "8589934592", "host.id": "0123456789abcdef", "os.kernel": "6.1.0"},
				CreatedAt: at, UpdatedAt: at},
			Now: muster.NodeNow{State: muster.Up, Since: at, LastSeen: at, Connected: true, CPU: 0.123456789, Memory: 0.56789, Disk: 0.7, DiskMount: "/",
				Load: 1.25, Uptime: 123456, NetIn: 12345.678, NetOut: 5678.9, Metrics: 150},
		}
	}
	return rows
}

// BenchmarkAppendNodes encodes the list of 10,000 nodes in pages of 1,000.
func BenchmarkAppendNodes(b *testing.B) {
	rows := manyRows(10_000)
	b.ReportAllocs()
	for b.Loop() {
		for at := 0; at < len(rows); at += 1000 {
			b.SetBytes(int64(len(appendNodes(nil, rows[at:at+1000], "x"))) * 10)
		}
	}
}
