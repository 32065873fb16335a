package objstore

import (
	"context"
	"io"
	"time"
)

// Reader reads one version of one object. It stays pinned to it until
// closed: overwrites, renames and deletes do not change what it returns. Its
// methods may be called concurrently.
type Reader interface {
	// Info is the object as it was when the reader was opened.
	Info() Info
	// ReadAt fills p from offset off, as io.ReaderAt: n < len(p) comes with
	// an error, io.EOF at the end. Bytes are verified before they are
	// returned; a mismatch is ErrCorrupt and returns none of the bad block.
	ReadAt(ctx context.Context, p []byte, off int64) (n int, err error)
	// Stream reads length bytes from off in order; length -1 means to the end. The
	// stream ends with ErrCorrupt instead of io.EOF if a block was bad. It
	// must be closed before the reader is. One that is also a [syscall.Conn] is of bytes that lie in one file as
	// they are, and were verified a short while ago: the kernel may send them from there.
	Stream(ctx context.Context, off, length int64) io.ReadCloser
	// Close releases the pin. It is idempotent.
	Close() error
}

// PutOptions describe a new content. The zero value is a durable put of an
// octet stream of unknown length.
type PutOptions struct {
	Durability  Durability
	Length      int64 // bytes the body must have if LengthKnown; another number is ErrInvalid and leaves nothing
	LengthKnown bool
	ContentType string
	UserMeta    map[string]string
	Headers     Headers
	Tags        map[string]string
	Attr        *NewAttr // for a key that did not exist; nil: the store's defaults
	WriteID     string   // identifies this write across retries; empty: none
	// Finish, if not nil, is called once the body was read to its end and has the right length, before anything of it can be
	// seen. It says what the body turned out to be; its error fails the put, which leaves nothing. Whoever wraps the body to
	// compute checksums compares them here.
	Finish func() (Digests, error)
}

// CopyRequest copies Src to Dst within one store, moving no bytes where the store can.
type CopyRequest struct {
	Src          Key
	SrcBucket    string // a bucket of the same engine; empty: this one. Needs Capabilities.CrossBucket
	SrcCond      Cond   // on the source; Unconditional and IfPresent both need it to exist
	Dst          Key
	DstCond      Cond
	Put          PutOptions // attributes of the copy, if ReplaceAttrs; tags if ReplaceTags; Length and Finish do not count
	ReplaceAttrs bool       // false: content type, headers and user metadata come from the source
	ReplaceTags  bool       // false: the tags come from the source
	// Digests of the copy. Without a checksum the copy keeps the source's, unless that is composite;
	// the ETag shown is never the source's, and a copy has no parts.
	Digests Digests
}

// RenameRequest moves Src to Dst: one atomic step. The object keeps its id and
// version. A Src ending in "/" moves the directory with all below it, if the store can.
type RenameRequest struct {
	Src        Key
	SrcCond    Cond
	Dst        Key
	DstCond    Cond
	Durability Durability
	WriteID    string
}

// DeleteOptions qualify a delete.
type DeleteOptions struct {
	Durability Durability
	WriteID    string
}

// ListOptions select keys. Results come in ascending byte order.
type ListOptions struct {
	Prefix     Key
	Delimiter  string // empty: none; else keys that contain it after Prefix are rolled up
	StartAfter Key    // only keys and common prefixes > StartAfter
	Max        int    // at most this many entries; <= 0: 1000
	Describe   bool   // entries are wanted as [Store.Head] tells them, where the store can do that at once
}

// ListEntry is an object, or a common prefix if Prefix is true (then only Key counts, and what is described).
type ListEntry struct {
	Key    Key
	Prefix bool
	Info   Info
	// Described is that Info is all that Head would tell of the key, at a moment after the listing began; of a
	// common prefix too, and then without a version if there is no object of that key.
	Described bool
}

// ListPage is one page of a listing. A page is one consistent snapshot; the
// next page (StartAfter = the last entry's Key) is a later one. A key that
// existed throughout is listed exactly once.
type ListPage struct {
	Entries []ListEntry
	More    bool
}

