package staging

import (
	"context"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/blob"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
	"github.com/etagfs/etagfs/objstore/blockhash"
)

// Base is the committed content a stage starts from. It is pinned by the
// caller for as long as the stage uses it. Methods may be called concurrently.
type Base interface {
	Size() int64
	// ReadAt reads verified bytes, as io.ReaderAt.
	ReadAt(ctx context.Context, p []byte, off int64) (int, error)
	// Extents is extent.Content.Extents.
	Extents(off, length int64, yield func(extent.Extent) error) error
	// Digests is extent.Content.Digests.
	Digests(first, n int64) ([]blockhash.Digest, error)
}

// Space admits bytes to be written; space.Guard is one.
type Space interface {
	Reserve(n int64) error
	Release(n int64)
}

// Options of a Session.
type Options struct {
	InlineBytes int           // contents and changes up to this size go to the key-value store
	NewID       func() uint64 // ids of blobs; never 0, growing
	Space       Space
}

// Session is this process's staging directory.
type Session struct{}

// OpenSession makes a new session below dir, which it makes if it is absent.
func OpenSession(fs disk.FS, dir string, opt Options) (*Session, error) {
	return nil, objstore.ErrUnsupported
}

// Close removes the session. Stages still open are closed, their bytes dropped.
func (s *Session) Close() error { return nil }

// NewStage starts a stage over base; nil is the empty content.
func (s *Session) NewStage(owner objstore.Owner, base Base) *Stage { return nil }

// Found is a changed stage of a process that is gone.
type Found struct {
	Owner  objstore.Owner
	Commit uint64 // the last version it was sealed for, if that commit's outcome was not noted; 0: none
}

// Sweep looks into the sessions below dir whose process is gone. For each stage
// that was changed it calls resume, which says what its base is now (nil if it had none
// or that is lost) and then keep with the stage, now one of session s. What keep returns nil for is removed.
func (s *Session) Sweep(resume func(Found) (Base, error), keep func(Found, *Stage) error) error {
	return objstore.ErrUnsupported
}

// Stage is one writer's private copy. Methods may be called concurrently.
type Stage struct{}

// Size is the current size.
func (st *Stage) Size() int64 { return 0 }

// Changed reports whether anything was written, truncated or allocated since
// the base or the last successful commit.
func (st *Stage) Changed() bool { return false }

// Owner is whose the stage is.
func (st *Stage) Owner() objstore.Owner { return objstore.Owner{} }

// ReadAt implements objstore.Stage.
func (st *Stage) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	return 0, objstore.ErrUnsupported
}

// WriteAt implements objstore.Stage.
func (st *Stage) WriteAt(ctx context.Context, p []byte, off int64) (int, error) {
	return 0, objstore.ErrUnsupported
}

// Truncate implements objstore.Stage.
func (st *Stage) Truncate(ctx context.Context, size int64) error { return objstore.ErrUnsupported }

// Allocate implements objstore.Stage.
func (st *Stage) Allocate(ctx context.Context, off, length int64, mode objstore.AllocateMode) error {
	return objstore.ErrUnsupported
}

// NextData implements objstore.Stage.
func (st *Stage) NextData(ctx context.Context, off int64) (int64, error) {
	return 0, objstore.ErrUnsupported
}

// NextHole implements objstore.Stage.
func (st *Stage) NextHole(ctx context.Context, off int64) (int64, error) {
	return 0, objstore.ErrUnsupported
}

// Seal freezes the content as it is now, after the writes in flight, and finishes its hash. object and version
// are what it is to be committed as; they are noted with the bytes.
//
// One Sealed at a time: Committed or Failed must be called on it before the next Seal returns.
func (st *Stage) Seal(ctx context.Context, object objstore.ID, version uint64) (*Sealed, error) {
	return nil, objstore.ErrUnsupported
}

// Close drops the stage and what is not sealed; adopted blobs stay.
func (st *Stage) Close() error { return nil }

// Sealed is a frozen content, ready to be committed.
type Sealed struct {
	Size     int64
	Hash     blockhash.Digest
	Appended bool // the base's bytes followed by more, at least one
	Changed  bool // something differs, or was written, since the base

	// Whole says that Inline is the whole content: store it as one inline payload.
	Whole  bool
	Inline []byte // the bytes that belong into an inline payload; nil: none. Not to be changed

	// Blobs are the files the content uses, to be adopted. They may have been
	// adopted already for an earlier attempt of this stage.
	Blobs []blob.Sealed
	// Edit is how the content differs from the stage's base. Sources of kind Inline
	// have ID InlineID, which stands for the payload made of Inline. If Whole, it is one such source, or none.
	Edit extent.Edit
	// FromBase says whether bytes of the base are used. If not, the content is
	// extent.Apply(extent.Content{}, Edit, ...), whatever became of the base.
	FromBase bool
}

// InlineID stands for the id of the payload made of Sealed.Inline.
const InlineID = ^uint64(0)

// Committed says that the commit succeeded: base is the committed content, owner.Base its version. The
// stage goes on from there with what was written since the seal.
func (se *Sealed) Committed(owner objstore.Owner, base Base) {}

// Failed says that it did not: the stage is as before.
func (se *Sealed) Failed() {}
