package staging

import (
	"context"
	"errors"
	"slices"

	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
	"github.com/etagfs/etagfs/objstore/blockhash"
)

const (
	// borrowBytesMin is the least of a blob that is referred to. Less is written, so that a block does not get more extents than
	// consolidation leaves it, and no read of a little verifies much.
	borrowBytesMin = 64 << 10
	// borrowExtentsMax and borrowWrittenMax bound what one call does with the stage locked.
	borrowExtentsMax = 1024
	borrowWrittenMax = 8 << 20
)

// Lender is a committed content of which a stage may have bytes where they are. It is pinned until Release.
// Methods may be called concurrently.
type Lender interface {
	Base
	// File names the file with the bytes of a blob of the content.
	File(blob extent.Source) string
	// ReadBlob fills p with verified bytes from a place in a blob of the content on.
	ReadBlob(ctx context.Context, from extent.Source, p []byte) error
	// DigestSource is asked for blocks of blobs; an error says that the blob has no digest of one.
	extent.DigestSource
	// Release says that the stage uses the content no more.
	Release()
}

// Borrow makes n bytes of l, from one offset on, those of the stage from another on, and returns how many: fewer at the end
// of l, or if it is much work. Blobs are referred to, by another name of their files in the session, which is what a death of the process
// leaves; holes are made; the little that lies elsewhere is written. It takes over the caller's hold on l. An error says that nothing was done.
func (st *Stage) Borrow(ctx context.Context, l Lender, from, n, to int64) (copied int64, err error) {
	const op = "share in stage"
	used := false
	defer func() {
		if !used {
			l.Release()
		}
	}()
	n = min(n, l.Size()-from)
	if err := errors.Join(checkRange(op, from, n), checkRange(op, to, n), disk.Cancelled(ctx, op)); err != nil || n == 0 {
		return 0, err
	}
	extents, err := firstExtents(l, from, n)
	if err != nil {
		return 0, err
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.closed {
		return 0, errClosed(op)
	}
	b := borrowing{st: st, lender: l, shift: to - from}
	if err := b.all(ctx, extents); err != nil && b.copied == 0 {
		return 0, err
	}
	if used = b.kept; used {
		st.loans = append(st.loans, l)
	}
	st.changes++
	b.knowDigests(from)
	st.checkInvariants()
	return b.copied, nil
}

// firstExtents are those of a range of a content, of a beginning of it if there are many.
func firstExtents(l Lender, from, n int64) (all []extent.Extent, err error) {
	err = l.Extents(from, n, func(x extent.Extent) error {
		if all = append(all, x); len(all) == borrowExtentsMax {
			return errStop
		}
		return nil
	})
	if len(all) == borrowExtentsMax {
		err = nil
	}
	return all, err
}

// borrowing is a Borrow under way.
type borrowing struct {
	st      *Stage
	lender  Lender
	shift   int64 // from an offset of the lender to that of the stage
	copied  int64
	written int64 // of it, bytes that were moved
	kept    bool  // a layer is one of the lender's
}

func (b *borrowing) all(ctx context.Context, extents []extent.Extent) error {
	for _, x := range extents {
		var err error
		switch {
		case x.Source.Kind == extent.Hole:
			err = b.hole(x)
		case x.Len >= borrowBytesMin && x.Source.Kind != extent.Inline && b.refer(x):
		default:
			err = b.write(ctx, x)
		}
		if err != nil || b.written >= borrowWrittenMax {
			return err
		}
	}
	return nil
}

func (b *borrowing) hole(x extent.Extent) error {
	st, from, to := b.st, x.Off+b.shift, x.End()+b.shift
	if err := st.admit(2 * recordBytes); err != nil {
		return err
	}
	if to > st.view.size {
		if err := st.truncate(to); err != nil {
			return err
		}
	}
	if err := st.zero(from, to); err != nil {
		return err
	}
	b.copied += x.Len
	return nil
}

// write moves bytes, a piece at a time.
func (b *borrowing) write(ctx context.Context, x extent.Extent) error {
	buf := b.st.session.pieces.Get().(*[]byte)
	defer b.st.session.pieces.Put(buf)
	for x.Len > 0 && b.written < borrowWrittenMax {
		p := (*buf)[:min(x.Len, pieceBytes)]
		if n, err := b.lender.ReadAt(ctx, p, x.Off); n < len(p) {
			return readError(err)
		}
		if err := b.st.admit(int64(len(p)) + recordBytes); err != nil {
			return err
		}
		if err := b.st.write(p, x.Off+b.shift); err != nil {
			return err
		}
		b.copied += int64(len(p))
		b.written += int64(len(p))
		x.Off += int64(len(p))
		x.Len -= int64(len(p))
	}
	return nil
}

// refer makes x a segment of a layer that is the lender's blob. It reports whether it has: no file system gives a file names
// without end, and a log can be full.
func (b *borrowing) refer(x extent.Extent) bool {
	st, off := b.st, x.Off+b.shift
	if st.admit(2*recordBytes) != nil || !st.endWhole() {
		return false
	}
	l, fresh, err := b.layer(x.Source)
	if err != nil {
		return false
	}
	err = st.append(logRecord{kind: recordRange, a: uint64(off), b: uint64(x.Len), c: l.id, d: uint64(x.Source.Off)})
	if err != nil {
		if fresh {
			_ = l.drop() // a name that nothing refers to goes with the session
		}
		return false
	}
	if fresh {
		st.layers = append(st.layers, l)
		b.kept = true
	}
	st.stream.touch(off, off+x.Len)
	st.put(off, x.Len, l, x.Source.Off)
	b.copied += x.Len
	return true
}

// endWhole has ranges logged from now on: what a whole layer has counts as written before them. It reports whether it could.
func (st *Stage) endWhole() bool {
	for _, l := range st.layers {
		if !l.whole {
			continue
		}
		if l.end == 0 || st.append(logRecord{kind: recordSeal, d: uint64(l.end)}) != nil {
			return false
		}
		l.whole = false
	}
	return true
}

// layer is that of a blob: the stage's, or a fresh one.
func (b *borrowing) layer(s extent.Source) (l *layer, fresh bool, err error) {
	st, blob := b.st, extent.Source{Kind: s.Kind, ID: s.ID}
	i := slices.IndexFunc(st.layers, func(l *layer) bool { return l.lender != nil && l.blob == blob })
	if i >= 0 {
		return st.layers[i], false, nil
	}
	id := st.session.nextNumber()
	name := layerName(st.session.dir, id)
	if err := st.session.fs.Link(b.lender.File(blob), name); err != nil {
		return nil, false, err
	}
	f, err := st.session.files.Reopen(name)
	if err != nil {
		return nil, false, errors.Join(err, remove(st.session.fs, name))
	}
	return &layer{session: st.session, file: f, id: id, frozen: true, lender: b.lender, blob: blob}, true, nil
}

// knowDigests takes over the digests of blocks that are the lender's as a whole; others are read and hashed by the seal.
func (b *borrowing) knowDigests(from int64) {
	end := from + b.copied
	if b.shift%blockBytes != 0 {
		return
	}
	size := b.lender.Size()
	first, last := blockhash.BlockCount(from), end/blockBytes
	if end == size {
		last = blockhash.BlockCount(end)
	}
	for ; first < last; first += digestsAtOnce {
		digests, err := b.lender.Digests(first, min(digestsAtOnce, last-first))
		if err != nil {
			return
		}
		for i, d := range digests {
			j := first + int64(i)
			if block := b.st.view.blocks[j+b.shift/blockBytes]; block != nil && !block.shared {
				block.digest, block.digestBytes = d, min(blockBytes, size-j*blockBytes)
			}
		}
	}
}

// endLoans releases the contents that were lent, if no layer is one of theirs any more. It requires mu.
func (st *Stage) endLoans() {
	if slices.ContainsFunc(st.layers, func(l *layer) bool { return l.lender != nil }) {
		return
	}
	for _, l := range st.loans {
		l.Release()
	}
	st.loans = nil
}

// readLent fills p from a layer that is a blob.
func (l *layer) readLent(ctx context.Context, p []byte, src int64) error {
	from := l.blob
	from.Off = src
	return l.lender.ReadBlob(ctx, from, p)
}

// hasDigest reports whether the blob itself has d for the block at src.
func (l *layer) hasDigest(src int64, d blockhash.Digest) bool {
	from := l.blob
	from.Off = src
	digests, err := l.lender.BlockDigests(from, 1)
	return err == nil && len(digests) == 1 && digests[0] == d
}
