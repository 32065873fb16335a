package blob

import "time"

// written is what is remembered of a bare blob from its adoption until somebody first opens it: its checksums are of the
// bytes on their way into the page cache, so that those that are all still there have been compared with them already, as
// well as by reading them again. Only a program that is not ours could have had the disk's bytes replace them unseen, by reading the
// file after memory became scarce; what the disk damages within CheckedLasts of a look is not seen either.
type written struct {
	at       time.Time // of the adoption
	modified time.Time // of the file
}

// noteWritten comes after a blob was adopted whose file was last written at modified.
func (f *files) noteWritten(ref Ref, modified time.Time) {
	now := f.now()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.written) >= wholeMax {
		for old, w := range f.written {
			if now.Sub(w.at) >= f.checkedLasts {
				delete(f.written, old)
			}
		}
	}
	if len(f.written) < wholeMax {
		f.written[ref] = written{at: now, modified: modified}
	}
}

// takeWritten is what noteWritten noted, for the first who opens the blob: its reading brings more of the file into memory.
func (f *files) takeWritten(ref Ref) (w written, ok bool) {
	w, ok = f.written[ref]
	delete(f.written, ref)
	return w, ok && f.now().Sub(w.at) < f.checkedLasts
}

// isAsWritten reports whether the bytes of h have been in memory since w. It comes before anything of them is read.
func (h *handle) isAsWritten(w written) bool {
	if h.block.writtenBytes() != h.block.dataBytes {
		return false
	}
	info, err := h.file.Stat()
	return err == nil && info.Modified.Equal(w.modified) && h.file.Cached()
}

// forgetWritten comes before a blob is read by other ways than a handle in open.
func (f *files) forgetWritten(ref Ref) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.written, ref)
}
