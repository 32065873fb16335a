package badgerstore

import (
	"context"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/staging"
	"github.com/etagfs/etagfs/objstore/blockhash"
)

// lent is a content some of whose bytes are those of a stage that started from another. It implements [staging.Lender], with a hold
// that is its own.
//
// A commit of the stage counts references of its own to the blobs. They are there for as long as the hold is, whatever becomes of the version; and
// who finds the commit after a loss of power finds that of the version, which is older.
type lent struct{ *pinned }

var _ staging.Lender = lent{}

// File implements [staging.Lender].
func (l lent) File(blob extent.Source) string {
	return l.e.blobs.Path(blobOf(extent.RefKind(blob.Kind), blob.ID))
}

// ReadBlob implements [staging.Lender].
func (l lent) ReadBlob(ctx context.Context, from extent.Source, p []byte) error {
	_, err := l.e.readBlob(ctx, extent.Ref{Kind: extent.RefKind(from.Kind), ID: from.ID}, p, from.Off)
	return err
}

// BlockDigests implements [staging.Lender].
func (l lent) BlockDigests(blob extent.Source, n int64) ([]blockhash.Digest, error) {
	return runDigests{e: l.e}.BlockDigests(blob, n)
}

// Release implements [staging.Lender].
func (l lent) Release() { l.release() }

// Share implements [objstore.Sharer].
func (s *stage) Share(ctx context.Context, src objstore.Reader, from, n, to int64) (int64, error) {
	held, err := holdOn(src)
	if err == nil && held == nil {
		err = objstore.ErrInvalid
	}
	if err != nil {
		return 0, named("share", s.Stage.Owner().Path, err)
	}
	copied, err := s.Stage.Borrow(ctx, lent{held}, from, n, to)
	return copied, named("share", s.Stage.Owner().Path, err)
}
