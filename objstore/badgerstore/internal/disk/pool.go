package disk

import (
	"container/list"
	"errors"
	"sync"

	"golang.org/x/sys/unix"
)

// Pool lets many files be open with few descriptors: that of the file which was used longest ago is closed when another
// needs one, and opened again with the next use. Methods may be called concurrently. The zero value is not usable.
//
// A file is found again by its name: as long as it is open it must not be renamed, nor its name be given to another.
//
// INVARIANT: open = busy + idle.Len(), and open is at most openMax.
type Pool struct {
	fs      FS
	openMax int

	mu    sync.Mutex
	freed *sync.Cond // on mu: a descriptor is idle, or closed
	open  int        // GUARDED_BY(mu): descriptors, and those about to be opened
	busy  int        // GUARDED_BY(mu): of them, in use or about to be opened
	idle  *list.List // GUARDED_BY(mu): of *pooled, most recently used first
}

// NewPool is a pool of files of fs with at most openMax descriptors, one at least.
func NewPool(fs FS, openMax int) *Pool {
	p := &Pool{fs: fs, openMax: max(openMax, 1), idle: list.New()}
	p.freed = sync.NewCond(&p.mu)
	return p
}

// Create is FS.Create. The file's Fd is -1: a descriptor is nobody's for longer than a call.
func (p *Pool) Create(name string) (File, error) {
	return p.first(name, func() (File, error) { return p.fs.Create(name) })
}

// Reopen is FS.Reopen.
func (p *Pool) Reopen(name string) (File, error) {
	return p.first(name, func() (File, error) { return p.fs.Reopen(name) })
}

func (p *Pool) first(name string, open func() (File, error)) (File, error) {
	file, err := p.obtain(open)
	if err != nil {
		return nil, err
	}
	f := &pooled{pool: p, name: name, file: file, users: 1}
	f.done()
	return f, nil
}

// obtain opens a file once there is a descriptor for it: the caller is a user of that. Uses are single calls, which wait for
// nobody, so waiting for one to end is safe.
func (p *Pool) obtain(open func() (File, error)) (File, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		for p.open >= p.openMax && !p.evict() {
			p.freed.Wait()
		}
		p.open++
		p.busy++
		p.mu.Unlock()
		file, err := open()
		p.mu.Lock()
		if err == nil {
			return file, nil
		}
		p.open--
		p.busy--
		p.freed.Broadcast()
		if !outOfDescriptors(err) {
			return nil, err
		}
		if p.evict() {
			continue
		}
		if p.busy == 0 {
			return nil, err
		}
		p.freed.Wait()
	}
}

// outOfDescriptors reports whether the process, or the machine, can open no more files now.
func outOfDescriptors(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE)
}

// evict closes the descriptor that was used longest ago, and reports whether there was one that is not in use. It requires mu.
func (p *Pool) evict() bool {
	last := p.idle.Back()
	if last == nil {
		return false
	}
	p.closeIdle(last.Value.(*pooled))
	return true
}

// closeIdle closes the descriptor of a file that is idle. That tells no error of a file of this machine which a sync would
// not tell as well. It requires mu.
func (p *Pool) closeIdle(f *pooled) {
	p.idle.Remove(f.element)
	f.file.Close()
	f.file, f.element = nil, nil
	p.open--
	p.freed.Broadcast()
}

// pooled is a file of a pool. Its fields but opening are constant or guarded by pool.mu.
type pooled struct {
	pool    *Pool
	name    string
	opening sync.Mutex // held by who opens it again

	file    File          // nil: its descriptor was needed elsewhere
	users   int           // calls under way
	element *list.Element // in idle; nil while there are users
	closed  bool
}

// use returns the file with a descriptor; done must follow if there is no error.
func (f *pooled) use() (File, error) {
	if file, err := f.current(); file != nil || err != nil {
		return file, err
	}
	f.opening.Lock()
	defer f.opening.Unlock()
	if file, err := f.current(); file != nil || err != nil {
		return file, err
	}
	file, err := f.pool.obtain(func() (File, error) { return f.pool.fs.Reopen(f.name) })
	if err != nil {
		return nil, err
	}
	f.pool.mu.Lock()
	defer f.pool.mu.Unlock()
	f.file, f.users = file, 1
	return file, nil
}

// current is use of a file that has its descriptor, nil if it has not.
func (f *pooled) current() (File, error) {
	p := f.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case f.closed:
		return nil, unix.EBADF
	case f.file == nil:
		return nil, nil
	case f.users == 0:
		p.idle.Remove(f.element)
		f.element = nil
		p.busy++
	}
	f.users++
	return f.file, nil
}

// done ends a use.
func (f *pooled) done() {
	p := f.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if f.users--; f.users == 0 {
		p.busy--
		f.element = p.idle.PushFront(f)
		p.freed.Broadcast()
	}
}

// do is a call on the file.
func (f *pooled) do(call func(File) error) error {
	file, err := f.use()
	if err != nil {
		return err
	}
	defer f.done()
	return call(file)
}

// at is a call that is told an offset.
func (f *pooled) at(call func(File) (int64, error)) (off int64, err error) {
	err = f.do(func(file File) (err error) {
		off, err = call(file)
		return err
	})
	return off, err
}

func (f *pooled) Name() string { return f.name }
func (f *pooled) Fd() int      { return -1 }

func (f *pooled) ReadAt(p []byte, off int64) (n int, err error) {
	file, err := f.use()
	if err != nil {
		return 0, err
	}
	defer f.done()
	return file.ReadAt(p, off)
}

func (f *pooled) WriteAt(p []byte, off int64) (n int, err error) {
	file, err := f.use()
	if err != nil {
		return 0, err
	}
	defer f.done()
	return file.WriteAt(p, off)
}

func (f *pooled) Stat() (info Info, err error) {
	err = f.do(func(file File) (err error) {
		info, err = file.Stat()
		return err
	})
	return info, err
}

func (f *pooled) Truncate(size int64) error {
	return f.do(func(file File) error { return file.Truncate(size) })
}

func (f *pooled) Allocate(off, length int64) error {
	return f.do(func(file File) error { return file.Allocate(off, length) })
}

func (f *pooled) Preallocate(off, length int64) error {
	return f.do(func(file File) error { return file.Preallocate(off, length) })
}

func (f *pooled) PunchHole(off, length int64) error {
	return f.do(func(file File) error { return file.PunchHole(off, length) })
}

func (f *pooled) Sync() error { return f.do(File.Sync) }

func (f *pooled) StartWriteback(off, length int64) error {
	return f.do(func(file File) error { return file.StartWriteback(off, length) })
}

func (f *pooled) Cached() bool {
	cached := false
	err := f.do(func(file File) error { cached = file.Cached(); return nil })
	return err == nil && cached
}

func (f *pooled) DropCache() error { return f.do(File.DropCache) }

func (f *pooled) NextData(off int64) (int64, error) {
	return f.at(func(file File) (int64, error) { return file.NextData(off) })
}

func (f *pooled) NextHole(off int64) (int64, error) {
	return f.at(func(file File) (int64, error) { return file.NextHole(off) })
}

// Close ends the file. No call may be under way.
func (f *pooled) Close() error {
	p := f.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if f.closed {
		return unix.EBADF
	}
	f.closed = true
	if f.element != nil {
		p.idle.Remove(f.element)
		f.element = nil
	}
	if f.file == nil {
		return nil
	}
	p.open--
	p.freed.Broadcast()
	return f.file.Close()
}
