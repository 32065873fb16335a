package staging

import (
	"bytes"
	"encoding/binary"

	"github.com/zeebo/xxh3"

	"github.com/etagfs/etagfs/objstore"
)

// recordType says what a record of a log means. FORMAT.md has the table.
type recordType uint8

const (
	recordOpen  recordType = iota + 1 // first of a log: owner and base; a = log number, b = base's size, d = hosted, or 0: the owner has no host
	recordData                        // a = offset; the bytes follow
	recordRange                       // a = offset, b = length, c = layer, d = offset in its file
	recordWhole                       // c = layer: what its file has is the content's, at the same offsets
	recordSize                        // a = new size
	recordZero                        // a = offset, b = length
	recordSeal                        // a = object, b = version, d = where the bytes of the whole layer end, which is whole no more; 0: there is none
)

const (
	recordBytes   = 48 // without data
	formatVersion = 1
	hosted        = 1 // the owner's host follows its path; logs had none at first
)

// logRecord is one record.
type logRecord struct {
	kind       recordType
	a, b, c, d uint64
	data       []byte
}

// appendRecord encodes r. The checksum is seeded with the log's number, so that what
// an earlier log left in the slot is not taken for this one's; open records have 0.
func appendRecord(b []byte, r logRecord, number uint64) []byte {
	start := len(b)
	b = append(b, byte(r.kind), formatVersion, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(len(r.data)))
	for _, v := range []uint64{r.a, r.b, r.c, r.d} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	b = binary.BigEndian.AppendUint64(b, recordSum(b[start:], r, number))
	return append(b, r.data...)
}

func recordSum(head []byte, r logRecord, number uint64) uint64 {
	if r.kind == recordOpen {
		number = 0
	}
	return xxh3.HashSeed(r.data, xxh3.HashSeed(head[:recordBytes-8], number))
}

// parseRecord takes a record off the front of b; ok is false at the end of the log.
func parseRecord(b []byte, number uint64) (r logRecord, rest []byte, ok bool) {
	if len(b) < recordBytes {
		return r, b, false
	}
	word := func(i int) uint64 { return binary.BigEndian.Uint64(b[8*i:]) }
	n := int64(binary.BigEndian.Uint32(b[4:]))
	if b[0] == 0 || n > int64(len(b)-recordBytes) {
		return r, b, false
	}
	r = logRecord{kind: recordType(b[0]), a: word(1), b: word(2), c: word(3), d: word(4)}
	r.data = b[recordBytes : recordBytes+n : recordBytes+n]
	return r, b[recordBytes+n:], recordSum(b, r, number) == word(5)
}

// appendOwner encodes an owner.
func appendOwner(b []byte, o objstore.Owner) []byte {
	for _, v := range []uint64{uint64(o.Object), uint64(o.UID), uint64(o.GID), uint64(o.Mode), uint64(o.PID)} {
		b = binary.AppendUvarint(b, v)
	}
	for _, s := range []string{string(o.Base), o.Path, o.Host} {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}

// parseOwner decodes the owner of a record that opens a log, and returns what follows it.
func parseOwner(open logRecord) (o objstore.Owner, rest []byte, ok bool) {
	b := bytes.Clone(open.data)
	ok = true
	number := func() uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 {
			ok, b = false, nil
			return 0
		}
		b = b[n:]
		return v
	}
	text := func() string {
		n := number()
		if n > uint64(len(b)) {
			ok = false
			return ""
		}
		s := string(b[:n])
		b = b[n:]
		return s
	}
	o.Object = objstore.ID(number())
	o.UID, o.GID, o.Mode, o.PID = uint32(number()), uint32(number()), uint32(number()), uint32(number())
	o.Base, o.Path = objstore.Version(text()), text()
	if open.d == hosted {
		o.Host = text()
	}
	return o, b, ok
}
