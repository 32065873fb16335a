package blob

import (
	"context"
	"errors"
	"io"
	"path/filepath"

	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

// Export yields a blob packed: the bytes that were written, verified, without the holes between them, and then its
// checksum block, which says where they belong. What is yielded is valid until yield returns.
func (s *Store) Export(ctx context.Context, ref Ref, yield func(p []byte) error) error {
	b, err := s.eachWritten(ctx, ref, yield)
	if err != nil {
		return err
	}
	raw, _ := b.encode()
	return yield(raw)
}

// eachWritten yields what was written of a blob, verified, and returns its checksum block.
func (s *Store) eachWritten(ctx context.Context, ref Ref, yield func(p []byte) error) (*block, error) {
	s.files.forgetWritten(ref)
	file, err := s.fs.Open(s.Path(ref))
	if err != nil {
		return nil, missing(ref, err)
	}
	defer file.Close() // it was only read
	b, _, err := readBlock(s.fs, file, ref)
	if err != nil {
		return nil, err
	}
	h := &handle{ref: ref, file: file, block: b, units: newUnitCache()}
	return b, h.eachWritten(ctx, yield)
}

// Foot is the end of a blob's checksum block, which has the block's checksum in it: blobs of one number with the same are the same.
func (s *Store) Foot(ref Ref) ([]byte, error) {
	path := s.Path(ref)
	if ref.Bare {
		path += sumSuffix
	}
	file, err := s.fs.Open(path)
	if err != nil {
		return nil, missing(ref, err)
	}
	defer file.Close() // it was only read
	info, err := file.Stat()
	if err != nil {
		return nil, disk.Error("read blob", err)
	}
	return PackedFoot(file, info.Size)
}

// PackedFoot is Foot of what Export yielded, size bytes.
func PackedFoot(packed io.ReaderAt, size int64) ([]byte, error) {
	foot := make([]byte, footBytes)
	if size < footBytes {
		return nil, corrupt("no checksum block")
	}
	_, err := packed.ReadAt(foot, size-footBytes)
	return foot, disk.Error("read blob", err)
}

// Import makes a blob of what Export yielded, size bytes, all of which seen is called with, in order. The next Sync
// makes it durable. ErrCorrupt if it is another blob, or none.
func (s *Store) Import(ctx context.Context, ref Ref, packed io.ReaderAt, size int64, seen func(p []byte)) error {
	raw, err := packedBlock(packed, size)
	if err != nil {
		return err
	}
	b, _, err := decode(raw)
	if err != nil {
		return err
	}
	if written := b.writtenBytes(); b.id != ref.ID || written+int64(len(raw)) != size {
		return corrupt("%v: what is there is blob %x of %d bytes", ref, b.id, written)
	}
	path := s.Path(ref)
	if err := s.mkdir(filepath.Dir(path)); err != nil {
		return disk.Error("import blob", err)
	}
	file, err := s.fs.Create(path)
	if err != nil {
		return disk.Error("import blob", err)
	}
	err = b.unpack(ctx, file, packed, seen)
	if err == nil {
		seen(raw)
		err = s.placeBlock(ref, file, raw, b.dataBytes)
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return disk.Error("import blob", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unsynced[ref] = true
	s.dirty[filepath.Dir(path)] = true
	return nil
}

// packedBlock is the checksum block at the end of a packed blob.
func packedBlock(packed io.ReaderAt, size int64) ([]byte, error) {
	foot, err := PackedFoot(packed, size)
	if err != nil {
		return nil, err
	}
	length, err := footLength(foot)
	if err != nil {
		return nil, err
	}
	if length > size {
		return nil, corrupt("checksum block of %d bytes", length)
	}
	raw := make([]byte, length)
	_, err = packed.ReadAt(raw, size-length)
	return raw, disk.Error("read packed blob", err)
}

// writtenBytes is how much of the content is in no hole.
func (b *block) writtenBytes() (n int64) {
	for _, r := range b.sumRuns {
		n += min((r.first+r.n)*SumBytes, b.dataBytes) - r.first*SumBytes
	}
	return n
}

// unpack writes the content to where it belongs.
func (b *block) unpack(ctx context.Context, to disk.File, packed io.ReaderAt, seen func(p []byte)) error {
	buf := make([]byte, readChunkBytes)
	from := int64(0)
	for _, r := range b.sumRuns {
		end := min((r.first+r.n)*SumBytes, b.dataBytes)
		for off := r.first * SumBytes; off < end; off += readChunkBytes {
			if err := disk.Cancelled(ctx, "import blob"); err != nil {
				return err
			}
			p := buf[:min(readChunkBytes, end-off)]
			if n, err := packed.ReadAt(p, from); n < len(p) {
				return err
			}
			seen(p)
			if _, err := to.WriteAt(p, off); err != nil {
				return err
			}
			from += int64(len(p))
		}
	}
	return nil
}

// placeBlock writes the checksum block, and gives the content its size.
func (s *Store) placeBlock(ref Ref, file disk.File, raw []byte, dataBytes int64) error {
	if !ref.Bare {
		_, err := file.WriteAt(raw, dataBytes)
		return err
	}
	if err := file.Truncate(dataBytes); err != nil {
		return err
	}
	sums, err := s.fs.Create(file.Name() + sumSuffix)
	if err != nil {
		return err
	}
	_, err = sums.WriteAt(raw, 0)
	return errors.Join(err, sums.Close())
}
