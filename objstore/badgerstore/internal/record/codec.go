package record

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/zeebo/xxh3"

	"github.com/etagfs/etagfs/objstore"
)

const (
	// version is the first byte of every value.
	version       = 1
	checksumBytes = 8
	// optionalTag is the first tag a reader may skip.
	optionalTag = 0x80
)

// kind is the second byte of every value.
type kind byte

const (
	kindObject   kind = 1 // an Object
	kindRef      kind = 2 // an entry that only names an object
	kindPlace    kind = 3 // where an embedded object is
	kindName     kind = 4 // one of several names of an object
	kindBucket   kind = 5
	kindSequence kind = 6
	kindGarbage  kind = 7
	kindConflict kind = 8
	kindOutcome  kind = 9
	kindPayload  kind = 10
	kindRefs     kind = 11
	kindExpiry   kind = 12
	kindUpload   kind = 13
	kindPart     kind = 14
	kindLayout   kind = 15
)

func checksum(key, value []byte) uint64 { return xxh3.HashSeed(value, xxh3.Hash(key)) }

func corrupt(key []byte, what string) error {
	return &objstore.Error{Op: "read record", Key: fmt.Sprintf("%x", key), Kind: objstore.ErrCorrupt,
		Detail: "corrupt record: " + what}
}

// encoder builds one value.
type encoder struct {
	buf []byte
}

func newEncoder(k kind) *encoder {
	e := &encoder{buf: make([]byte, 0, 256)}
	e.buf = append(e.buf, version, byte(k))
	return e
}

func (e *encoder) bytes(tag byte, p []byte) {
	if len(p) == 0 {
		return
	}
	e.buf = append(e.buf, tag)
	e.buf = binary.AppendUvarint(e.buf, uint64(len(p)))
	e.buf = append(e.buf, p...)
}

func (e *encoder) string(tag byte, s string) {
	if s == "" {
		return
	}
	e.buf = append(e.buf, tag)
	e.buf = binary.AppendUvarint(e.buf, uint64(len(s)))
	e.buf = append(e.buf, s...)
}

func (e *encoder) uint(tag byte, v uint64) {
	if v == 0 {
		return
	}
	var p [binary.MaxVarintLen64]byte
	e.bytes(tag, p[:binary.PutUvarint(p[:], v)])
}

func (e *encoder) flag(tag byte, v bool) {
	if v {
		e.uint(tag, 1)
	}
}

// time is signed seconds since 1970 and nanoseconds; the zero Time takes no bytes.
func (e *encoder) time(tag byte, t time.Time) {
	if t.IsZero() {
		return
	}
	var p [2 * binary.MaxVarintLen64]byte
	n := binary.PutVarint(p[:], t.Unix())
	n += binary.PutUvarint(p[n:], uint64(t.Nanosecond()))
	e.bytes(tag, p[:n])
}

// pair is a name and a value in one field.
func (e *encoder) pair(tag byte, name string, value []byte) {
	p := binary.AppendUvarint(make([]byte, 0, len(name)+len(value)+4), uint64(len(name)))
	p = append(p, name...)
	e.bytes(tag, append(p, value...))
}

// finish appends unknown fields as they were read, and the checksum.
func (e *encoder) finish(key, unknown []byte) []byte {
	e.buf = append(e.buf, unknown...)
	return binary.BigEndian.AppendUint64(e.buf, checksum(key, e.buf))
}

// open checks a value's checksum and version and returns its kind and fields.
func open(key, value []byte) (kind, []byte, error) {
	if len(value) < 2+checksumBytes {
		return 0, nil, corrupt(key, "too short")
	}
	body := value[:len(value)-checksumBytes]
	if binary.BigEndian.Uint64(value[len(body):]) != checksum(key, body) {
		return 0, nil, corrupt(key, "its checksum does not match")
	}
	if body[0] != version {
		return 0, nil, newer(key, fmt.Sprintf("record version %d", body[0]))
	}
	return kind(body[1]), body[2:], nil
}

func newer(key []byte, what string) error {
	return &objstore.Error{Op: "read record", Key: fmt.Sprintf("%x", key), Kind: objstore.ErrNewerFormat,
		Detail: what + " is not known to this program: use a newer one"}
}

// field is one decoded field; its bytes alias the value.
type field struct {
	tag byte
	p   []byte
	bad bool
}

// fields calls f for each field in order and gathers the optional ones it
// does not know.
func fields(key, body []byte, f func(*field) (known bool)) (unknown []byte, err error) {
	var current field // one for all: it escapes to f
	for len(body) > 0 {
		length, n := binary.Uvarint(body[1:])
		if n <= 0 || length > uint64(len(body)-1-n) {
			return nil, corrupt(key, "a field is cut short")
		}
		end := 1 + n + int(length)
		current = field{tag: body[0], p: body[1+n : end]}
		known := f(&current)
		switch {
		case current.bad:
			return nil, corrupt(key, fmt.Sprintf("field %#x is malformed", current.tag))
		case !known && current.tag < optionalTag:
			return nil, newer(key, fmt.Sprintf("record field %#x", current.tag))
		case !known:
			unknown = append(unknown, body[:end]...)
		}
		body = body[end:]
	}
	return unknown, nil
}

func (f *field) uint() uint64 {
	v, n := binary.Uvarint(f.p)
	f.bad = f.bad || n != len(f.p)
	return v
}

func (f *field) uint32() uint32 {
	v := f.uint()
	f.bad = f.bad || v > 1<<32-1
	return uint32(v)
}

func (f *field) int() int64 {
	v := f.uint()
	f.bad = f.bad || v > 1<<63-1
	return int64(v)
}

func (f *field) bytes() []byte  { return append([]byte{}, f.p...) }
func (f *field) string() string { return string(f.p) }

func (f *field) time() time.Time {
	sec, n := binary.Varint(f.p)
	if n <= 0 {
		f.bad = true
		return time.Time{}
	}
	nsec, m := binary.Uvarint(f.p[n:])
	f.bad = f.bad || n+m != len(f.p) || nsec >= 1e9
	return time.Unix(sec, int64(nsec)).UTC()
}

func (f *field) array16() (a [16]byte) {
	f.bad = f.bad || copy(a[:], f.p) != len(a) || len(f.p) != len(a)
	return a
}

func (f *field) fixed64() uint64 {
	if len(f.p) != 8 {
		f.bad = true
		return 0
	}
	return binary.BigEndian.Uint64(f.p)
}

func (f *field) pair() (name string, value []byte) {
	length, n := binary.Uvarint(f.p)
	if n <= 0 || length > uint64(len(f.p)-n) {
		f.bad = true
		return "", nil
	}
	return string(f.p[n : n+int(length)]), append([]byte{}, f.p[n+int(length):]...)
}
