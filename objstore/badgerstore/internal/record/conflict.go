package record

import (
	"github.com/etagfs/etagfs/objstore"
)

// Side is one content of a conflict.
type Side struct {
	objstore.ContentRef
	Lineage uint64  // for pins and garbage, as an object's id; 0: not held
	Content Content // if held
}

// Conflict is a kept copy. Held and the rest of a [objstore.ContentRef] are part of it.
type Conflict struct {
	objstore.Conflict // Base and Theirs are those of the sides
	Mine              Side
	Base              Side
	Theirs            Side
}

const (
	tagReason    = 0x40
	tagPath      = 0x41
	tagObjectID  = 0x42
	tagPID       = 0x43
	tagHost      = 0x44
	tagOperation = 0x45
	tagBytes     = 0x46
	tagDetail    = 0x47
	tagMine      = 0x48
	tagBase      = 0x49
	tagTheirs    = 0x4a
	tagExists    = 0x4b
	tagHeld      = 0x4c
	tagVersionID = 0x4d
	tagETag      = 0x4e
	tagRefSize   = 0x4f
	tagGaps      = 0x5a
)

// EncodeConflict is the value of a conflict.
func EncodeConflict(key []byte, c *Conflict) []byte {
	e := newEncoder(kindConflict)
	e.uint(tagReason, uint64(c.Reason))
	e.string(tagPath, c.Path)
	e.uint(tagObjectID, uint64(c.Object))
	e.uint(tagUID, uint64(c.UID))
	e.uint(tagGID, uint64(c.GID))
	e.uint(tagMode, uint64(c.Mode))
	e.uint(tagPID, uint64(c.PID))
	e.string(tagHost, c.Host)
	e.time(tagModified, c.Time)
	e.string(tagOperation, c.Operation)
	e.uint(tagBytes, uint64(c.Bytes))
	e.string(tagDetail, c.Detail)
	e.flag(tagGaps, c.Gaps)
	e.side(tagMine, &c.Mine)
	e.side(tagBase, &c.Base)
	e.side(tagTheirs, &c.Theirs)
	return e.finish(key, nil)
}

// side is one field with fields inside.
func (e *encoder) side(tag byte, s *Side) {
	in := &encoder{}
	in.flag(tagExists, s.Exists)
	in.flag(tagHeld, s.Held)
	in.string(tagVersionID, string(s.Version))
	in.string(tagETag, string(s.ETag))
	in.uint(tagRefSize, uint64(s.ContentRef.Size))
	in.uint(tagLineage, s.Lineage)
	in.content(&s.Content)
	e.bytes(tag, in.buf)
}

// DecodeConflict is the reverse of EncodeConflict; the ID comes from the key.
func DecodeConflict(key, value []byte) (*Conflict, error) {
	body, err := openAs(kindConflict, key, value)
	if err != nil {
		return nil, err
	}
	c := &Conflict{}
	var inner error
	_, err = fields(key, body, func(f *field) bool {
		switch f.tag {
		case tagMine:
			inner = first(inner, c.Mine.decode(key, f.p))
		case tagBase:
			inner = first(inner, c.Base.decode(key, f.p))
		case tagTheirs:
			inner = first(inner, c.Theirs.decode(key, f.p))
		default:
			return c.field(f)
		}
		return true
	})
	c.ID = objstore.ConflictID(ConflictID(key))
	c.Conflict.Base, c.Conflict.Theirs = c.Base.ContentRef, c.Theirs.ContentRef
	return c, first(err, inner)
}

func first(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

func (c *Conflict) field(f *field) bool {
	switch f.tag {
	case tagReason:
		c.Reason = objstore.ConflictReason(f.uint32())
	case tagPath:
		c.Path = f.string()
	case tagObjectID:
		c.Object = objstore.ID(f.uint())
	case tagUID:
		c.UID = f.uint32()
	case tagGID:
		c.GID = f.uint32()
	case tagMode:
		c.Mode = f.uint32()
	case tagPID:
		c.PID = f.uint32()
	case tagHost:
		c.Host = f.string()
	case tagModified:
		c.Time = f.time()
	case tagOperation:
		c.Operation = f.string()
	case tagBytes:
		c.Bytes = f.int()
	case tagDetail:
		c.Detail = f.string()
	case tagGaps:
		c.Gaps = f.uint() != 0
	default:
		return false
	}
	return true
}

func (s *Side) decode(key, body []byte) error {
	_, err := fields(key, body, func(f *field) bool {
		switch f.tag {
		case tagExists:
			s.Exists = f.uint() != 0
		case tagHeld:
			s.Held = f.uint() != 0
		case tagVersionID:
			s.Version = objstore.Version(f.string())
		case tagETag:
			s.ETag = objstore.ETag(f.string())
		case tagRefSize:
			s.ContentRef.Size = f.int()
		case tagLineage:
			s.Lineage = f.uint()
		default:
			return s.Content.field(f)
		}
		return true
	})
	return err
}
