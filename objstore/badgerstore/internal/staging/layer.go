package staging

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/etagfs/etagfs/objstore/badgerstore/internal/blob"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
	"github.com/etagfs/etagfs/objstore/blockhash"
)

const (
	// chunkBytes is the unit in which content offsets are mapped to offsets of
	// a layer's file. It is a multiple of blocks, so that a block stays whole.
	chunkBytes = 64 << 20
	// straightChunks from the start of a content without a base are where
	// they are in the content: what is written in any order is one extent in
	// the end. Others come as they are first touched, so that a file
	// stays small, and below the file system's limit, wherever in a content it lies.
	straightChunks = 8 << 40 / chunkBytes

	writebackBytes = 8 << 20
)

// layer is a place of changed bytes: memory (and the log), or a file.
type layer struct {
	memory []byte // if file is nil

	// Constant.
	fs       disk.FS
	file     disk.File
	id       uint64
	straight int64 // so many chunks are where they are in the content
	whole    bool  // all data in the file belongs to the stage, no need to log ranges

	chunks map[int64]int64 // of the content -> of the file
	end    int64           // of the bytes in the file
	summer *blob.Summer

	writtenBack int64 // of the file, as far as it was written in order
	background  sync.WaitGroup

	// Once frozen, nothing but sealed and digests changes, under the seal token.
	frozen  bool
	sealed  *blob.Sealed
	digests map[int64]blockhash.Digest // of blocks of the file, in sealed
}

// place is where a layer has the byte at off of the content, and how many follow it there.
func (l *layer) place(off int64) (src, n int64) {
	chunk, at := off/chunkBytes, off%chunkBytes
	if chunk >= l.straight {
		to, ok := l.chunks[chunk]
		if !ok {
			to = l.straight + int64(len(l.chunks))
			l.chunks[chunk] = to
		}
		chunk = to
	}
	return chunk*chunkBytes + at, chunkBytes - at
}

// inPlace reports whether off of the content is off of the file.
func (l *layer) inPlace(off int64) bool { return off < l.straight*chunkBytes }

// writeback starts the writing of what came in order, a large piece at a time.
func (l *layer) writeback(src, n int64) {
	if src != l.writtenBack && (src < l.writtenBack || l.writtenBack+writebackBytes < src) {
		l.writtenBack = src
		return
	}
	from := l.writtenBack
	if src+n-from < writebackBytes {
		return
	}
	l.writtenBack = src + n
	l.background.Go(func() {
		// Best effort: a sync follows where it matters.
		_ = l.file.StartWriteback(from, src+n-from)
	})
}

// drop removes the layer's file. A blob made of it stays.
func (l *layer) drop() error {
	if l.file == nil {
		return nil
	}
	l.background.Wait()
	name := l.file.Name()
	err := errors.Join(l.file.Close(), remove(l.fs, name))
	if l.sealed != nil && l.sealed.Ref.Bare {
		err = errors.Join(err, remove(l.fs, l.sealed.SumPath))
	}
	return err
}

func remove(fsys disk.FS, name string) error {
	err := fsys.Remove(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func layerName(dir string, id uint64) string {
	return filepath.Join(dir, strconv.FormatUint(id, 16))
}
