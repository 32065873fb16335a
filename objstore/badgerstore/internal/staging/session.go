package staging

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

const (
	slotsName  = "slots"
	lockSuffix = ".lock"
	// slotSpareBytes of a slot are for the owner and the heads of records. Besides these it has
	// room for a small base and for as many changed bytes.
	slotSpareBytes = 8 << 10
	pathBytesMax   = 4096
	openMaxDefault = 512
	// grantBytes of space are asked for at once.
	grantBytes = 1 << 20
	// writebacksMax are under way at once.
	writebacksMax = 4
	// handsMax goroutines at most hash for one seal: more would have the disk and the memory for themselves.
	handsMax = 4
)

// Space admits bytes to be written; space.Guard is one.
type Space interface {
	Reserve(n int64) error
	ReserveEssential(n int64) error // what must not fail for the lack of space while there is any
	Release(n int64)
}

// Options of a Session.
type Options struct {
	InlineBytes int           // contents and changes up to this size go to the key-value store
	NewID       func() uint64 // ids of blobs; never 0, growing
	Space       Space
	OpenMax     int // descriptors for files of stages, however many of these there are; 0: 512
}

// Session is this process's staging directory.
type Session struct {
	// Constant.
	fs        disk.FS
	files     *disk.Pool // of layers and overflowing logs
	root      string     // where the sessions are
	dir       string
	opt       Options
	lock      disk.File
	slots     disk.File
	slotBytes int64
	checks    bool      // of invariants, in tests
	buffers   sync.Pool // of *[]byte: records being encoded
	pieces    sync.Pool // of *[]byte, pieceBytes each: bytes being hashed
	// writebacks has a token for each write-back under way, background waits for them and for files to be closed.
	writebacks chan struct{}
	background sync.WaitGroup
	hands      chan struct{} // has a token for each goroutine that hashes for a seal besides the caller's own

	mu        sync.Mutex
	number    uint64              // GUARDED_BY(mu): the last number given out
	slotsUsed int                 // GUARDED_BY(mu): slots ever used
	slotsFree []int               // GUARDED_BY(mu)
	stages    map[*Stage]struct{} // GUARDED_BY(mu): open ones
	stay      int                 // GUARDED_BY(mu): stages that were left for the next sweep
	granted   int64               // GUARDED_BY(mu): bytes reserved
	left      int64               // GUARDED_BY(mu): of them, not yet asked for. INVARIANT: 0 <= left <= granted
}

// OpenSession makes a new session below dir, which it makes if it is absent.
func OpenSession(fsys disk.FS, dir string, opt Options) (*Session, error) {
	if err := fsys.Mkdir(dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, disk.Error("open staging", err)
	}
	openMax := opt.OpenMax
	if openMax <= 0 {
		openMax = openMaxDefault
	}
	s := &Session{
		fs: fsys, files: disk.NewPool(fsys, openMax), root: dir, opt: opt, stages: make(map[*Stage]struct{}),
		writebacks: make(chan struct{}, writebacksMax),
		hands:      make(chan struct{}, min(runtime.GOMAXPROCS(0), handsMax)-1),
		slotBytes:  2*int64(opt.InlineBytes) + slotSpareBytes,
	}
	s.buffers.New = func() any { return new([]byte) }
	s.pieces.New = func() any { b := make([]byte, pieceBytes); return &b }
	for n := 0; s.dir == ""; n++ {
		if err := s.claim(filepath.Join(dir, fmt.Sprintf("%d-%d", os.Getpid(), n))); err != nil {
			return nil, disk.Error("open staging", err)
		}
	}
	slots, err := fsys.Create(filepath.Join(s.dir, slotsName))
	if err == nil {
		s.slots = slots
		err = writeSlotsHead(slots, s.slotBytes)
	}
	if err != nil {
		return nil, disk.Error("open staging", errors.Join(err, s.lock.Close()))
	}
	return s, nil
}

