package staging

import (
	"errors"
	"io"

	"github.com/etagfs/etagfs/objstore/badgerstore/internal/blob"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

// isToBeCopied reports whether a found file stays as it is, and a stage that goes on with its bytes has to copy them. A seal would append a
// checksum block to a small one, which the next sweep, should this one not end, would take for content. One with other names is a blob
// as well, of the content it was lent by or of a conflict that was kept: a blob is never written again.
func isToBeCopied(info disk.Info) bool { return info.Size < blob.BareBytes || info.Links > 1 }

// detach gives a layer a file of this session with those of its bytes that are seen, where they were: what was lent by
// a large blob may be little of it.
func (s *Session) detach(l *layer, seen []segment) error {
	to, err := s.newFile()
	if err != nil {
		return err
	}
	for _, seg := range seen {
		if err := s.copyRange(l.file, to.file, seg.src, seg.n); err != nil {
			return errors.Join(err, to.drop())
		}
		to.summer.Found(seg.src, seg.src+seg.n)
		to.end = max(to.end, seg.src+seg.n)
	}
	err = l.file.Close()
	l.file, l.id, l.found, l.summer, l.end = to.file, to.id, false, to.summer, to.end
	return err
}

// copyRange copies n bytes of a file but for the holes.
func (s *Session) copyRange(from, to disk.File, off, n int64) error {
	end := off + n
	for off < end {
		data, hole, err := dataFrom(from, off, end)
		if err != nil || data == end {
			return err
		}
		if err := s.copyData(from, to, data, hole); err != nil {
			return err
		}
		off = hole
	}
	return nil
}

// copyData copies [off, end) of a file, a piece at a time.
func (s *Session) copyData(from, to disk.File, off, end int64) error {
	buf := s.pieces.Get().(*[]byte)
	defer s.pieces.Put(buf)
	for off < end {
		p := (*buf)[:min(pieceBytes, end-off)]
		if err := s.admitFound(int64(len(p))); err != nil {
			return err
		}
		if _, err := from.ReadAt(p, off); err != nil {
			return err
		}
		if _, err := to.WriteAt(p, off); err != nil {
			return err
		}
		off += int64(len(p))
	}
	return nil
}

// dataFrom is the first range of [off, end) that is no hole; both are end if there is none.
func dataFrom(f disk.File, off, end int64) (data, hole int64, err error) {
	data, err = f.NextData(off)
	if err == io.EOF || err == nil && data >= end {
		return end, end, nil
	}
	if err != nil {
		return 0, 0, err
	}
	hole, err = f.NextHole(data)
	return data, min(hole, end), err
}
