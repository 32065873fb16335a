package staging

import (
	"errors"
	"io"

	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

const copySuffix = ".copy"

// detach replaces a layer's file by a copy. It was sealed and is a blob as well, of a conflict that was
// kept, say: a blob is never written again, and another seal of the file would.
func (s *Session) detach(name string, size int64) error {
	to, err := s.fs.OpenRW(name + copySuffix) // there may be a part of an earlier attempt, of the same bytes
	if err != nil {
		return err
	}
	if err := errors.Join(s.copyFile(name, to, size), to.Close()); err != nil {
		return errors.Join(err, remove(s.fs, name+copySuffix))
	}
	return s.fs.Rename(name+copySuffix, name)
}

// copyFile copies size bytes of a file.
func (s *Session) copyFile(name string, to disk.File, size int64) error {
	from, err := s.fs.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(s.copyData(from, to, size), from.Close())
}

// copyData copies size bytes but for the holes.
func (s *Session) copyData(from, to disk.File, size int64) error {
	buf := s.pieces.Get().(*[]byte)
	defer s.pieces.Put(buf)
	if err := to.Truncate(size); err != nil {
		return err
	}
	for pos := int64(0); pos < size; {
		data, err := from.NextData(pos)
		if err == io.EOF {
			return nil
		}
		hole, err2 := from.NextHole(data)
		if err := errors.Join(err, err2); err != nil {
			return err
		}
		for pos = data; pos < min(hole, size); {
			p := (*buf)[:min(pieceBytes, min(hole, size)-pos)]
			if err := s.copyPiece(from, to, p, pos); err != nil {
				return err
			}
			pos += int64(len(p))
		}
	}
	return nil
}

func (s *Session) copyPiece(from, to disk.File, p []byte, off int64) error {
	if err := s.admitFound(int64(len(p))); err != nil {
		return err
	}
	if _, err := from.ReadAt(p, off); err != nil {
		return err
	}
	_, err := to.WriteAt(p, off)
	return err
}
