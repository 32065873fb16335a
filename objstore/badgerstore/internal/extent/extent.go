package extent

import "github.com/etagfs/etagfs/objstore/blockhash"

// Kind says what a source is.
type Kind uint8

// The kinds of source.
const (
	Hole   Kind = iota // zeros
	Inline             // a value in the key-value store
	Blob               // a blob file with its checksums at its end
	Bare               // a blob file of content alone, its checksums beside it
	kindEnd
)

// Source is a place in a payload. Off of a hole is 0, and so is its ID.
type Source struct {
	Kind Kind
	ID   uint64
	Off  int64
}

// advance is the source n bytes on.
func (s Source) advance(n int64) Source {
	if s.Kind != Hole {
		s.Off += n
	}
	return s
}

// Extent is a range of a content and where its bytes are.
type Extent struct {
	Off    int64
	Len    int64
	Source Source
}

// End is the offset behind the extent.
func (e Extent) End() int64 { return e.Off + e.Len }

// clip is the part of e in [from, to), which must not be empty.
func (e Extent) clip(from, to int64) Extent {
	from, to = max(from, e.Off), min(to, e.End())
	return Extent{Off: from, Len: to - from, Source: e.Source.advance(from - e.Off)}
}

// continues reports whether next is the direct continuation of e.
func (e Extent) continues(next Extent) bool {
	return e.End() == next.Off && e.Source.advance(e.Len) == next.Source
}

// Holds reports whether x is a part of e's payload where it would be if e went on to it.
func (e Extent) Holds(x Extent) bool {
	return e.Source.advance(x.Off-e.Off) == x.Source
}

// Through is how many of the extents, at least the first, can be read in one go of a blob: it ends with one of
// the first's, and between such gaps are shorter than gapBytes. If that is the unit a blob is verified in,
// all units in between have bytes of the blob.
func Through(extents []Extent, gapBytes int64) int {
	first, n := extents[0], 1
	if first.Source.Kind != Blob && first.Source.Kind != Bare {
		return 1
	}
	for i := 1; i < len(extents) && extents[i].Off-extents[n-1].End() < gapBytes; i++ {
		if first.Holds(extents[i]) {
			n = i + 1
		}
	}
	return n
}

// RefKind says what a reference points to.
type RefKind uint8

// The kinds of reference. They are those of sources, and pages.
const (
	RefInline = RefKind(Inline)
	RefBlob   = RefKind(Blob)
	RefBare   = RefKind(Bare)
	RefPage   = RefKind(kindEnd)
)

// Ref is one reference to a page or payload.
type Ref struct {
	Kind RefKind
	ID   uint64
}

// PageID names a page; never 0, never reused.
type PageID uint64

// PageState says who refers to a page.
type PageState uint8

// The states of a page.
const (
	Owned  PageState = iota // exactly one reference
	Shared                  // more than one
	Freed                   // none, its references have moved, it waits for removal
)

// Pages gives access to stored pages. A page returned is not changed.
type Pages interface {
	// Page returns a page as decoded by [DecodePage]; a page that is not there is objstore.ErrCorrupt.
	Page(id PageID) (*Page, error)
}

// Env is what an edit needs to know of the store.
type Env interface {
	Pages
	State(id PageID) (PageState, error)
	NewPageID() PageID
}

// DigestSource gives digests of blocks that one payload holds whole.
type DigestSource interface {
	// BlockDigests returns the digests of n blocks of a payload from s.Off on, a
	// multiple of blockhash.BlockBytes. The last may be short, to the payload's end.
	BlockDigests(s Source, n int64) ([]blockhash.Digest, error)
}

// BlockDigest is the digest of one block of a content.
type BlockDigest struct {
	Block  int64 // offset / blockhash.BlockBytes
	Digest blockhash.Digest
}

// Edit says how a content differs from its base.
type Edit struct {
	Size int64
	// Changes replace the base where they lie; ordered, not overlapping, within Size. A
	// base longer than Size is cut, beyond a shorter one is a hole.
	Changes []Extent
	// Blocks are the digests of the blocks that differ from the base in bytes or
	// length, ordered. A block may be missing if it is all hole, or if one
	// change covers it, from a source offset that is a multiple of the block
	// size in a payload that has its digest.
	Blocks []BlockDigest
}

// NewPage is a page to be written.
type NewPage struct {
	ID   PageID
	Page *Page
}

// Plan is what an edit needs done, in one transaction with the record that gets Content.
type Plan struct {
	Content Content
	// Pages are new; each has one reference, from Content or another of them.
	Pages []NewPage
	// Gained are references to what exists, or to payloads that come with this edit
	// (their first reference is among them). A Ref may occur several times.
	Gained []Ref
	// Dropped are references of the base that end when nothing needs the base any more, nor a content that
	// was replaced before it: those may share what is dropped.
	Dropped []Ref
	// Freed are pages of the base whose references have moved; like Dropped, but
	// what they refer to is left alone.
	Freed []PageID
	// Revived are pages that were Freed and are referred to again: their pending removal is
	// cancelled. The reference to them is the new content's, those they have are in Gained.
	Revived []PageID
}