// Store is a flat conditional object store: one bucket. All methods may be
// called concurrently.
//
// A lost condition is ErrPrecondition, or ErrNotFound if an object was demanded and none was
// there (see [Cond.Check]). A condition on other facts than the version, such as an ETag that is not unique, a
// size or a time, is Head, a comparison and [IfVersion] of what was compared; one that is lost to
// a version of which the same facts hold may be tried again. A mutation whose context ends before it was
// queued is not applied; afterwards the store still resolves it before returning.
type Store interface {
	// Get pins the current version of key; ErrNotFound if there is none, and
	// ErrPrecondition if cond asks for another version.
	Get(ctx context.Context, key Key, cond Cond) (Reader, error)
	// Head describes key; ErrNotFound if there is none.
	Head(ctx context.Context, key Key) (Info, error)
	// Put reads body to its end and then, if cond holds at that moment, makes it the
	// content of key. A body that fails, ends early or is cancelled leaves nothing.
	Put(ctx context.Context, key Key, body io.Reader, cond Cond, opt PutOptions) (Info, error)
	// Delete removes key. Deleting what is not there succeeds if cond is
	// Unconditional and is ErrNotFound otherwise.
	Delete(ctx context.Context, key Key, cond Cond, opt DeleteOptions) error
	// Copy evaluates both conditions and copies in one step; a lost source
	// condition is reported before one of the destination.
	Copy(ctx context.Context, req CopyRequest) (Info, error)
	// Rename evaluates both conditions and moves in one step.
	Rename(ctx context.Context, req RenameRequest) (Info, error)
	List(ctx context.Context, opt ListOptions) (ListPage, error)
	Capabilities() Capabilities
	// Sync returns once every mutation acknowledged before the call is durable.
	Sync(ctx context.Context) error
}

// CondSet is a set of condition kinds.
type CondSet uint8

// CondsOf is the set of the kinds of the given conditions.
func CondsOf(conds ...Cond) CondSet {
	var set CondSet
	for _, c := range conds {
		set |= 1 << c.op
	}
	return set
}

// AllConds is the set of all four.
func AllConds() CondSet {
	return CondsOf(Unconditional(), IfAbsent(), IfPresent(), Cond{op: condIfVersion})
}

// Has reports whether conditions of c's kind are in the set.
func (s CondSet) Has(c Cond) bool { return s&(1<<c.op) != 0 }

// Capabilities say what a store can do. They tell the truth: what is missing
// here fails with ErrUnsupported, never silently.
type Capabilities struct {
	Put, Delete, CopySource, CopyTarget, RenameSource, RenameTarget CondSet

	UniqueVersions bool // no version is ever used twice: A-B-A is seen
	PinnedReaders  bool // readers keep their version; without it, what a reader has not read yet may turn into a lost condition, never into a mix
	OneDelete      bool // of several conditional deletes of one version one succeeds; without it, all of them may that run at the same time
	RenameFile     bool // atomic
	RenameDir      bool // atomic, in constant time
	HardLinks      bool
	Attributes     bool // modes, owners, times are stored
	AccessTimes    bool // AttrChange.AtimeWas is honoured: noting that a file was read costs little, and moves nothing else
	PartialCommit  bool // a small change of a large object costs its own size
	ServerCopy     bool // copies move no bytes
	Watch          bool // every change is reported
	CrossBucket    bool // copies from other buckets
	Headers        bool // Headers, Digests and Finish of a put are honoured
	Multipart      bool // the store is an Uploads
	Append         bool // the store is an Appender
	Tags           bool // the store is a Tagger, and Tags of a put are honoured
	Documents      bool // the store is a Documents
	Answers        bool // the store is an Answers
	Feed           bool // the store is a Feed
	ObjectBytesMax int64
	KeyBytesMax    int
}

// Buckets is the set of flat stores one engine holds. Names follow the rules of S3.
type Buckets interface {
	// Bucket opens an existing bucket; ErrNotFound if there is none. The
	// result also implements Namespace where the engine can.
	Bucket(ctx context.Context, name string) (Store, error)
	// CreateBucket makes an empty one; ErrPrecondition if it exists.
	CreateBucket(ctx context.Context, name string) error
	// DeleteBucket removes an empty one; ErrNotEmpty otherwise.
	DeleteBucket(ctx context.Context, name string) error
	ListBuckets(ctx context.Context) ([]BucketInfo, error)
}

// BucketInfo describes a bucket.
type BucketInfo struct {
	Name    string
	Created time.Time
}
