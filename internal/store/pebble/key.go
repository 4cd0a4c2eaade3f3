package pebble

import (
	"bytes"
	"encoding/binary"
	"math"

	"muster"
	"muster/internal/store"
)

// The first byte of a key says what it is of.
const (
	objectKeys    = 'O' // an object
	listingKeys   = 'L' // a row of a listing
	eventKeys     = 'E' // an entry of a stream
	ephemeralKeys = 'P' // a row that expires
	headKeys      = 'H' // the head of a shard's partition
	rowKeys       = 'W' // a row of a shard's partition
	expiryKeys    = 'X' // when another key expires, in the order of time
)

// keyOf gives prefix, account, kind, zero byte, id.
func keyOf(prefix byte, key store.Key) []byte {
	return append(listOf(prefix, key.Account, key.Kind), key.ID...)
}

// listOf gives what all keys of an account and kind begin with.
func listOf(prefix byte, account muster.AccountID, kind string) []byte {
	b := make([]byte, 0, 1+len(account)+len(kind)+1+40)
	b = append(b, prefix)
	b = append(b, account[:]...)
	b = append(b, kind...)
	return append(b, 0)
}

// eventKey gives the stream's prefix, the time as eight bytes that sort as numbers do, the id.
func eventKey(account muster.AccountID, stream string, at int64, id string) []byte {
	b := listOf(eventKeys, account, stream)
	b = binary.BigEndian.AppendUint64(b, sortable(at))
	return append(b, id...)
}

// sortable moves the numbers so that negative ones come first.
func sortable(n int64) uint64   { return uint64(n) ^ 1<<63 }
func unsortable(n uint64) int64 { return int64(n ^ 1<<63) }

// shardKey gives prefix, shard as four bytes, domain, zero byte, day as four bytes.
func shardKey(prefix byte, key store.ShardKey) []byte {
	b := []byte{prefix}
	b = binary.BigEndian.AppendUint32(b, uint32(key.Shard))
	b = append(b, key.Domain...)
	b = append(b, 0)
	return binary.BigEndian.AppendUint32(b, uint32(key.Day))
}

func rowKey(key store.ShardKey, seq uint64) []byte {
	return binary.BigEndian.AppendUint64(shardKey(rowKeys, key), seq)
}

// expiryKey gives the prefix, the instant as eight bytes, the key that expires then.
func expiryKey(at int64, key []byte) []byte {
	b := make([]byte, 0, 9+len(key))
	b = append(b, expiryKeys)
	b = binary.BigEndian.AppendUint64(b, sortable(at))
	return append(b, key...)
}

// afterPrefix gives the smallest key greater than all that begin with prefix.
func afterPrefix(prefix []byte) []byte {
	end := bytes.Clone(prefix)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] != math.MaxUint8 {
			end[i]++
			return end[:i+1]
		}
	}
	return nil
}