// claim makes a session directory of that name, unless there is one. The lock is
// taken first, so that no sweep sees the directory without it.
func (s *Session) claim(name string) error {
	lock, err := s.fs.Lock(name + lockSuffix)
	if errors.Is(err, disk.ErrLocked) {
		return nil
	}
	if err != nil {
		return err
	}
	switch err := s.fs.Mkdir(name); {
	case err == nil:
		s.dir, s.lock = name, lock
		return nil
	case errors.Is(err, fs.ErrExist): // of an earlier process, to be swept
		return lock.Close()
	default:
		return errors.Join(err, lock.Close())
	}
}

// Name is that of the session's directory.
func (s *Session) Name() string { return filepath.Base(s.dir) }

// Left is how many stages were left for the next sweep.
func (s *Session) Left() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stay
}

// Close removes the session, unless stages were left in it: then it becomes as that of a process that is gone. Stages still
// open are closed, their bytes dropped.
func (s *Session) Close() error {
	s.mu.Lock()
	open := make([]*Stage, 0, len(s.stages))
	for st := range s.stages {
		open = append(open, st)
	}
	s.mu.Unlock()
	var err error
	for _, st := range open {
		err = errors.Join(err, st.Close())
	}
	s.background.Wait()
	s.mu.Lock()
	s.opt.Space.Release(s.granted)
	s.granted, s.left = 0, 0
	left := s.stay
	s.mu.Unlock()
	if left > 0 {
		return disk.Error("close staging", errors.Join(err, s.slots.Close(), s.lock.Close()))
	}
	err = errors.Join(err, s.slots.Close(), removeAll(s.fs, s.dir), s.fs.Remove(s.dir+lockSuffix), s.lock.Close())
	return disk.Error("close staging", err)
}

// removeAll removes a session directory, which has no directories below.
func removeAll(fsys disk.FS, dir string) error {
	names, err := fsys.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := remove(fsys, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return fsys.Remove(dir)
}

// NewStage starts a stage over base; nil is the empty content.
func (s *Session) NewStage(owner objstore.Owner, base Base) *Stage {
	if n := len(owner.Path); n > pathBytesMax {
		owner.Path = owner.Path[n-pathBytesMax:]
	}
	st := &Stage{
		session: s, token: make(chan struct{}, 1), owner: owner, view: newView(base), log: stageLog{session: s},
		lowest: math.MaxInt64,
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stages[st] = struct{}{}
	return st
}

func (s *Session) forget(st *Stage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.stages, st)
}

// leave is forget for a stage whose files stay.
func (s *Session) leave(st *Stage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.stages, st)
	s.stay++
}

// nextNumber is a number for a log or a layer, used once in this session.
func (s *Session) nextNumber() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.number++
	return s.number
}

func (s *Session) slotOffset(slot int) int64 { return slotsHeadBytes + int64(slot)*s.slotBytes }

func (s *Session) takeSlot() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.slotsFree); n > 0 {
		slot := s.slotsFree[n-1]
		s.slotsFree = s.slotsFree[:n-1]
		return slot
	}
	s.slotsUsed++
	return s.slotsUsed - 1
}

func (s *Session) freeSlot(slot int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slotsFree = append(s.slotsFree, slot)
}

// admit asks for the space of n bytes of the stage. Those of a found stage are on the disk already,
// in another place or another way, and are not to be lost for want of a little room.
func (st *Stage) admit(n int64) error {
	if st.found == nil {
		return st.session.admit(n)
	}
	return st.session.admitFound(n)
}

// admitFound says whether there is space for n bytes of a found stage.
func (s *Session) admitFound(n int64) error {
	err := s.opt.Space.ReserveEssential(n)
	if err == nil {
		s.opt.Space.Release(n)
	}
	return err
}

// admit asks for the space of n bytes. It asks the guard for more at a time,
// and gives a grant back when it asks for the next: those bytes are on the disk by then.
func (s *Session) admit(n int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left >= n {
		s.left -= n
		return nil
	}
	s.opt.Space.Release(s.granted)
	s.granted, s.left = 0, 0
	grant := max(n, grantBytes)
	err := s.opt.Space.Reserve(grant)
	if err != nil && grant > n {
		grant = n
		err = s.opt.Space.Reserve(grant)
	}
	if err == nil {
		s.granted, s.left = grant, grant-n
	}
	return err
}
