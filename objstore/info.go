package objstore

import "time"

// FileType is what an object is to POSIX.
type FileType uint8

// The file types. The zero value is invalid. Stores keep these numbers.
const (
	TypeFile FileType = iota + 1
	TypeDir
	TypeSymlink
	TypeFifo
	TypeSocket
	TypeCharDevice
	TypeBlockDevice
)

// SymlinkMeta is the user metadata key that holds a symlink's target where a [Store] shows the
// link as a zero-byte object. The object's own metadata has no such key: a put that brings it
// makes a file, never a link.
const SymlinkMeta = "etagfs-symlink"

// Attr are the POSIX attributes of an object.
type Attr struct {
	Mode  uint32 // permission bits with setuid, setgid and sticky: 07777, no type bits
	UID   uint32
	GID   uint32
	Atime time.Time
	Mtime time.Time
	Ctime time.Time // set by the store at every change
	Btime time.Time // creation, set by the store
}

// Info describes an object at one moment. It is a copy: nothing in it is shared with the store,
// except that maps must not be written by the receiver.
type Info struct {
	ID          ID
	Type        FileType
	Size        int64 // content bytes; length of the target for a symlink
	Allocated   int64 // bytes of storage the content takes, holes excluded
	Version     Version
	ETag        ETag      // of MakeETag, or what the writer had it be (Digests)
	MetaVersion uint64    // moves with every change of attributes, xattrs, tags or names
	Modified    time.Time // content commit; S3's Last-Modified; never moves back for a key
	Attr        Attr
	Nlink       uint32
	Rdev        uint32
	ContentType string
	UserMeta    map[string]string // S3 user metadata, keys lower case
	Headers     Headers
	Tags        map[string]string
	Checksum    Checksum // see Digests
	PartCount   int      // of the parts the content was assembled from; 0: it was not. Parts are told by Uploads.Parts
	Xattrs      map[string][]byte
	Explicit    bool // directories: made on purpose (mkdir, put "a/"), not implied by a key below
}

// AttrChange is a set of changes to attributes; nil fields stay as they are.
// The store sets ctime and the metadata version itself.
type AttrChange struct {
	Mode        *uint32
	UID         *uint32
	GID         *uint32
	Atime       *time.Time
	AtimeWas    *time.Time // set: Atime, which is all there is then, is when a file was read; see [Namespace.SetAttr]
	Mtime       *time.Time // nil in a content commit: the time of the commit
	ContentType *string
	UserMeta    map[string]string // nil: keep; else replaces all
	Xattrs      map[string][]byte // by name; a nil value removes
}

// IsZero reports whether c changes nothing.
func (c AttrChange) IsZero() bool {
	return c.Mode == nil && c.UID == nil && c.GID == nil && c.Atime == nil && c.Mtime == nil &&
		c.ContentType == nil && c.UserMeta == nil && len(c.Xattrs) == 0
}

// NewAttr are the attributes of an object that is being made.
type NewAttr struct {
	Mode uint32
	UID  uint32
	GID  uint32
}

// Durability says when a mutation is answered.
type Durability uint8

// The zero value is the safe one.
const (
	Durable Durability = iota // survives the loss of power
	Visible                   // seen by every later read; survives a crash of the process
)
