package blob

import (
	"context"
	"io"

	"github.com/zeebo/xxh3"

	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
	"github.com/etagfs/etagfs/objstore/blockhash"
)

// ReadAt reads verified bytes of the content; io.EOF at its end.
func (s *Store) ReadAt(ctx context.Context, ref Ref, p []byte, off int64) (int, error) {
	h, err := s.files.use(ref, s.Path(ref))
	if err != nil {
		return 0, err
	}
	defer s.files.done(h)
	return h.readAt(ctx, p, off)
}

// readChunkBytes is how much is read before the context is asked again.
const readChunkBytes = 16 * SumBytes

func (h *handle) readAt(ctx context.Context, p []byte, off int64) (n int, err error) {
	if off < 0 || off >= h.block.dataBytes {
		return 0, io.EOF
	}
	short := int64(len(p)) > h.block.dataBytes-off
	if short {
		p = p[:h.block.dataBytes-off]
	}
	for n < len(p) {
		if err := disk.Cancelled(ctx, "read blob"); err != nil {
			return n, err
		}
		at := off + int64(n)
		var m int
		if length := h.wholeUnits(at, int64(len(p)-n)); length > 0 {
			m, err = h.readUnits(p[n:n+int(length)], at)
		} else {
			m, err = h.readPart(p[n:], at)
		}
		if n += m; err != nil {
			return n, err
		}
	}
	if short {
		return n, io.EOF
	}
	return n, nil
}

// wholeUnits is how many of length bytes from off are whole units, 0 if the
// first is not; the content's last unit may be short.
func (h *handle) wholeUnits(off, length int64) int64 {
	if off%SumBytes != 0 {
		return 0
	}
	if off+length < h.block.dataBytes {
		length -= length % SumBytes
	}
	return min(length, readChunkBytes)
}

// readUnits reads and verifies whole units in place.
func (h *handle) readUnits(p []byte, off int64) (int, error) {
	if _, err := h.file.ReadAt(p, off); err != nil {
		return 0, h.readError(err)
	}
	for n := 0; n < len(p); n += SumBytes {
		unit := p[n:min(n+SumBytes, len(p))]
		if err := h.verify(unit, (off+int64(n))/SumBytes); err != nil {
			clear(p[n:]) // nobody gets to see it
			return n, err
		}
	}
	h.checked.note(off, int64(len(p)))
	return len(p), nil
}

// readPart reads the unit around off and copies what is wanted of it.
func (h *handle) readPart(p []byte, off int64) (int, error) {
	unit, at := off/SumBytes, off%SumBytes
	if n, ok := h.units.read(p, h.ref, unit, at); ok {
		return n, nil
	}
	length := min(SumBytes, h.block.dataBytes-unit*SumBytes)
	buf := h.units.buffers.Get().(*unitBuffer)
	_, err := h.file.ReadAt(buf[:length], unit*SumBytes)
	if err != nil {
		err = h.readError(err)
	} else {
		err = h.verify(buf[:length], unit)
	}
	if err != nil {
		h.units.buffers.Put(buf)
		return 0, err
	}
	h.checked.note(unit*SumBytes, length)
	n := copy(p, buf[at:length])
	h.units.keep(h.ref, unit, length, buf)
	return n, nil
}

func (h *handle) readError(err error) error {
	if err == io.EOF {
		return corrupt("%v ends early", h.ref)
	}
	return disk.Error("read blob", err)
}

func (h *handle) verify(p []byte, unit int64) error {
	want, ok := h.block.sum(unit)
	if !ok {
		return corrupt("%v: nothing was written at %d", h.ref, unit*SumBytes)
	}
	if xxh3.Hash(p) != want {
		return corrupt("%v: the bytes at %d to %d do not match their checksum",
			h.ref, unit*SumBytes, unit*SumBytes+int64(len(p)))
	}
	return nil
}

// Size is the number of content bytes.
func (s *Store) Size(ref Ref) (int64, error) {
	h, err := s.files.use(ref, s.Path(ref))
	if err != nil {
		return 0, err
	}
	defer s.files.done(h)
	return h.block.dataBytes, nil
}

// BlockDigests returns the digests of n 4 MiB blocks from block first on;
// ErrCorrupt if the blob has not got them.
func (s *Store) BlockDigests(ref Ref, first, n int64) ([]blockhash.Digest, error) {
	h, err := s.files.use(ref, s.Path(ref))
	if err != nil {
		return nil, err
	}
	defer s.files.done(h)
	digests := make([]blockhash.Digest, 0, n)
	for k := first; k < first+n; k++ {
		d, ok := h.block.digest(k)
		if !ok {
			return nil, corrupt("%v has no digest of block %d", ref, k)
		}
		digests = append(digests, d)
	}
	return digests, nil
}

// Verify reads the whole blob past the page cache. With check not 0 its checksum
// block must be that one. Any damage, absence included, is ErrCorrupt.
func (s *Store) Verify(ctx context.Context, ref Ref, check uint64) error {
	s.DropCache(ref)
	file, err := s.fs.Open(s.Path(ref))
	if err != nil {
		return missing(ref, err)
	}
	defer file.Close()
	b, found, err := readBlock(s.fs, file, ref)
	if err != nil {
		return err
	}
	if check != 0 && found != check {
		return corrupt("%v: its checksums are not those of its commit", ref)
	}
	h := &handle{ref: ref, file: file, block: b, units: newUnitCache()}
	return h.verifyAll(ctx)
}

// DropCache forgets what memory has of a blob: later reads see what the disk has.
func (s *Store) DropCache(ref Ref) {
	s.files.forget(ref)
	if ref.Bare {
		s.dropCache(s.Path(ref) + sumSuffix)
	}
	s.dropCache(s.Path(ref))
}

// dropCache is best effort: dirty pages stay, and those are what was written.
func (s *Store) dropCache(path string) {
	if f, err := s.fs.Open(path); err == nil {
		f.DropCache()
		f.Close()
	}
}

// verifyAll reads what was written; holes between are nobody's.
func (h *handle) verifyAll(ctx context.Context) error {
	return h.eachWritten(ctx, func([]byte) error { return nil })
}

// eachWritten yields what was written, verified, in order.
func (h *handle) eachWritten(ctx context.Context, yield func(p []byte) error) error {
	buf := make([]byte, readChunkBytes)
	for _, r := range h.block.sumRuns {
		end := min((r.first+r.n)*SumBytes, h.block.dataBytes)
		for off := r.first * SumBytes; off < end; off += readChunkBytes {
			n := min(readChunkBytes, end-off)
			if _, err := h.readAt(ctx, buf[:n], off); err != nil {
				return err
			}
			if err := yield(buf[:n]); err != nil {
				return err
			}
		}
	}
	return nil
}
