package main

import (
	"math"
	"math/rand/v2"
	"strconv"

	"muster"
)

// host makes values as a machine would: shares that wander, counters that grow unevenly, and many
// things that hardly ever change.
type host struct {
	rng    *rand.Rand
	values []float64
}

func newHost(seed uint64, metrics int) *host {
	h := &host{rng: rand.New(rand.NewPCG(seed, 7)), values: make([]float64, metrics)}
	for i := range h.values {
		h.values[i] = math.Floor(h.rng.Float64() * 1e6)
		if shapeOf(i) == share {
			h.values[i] = round4(h.rng.Float64())
		}
	}
	return h
}

type shape int

const (
	share    shape = iota // 0 to 1 with four decimals
	bytesUp               // a counter of bytes
	gauge                 // a number of bytes that moves
	constant              // a limit, a size
	rare                  // a counter that seldom moves
)

// shapeOf mixes the shapes as they were counted on a real host: a fifth shares, a third counters.
func shapeOf(i int) shape {
	return [...]shape{share, bytesUp, gauge, constant, rare, bytesUp, share, constant, rare, gauge}[i%10]
}

func (h *host) next() []float64 {
	for i := range h.values {
		v := &h.values[i]
		switch shapeOf(i) {
		case share:
			*v = round4(min(1, max(0, *v+(h.rng.Float64()-0.5)*0.05)))
		case bytesUp:
			*v += float64(h.rng.IntN(1 << (6 + i%16)))
		case gauge:
			*v = max(0, *v+float64(h.rng.IntN(65)-32)*4096)
		case rare:
			if h.rng.IntN(50) == 0 {
				*v++
			}
		}
	}
	return h.values
}

func round4(v float64) float64 { return math.Round(v*1e4) / 1e4 }

// describe gives the metrics, the same for every simulated machine.
func describe(n int) []muster.Metric {
	out := make([]muster.Metric, n)
	for i := range out {
		m := muster.Metric{Kind: muster.Gauge, Unit: "By", Attrs: []muster.Attr{{Key: "item", Value: strconv.Itoa(i / 10)}}}
		switch shapeOf(i) {
		case share:
			m.Name, m.Unit = "load.share", "1"
		case bytesUp:
			m.Name, m.Kind = "load.io", muster.Counter
		case gauge:
			m.Name = "load.usage"
		case constant:
			m.Name = "load.limit"
		case rare:
			m.Name, m.Kind, m.Unit = "load.errors", muster.Counter, "{error}"
		}
		m.Attrs = append(m.Attrs, muster.Attr{Key: "place", Value: strconv.Itoa(i % 10)})
		out[i] = m
	}
	return out
}
