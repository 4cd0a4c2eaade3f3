package inventory

import (
	"math"
	"slices"
	"strings"
	"sync"

	"muster"
)

// plan says where in a host's frame the values of a row are found. It is made once for a schema and
// shared by all nodes that have it.
type plan struct {
	idle        []int // of the whole machine, or one for each core
	busy        []int // the other modes
	cores       int   // over how many cores busy has to be divided
	memoryShare int   // -1 where there is none, as with the others
	memoryUsed  int
	memoryLimit int
	disks       []diskAt
	load        int
	uptime      int
	nets        []netAt
}

type diskAt struct {
	index int
	mount string
}

type netAt struct {
	index int
	in    bool
}

// compile finds the metrics by their names in OpenTelemetry's semantic conventions.
func compile(metrics []muster.Metric) *plan {
	p := &plan{memoryShare: -1, memoryUsed: -1, memoryLimit: -1, load: -1, uptime: -1}
	var cpu cpuFinder
	var net netFinder
	for i := range metrics {
		m := &metrics[i]
		switch m.Name {
		case "system.cpu.utilization":
			cpu.see(i, m)
		case "system.memory.utilization":
			if s := first(m, "system.memory.state", "state"); s == "used" || s == "" && p.memoryShare < 0 {
				p.memoryShare = i
			}
		case "system.memory.usage":
			if s := first(m, "system.memory.state", "state"); s == "used" {
				p.memoryUsed = i
			}
		case "system.memory.limit":
			p.memoryLimit = i
		case "system.filesystem.utilization":
			p.seeDisk(i, m)
		case "system.cpu.load_average.1m", "system.linux.cpu.load_1m":
			p.load = i
		case "system.uptime":
			p.uptime = i
		case "system.network.io":
			net.see(i, m)
		}
	}
	p.idle, p.busy, p.cores = cpu.found()
	p.nets = net.found()
	return p
}

func (p *plan) seeDisk(i int, m *muster.Metric) {
	if s := first(m, "system.filesystem.state", "state"); s != "" && s != "used" {
		return
	}
	switch first(m, "system.filesystem.type", "type") {
	case "squashfs", "iso9660", "udf", "erofs", "cramfs":
		return // images that can't be written: always full, and nobody's trouble
	}
	p.disks = append(p.disks, diskAt{i, first(m, "system.filesystem.mountpoint", "mountpoint")})
}

// cpuFinder prefers the modes of the whole machine to those of single cores.
type cpuFinder struct {
	idle, busy, coreIdle, coreBusy []int
	cores                          map[string]struct{}
}

func (c *cpuFinder) see(i int, m *muster.Metric) {
	mode := first(m, "cpu.mode", "state")
	core := first(m, "cpu.logical_number", "cpu")
	idle, busy := &c.idle, &c.busy
	if core != "" {
		if c.cores == nil {
			c.cores = map[string]struct{}{}
		}
		c.cores[core] = struct{}{}
		idle, busy = &c.coreIdle, &c.coreBusy
	}
	if mode == "idle" {
		*idle = append(*idle, i)
	} else {
		*busy = append(*busy, i)
	}
}

func (c *cpuFinder) found() (idle, busy []int, cores int) {
	switch {
	case len(c.idle) > 0 || len(c.busy) > 0:
		return c.idle, c.busy, 1
	default:
		return c.coreIdle, c.coreBusy, max(1, len(c.cores))
	}
}

// netFinder leaves out what would be counted twice or never leaves the machine, unless there is nothing else.
type netFinder struct {
	real, virtual []netAt
}

func (n *netFinder) see(i int, m *muster.Metric) {
	direction := first(m, "network.io.direction", "direction")
	if direction != "receive" && direction != "transmit" {
		return
	}
	at := netAt{i, direction == "receive"}
	name := first(m, "network.interface.name", "device")
	switch {
	case name == "lo" || name == "lo0" || strings.HasPrefix(name, "Loopback"):
	case isVirtual(name):
		n.virtual = append(n.virtual, at)
	default:
		n.real = append(n.real, at)
	}
}

func (n *netFinder) found() []netAt {
	if len(n.real) > 0 {
		return n.real
	}
	return n.virtual
}

