package column

// The entropy coder of blocks: a binary range coder whose probabilities learn from what they have
// seen. It needs no tables in the stored form, which matters when a column has 120 values.

// maxSeen bounds how much a probability remembers, and so how quickly it follows a change.
const maxSeen = 62

// model is the adaptive part, the same in encoder and decoder: one probability for each decision.
type model struct {
	rate [maxSeen + 1]uint32 // by which part of the way the n-th observation moves a probability, of 1<<16
	bits [129]chance         // [1:128] the tree of classes, [128] the sign
}

// chance is the probability that a bit is 0, of 1<<16, and how often it was seen.
type chance struct {
	zero uint16
	seen uint8
}

const signBit = 128

func newModel() *model {
	m := &model{}
	for n := range m.rate {
		m.rate[n] = uint32(655360 / (10*n + 18)) // as if 0.4 of each bit had been seen before
	}
	return m
}

// reset forgets; depth is how deep the tree of classes is.
func (m *model) reset(depth uint) {
	for i := range m.bits[:1<<depth] {
		m.bits[i] = chance{zero: 1 << 15}
	}
	m.bits[signBit] = chance{zero: 1 << 15}
}

// observe moves a probability towards the bit.
func (m *model) observe(c *chance, bit uint32) {
	step := m.rate[c.seen]
	if bit == 0 {
		c.zero += uint16((1<<16 - uint32(c.zero)) * step >> 16)
	} else {
		c.zero -= uint16(uint32(c.zero) * step >> 16)
	}
	if c.seen < maxSeen {
		c.seen++
	}
}

const (
	rangeBottom = 1 << 24
	chanceBits  = 12 // precision used in coding
)

type rangeEncoder struct {
	out   []byte
	low   uint64
	width uint32
}

func (e *rangeEncoder) reset(out []byte) { e.out, e.low, e.width = out, 0, 1<<32-1 }

func (e *rangeEncoder) put(m *model, at int, bit uint32) {
	c := &m.bits[at]
	bound := e.width >> chanceBits * (uint32(c.zero) >> (16 - chanceBits))
	if bit == 0 {
		e.width = bound
	} else {
		e.low += uint64(bound)
		e.width -= bound
	}
	m.observe(c, bit)
	for e.width < rangeBottom {
		e.shift()
		e.width <<= 8
	}
}

// shift moves the highest byte out, after the carry that may have come meanwhile.
func (e *rangeEncoder) shift() {
	e.carry()
	e.out = append(e.out, byte(e.low>>24))
	e.low = e.low << 8 & (1<<32 - 1)
}

func (e *rangeEncoder) carry() {
	if e.low>>32 == 0 {
		return
	}
	e.low &= 1<<32 - 1
	for i := len(e.out) - 1; ; i-- { // the value is below 1, so a byte that takes the carry exists
		e.out[i]++
		if e.out[i] != 0 {
			return
		}
	}
}

// finish writes as few bytes as decide the value whatever bytes follow them.
func (e *rangeEncoder) finish() []byte {
	top := e.low + uint64(e.width)
	for rest := 32; rest >= 0; rest -= 8 {
		free := uint64(1)<<rest - 1
		v := (e.low + free) &^ free
		if v+free < top {
			e.low = v
			for ; rest < 32; rest += 8 {
				e.shift()
			}
			break
		}
	}
	return e.out
}

type rangeDecoder struct {
	in    []byte
	code  uint32
	width uint32
}

func (d *rangeDecoder) reset(in []byte) {
	d.in, d.code, d.width = in, 0, 1<<32-1
	for range 4 {
		d.next()
	}
}

func (d *rangeDecoder) next() {
	d.code <<= 8
	if len(d.in) > 0 {
		d.code |= uint32(d.in[0])
		d.in = d.in[1:]
	}
}

func (d *rangeDecoder) take(m *model, at int) (bit uint32) {
	c := &m.bits[at]
	bound := d.width >> chanceBits * (uint32(c.zero) >> (16 - chanceBits))
	if d.code < bound {
		d.width = bound
	} else {
		d.code -= bound
		d.width -= bound
		bit = 1
	}
	m.observe(c, bit)
	for d.width < rangeBottom {
		d.next()
		d.width <<= 8
	}
	return bit
}
