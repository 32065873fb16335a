package staging

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/etagfs/etagfs/objstore/badgerstore/internal/blob"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
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
	// The bytes if file is nil: only ever appended to, with the stage's lock and memoryMu held. A seal
	// reads without the former, and so needs the latter.
	memoryMu sync.RWMutex
	memory   []byte

	// Constant.
	session  *Session
	file     disk.File
	id       uint64
	straight int64 // so many chunks are where they are in the content
	whole    bool  // all data in the file belongs to the stage, no need to log ranges
	found    bool  // the file is in the session of a process that is gone, and stays until that goes
	// lender is set of a layer that is a blob of its, to be read through it. It is frozen, and its file another name of blob's.
	lender Lender
	blob   extent.Source // where it begins

	chunks map[int64]int64 // of the content -> of the file
	end    int64           // of the bytes in the file
	summer *blob.Summer

	order     int64 // of the file: where the next bytes come if they come in order
	writeback int64 // of the file: from there to order nothing was written back
	busy      sync.WaitGroup
	busyCount atomic.Int32 // write-backs under way

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

// newFile makes a layer of a new file.
func (s *Session) newFile() (*layer, error) {
	id := s.nextNumber()
	f, err := s.files.Create(layerName(s.dir, id))
	if err != nil {
		return nil, disk.Error("stage", err)
	}
	return &layer{session: s, file: f, id: id, chunks: make(map[int64]int64), summer: blob.NewSummer()}, nil
}

// store writes p, which is at off of the content, and tells where each part has come to.
func (l *layer) store(p []byte, off int64, stored func(n, src int64) error) error {
	for len(p) > 0 {
		src, n := l.place(off)
		part := p[:min(int64(len(p)), n)]
		if _, err := l.file.WriteAt(part, src); err != nil {
			// It may have been written in part, over bytes that were there.
			l.summer.Doubt(src, src+int64(len(part)))
			return disk.Error("write stage", err)
		}
		l.end = max(l.end, src+int64(len(part)))
		l.summer.Wrote(part, src)
		if err := stored(int64(len(part)), src); err != nil {
			return err
		}
		p, off = p[len(part):], off+int64(len(part))
	}
	return nil
}

// wrote starts the writing back of what came in order, a large piece at a time.
func (l *layer) wrote(src, n int64) {
	if src != l.order {
		l.writeback = src
	}
	l.order = src + n
	if l.order-l.writeback >= writebackBytes && l.startWriteback(l.writeback, l.order-l.writeback) {
		l.writeback = l.order
	}
}

// startWriteback has a range, or with n 0 all of the file, written back, unless the disk has enough to do.
// It can take as long as the disk likes, so nobody waits for it; a sync follows where it matters.
func (l *layer) startWriteback(src, n int64) bool {
	select {
	case l.session.writebacks <- struct{}{}:
	default:
		return false
	}
	l.busyCount.Add(1)
	l.busy.Go(func() {
		_ = l.file.StartWriteback(src, n)
		l.busyCount.Add(-1)
		<-l.session.writebacks
	})
	return true
}

// drop removes the layer's file. A blob made of it stays.
func (l *layer) drop() error {
	switch {
	case l.file == nil:
		return nil
	case l.found:
		return l.close()
	}
	err := remove(l.session.fs, l.file.Name())
	if l.sealed != nil && l.sealed.Ref.Bare {
		err = errors.Join(err, remove(l.session.fs, l.sealed.SumPath))
	}
	return errors.Join(err, l.close())
}

// close closes the file, later if it is being written back.
func (l *layer) close() error {
	if l.busyCount.Load() == 0 {
		l.busy.Wait()
		return l.file.Close()
	}
	l.session.background.Go(func() {
		l.busy.Wait()
		_ = l.file.Close() // its bytes are a blob's, which is synced, or nobody's
	})
	return nil
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

// remember appends p to the memory and returns its place there.
func (l *layer) remember(p []byte) (src int64) {
	l.memoryMu.Lock()
	defer l.memoryMu.Unlock()
	src = int64(len(l.memory))
	l.memory = append(l.memory, p...)
	return src
}

// remembered is the memory from src on.
func (l *layer) remembered(src int64) []byte {
	l.memoryMu.RLock()
	defer l.memoryMu.RUnlock()
	return l.memory[src:]
}