// isVirtual knows interfaces by the names that kernels and container tools give them.
func isVirtual(name string) bool {
	for _, prefix := range []string{"veth", "docker", "br-", "virbr", "vnet", "tap", "tun", "wg", "cni", "cali", "flannel", "cilium",
		"lxc", "lxdbr", "podman", "kube", "dummy", "ifb", "bond", "team", "utun", "awdl", "llw", "bridge", "vmnet", "nodelocaldns"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return strings.Contains(name, ".") // a VLAN's traffic is its parent's too
}

func first(m *muster.Metric, keys ...string) string {
	for _, key := range keys {
		if v := m.Attr(key); v != "" {
			return v
		}
	}
	return ""
}

// cpu gives the busy share.
func (p *plan) cpu(values []float64) float64 {
	if idle, n := sum(values, p.idle); n > 0 {
		return share(1 - idle/float64(n))
	}
	busy, n := sum(values, p.busy)
	if n == 0 {
		return math.NaN()
	}
	return share(busy / float64(p.cores))
}

func (p *plan) memory(values []float64) float64 {
	if v := at(values, p.memoryShare); !math.IsNaN(v) {
		return share(v)
	}
	if limit := at(values, p.memoryLimit); limit > 0 {
		return share(at(values, p.memoryUsed) / limit)
	}
	return math.NaN()
}

// disk gives the fullest filesystem.
func (p *plan) disk(values []float64) (float64, string) {
	most, mount := math.NaN(), ""
	for i := range p.disks {
		if v := at(values, p.disks[i].index); v > most || math.IsNaN(most) && !math.IsNaN(v) {
			most, mount = v, p.disks[i].mount
		}
	}
	return share(most), mount
}

func sum(values []float64, where []int) (total float64, n int) {
	for _, i := range where {
		if v := at(values, i); !math.IsNaN(v) {
			total += v
			n++
		}
	}
	return total, n
}

func at(values []float64, i int) float64 {
	if i < 0 || i >= len(values) {
		return math.NaN()
	}
	return values[i]
}

// share keeps rounding from showing -0.0 % or 100.1 %.
func share(v float64) float64 {
	if math.IsNaN(v) {
		return v
	}
	return min(max(v, 0), 1)
}

// plans remembers one plan for each schema.
type plans struct {
	mu sync.RWMutex
	of map[muster.SchemaID]*plan
}

// maxPlans bounds the memory; nodes hold the plans they use themselves.
const maxPlans = 4096

func newPlans() *plans { return &plans{of: map[muster.SchemaID]*plan{}} }

func (ps *plans) get(s *muster.Schema) *plan {
	ps.mu.RLock()
	p := ps.of[s.ID]
	ps.mu.RUnlock()
	if p != nil {
		return p
	}
	p = compile(s.Metrics)
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if len(ps.of) >= maxPlans {
		clear(ps.of)
	}
	ps.of[s.ID] = p
	return p
}

// hostView is what the last frame of the host's own source left behind, for rates.
type hostView struct {
	schema  muster.SchemaID
	plan    *plan
	metrics int
	netAt   int64     // the instant of net, Unix ms; 0: none
	net     []float64 // the counters, as plan.nets has them
}

// use makes the view fit the schema; counters of another schema are of no use.
func (v *hostView) use(p *plan, id muster.SchemaID) {
	if v.plan == p {
		return
	}
	if v.plan == nil || !slices.Equal(v.plan.nets, p.nets) {
		v.netAt = 0
		v.net = make([]float64, len(p.nets))
	}
	v.plan, v.schema = p, id
}

// rates gives bytes per second in and out since the frame before; NaN where there was none. A counter
// that started again from zero is left out once.
func (v *hostView) rates(atMs int64, values []float64) (in, out float64) {
	seconds := float64(atMs-v.netAt) / 1000
	in, out = math.NaN(), math.NaN()
	for i, n := range v.plan.nets {
		now, before := at(values, n.index), v.net[i]
		v.net[i] = now
		if v.netAt == 0 || seconds <= 0 || !(now >= before) { // NaN too
			continue
		}
		to := &out
		if n.in {
			to = &in
		}
		*to = orZero(*to) + (now-before)/seconds
	}
	v.netAt = atMs
	return in, out
}
