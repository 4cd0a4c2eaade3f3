package engine

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"muster"
)

// The stored form of a block: a header of 12 bytes, then what column writes (docs/format/series.md).
const (
	envelopeVersion = 1
	// EnvelopeSize is the length of a block's header.
	EnvelopeSize = 12
	flagSealed   = 1
)

func castagnoli(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

// AppendEnvelope appends the header of a block: whether it is sealed, and the length of its window in ms.
func AppendEnvelope(dst []byte, isSealed bool, length int64) []byte {
	begin := len(dst)
	var flags byte
	if isSealed {
		flags = flagSealed
	}
	dst = append(dst, envelopeVersion, flags, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(length))
	return binary.BigEndian.AppendUint32(dst, castagnoli(dst[begin:begin+8]))
}

// OpenEnvelope reads the header; body is what follows it. The error wraps muster.ErrInvalid.
func OpenEnvelope(data []byte) (isSealed bool, length int64, body []byte, err error) {
	if len(data) < EnvelopeSize || data[0] != envelopeVersion || binary.BigEndian.Uint32(data[8:]) != castagnoli(data[:8]) {
		return false, 0, nil, fmt.Errorf("%w: engine: a block's header is damaged or of an unknown version", muster.ErrInvalid)
	}
	return data[1]&flagSealed != 0, int64(binary.BigEndian.Uint32(data[4:])), data[EnvelopeSize:], nil
}
