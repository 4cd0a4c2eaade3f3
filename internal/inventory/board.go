package inventory

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"muster"
)

// keySize is the length of an agent's public key (ed25519).
const keySize = 32

// sparks is how many sums of network traffic a row remembers.
const sparks = 30

// board is one account's nodes. The map is guarded by mu; each entry by its own lock.
type board struct {
	account muster.AccountID

	mu     sync.RWMutex
	rows   map[muster.NodeID]*entry
	names  map[string]int // how many entries have that name: two while a rename is under way
	sorted []*entry       // by name; nil when it has to be made again; never changed once made
}

// entry is one node on the board.
type entry struct {
	account muster.AccountID
	id      muster.NodeID

	node atomic.Pointer[muster.Node] // replaced, never changed

	mu      sync.Mutex
	gone    bool
	now     muster.NodeNow // without Network
	heard   time.Time      // when a frame arrived last, by this server's clock; zero before the first
	patient time.Duration  // how long a silence may be
	host    hostView
	sources []sourceView
	spark   [sparks]float32
	sparkAt uint8     // where the next one goes
	sparked uint8     // how many there are
	links   int       // connections of its agent
	arrived time.Time // when its agent connected last
	doubled time.Time // when a second agent with its identity was told last
}

// sourceView is what is known of one source of a node besides the host itself.
type sourceView struct {
	name    string
	heard   time.Time
	metrics int
}

func newBoard(account muster.AccountID) *board {
	return &board{account: account, rows: map[muster.NodeID]*entry{}, names: map[string]int{}}
}

func (b *board) get(id muster.NodeID) *entry {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.rows[id]
}

func (b *board) size() int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return len(b.rows)
}

// put adds a node or renews it; an older rev than the known one changes nothing.
func (b *board) put(node *muster.Node, silentAfter time.Duration) *entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.rows[node.ID]
	if e == nil {
		nan := math.NaN()
		e = &entry{account: b.account, id: node.ID}
		e.now = muster.NodeNow{CPU: nan, Memory: nan, Disk: nan, Load: nan, Uptime: nan, NetIn: nan, NetOut: nan}
		b.rows[node.ID] = e
	} else if old := e.node.Load(); old.Rev > node.Rev {
		return e
	}
	old := e.node.Swap(node)
	if old == nil || old.Name != node.Name {
		b.sorted = nil
		b.names[node.Name]++
		if old != nil {
			b.unname(old.Name)
		}
	}
	e.mu.Lock()
	e.patient = max(3*node.Period, silentAfter)
	e.mu.Unlock()
	return e
}

func (b *board) drop(id muster.NodeID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.rows[id]; e != nil {
		e.mu.Lock()
		e.gone = true
		e.mu.Unlock()
		delete(b.rows, id)
		b.unname(e.node.Load().Name)
		b.sorted = nil
	}
}

func (b *board) unname(name string) {
	if b.names[name]--; b.names[name] <= 0 {
		delete(b.names, name)
	}
}

