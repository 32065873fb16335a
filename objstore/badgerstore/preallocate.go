package badgerstore

import (
	"errors"
	"log/slog"
	"path/filepath"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

const (
	// logHeaderBytes is what a log of Badger begins with.
	logHeaderBytes = 20
	// logEntryBytes is the most an entry takes in a log beside its key and value: its
	// header, the version, and a checksum.
	logEntryBytes = 22 + 8 + 4
	// memoryEntryBytes is the most an entry takes in memory beside what it takes in the log.
	memoryEntryBytes = 96
	// logEndBytes is the most a transaction takes beside its entries: the one that ends
	// it, and the zeros written behind that.
	logEndBytes = 128
	// zerosAheadBytes are written at a time ahead of a log that is synced often.
	zerosAheadBytes = 64 << 10
	// manifestAheadBytes is far more than the manifest grows between two rotations.
	manifestAheadBytes = 64 << 10
)

// logBlocks gives Badger's write-ahead logs their blocks before they are written to. Badger
// writes them through a mapping of a file with holes, and dies by SIGBUS if the disk
// has no block for a page it touches; whoever else uses the disk may take the last
// one at any time.
//
// A block that was never written costs whoever syncs it a commit of the file system's journal too, and the
// journal holds up those who write meanwhile. So zeros are written ahead of the log in use while
// somebody asks for syncs: a sync of one small commit takes a quarter less then.
//
// The log in use has blocks for what is written next. So has the spare: the log
// Badger goes on to is made here, empty but with blocks beyond its end, and Badger takes
// a log of no length for a new one. A transaction changes the log once at most, before it is written.
type logBlocks struct {
	fs       disk.FS
	dir      string
	logBytes int64 // of the log, or of its keys and values in memory: then Badger goes on to the next
	log      *slog.Logger
	zeros    []byte

	// Owned by the leader; by Open before there is one.
	active blockedLog
	spare  blockedLog // file is nil: there is none
	off    bool       // this file system cannot allocate blocks ahead

	steps atomic.Uint64 // logs made or begun, counted before a commit in them is published
}

// blockedLog is a log whose blocks are looked after.
type blockedLog struct {
	number    int
	file      disk.File
	used      int64 // at most; what follows was not written to
	next      int64 // where Badger writes next
	memory    int64 // at most, of what is in it
	allocated int64
	zeroed    int64 // what is below it, from somewhere behind used on, was written
	mapping   disk.Mapping
	isSought  bool // mapping has been asked for
}

// newLogBlocks takes over the log Badger has just begun.
func newLogBlocks(fs disk.FS, dir string, logBytes int64, log *slog.Logger) (*logBlocks, error) {
	names, err := fs.ReadDir(dir)
	if err != nil {
		return nil, disk.Error("list logs", err)
	}
	numbers := logNumbers(names)
	if len(numbers) == 0 {
		return nil, problem(objstore.ErrCorrupt, "there is no log")
	}
	b := &logBlocks{fs: fs, dir: dir, logBytes: logBytes, log: log, zeros: make([]byte, zerosAheadBytes)}
	b.active = blockedLog{number: numbers[len(numbers)-1], used: logHeaderBytes, next: logHeaderBytes}
	if b.active.file, err = fs.OpenRW(b.path(b.active.number)); err != nil {
		return nil, disk.Error("open log", err)
	}
	return b, nil
}

func (b *logBlocks) path(number int) string { return filepath.Join(b.dir, logName(number)) }

// tableBytes is how large a table the next transaction may make Badger write: that of
// the log in use if Badger may go on from it, else 0.
func (b *logBlocks) tableBytes() int64 {
	if b.active.used < b.logBytes && b.active.memory < b.logBytes {
		return 0
	}
	return b.active.memory
}

// reserve makes sure that the next transaction, which takes up to n bytes, finds
// its blocks, wherever Badger writes it. Without an error wrote must follow once it was written.
func (b *logBlocks) reserve(n int64) error {
	if b.spare.file == nil {
		if err := b.makeSpare(); err != nil {
			return err
		}
	}
	return errors.Join(b.grow(&b.active, n), b.grow(&b.spare, n))
}

// writeAhead writes zeros behind the next n bytes of the log in use, where Badger has written nothing yet,
// unless enough of them are there. reserve went before.
func (b *logBlocks) writeAhead(n int64) error {
	const page = 4 << 10
	l := &b.active
	end := l.used + n
	if b.off || l.zeroed-end >= zerosAheadBytes/2 {
		return nil
	}
	info, err := l.file.Stat()
	if err != nil {
		return disk.Error("look at log", err)
	}
	from := max(l.zeroed, (end+page-1)&^(page-1))
	to := min(from+zerosAheadBytes, l.allocated, info.Size)
	if from >= to {
		return nil
	}
	if _, err := l.file.WriteAt(b.zeros[:to-from], from); err != nil {
		return disk.Error("write ahead of the log", err)
	}
	l.zeroed = to
	return disk.Error("write ahead of the log", l.file.StartWriteback(from, to-from))
}

// makeSpare makes the log Badger will go on to.
func (b *logBlocks) makeSpare() error {
	if err := b.growManifest(); err != nil {
		return err
	}
	number := b.active.number + 1
	file, err := b.fs.Create(b.path(number))
	if err != nil {
		return disk.Error("make log", err)
	}
	b.steps.Add(1)
	b.spare = blockedLog{number: number, file: file, used: logHeaderBytes, next: logHeaderBytes}
	return nil
}

// growManifest gives the manifest, which is only appended to, its next blocks: Badger goes on behind
// an entry that was written in part, and cannot open the result.
func (b *logBlocks) growManifest() error {
	f, err := b.fs.OpenRW(filepath.Join(b.dir, badger.ManifestFilename))
	if err != nil {
		return disk.Error("open manifest", err)
	}
	info, err := f.Stat()
	if err == nil {
		err = b.allocate(f, info.Size, manifestAheadBytes)
	}
	return classified("look at manifest", errors.Join(err, f.Close()))
}

// grow makes sure of blocks for n more bytes of one log.
func (b *logBlocks) grow(l *blockedLog, n int64) error {
	need := l.used + n - l.allocated
	if need <= 0 {
		return nil
	}
	step := b.logBytes / 8
	need += step - need%step
	if err := b.allocate(l.file, l.allocated, need); err != nil {
		return err
	}
	l.allocated += need
	return nil
}

func (b *logBlocks) allocate(f disk.File, off, length int64) error {
	if b.off {
		return nil
	}
	err := f.Preallocate(off, length)
	if errors.Is(err, errors.ErrUnsupported) {
		b.off = true
		b.log.Warn("this file system cannot allocate blocks ahead: if others fill it the process may die, and loses nothing", "error", err)
		return nil
	}
	return disk.Error("allocate log", err)
}

// wrote notes that a transaction was written.
func (b *logBlocks) wrote(part logPart) error {
	var err error
	if b.tableBytes() > 0 {
		err = b.goOn()
	}
	b.active.used += part.bytesMax
	b.active.next += part.bytes
	b.active.memory += part.bytesMax + int64(part.entries)*memoryEntryBytes
	return err
}

// goOn takes the spare for the log in use if Badger has done so.
func (b *logBlocks) goOn() error {
	info, err := b.spare.file.Stat()
	if err != nil {
		return disk.Error("look at log", err)
	}
	if info.Size == 0 {
		return nil
	}
	err = disk.Error("close log", b.active.file.Close())
	b.steps.Add(1)
	b.active, b.spare = b.spare, blockedLog{}
	return err
}

// close removes the spare: a store in order has none.
func (b *logBlocks) close() error {
	err := b.active.file.Close()
	if b.spare.file == nil {
		return err
	}
	info, serr := b.spare.file.Stat()
	if serr == nil && info.Size == 0 && info.Links > 0 {
		serr = b.fs.Remove(b.path(b.spare.number))
	}
	return disk.Error("close logs", errors.Join(err, serr, b.spare.file.Close()))
}
