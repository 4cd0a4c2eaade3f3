package column

import "muster"

// ReadSegment calls each for every frame of a segment in the order of Add; frames may be kept. schema
// finds the schema of an id, once per id; its error and that of each end the reading and come back
// as they are. Damage gives an error that wraps ErrInvalid; it is found by the checksum before each
// is called at all.
func (c *Codec) ReadSegment(b []byte, schema func(muster.SchemaID) (*muster.Schema, error), each func(*muster.Frame) error) error {
	body, err := checkSum(b, formSegment, "segment")
	if err != nil {
		return err
	}
	f := fields{b: body}
	count := f.count(MaxSegment)
	size := f.count(MaxSegment)
	if f.bad {
		return invalid("a segment whose header is damaged")
	}
	z := c.borrowDecoder()
	raw, err := z.DecodeAll(f.b, make([]byte, 0, min(size, 64*len(f.b)+1024)))
	c.zdecoder.Put(z)
	if err != nil {
		return invalid("a segment that does not decompress: %v", err)
	}
	if len(raw) != size {
		return invalid("a segment of %d bytes, not the %d it claims", len(raw), size)
	}
	r := segmentReader{fields: fields{b: raw}, find: schema}
	for range count {
		frame, err := r.frame()
		if err != nil {
			return err
		}
		if err := each(frame); err != nil {
			return err
		}
	}
	if len(r.b) != 0 {
		return invalid("a segment with bytes after its last frame")
	}
	return nil
}

// segmentReader reads the frames of an uncompressed segment.
type segmentReader struct {
	fields
	find     func(muster.SchemaID) (*muster.Schema, error)
	at       int64
	schemas  []*muster.Schema
	accounts []muster.AccountID
	sources  []string
}

func (r *segmentReader) frame() (*muster.Frame, error) {
	schema, err := r.schema()
	if err != nil {
		return nil, err
	}
	f := &muster.Frame{Schema: schema}
	number := r.count(len(r.accounts))
	if number == len(r.accounts) {
		r.accounts = append(r.accounts, muster.AccountID(r.bytes(len(f.Account))))
	}
	f.Account = r.accounts[number]
	if number = r.count(len(r.sources)); number == len(r.sources) {
		r.sources = append(r.sources, r.text(muster.MaxSource))
	}
	f.Source = r.sources[number]
	f.Node = muster.NodeID(r.bytes(len(f.Node)))
	r.at += r.signed()
	f.At = r.at
	f.Sent = r.at + r.signed()
	n := len(schema.Metrics)
	if r.bad || (n+1)/2 > len(r.b) {
		return nil, invalid("a segment whose frames are cut short")
	}
	f.Values = make([]float64, n)
	rest, ok := readValues(f.Values, r.b)
	if !ok {
		return nil, invalid("a segment whose frames are cut short")
	}
	r.b = rest
	return f, nil
}

// schema reads which schema a frame has, and finds it when it is the first one of it.
func (r *segmentReader) schema() (*muster.Schema, error) {
	number := r.count(len(r.schemas))
	if number < len(r.schemas) && !r.bad {
		return r.schemas[number], nil
	}
	id := muster.SchemaID(r.bytes(len(muster.SchemaID{})))
	n := r.count(muster.MaxMetrics)
	if r.bad {
		return nil, invalid("a segment whose frames are cut short")
	}
	s, err := r.find(id)
	if err != nil {
		return nil, err
	}
	if s == nil || len(s.Metrics) != n {
		return nil, invalid("a segment whose schema %s has %d metrics, not as found", id, n)
	}
	r.schemas = append(r.schemas, s)
	return s, nil
}