// byName gives all entries in the order of their names. The slice is shared.
func (b *board) byName() []*entry {
	b.mu.RLock()
	sorted := b.sorted
	b.mu.RUnlock()
	if sorted != nil {
		return sorted
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sorted != nil {
		return b.sorted
	}
	type named struct {
		name string
		e    *entry
	}
	list := make([]named, 0, len(b.rows))
	for _, e := range b.rows {
		list = append(list, named{nameKey(e.node.Load()), e})
	}
	slices.SortFunc(list, func(x, y named) int { return cmp.Compare(x.name, y.name) })
	b.sorted = make([]*entry, len(list))
	for i := range list {
		b.sorted[i] = list[i].e
	}
	return b.sorted
}

// nameKey orders nodes by their names; the id decides between the rest.
func nameKey(n *muster.Node) string { return NameOrder(n.Name) + "\x00" + string(n.ID[:]) }

// NameOrder gives a text whose order by bytes is the order of names for people: without regard to case, and
// numbers in them by their size, so that x-2 comes before x-10.
func NameOrder(name string) string {
	key := appendNatural(make([]byte, 0, 2*len(name)+10), strings.ToLower(name))
	return string(append(append(key, 0), name...))
}

// appendNatural appends a text so that the order of bytes is the natural one: before each number, which
// loses its leading zeros, stand a zero and how many digits it has.
func appendNatural(key []byte, text string) []byte {
	for i := 0; i < len(text); {
		if !digit(text[i]) {
			key = append(key, text[i])
			i++
			continue
		}
		end := i + 1
		for end < len(text) && digit(text[end]) {
			end++
		}
		for i < end-1 && text[i] == '0' {
			i++
		}
		key = append(key, '0', byte(min(end-i, 255)))
		key = append(key, text[i:end]...)
		i = end
	}
	return key
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// peek copies the live part without the sparkline, which only rows that are handed out need.
func (e *entry) peek(to *muster.NodeNow) {
	e.mu.Lock()
	*to = e.now
	e.mu.Unlock()
}

// row copies the entry for the world.
func (e *entry) row() Row {
	r := Row{Node: e.node.Load()}
	e.mu.Lock()
	defer e.mu.Unlock()
	r.Now = e.now
	if e.sparked > 0 {
		r.Now.Network = make([]float32, e.sparked)
		first := int(e.sparkAt) + sparks - int(e.sparked)
		for i := range r.Now.Network {
			r.Now.Network[i] = e.spark[(first+i)%sparks]
		}
	}
	return r
}

// Get gives one row; the error wraps ErrNotFound when the account has no such node.
func (inv *Inventory) Get(account muster.AccountID, id muster.NodeID) (Row, error) {
	e := inv.entryOf(account, id)
	if e == nil {
		return Row{}, fmt.Errorf("inventory: get: %w: no node %s", muster.ErrNotFound, id)
	}
	return e.row(), nil
}

// Find gives the row of that id or, failing that, of that exact name; the error wraps ErrNotFound.
func (inv *Inventory) Find(account muster.AccountID, idOrName string) (Row, error) {
	if id, err := muster.ParseNodeID(idOrName); err == nil {
		return inv.Get(account, id)
	}
	if b := inv.known(account); b != nil {
		for _, e := range b.byName() {
			if e.node.Load().Name == idOrName {
				return e.row(), nil
			}
		}
	}
	return Row{}, fmt.Errorf("inventory: find: %w: no node %.64q", muster.ErrNotFound, idOrName)
}

// Counts gives how many of the account's nodes are in each state.
func (inv *Inventory) Counts(account muster.AccountID) map[muster.NodeState]int {
	return inv.Totals(account).States
}

// Totals sums an account's nodes up.
type Totals struct {
	Nodes     int
	States    map[muster.NodeState]int
	Connected int     // agents that hold a connection
	Measured  int     // nodes that are up and whose CPU and memory are known: what the means are over
	CPU       float64 // mean share busy over those; NaN when there are none
	Memory    float64 // mean share in use over those; NaN when there are none
	NetIn     float64 // bytes per second, summed over the nodes that are up
	NetOut    float64 // bytes per second, summed over the nodes that are up
	Metrics   int     // how many metrics the newest frames carry
}

// Totals sums the account's nodes up.
func (inv *Inventory) Totals(account muster.AccountID) Totals {
	t := Totals{States: map[muster.NodeState]int{}, CPU: math.NaN(), Memory: math.NaN()}
	b := inv.known(account)
	if b == nil {
		return t
	}
	var now muster.NodeNow
	var cpu, memory float64
	for _, e := range b.byName() {
		e.peek(&now)
		t.Nodes++
		t.States[now.State]++
		t.Metrics += now.Metrics
		if now.Connected {
			t.Connected++
		}
		if now.State != muster.Up {
			continue
		}
		t.NetIn += orZero(now.NetIn)
		t.NetOut += orZero(now.NetOut)
		if !math.IsNaN(now.CPU) && !math.IsNaN(now.Memory) {
			t.Measured++
			cpu += now.CPU
			memory += now.Memory
		}
	}
	if t.Measured > 0 {
		t.CPU, t.Memory = cpu/float64(t.Measured), memory/float64(t.Measured)
	}
	return t
}

func orZero(v float64) float64 {
	if math.IsNaN(v) {
		return 0
	}
	return v
}
