package record

import (
	"encoding/binary"
	"maps"
	"slices"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// HashKind says how a content's hash came about. Hashes compare only within a kind.
type HashKind uint8

// The kinds of hash.
const (
	HashBlocks HashKind = iota // package blockhash: of the bytes up to 4 MiB, else of the digests of 4 MiB blocks
	HashParts                  // of the digests of the parts it was assembled from
)

// Content is a content and where its bytes are.
type Content struct {
	Size      int64
	Allocated int64
	Hash      [16]byte
	HashKind  HashKind
	Root      []byte // package extent's encoding; empty for no bytes
}

// Object is a file, directory, symlink or special file. A decoded or stored one is not
// changed any more: change a [Object.Clone].
type Object struct {
	ID          uint64
	Type        objstore.FileType
	Version     uint64
	MetaVersion uint64
	Content     Content
	Modified    time.Time
	Attr        objstore.Attr
	Rdev        uint32
	Links       uint32 // names of a free file; 0: embedded, or a directory
	Target      string // of a symlink
	ContentType string
	UserMeta    map[string]string
	Xattrs      map[string][]byte
	Headers     objstore.Headers
	Tags        map[string]string
	Checksums   map[string][]byte // that S3 clients sent, by algorithm, as text
	ShownETag   string            // in place of the one made of hash and version; of this content alone
	PartCount   uint32            // parts the content was assembled from; see Layout
	Explicit    bool
	// Place is the only place of the object. It is part of the record for
	// directories, of the key for embedded objects, and unknown for free files.
	Place Place
	// Children are the entries of a directory, Subdirs those that are directories.
	Children uint64
	Subdirs  uint64
	Unknown  []byte // optional fields of a newer program
}

// Clone is a copy whose fields may be set. Maps and slices are shared: replace them.
func (o *Object) Clone() *Object {
	c := *o
	return &c
}

// IsDir reports whether o is a directory.
func (o *Object) IsDir() bool { return o.Type == objstore.TypeDir }

// IsFree reports whether o lives under its id.
func (o *Object) IsFree() bool { return o.IsDir() || o.Links > 0 }

// The tags of an object's fields. 0x1b..0x1f and 0x90..0x9f are set aside for
// locks and access lists.
const (
	tagID          = 0x01
	tagType        = 0x02
	tagVersion     = 0x03
	tagMetaVersion = 0x04
	tagSize        = 0x05
	tagAllocated   = 0x06
	tagHash        = 0x07
	tagHashKind    = 0x08
	tagRoot        = 0x09
	tagModified    = 0x0a
	tagMode        = 0x0b
	tagUID         = 0x0c
	tagGID         = 0x0d
	tagAtime       = 0x0e
	tagMtime       = 0x0f
	tagCtime       = 0x10
	tagRdev        = 0x12
	tagLinks       = 0x13
	tagTarget      = 0x14
	tagXattr       = 0x15
	tagExplicit    = 0x16
	tagParent      = 0x17
	tagStored      = 0x18
	tagChildren    = 0x20
	tagSubdirs     = 0x21
	tagContentType = 0x22
	tagUserMeta    = 0x23
	tagPartCount   = 0x19
	tagShownETag   = 0x1a
	tagBtime       = 0x80
	tagChecksum    = 0x81
	tagHeader      = 0x82
	tagTag         = 0x83
)

// EncodeObject is the value of o under key.
func EncodeObject(key []byte, o *Object) []byte {
	e := newEncoder(kindObject)
	e.uint(tagID, o.ID)
	e.uint(tagType, uint64(o.Type))
	e.uint(tagVersion, o.Version)
	e.uint(tagMetaVersion, o.MetaVersion)
	e.content(&o.Content)
	e.time(tagModified, o.Modified)
	e.uint(tagMode, uint64(o.Attr.Mode))
	e.uint(tagUID, uint64(o.Attr.UID))
	e.uint(tagGID, uint64(o.Attr.GID))
	e.time(tagAtime, o.Attr.Atime)
	e.time(tagMtime, o.Attr.Mtime)
	e.time(tagCtime, o.Attr.Ctime)
	e.uint(tagRdev, uint64(o.Rdev))
	e.uint(tagLinks, uint64(o.Links))
	e.string(tagTarget, o.Target)
	pairs(e, tagXattr, o.Xattrs)
	e.flag(tagExplicit, o.Explicit)
	if o.IsDir() {
		e.uint(tagParent, o.Place.Parent)
		e.string(tagStored, o.Place.Stored)
	}
	e.uint(tagChildren, o.Children)
	e.uint(tagSubdirs, o.Subdirs)
	e.string(tagContentType, o.ContentType)
	pairs(e, tagUserMeta, o.UserMeta)
	e.uint(tagPartCount, uint64(o.PartCount))
	e.string(tagShownETag, o.ShownETag)
	e.time(tagBtime, o.Attr.Btime)
	pairs(e, tagChecksum, o.Checksums)
	headers(e, o.Headers)
	pairs(e, tagTag, o.Tags)
	return e.finish(key, o.Unknown)
}

func (e *encoder) content(c *Content) {
	e.uint(tagSize, uint64(c.Size))
	e.uint(tagAllocated, uint64(c.Allocated))
	if c.Hash != [16]byte{} {
		e.bytes(tagHash, c.Hash[:])
	}
	e.uint(tagHashKind, uint64(c.HashKind))
	e.bytes(tagRoot, c.Root)
}

func pairs[V ~string | ~[]byte](e *encoder, tag byte, m map[string]V) {
	if len(m) == 0 {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(m)) {
		e.pair(tag, name, []byte(m[name]))
	}
}

func decodeObject(key, body []byte) (*Object, error) {
	o := &Object{}
	unknown, err := fields(key, body, func(f *field) bool {
		return o.identity(f) || o.Content.field(f) || o.attributes(f) || o.tree(f) || o.metadata(f)
	})
	if err != nil {
		return nil, err
	}
	if o.ID == 0 || o.Type == 0 || o.Type > objstore.TypeBlockDevice {
		return nil, corrupt(key, "an object without id or type")
	}
	o.Unknown = unknown
	return o, nil
}

func (o *Object) identity(f *field) bool {
	switch f.tag {
	case tagID:
		o.ID = f.uint()
	case tagType:
		o.Type = objstore.FileType(f.uint32())
	case tagVersion:
		o.Version = f.uint()
	case tagMetaVersion:
		o.MetaVersion = f.uint()
	case tagModified:
		o.Modified = f.time()
	default:
		return false
	}
	return true
}

func (c *Content) field(f *field) bool {
	switch f.tag {
	case tagSize:
		c.Size = f.int()
	case tagAllocated:
		c.Allocated = f.int()
	case tagHash:
		c.Hash = f.array16()
	case tagHashKind:
		c.HashKind = HashKind(f.uint32())
	case tagRoot:
		c.Root = f.bytes()
	default:
		return false
	}
	return true
}

func (o *Object) attributes(f *field) bool {
	switch f.tag {
	case tagMode:
		o.Attr.Mode = f.uint32()
	case tagUID:
		o.Attr.UID = f.uint32()
	case tagGID:
		o.Attr.GID = f.uint32()
	case tagAtime:
		o.Attr.Atime = f.time()
	case tagMtime:
		o.Attr.Mtime = f.time()
	case tagCtime:
		o.Attr.Ctime = f.time()
	case tagBtime:
		o.Attr.Btime = f.time()
	case tagRdev:
		o.Rdev = f.uint32()
	case tagTarget:
		o.Target = f.string()
	default:
		return false
	}
	return true
}

func (o *Object) tree(f *field) bool {
	switch f.tag {
	case tagLinks:
		o.Links = f.uint32()
	case tagExplicit:
		o.Explicit = f.uint() != 0
	case tagParent:
		o.Place.Parent = f.uint()
	case tagStored:
		o.Place.Stored = f.string()
	case tagChildren:
		o.Children = f.uint()
	case tagSubdirs:
		o.Subdirs = f.uint()
	default:
		return false
	}
	return true
}

func (o *Object) metadata(f *field) bool {
	switch f.tag {
	case tagContentType:
		o.ContentType = f.string()
	case tagUserMeta:
		putString(&o.UserMeta, f)
	case tagXattr:
		put(&o.Xattrs, f)
	case tagChecksum:
		put(&o.Checksums, f)
	case tagPartCount:
		o.PartCount = f.uint32()
	case tagShownETag:
		o.ShownETag = f.string()
	case tagHeader:
		header(&o.Headers, f)
	case tagTag:
		putString(&o.Tags, f)
	default:
		return false
	}
	return true
}

func put(m *map[string][]byte, f *field) {
	name, value := f.pair()
	if *m == nil {
		*m = map[string][]byte{}
	}
	(*m)[name] = value
}

func putString(m *map[string]string, f *field) {
	name, value := f.pair()
	if *m == nil {
		*m = map[string]string{}
	}
	(*m)[name] = string(value)
}

// Ref is an entry that names an object that lives under its id.
type Ref struct {
	ID  uint64
	Dir bool
}

// EncodeRef is the value of an entry that names a free object.
func EncodeRef(key []byte, r Ref) []byte {
	e := newEncoder(kindRef)
	e.uint(tagID, r.ID)
	e.flag(tagType, r.Dir)
	return e.finish(key, nil)
}

// DecodeEntry is an entry: an embedded object, or a reference to a free one.
func DecodeEntry(key, value []byte) (*Object, Ref, error) {
	k, body, err := open(key, value)
	if err != nil {
		return nil, Ref{}, err
	}
	switch k {
	case kindObject:
		o, err := decodeObject(key, body)
		if err != nil {
			return nil, Ref{}, err
		}
		o.Place = Place{Parent: binary.BigEndian.Uint64(key[1:]), Stored: EntryStored(key)}
		return o, Ref{ID: o.ID}, nil
	case kindRef:
		r, err := decodeRef(key, body)
		return nil, r, err
	}
	return nil, Ref{}, corrupt(key, "not an entry")
}

func decodeRef(key, body []byte) (r Ref, err error) {
	_, err = fields(key, body, func(f *field) bool {
		switch f.tag {
		case tagID:
			r.ID = f.uint()
		case tagType:
			r.Dir = f.uint() != 0
		default:
			return false
		}
		return true
	})
	if err == nil && r.ID == 0 {
		err = corrupt(key, "an entry without id")
	}
	return r, err
}

// EncodePlace is the value under the id of an embedded object.
func EncodePlace(key []byte, p Place) []byte {
	e := newEncoder(kindPlace)
	e.uint(tagParent, p.Parent)
	e.string(tagStored, p.Stored)
	return e.finish(key, nil)
}

// DecodeObject is what is under an id: a free object, or the place of an embedded one.
func DecodeObject(key, value []byte) (*Object, Place, error) {
	k, body, err := open(key, value)
	if err != nil {
		return nil, Place{}, err
	}
	switch k {
	case kindObject:
		o, err := decodeObject(key, body)
		return o, Place{}, err
	case kindPlace:
		var p Place
		_, err := fields(key, body, func(f *field) bool {
			switch f.tag {
			case tagParent:
				p.Parent = f.uint()
			case tagStored:
				p.Stored = f.string()
			default:
				return false
			}
			return true
		})
		return nil, p, err
	}
	return nil, Place{}, corrupt(key, "not an object")
}
