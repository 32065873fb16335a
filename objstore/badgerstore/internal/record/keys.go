package record

import (
	"encoding/binary"
)

// Tag is the first byte of a key: it says what the key is.
const (
	TagBucket   = 'B' // name -> Bucket
	TagConflict = 'C' // bucket root, conflict id -> Conflict
	TagEntry    = 'E' // directory, stored name -> Object or Ref
	TagGarbage  = 'G' // number -> Garbage
	TagName     = 'N' // object, directory, stored name -> one of several names
	TagObject   = 'O' // object -> Object or Place
	TagPayload  = 'P' // number -> an inline payload
	TagPage     = 'Q' // number -> a page of extents
	TagRefs     = 'R' // kind, number -> Refs, if not exactly one
	TagSequence = 'S' // -> Sequence, one version per batch
	TagOutcome  = 'W' // bucket root, write id -> Outcome
	TagExpiry   = 'X' // time, bucket root, write id -> nothing: when an outcome may go
)

// KeyBytesMin is the length of the shortest keys with a tag; 0: there are none.
func KeyBytesMin(tag byte) int {
	switch tag {
	case TagSequence:
		return 1
	case TagBucket:
		return 2
	case TagDocument:
		return 10
	case TagLayout, TagPart:
		return 13
	case TagUpload:
		return 19
	case TagConflict, TagEntry, TagGarbage, TagObject, TagPayload, TagPage, TagOutcome:
		return 9
	case TagRefs:
		return 10
	case TagName, TagExpiry:
		return 17
	}
	return 0
}

// Number is the number, or id, in a key that begins with one.
func Number(key []byte) uint64 { return binary.BigEndian.Uint64(key[1:]) }

// Place is where an entry is.
type Place struct {
	Parent uint64
	Stored string
}

func idKey(tag byte, id uint64, rest int) []byte {
	key := make([]byte, 9, 9+rest)
	key[0] = tag
	binary.BigEndian.PutUint64(key[1:], id)
	return key
}

// EntryKey is the key of the entry at p.
func EntryKey(p Place) []byte { return append(idKey(TagEntry, p.Parent, len(p.Stored)), p.Stored...) }

// EntryPrefix begins the keys of all entries of a directory.
func EntryPrefix(dir uint64) []byte { return idKey(TagEntry, dir, 0) }

// EntryStored is the stored name in an entry's key.
func EntryStored(key []byte) string { return string(key[9:]) }

// ObjectKey is the key of what is kept under an object's id.
func ObjectKey(id uint64) []byte { return idKey(TagObject, id, 0) }

// NameKey is the key that says that object id has a name at p.
func NameKey(id uint64, p Place) []byte {
	key := binary.BigEndian.AppendUint64(idKey(TagName, id, 8+len(p.Stored)), p.Parent)
	return append(key, p.Stored...)
}

// NamePrefix begins the keys of all names of an object.
func NamePrefix(id uint64) []byte { return idKey(TagName, id, 0) }

// NamePlace is the place in a name's key.
func NamePlace(key []byte) Place {
	return Place{Parent: binary.BigEndian.Uint64(key[9:]), Stored: string(key[17:])}
}

// BucketKey is the key of a bucket.
func BucketKey(name string) []byte { return append([]byte{TagBucket}, name...) }

// BucketPrefix begins the keys of all buckets.
func BucketPrefix() []byte { return []byte{TagBucket} }

// BucketName is the name in a bucket's key.
func BucketName(key []byte) string { return string(key[1:]) }

// PayloadKey is the key of an inline payload.
func PayloadKey(number uint64) []byte { return idKey(TagPayload, number, 0) }

// PageKey is the key of a page of extents.
func PageKey(number uint64) []byte { return idKey(TagPage, number, 0) }

// RefsKey is the key of the count of references to a page or payload.
func RefsKey(kind uint8, number uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{TagRefs, kind}, number)
}

// SequenceKey is the key of which every batch writes a version.
func SequenceKey() []byte { return []byte{TagSequence} }

// GarbageKey is the key of a content to be deleted; numbers ascend.
func GarbageKey(number uint64) []byte { return idKey(TagGarbage, number, 0) }

// GarbagePrefix begins the keys of all contents to be deleted.
func GarbagePrefix() []byte { return []byte{TagGarbage} }

// ConflictKey is the key of a conflict of the bucket with the given root.
func ConflictKey(root uint64, id string) []byte {
	return append(idKey(TagConflict, root, len(id)), id...)
}

// ConflictPrefix begins the keys of all conflicts of a bucket.
func ConflictPrefix(root uint64) []byte { return idKey(TagConflict, root, 0) }

// ConflictID is the id in a conflict's key.
func ConflictID(key []byte) string { return string(key[9:]) }

// OutcomeKey is the key of the outcome of a write that had an id.
func OutcomeKey(root uint64, writeID string) []byte {
	return append(idKey(TagOutcome, root, len(writeID)), writeID...)
}

// ExpiryKey sorts outcomes by the second since 1970 in which they came about.
func ExpiryKey(second int64, root uint64, writeID string) []byte {
	key := binary.BigEndian.AppendUint64(idKey(TagExpiry, uint64(second), 8+len(writeID)), root)
	return append(key, writeID...)
}

// ExpiryPrefix begins the keys of all expiries.
func ExpiryPrefix() []byte { return []byte{TagExpiry} }

// ParseExpiryKey takes an expiry key apart.
func ParseExpiryKey(key []byte) (second int64, root uint64, writeID string) {
	return int64(binary.BigEndian.Uint64(key[1:])), binary.BigEndian.Uint64(key[9:]), string(key[17:])
}
