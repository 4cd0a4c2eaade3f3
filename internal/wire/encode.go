package wire

import (
	"encoding/binary"
	"maps"
	"math"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"muster"
)

func (m *Challenge) appendBody(b []byte) []byte { return appendBytes(b, 1, m.Nonce) }

func (m *Hello) appendBody(b []byte) []byte {
	b = appendBytes(b, 1, m.Key)
	b = appendBytes(b, 2, m.Signature)
	b = appendText(b, 3, m.Token)
	b = appendText(b, 4, m.Hostname)
	b = appendText(b, 5, m.Version)
	b = appendMillis(b, 6, m.Period)
	b = appendText(b, 7, m.BootID)
	b = appendMap(b, 8, m.Facts)
	return appendTexts(b, 9, m.Addresses)
}

func (m *Welcome) appendBody(b []byte) []byte {
	b = appendBytes(b, 1, m.Node[:])
	b = appendText(b, 2, m.Account)
	b = appendUint(b, 3, uint64(m.ServerTime))
	b = appendTexts(b, 4, m.Endpoints)
	return appendMillis(b, 5, m.Period)
}

func (m *Refusal) appendBody(b []byte) []byte {
	b = appendText(b, 1, string(m.Code))
	b = appendText(b, 2, m.Reason)
	b = appendBool(b, 3, m.Permanent)
	return appendMillis(b, 4, m.RetryAfter)
}

func (m *SchemaDef) appendBody(b []byte) []byte {
	b = appendUint(b, 1, uint64(m.Number))
	for i := range m.Metrics {
		b = appendNested(b, 2, func(b []byte) []byte { return appendMetric(b, &m.Metrics[i]) })
	}
	return b
}

func appendMetric(b []byte, m *muster.Metric) []byte {
	b = appendText(b, 1, m.Name)
	b = appendText(b, 2, m.Unit)
	b = appendUint(b, 3, uint64(m.Kind))
	for _, a := range m.Attrs {
		b = appendPair(b, 4, a.Key, a.Value)
	}
	return b
}

func (m *Frames) appendBody(b []byte) []byte {
	for i := range m.Frames {
		b = appendNested(b, 1, m.Frames[i].appendBody)
	}
	return b
}

func (m *Frame) appendBody(b []byte) []byte {
	b = appendText(b, 1, m.Source)
	b = appendUint(b, 2, uint64(m.Schema))
	b = appendUint(b, 3, uint64(m.At))
	b = appendDoubles(b, 4, m.Values)
	return appendBytes(b, 5, m.Note)
}

func (m *Ack) appendBody(b []byte) []byte {
	b = appendUint(b, 1, m.Through)
	for i := range m.Refused {
		r := &m.Refused[i]
		b = appendNested(b, 2, func(b []byte) []byte {
			b = appendUint(b, 1, r.Seq)
			b = appendUint(b, 2, uint64(r.Index))
			return appendText(b, 3, r.Reason)
		})
	}
	return appendUint(b, 3, m.Dropped)
}

func (m *Order) appendBody(b []byte) []byte {
	b = appendMillis(b, 1, m.Period)
	return appendMillis(b, 2, m.For)
}

func (m *Facts) appendBody(b []byte) []byte {
	b = appendMap(b, 1, m.Facts)
	return appendTexts(b, 2, m.Addresses)
}

func (m *Goodbye) appendBody(b []byte) []byte { return appendText(b, 1, string(m.Reason)) }

// The helpers below leave out zero values, as proto3 does.

func appendUint(b []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), v)
}

func appendBool(b []byte, num protowire.Number, v bool) []byte {
	return appendUint(b, num, protowire.EncodeBool(v))
}

// appendMillis writes a duration in whole milliseconds; a negative one is nonsense and left out.
func appendMillis(b []byte, num protowire.Number, d time.Duration) []byte {
	return appendUint(b, num, uint64(max(0, d.Milliseconds())))
}

func appendDoubles(b []byte, num protowire.Number, values []float64) []byte {
	if len(values) == 0 {
		return b
	}
	b = protowire.AppendTag(b, num, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(8*len(values)))
	b = slices.Grow(b, 8*len(values))
	for _, v := range values {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
	}
	return b
}

func appendDouble(b []byte, num protowire.Number, v float64) []byte {
	bits := math.Float64bits(v)
	if bits == 0 {
		return b
	}
	return protowire.AppendFixed64(protowire.AppendTag(b, num, protowire.Fixed64Type), bits)
}

func appendBytes(b []byte, num protowire.Number, v []byte) []byte {
	if len(v) == 0 {
		return b
	}
	return protowire.AppendBytes(protowire.AppendTag(b, num, protowire.BytesType), v)
}

func appendText(b []byte, num protowire.Number, v string) []byte {
	if v == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, num, protowire.BytesType), v)
}

func appendTexts(b []byte, num protowire.Number, vs []string) []byte {
	for _, v := range vs {
		b = protowire.AppendString(protowire.AppendTag(b, num, protowire.BytesType), v)
	}
	return b
}

// appendMap writes a map sorted by key, so that equal messages are equal bytes.
func appendMap(b []byte, num protowire.Number, m map[string]string) []byte {
	for _, key := range slices.Sorted(maps.Keys(m)) {
		b = appendPair(b, num, key, m[key])
	}
	return b
}

func appendPair(b []byte, num protowire.Number, key, value string) []byte {
	size := textSize(1, key) + textSize(2, value)
	b = protowire.AppendTag(b, num, protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	b = appendText(b, 1, key)
	return appendText(b, 2, value)
}

func textSize(num protowire.Number, s string) int {
	if s == "" {
		return 0
	}
	return protowire.SizeTag(num) + protowire.SizeBytes(len(s))
}

// appendNested writes a message within a message. Its length comes first and is not known before,
// so one byte is left free for it and the body moved when that was too little.
func appendNested(b []byte, num protowire.Number, body func([]byte) []byte) []byte {
	b = protowire.AppendTag(b, num, protowire.BytesType)
	b = append(b, 0)
	start := len(b)
	b = body(b)
	size := len(b) - start
	if more := protowire.SizeVarint(uint64(size)) - 1; more > 0 {
		b = append(b, make([]byte, more)...)
		copy(b[start+more:], b[start:start+size])
	}
	protowire.AppendVarint(b[:start-1], uint64(size))
	return b
}
