package blob

import (
	"context"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
	"github.com/etagfs/etagfs/objstore/blockhash"
)

// Ref names a blob.
type Ref struct {
	ID   uint64
	Bare bool // checksums in a file of their own
}

// Sealed is a complete payload file in a staging directory, checksum block written.
type Sealed struct {
	Ref       Ref
	Path      string // of the content
	SumPath   string // of the checksum block, if bare
	DataBytes int64
	Check     uint64 // checksum of the checksum block: with it and the Ref, Verify knows the blob whole
}

// Options of a Store.
type Options struct {
	OpenMax int // descriptors kept open; 0: 512
}

// Store is the blob tree below one directory.
type Store struct{}

// Open opens the tree below dir, which it makes if it is absent.
func Open(fs disk.FS, dir string, opt Options) (*Store, error) { return nil, objstore.ErrUnsupported }

// Close closes all descriptors. Nothing may be in use.
func (s *Store) Close() error { return nil }

// Path is the file of a blob.
func (s *Store) Path(ref Ref) string { return "" }

// Adopt links a sealed file into the tree: no bytes move. The staged name stays
// until the stage is closed. Adopting the same twice is no error.
func (s *Store) Adopt(sealed Sealed) error { return objstore.ErrUnsupported }

// Sync makes every blob adopted before the call durable. An error is final:
// it is not known what reached the disk, and the call must not be repeated.
func (s *Store) Sync() error { return objstore.ErrUnsupported }

// ReadAt reads verified bytes of the content; io.EOF at its end.
func (s *Store) ReadAt(ctx context.Context, ref Ref, p []byte, off int64) (int, error) {
	return 0, objstore.ErrUnsupported
}

// BlockDigests returns the digests of n blocks from block first on; ErrCorrupt if the blob has not got them.
func (s *Store) BlockDigests(ctx context.Context, ref Ref, first, n int64) ([]blockhash.Digest, error) {
	return nil, objstore.ErrUnsupported
}

// Size is the number of content bytes.
func (s *Store) Size(ref Ref) (int64, error) { return 0, objstore.ErrUnsupported }

// Verify reads the whole blob past the page cache. With check not 0 its checksum
// block must be that one. Any damage, absence included, is ErrCorrupt.
func (s *Store) Verify(ctx context.Context, ref Ref, check uint64) error {
	return objstore.ErrUnsupported
}

// Remove removes a blob, which nobody may be reading. Removing what is not there is no error.
func (s *Store) Remove(ref Ref) error { return objstore.ErrUnsupported }

// Orphans yields every blob with an id >= low, so that the caller can remove those
// nothing refers to. A half (checksums without content or the reverse) is yielded too.
func (s *Store) Orphans(low uint64, yield func(Ref) error) error { return objstore.ErrUnsupported }
