package blob

import (
	"context"
	"time"
)

// wholeMax is of how many blobs it is remembered that they are whole, about.
const wholeMax = 1 << 16

// Scrub reads the whole blob past the page cache and verifies it. pace is called with what was read, moments after; its error ends the scrub. What was
// found to be whole OpenChecked trusts, as if it had been read for somebody.
func (s *Store) Scrub(ctx context.Context, ref Ref, pace func(bytes int) error) error {
	s.DropCache(ref)
	begun := s.files.now()
	b, err := s.eachWritten(ctx, ref, func(p []byte) error { return pace(len(p)) })
	if err != nil {
		return err
	}
	if ref.Bare && b.writtenBytes() == b.dataBytes {
		s.files.noteWhole(ref, begun)
	}
	return nil
}

// noteWhole notes that all of a blob was verified since a moment.
func (f *files) noteWhole(ref Ref, since time.Time) {
	if f.checkedLasts <= 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.noteWholeLocked(ref, since)
	if h := f.open[ref]; h != nil && !h.opening {
		h.checked.noteWhole(since)
	}
}

// noteWholeLocked remembers it for when the blob is opened again.
func (f *files) noteWholeLocked(ref Ref, since time.Time) {
	for old, at := range f.whole {
		if len(f.whole) < wholeMax {
			break
		}
		if f.now().Sub(at) >= f.checkedLasts {
			delete(f.whole, old)
		}
	}
	if len(f.whole) < wholeMax {
		f.whole[ref] = since
	}
}
