package badgerstore

import (
	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

// raw is a value that was encoded before it came to the committer.
type raw []byte

// decode is the value under key as the rest of the package works with it:
// *record.Object, record.Ref, record.Place, *extent.Page or raw. The first byte of
// the key decides. A raw shares its bytes with value.
func decode(key, value []byte) (any, error) {
	switch key[0] {
	case record.TagEntry:
		o, ref, err := record.DecodeEntry(key, value)
		if o != nil {
			return o, err
		}
		return ref, err
	case record.TagObject:
		o, place, err := record.DecodeObject(key, value)
		if o != nil {
			return o, err
		}
		return place, err
	case record.TagPage:
		return extent.DecodePage(extent.PageID(record.Number(key)), value)
	case record.TagRefs:
		return record.DecodeRefs(key, value)
	case record.TagGarbage:
		return record.DecodeGarbage(key, value)
	case record.TagConflict:
		return record.DecodeConflict(key, value)
	case record.TagOutcome:
		return record.DecodeOutcome(key, value)
	case record.TagBucket:
		return record.DecodeBucket(key, value)
	case record.TagUpload:
		return record.DecodeUpload(key, value)
	case record.TagPart:
		return record.DecodePart(key, value)
	case record.TagLayout:
		return record.DecodeLayout(key, value)
	default:
		return raw(value), nil
	}
}

// encode is the reverse of decode.
func encode(key []byte, value any) ([]byte, error) {
	switch v := value.(type) {
	case raw:
		return v, nil
	case *record.Object:
		return record.EncodeObject(key, v), nil
	case record.Ref:
		return record.EncodeRef(key, v), nil
	case record.Place:
		return record.EncodePlace(key, v), nil
	case *extent.Page:
		return v.Encode(extent.PageID(record.Number(key))), nil
	case record.Refs:
		return record.EncodeRefs(key, v), nil
	case *record.Garbage:
		return record.EncodeGarbage(key, v), nil
	case *record.Conflict:
		return record.EncodeConflict(key, v), nil
	case *record.Outcome:
		return record.EncodeOutcome(key, v), nil
	case record.Bucket:
		return record.EncodeBucket(key, v), nil
	case *record.Upload:
		return record.EncodeUpload(key, v), nil
	case *record.Part:
		return record.EncodePart(key, v), nil
	case record.Layout:
		return record.EncodeLayout(key, v), nil
	}
	return nil, problem(objstore.ErrCorrupt, "a value of type %T has no encoding", value)
}

// isCached says which values are worth remembering.
func isCached(key []byte) bool {
	switch key[0] {
	case record.TagEntry, record.TagObject, record.TagPage, record.TagBucket:
		return true
	}
	return false
}

// weight is about how many bytes a value takes in a batch.
func weight(value any) int {
	const recordBytes, partBytes = 384, 20
	switch v := value.(type) {
	case raw:
		return len(v)
	case *extent.Page:
		return recordBytes + 16*len(v.Extents) + 24*len(v.Slots)
	case *record.Garbage:
		return recordBytes + 16*len(v.Dropped) + 12*len(v.Freed) + 16*len(v.Unlink)
	case *record.Conflict:
		return recordBytes + len(v.Path) + len(v.Detail)
	case *record.Outcome:
		return recordBytes + weight(v.Object)
	case *record.Upload:
		return recordBytes + weightOf(v.Options.UserMeta) + weightOf(v.Options.Tags)
	case record.Layout:
		n := recordBytes
		for i := range v {
			n += partBytes + len(v[i].Checksum.Algorithm) + len(v[i].Checksum.Value)
		}
		return n
	case *record.Object:
		if v == nil {
			return 0
		}
		return recordBytes + len(v.Target) + len(v.ContentType) + weightOf(v.Xattrs) + weightOf(v.UserMeta) + weightOf(v.Tags) + weightOf(v.Checksums)
	default:
		return recordBytes
	}
}

func weightOf[V string | []byte](m map[string]V) (n int) {
	for name, v := range m {
		n += len(name) + len(v)
	}
	return n
}
