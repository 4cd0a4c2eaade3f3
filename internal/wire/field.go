package wire

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"muster"
)

// eachField calls each for every field of a message, in the order of the bytes.
func eachField(b []byte, each func(protowire.Number, *field) error) error {
	var f field // one for all fields: it escapes into each
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return fmt.Errorf("%w: %w", muster.ErrInvalid, protowire.ParseError(n))
		}
		b = b[n:]
		f = field{num: num, typ: typ}
		switch typ {
		case protowire.VarintType:
			f.varint, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			f.raw, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(num, typ, b)
			f.raw = b[:max(n, 0)]
		}
		if n < 0 {
			return fmt.Errorf("%w: field %d: %w", muster.ErrInvalid, num, protowire.ParseError(n))
		}
		b = b[n:]
		if err := each(num, &f); err != nil {
			return err
		}
	}
	return nil
}

// field is one field of a message as it was found; its methods check that it is what is expected.
type field struct {
	num    protowire.Number
	typ    protowire.Type
	varint uint64
	raw    []byte
}

func (f *field) is(typ protowire.Type) error {
	if f.typ != typ {
		return fmt.Errorf("%w: field %d has wire type %d", muster.ErrInvalid, f.num, f.typ)
	}
	return nil
}

func (f *field) uint64(to *uint64) error { *to = f.varint; return f.is(protowire.VarintType) }

func (f *field) int64(to *int64) error { *to = int64(f.varint); return f.is(protowire.VarintType) }

func (f *field) bool(to *bool) error { *to = f.varint != 0; return f.is(protowire.VarintType) }

func (f *field) uint32(to *uint32) error {
	if f.varint > math.MaxUint32 {
		return fmt.Errorf("%w: field %d is out of range", muster.ErrInvalid, f.num)
	}
	*to = uint32(f.varint)
	return f.is(protowire.VarintType)
}

func (f *field) millis(to *time.Duration) error { return f.duration(to, time.Millisecond) }

func (f *field) micros(to *time.Duration) error { return f.duration(to, time.Microsecond) }

// duration reads one; a year is more than anything here lasts.
func (f *field) duration(to *time.Duration, unit time.Duration) error {
	const most = 366 * 24 * time.Hour
	if f.varint > uint64(most/unit) {
		return fmt.Errorf("%w: field %d is out of range", muster.ErrInvalid, f.num)
	}
	*to = time.Duration(f.varint) * unit
	return f.is(protowire.VarintType)
}

func (f *field) double(to *float64) error {
	if err := f.is(protowire.Fixed64Type); err != nil {
		return err
	}
	*to = math.Float64frombits(binary.LittleEndian.Uint64(f.raw))
	return nil
}

func (f *field) bytes(to *[]byte, most int) error {
	if err := f.is(protowire.BytesType); err != nil {
		return err
	}
	if len(f.raw) > most {
		return fmt.Errorf("%w: field %d has %d bytes, at most %d are read", muster.ErrLimited, f.num, len(f.raw), most)
	}
	*to = f.raw
	return nil
}

// clone is bytes for what outlives the message.
func (f *field) clone(to *[]byte, most int) error {
	err := f.bytes(to, most)
	*to = bytes.Clone(*to)
	return err
}

func (f *field) text(to *string, most int) error {
	var raw []byte
	if err := f.bytes(&raw, most); err != nil {
		return err
	}
	if !utf8.Valid(raw) {
		return fmt.Errorf("%w: field %d is not UTF-8", muster.ErrInvalid, f.num)
	}
	*to = string(raw)
	return nil
}

func (f *field) texts(to *[]string, most int) error {
	if len(*to) == most {
		return fmt.Errorf("%w: more than %d of field %d", muster.ErrLimited, most, f.num)
	}
	var s string
	err := f.text(&s, MaxText)
	*to = append(*to, s)
	return err
}

// source reads the name of a frame's source, without an allocation for the commonest.
func (f *field) source(to *string) error {
	if string(f.raw) == muster.HostSource {
		*to = muster.HostSource
		return f.is(protowire.BytesType)
	}
	return f.text(to, muster.MaxSource)
}

func (f *field) pair(maxKey, maxValue int) (key, value string, err error) {
	var raw []byte
	if err := f.bytes(&raw, MaxMessage); err != nil {
		return "", "", err
	}
	err = eachField(raw, func(num protowire.Number, f *field) error {
		switch num {
		case 1:
			return f.text(&key, maxKey)
		case 2:
			return f.text(&value, maxValue)
		}
		return nil
	})
	return key, value, err
}

func (f *field) fact(to map[string]string) error {
	key, value, err := f.pair(MaxFactKey, MaxFactValue)
	if err != nil {
		return err
	}
	return putPair(to, key, value, MaxFacts)
}

func putPair(to map[string]string, key, value string, most int) error {
	if _, known := to[key]; !known && len(to) == most {
		return fmt.Errorf("%w: more than %d facts or pieces of evidence", muster.ErrLimited, most)
	}
	to[key] = value
	return nil
}

func (f *field) evidence(to *map[string]string) error {
	key, value, err := f.pair(MaxFactKey, MaxWords)
	if err != nil {
		return err
	}
	if *to == nil {
		*to = map[string]string{}
	}
	return putPair(*to, key, value, MaxEvidence)
}

func (f *field) metric(to *muster.Metric) error {
	var raw []byte
	if err := f.bytes(&raw, MaxMessage); err != nil {
		return err
	}
	return eachField(raw, func(num protowire.Number, f *field) error {
		switch num {
		case 1:
			return f.text(&to.Name, muster.MaxMetricName)
		case 2:
			return f.text(&to.Unit, MaxText)
		case 3:
			return f.kind(&to.Kind)
		case 4:
			if len(to.Attrs) == muster.MaxAttrs {
				return fmt.Errorf("%w: more than %d attributes", muster.ErrLimited, muster.MaxAttrs)
			}
			key, value, err := f.pair(muster.MaxAttrKey, muster.MaxAttrValue)
			to.Attrs = append(to.Attrs, muster.Attr{Key: key, Value: value})
			return err
		}
		return nil
	})
}

func (f *field) kind(to *muster.MetricKind) error {
	if f.varint != uint64(muster.Gauge) && f.varint != uint64(muster.Counter) {
		return fmt.Errorf("%w: %d is no kind of a metric", muster.ErrInvalid, f.varint)
	}
	*to = muster.MetricKind(f.varint)
	return f.is(protowire.VarintType)
}

// doubles reads a packed list; what is beyond most is left out, as the schema's metrics are.
func (f *field) doubles(to *[]float64, most int) error {
	if err := f.is(protowire.BytesType); err != nil {
		return err
	}
	if len(f.raw)%8 != 0 || len(*to) != 0 {
		return fmt.Errorf("%w: the values are not one list of doubles", muster.ErrInvalid)
	}
	values := make([]float64, min(len(f.raw)/8, most))
	for i := range values {
		values[i] = math.Float64frombits(binary.LittleEndian.Uint64(f.raw[8*i:]))
	}
	*to = values
	return nil
}
