package record

import (
	"encoding/binary"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// EncodeName is the value of one of several names of an object: all is in the key.
func EncodeName(key []byte) []byte { return newEncoder(kindName).finish(key, nil) }

// DecodeName checks the value of a name.
func DecodeName(key, value []byte) error { return decodeKeyOnly(kindName, key, value) }

// EncodeExpiry is the value of an expiry: all is in the key.
func EncodeExpiry(key []byte) []byte { return newEncoder(kindExpiry).finish(key, nil) }

// DecodeExpiry checks the value of an expiry.
func DecodeExpiry(key, value []byte) error { return decodeKeyOnly(kindExpiry, key, value) }

func decodeKeyOnly(k kind, key, value []byte) error {
	body, err := openAs(k, key, value)
	if err == nil {
		_, err = fields(key, body, func(*field) bool { return false })
	}
	return err
}

// Bucket is a bucket.
type Bucket struct {
	Root    uint64 // its root directory
	Created time.Time
}

// EncodeBucket is the value of a bucket.
func EncodeBucket(key []byte, b Bucket) []byte {
	e := newEncoder(kindBucket)
	e.uint(tagID, b.Root)
	e.time(tagModified, b.Created)
	return e.finish(key, nil)
}

// DecodeBucket is the reverse of EncodeBucket.
func DecodeBucket(key, value []byte) (b Bucket, err error) {
	body, err := openAs(kindBucket, key, value)
	if err != nil {
		return b, err
	}
	_, err = fields(key, body, func(f *field) bool {
		switch f.tag {
		case tagID:
			b.Root = f.uint()
		case tagModified:
			b.Created = f.time()
		default:
			return false
		}
		return true
	})
	return b, err
}

func openAs(want kind, key, value []byte) ([]byte, error) {
	k, body, err := open(key, value)
	if err == nil && k != want {
		err = corrupt(key, "of another kind than its key")
	}
	return body, err
}

// Blob is a blob file a batch depends on.
type Blob struct {
	Kind  uint8 // extent.Kind
	ID    uint64
	Check uint64 // checksum of its checksum block
}

// Sequence is what a batch leaves so that recovery can tell whether it is whole.
type Sequence struct {
	Blobs   []Blob
	Objects uint64 // files and directories in the store then
}

const (
	tagBlobKind  = 0x30
	tagBlobID    = 0x31
	tagBlobCheck = 0x32
	tagObjects   = 0x3f
)

// EncodeSequence is the value of a sequence record.
func EncodeSequence(key []byte, s Sequence) []byte {
	e := newEncoder(kindSequence)
	e.uint(tagObjects, s.Objects)
	for _, b := range s.Blobs {
		e.uint(tagBlobKind, uint64(b.Kind))
		e.uint(tagBlobID, b.ID)
		e.bytes(tagBlobCheck, binary.BigEndian.AppendUint64(nil, b.Check)) // ends one blob
	}
	return e.finish(key, nil)
}

// DecodeSequence is the reverse of EncodeSequence.
func DecodeSequence(key, value []byte) (s Sequence, err error) {
	body, err := openAs(kindSequence, key, value)
	if err != nil {
		return s, err
	}
	var b Blob
	_, err = fields(key, body, func(f *field) bool {
		switch f.tag {
		case tagObjects:
			s.Objects = f.uint()
		case tagBlobKind:
			b.Kind = uint8(f.uint32())
		case tagBlobID:
			b.ID = f.uint()
		case tagBlobCheck:
			b.Check = f.fixed64()
			s.Blobs = append(s.Blobs, b)
			b = Blob{}
		default:
			return false
		}
		return true
	})
	return s, err
}

// PayloadRef is a reference to a page or payload, as in package extent.
type PayloadRef struct {
	Kind uint8
	ID   uint64
}

// Garbage is what a replaced or deleted content leaves behind.
type Garbage struct {
	Lineage uint64 // whose contents used it: an object, or one side of a conflict
	Version uint64 // the last of them that did
	Dropped []PayloadRef
	Freed   []uint64     // pages whose references have moved
	Unlink  []PayloadRef // blobs nothing refers to any more
	Content Content      // of that version, for a stage that was based on it and is found after a crash
}

const (
	tagLineage     = 0x33
	tagDied        = 0x34
	tagDroppedKind = 0x35
	tagDroppedID   = 0x36
	tagFreedPage   = 0x37
	tagUnlinkKind  = 0x26
	tagUnlinkID    = 0x27
)

// EncodeGarbage is the value of a garbage record.
func EncodeGarbage(key []byte, g *Garbage) []byte {
	e := newEncoder(kindGarbage)
	e.uint(tagLineage, g.Lineage)
	e.uint(tagDied, g.Version)
	e.content(&g.Content)
	for _, d := range g.Dropped {
		e.uint(tagDroppedKind, uint64(d.Kind))
		e.uint(tagDroppedID, d.ID) // ends one reference
	}
	for _, id := range g.Freed {
		e.uint(tagFreedPage, id)
	}
	for _, u := range g.Unlink {
		e.uint(tagUnlinkKind, uint64(u.Kind))
		e.uint(tagUnlinkID, u.ID) // ends one blob
	}
	return e.finish(key, nil)
}

// DecodeGarbage is the reverse of EncodeGarbage.
func DecodeGarbage(key, value []byte) (*Garbage, error) {
	body, err := openAs(kindGarbage, key, value)
	if err != nil {
		return nil, err
	}
	g := &Garbage{}
	var kind uint8
	_, err = fields(key, body, func(f *field) bool {
		switch f.tag {
		case tagLineage:
			g.Lineage = f.uint()
		case tagDied:
			g.Version = f.uint()
		case tagDroppedKind:
			kind = uint8(f.uint32())
		case tagDroppedID:
			g.Dropped = append(g.Dropped, PayloadRef{kind, f.uint()})
		case tagFreedPage:
			g.Freed = append(g.Freed, f.uint())
		case tagUnlinkKind:
			kind = uint8(f.uint32())
		case tagUnlinkID:
			g.Unlink = append(g.Unlink, PayloadRef{kind, f.uint()})
		default:
			return g.Content.field(f)
		}
		return true
	})
	return g, err
}

// Refs counts the references to a page or payload where they are not exactly one.
type Refs struct {
	Count uint64
	// Garbage, if not 0, is the record that lists the page as freed; then Count is 0.
	Garbage uint64
}

const (
	tagCount       = 0x38
	tagFreedRecord = 0x39
)

// EncodeRefs is the value of a count.
func EncodeRefs(key []byte, r Refs) []byte {
	e := newEncoder(kindRefs)
	e.uint(tagCount, r.Count)
	e.uint(tagFreedRecord, r.Garbage)
	return e.finish(key, nil)
}

// DecodeRefs is the reverse of EncodeRefs.
func DecodeRefs(key, value []byte) (r Refs, err error) {
	body, err := openAs(kindRefs, key, value)
	if err != nil {
		return r, err
	}
	_, err = fields(key, body, func(f *field) bool {
		switch f.tag {
		case tagCount:
			r.Count = f.uint()
		case tagFreedRecord:
			r.Garbage = f.uint()
		default:
			return false
		}
		return true
	})
	return r, err
}

// payloadHeadBytes of a payload's value come before its bytes.
const payloadHeadBytes = 2

// NewPayload is the value of an inline payload of n bytes, which are to be
// put where PayloadBytes says.
func NewPayload(n int) []byte {
	p := make([]byte, payloadHeadBytes+n, payloadHeadBytes+n+checksumBytes)
	p[0], p[1] = version, byte(kindPayload)
	return p
}

// PayloadBytes is where the bytes of an unfinished payload are.
func PayloadBytes(value []byte) []byte { return value[payloadHeadBytes:] }

// FinishPayload completes the value made by NewPayload, of which the first n bytes count.
func FinishPayload(key, value []byte, n int) []byte {
	e := encoder{buf: value[:payloadHeadBytes+n]}
	return e.finish(key, nil)
}

// EncodePayload is the value of an inline payload.
func EncodePayload(key, p []byte) []byte {
	value := NewPayload(len(p))
	copy(PayloadBytes(value), p)
	return FinishPayload(key, value, len(p))
}

// DecodePayload returns the bytes in value, aliasing it.
func DecodePayload(key, value []byte) ([]byte, error) { return openAs(kindPayload, key, value) }

// Outcome is what became of a write that had an id.
type Outcome struct {
	Request [16]byte      // digest of what was asked
	Kind    objstore.Kind // 0: it succeeded
	Winner  string        // of a lost condition
	Object  *Object       // as it was right after; nil: there is none to tell
	Extra   []byte        // the rest of the result, by operation
}

const (
	tagRequest = 0x3a
	tagKind    = 0x3b
	tagWinner  = 0x3c
	tagObject  = 0x3d
	tagExtra   = 0x3e
)

// EncodeOutcome is the value of an outcome.
func EncodeOutcome(key []byte, o *Outcome) []byte {
	e := newEncoder(kindOutcome)
	e.bytes(tagRequest, o.Request[:])
	e.uint(tagKind, uint64(o.Kind))
	e.string(tagWinner, o.Winner)
	if o.Object != nil {
		e.bytes(tagObject, EncodeObject(nil, o.Object))
	}
	e.bytes(tagExtra, o.Extra)
	return e.finish(key, nil)
}

// DecodeOutcome is the reverse of EncodeOutcome.
func DecodeOutcome(key, value []byte) (*Outcome, error) {
	body, err := openAs(kindOutcome, key, value)
	if err != nil {
		return nil, err
	}
	o := &Outcome{}
	var object []byte
	_, err = fields(key, body, func(f *field) bool {
		switch f.tag {
		case tagRequest:
			o.Request = f.array16()
		case tagKind:
			o.Kind = objstore.Kind(f.uint32())
		case tagWinner:
			o.Winner = f.string()
		case tagObject:
			object = f.p
		case tagExtra:
			o.Extra = f.bytes()
		default:
			return false
		}
		return true
	})
	if err == nil && object != nil {
		o.Object, _, err = DecodeObject(nil, object)
	}
	return o, err
}
