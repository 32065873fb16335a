package blob

import (
	"container/list"
	"errors"
	"io/fs"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

const (
	openMaxDefault = 512
	// sumsBytesMax bounds the memory for checksums of idle blobs, but for the one that was used last: those of
	// 1 TiB are 132 MiB, too many to be read again with every call.
	sumsBytesMax = 8 << 20
)

// files shares open descriptors, and the checksum blocks read with them.
//
// INVARIANT: idle has exactly the handles with no users, most recently used
// first. INVARIANT: sumsBytes is the sum over all handles.
type files struct {
	// Constant.
	fs           disk.FS
	openMax      int
	units        *unitCache
	checkedLasts time.Duration
	now          func() time.Time

	mu        sync.Mutex
	changed   *sync.Cond        // on mu: events grew
	open      map[Ref]*handle   // GUARDED_BY(mu)
	idle      *list.List        // GUARDED_BY(mu), of *handle
	sumsBytes int               // GUARDED_BY(mu)
	whole     map[Ref]time.Time // GUARDED_BY(mu): since when all of it is known to be good
	written   map[Ref]written   // GUARDED_BY(mu): of blobs nobody opened yet
	events    uint64            // GUARDED_BY(mu): changes so far
	starved   int               // GUARDED_BY(mu): handles in open that wait for a descriptor
}

// handle is an open blob. Fields are guarded by files.mu; file, block and checked do
// not change once opening is false.
type handle struct {
	ref     Ref
	opening bool
	users   int
	element *list.Element // in idle, or nil
	gone    bool          // no longer in open; closed by the last user

	file    disk.File
	block   *block
	units   *unitCache
	checked *checked // of a bare blob, unless nothing is trusted; nil otherwise
}

func newFiles(fsys disk.FS, opt Options) *files {
	f := &files{
		fs: fsys, openMax: opt.OpenMax, units: newUnitCache(), checkedLasts: opt.CheckedLasts, now: opt.Now,
		open: make(map[Ref]*handle), idle: list.New(), whole: make(map[Ref]time.Time), written: make(map[Ref]written),
	}
	if f.openMax <= 0 {
		f.openMax = openMaxDefault
	}
	if f.now == nil {
		f.now = time.Now
	}
	f.changed = sync.NewCond(&f.mu)
	return f
}

// use returns an open handle; done must follow.
func (f *files) use(ref Ref, path string) (*handle, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		h := f.open[ref]
		if h == nil {
			return f.openLocked(ref, path)
		}
		if !h.opening {
			h.users++
			f.unidle(h)
			return h, nil
		}
		f.changed.Wait()
	}
}

// openLocked opens a blob, without mu meanwhile. Others that want it wait.
func (f *files) openLocked(ref Ref, path string) (*handle, error) {
	h := &handle{ref: ref, opening: true, users: 1, units: f.units}
	f.open[ref] = h
	w, fresh := f.takeWritten(ref)
	asWritten := false
	var err error
	for {
		for len(f.open) > f.openMax && f.evict() {
		}
		before := f.events
		f.mu.Unlock()
		h.file, h.block, err = openBlob(f.fs, ref, path)
		asWritten = err == nil && fresh && h.isAsWritten(w)
		f.mu.Lock()
		if !outOfDescriptors(err) || !f.makeRoom(before) {
			break
		}
	}
	h.opening = false
	f.happened()
	if err != nil {
		delete(f.open, ref)
		return nil, err
	}
	if asWritten {
		f.noteWholeLocked(ref, w.at)
	}
	if ref.Bare && f.checkedLasts > 0 {
		h.checked = newChecked(h.block.dataBytes, f.checkedLasts, f.now)
		if since, ok := f.whole[ref]; ok {
			h.checked.noteWhole(since)
		}
	}
	f.sumsBytes += h.sumsBytes()
	return h, nil
}

// makeRoom frees a descriptor, or waits until somebody may have: since the
// given event, if need be. It reports false if there is nobody to wait for.
func (f *files) makeRoom(before uint64) bool {
	for f.events == before {
		if f.evict() {
			return true
		}
		if f.starved++; f.starved == len(f.open) {
			f.starved--
			return false
		}
		f.changed.Wait()
		f.starved--
	}
	return true
}

