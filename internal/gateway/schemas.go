package gateway

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"weak"

	"muster"
	"muster/internal/wire"
)

// interner keeps one copy of each schema that is in use anywhere in the process: ten thousand machines of
// one kind share theirs.
type interner struct {
	mu sync.Mutex
	of map[muster.SchemaID]weak.Pointer[muster.Schema]
}

func newInterner() *interner {
	return &interner{of: map[muster.SchemaID]weak.Pointer[muster.Schema]{}}
}

// one gives the shared copy of a schema, which may be this one.
func (in *interner) one(s *muster.Schema) *muster.Schema {
	in.mu.Lock()
	defer in.mu.Unlock()
	if known := in.of[s.ID].Value(); known != nil {
		return known
	}
	in.of[s.ID] = weak.Make(s)
	runtime.AddCleanup(s, in.forget, s.ID)
	return s
}

// forget is called some time after the last user of a schema is gone; a new copy may be there by then.
func (in *interner) forget(id muster.SchemaID) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if known, ok := in.of[id]; ok && known.Value() == nil {
		delete(in.of, id)
	}
}

func (in *interner) size() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.of)
}

// Bounds of what one connection may define.
const (
	maxSchemas     = wire.MaxSchemas
	maxDescriptors = 200_000
)

// schemas are those one connection defined, by number. Nearly always it is a handful; a runner of checks
// has one for each of them.
type schemas struct {
	list  []defined
	index map[uint32]int // of numbers in list; nil while there are few
	size  int            // metrics over all
}

// fewSchemas are found faster by looking at each.
const fewSchemas = 16

type defined struct {
	number uint32
	schema *muster.Schema // nil when it is no good
	why    string         // why it is no good
}

// define notes a definition; it gives how many of its metrics no frame can bear. A definition that is
// no good is noted as such: frames that use it are refused with the reason.
func (ss *schemas) define(in *interner, def *wire.SchemaDef) (cut int) {
	d := defined{number: def.Number}
	schema, err := muster.NewSchema(def.Metrics)
	switch {
	case err != nil:
		d.why = "its schema is not valid: " + reason(err)
		cut = len(def.Metrics)
	default:
		d.schema = in.one(schema)
	}
	at := ss.find(def.Number)
	if at < 0 && len(ss.list) >= maxSchemas || ss.size-ss.sizeAt(at)+len(def.Metrics) > maxDescriptors {
		d.schema, d.why = nil, fmt.Sprintf("its connection defined more than %d schemas or %d metrics", maxSchemas, maxDescriptors)
		cut = len(def.Metrics)
		if at < 0 {
			return cut + def.Dropped
		}
	}
	if at < 0 {
		at = len(ss.list)
		ss.append(d)
	} else {
		ss.size -= ss.sizeAt(at)
		ss.list[at] = d
	}
	ss.size += ss.sizeAt(at)
	return cut + def.Dropped
}

// get gives the schema of a number, or nil and why there is none.
func (ss *schemas) get(number uint32) (*muster.Schema, string) {
	at := ss.find(number)
	if at < 0 {
		return nil, "its schema was never defined, or there were too many"
	}
	return ss.list[at].schema, ss.list[at].why
}

func (ss *schemas) append(d defined) {
	ss.list = append(ss.list, d)
	if len(ss.list) <= fewSchemas {
		return
	}
	if ss.index == nil {
		ss.index = make(map[uint32]int, 2*fewSchemas)
		for i := range ss.list {
			ss.index[ss.list[i].number] = i
		}
	}
	ss.index[d.number] = len(ss.list) - 1
}

func (ss *schemas) find(number uint32) int {
	if ss.index != nil {
		if at, known := ss.index[number]; known {
			return at
		}
		return -1
	}
	for i := range ss.list {
		if ss.list[i].number == number {
			return i
		}
	}
	return -1
}

func (ss *schemas) sizeAt(at int) int {
	if at < 0 || ss.list[at].schema == nil {
		return 0
	}
	return len(ss.list[at].schema.Metrics)
}

// reason gives an error's words for the other end, short enough for the wire.
func reason(err error) string {
	const most = wire.MaxText / 2
	text := muster.Words(err)
	if text == "" {
		text = err.Error()
	}
	if len(text) > most {
		text = text[:most]
	}
	return strings.ToValidUTF8(text, "")
}