// happened wakes those who wait for descriptors.
func (f *files) happened() {
	f.events++
	f.changed.Broadcast()
}

func outOfDescriptors(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE)
}

// done ends a use.
func (f *files) done(h *handle) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if h.users--; h.users > 0 {
		return
	}
	if h.gone {
		f.closeLocked(h)
	} else {
		h.element = f.idle.PushFront(h)
	}
	for f.sumsBytes > sumsBytesMax && f.idle.Len() > 1 && f.evict() {
	}
	f.happened()
}

func (f *files) unidle(h *handle) {
	if h.element != nil {
		f.idle.Remove(h.element)
		h.element = nil
	}
}

// evict closes the handle that has been idle longest.
func (f *files) evict() bool {
	last := f.idle.Back()
	if last == nil {
		return false
	}
	f.drop(last.Value.(*handle))
	return true
}

// drop takes a handle out and closes it once it is idle.
func (f *files) drop(h *handle) {
	f.unidle(h)
	delete(f.open, h.ref)
	h.gone = true
	if h.users == 0 {
		f.closeLocked(h)
	}
}

// closeLocked closes a file only read from: there is no error to tell.
func (f *files) closeLocked(h *handle) {
	f.sumsBytes -= h.sumsBytes()
	h.file.Close()
}

func (h *handle) sumsBytes() int { return len(h.block.sums) + len(h.block.digests) }

// forget drops a blob that is to be removed, or looked at anew.
func (f *files) forget(ref Ref) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.whole, ref)
	delete(f.written, ref)
	if h := f.open[ref]; h != nil && !h.opening {
		f.drop(h)
	}
}

func (f *files) close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.evict() {
	}
	return nil
}

// openBlob opens a blob and reads its checksum block.
func openBlob(fsys disk.FS, ref Ref, path string) (disk.File, *block, error) {
	file, err := fsys.Open(path)
	if err != nil {
		return nil, nil, missing(ref, err)
	}
	b, _, err := readBlock(fsys, file, ref)
	if err != nil {
		file.Close()
		return nil, nil, err
	}
	return file, b, nil
}

// readBlock reads the checksum block of an open blob and checks that it belongs to it.
func readBlock(fsys disk.FS, file disk.File, ref Ref) (*block, uint64, error) {
	sums := file
	if ref.Bare {
		var err error
		if sums, err = fsys.Open(file.Name() + sumSuffix); err != nil {
			return nil, 0, missing(ref, err)
		}
		defer sums.Close()
	}
	raw, err := readEnd(sums)
	if err != nil {
		return nil, 0, err
	}
	b, check, err := decode(raw)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, 0, disk.Error("read blob", err)
	}
	dataBytes := info.Size
	if !ref.Bare {
		dataBytes -= int64(len(raw))
	}
	if b.id != ref.ID || b.dataBytes != dataBytes {
		return nil, 0, corrupt("%v: its checksums are those of blob %x of %d bytes, not %d", ref, b.id, b.dataBytes, dataBytes)
	}
	return b, check, nil
}

// readEnd reads the checksum block that a file ends with.
func readEnd(f disk.File) ([]byte, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, disk.Error("read blob", err)
	}
	foot := make([]byte, footBytes)
	if info.Size < footBytes {
		return nil, corrupt("%s: no checksum block", f.Name())
	}
	if _, err := f.ReadAt(foot, info.Size-footBytes); err != nil {
		return nil, disk.Error("read blob", err)
	}
	length, err := footLength(foot)
	if err != nil || length > info.Size {
		return nil, corrupt("%s: no checksum block", f.Name())
	}
	raw := make([]byte, length)
	if _, err := f.ReadAt(raw, info.Size-length); err != nil {
		return nil, disk.Error("read blob", err)
	}
	return raw, nil
}

// missing classifies the failure to open a file that ought to be there.
func missing(ref Ref, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return corrupt("%v is missing", ref)
	}
	return disk.Error("read blob", err)
}
