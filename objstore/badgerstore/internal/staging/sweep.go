package staging

import (
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

// Found is a changed stage of a process that is gone.
type Found struct {
	Owner objstore.Owner
	// Object and Version are what it was sealed as, 0 if it was not or has changed since. If that
	// commit succeeded nothing is lost: the process had no time to say so here.
	Object  objstore.ID
	Version uint64
	// Base is what Base.Describe said; empty if there was no base.
	Base []byte
	// Lost, known to keep only, are the ranges that read as zeros because what was there is gone.
	Lost []Range
}

// keptMax stages that were found are open at once, until they are settled.
const keptMax = 128

// Keeper decides what becomes of the stages that a sweep finds. Its methods are called one at a time.
type Keeper interface {
	// Resume says what the base of a stage is; nil if it had none, or if that is lost.
	Resume(Found) (Base, error)
	// Keep keeps a stage. That need not be durable before Settle returns.
	Keep(Found, *Stage) error
	// Settle makes durable what Keep has kept since Settle was called last. The stages are closed afterwards, unless
	// there is an error: then they are left to the next sweep.
	Settle() error
}

// Range is [Off, End) of a content.
type Range struct{ Off, End int64 }

// Sweep looks into the sessions beside this one whose process is gone. For each stage
// that was changed it calls k.Resume, and then k.Keep with the stage.
//
// Once k.Settle has returned nil after that, or the stage is closed, it is not found again. Otherwise the next
// sweep finds the same: nothing that is there is changed before. A session of whose stages none
// is left is removed.
func (s *Session) Sweep(k Keeper) error {
	names, err := s.fs.ReadDir(s.root)
	if err != nil {
		return disk.Error("sweep staging", err)
	}
	var all error
	for _, name := range names {
		dir := filepath.Join(s.root, name)
		if session, isLock := strings.CutSuffix(name, lockSuffix); isLock && !slices.Contains(names, session) {
			all = errors.Join(all, s.removeLock(dir))
			continue
		}
		if info, err := s.fs.Stat(dir); err != nil || !info.Dir || dir == s.dir {
			continue
		}
		if err := s.sweepSession(dir, k); err != nil {
			all = errors.Join(all, err)
		}
	}
	return all
}

// removeLock removes the lock of a session that died before it had a directory, or after.
func (s *Session) removeLock(name string) error {
	lock, err := s.fs.Lock(name)
	if errors.Is(err, disk.ErrLocked) {
		return nil
	}
	if err == nil {
		err = errors.Join(remove(s.fs, name), lock.Close())
	}
	return disk.Error("sweep staging", err)
}

func (s *Session) sweepSession(dir string, k Keeper) error {
	lock, err := s.fs.Lock(dir + lockSuffix)
	if errors.Is(err, disk.ErrLocked) {
		return nil
	}
	if err != nil {
		return disk.Error("sweep staging", err)
	}
	defer lock.Close()
	logs, err := s.readLogs(dir)
	if err != nil {
		return err
	}
	all := s.sweepLogs(logs, k)
	if all == nil && len(logs) > 0 {
		all = s.syncSlots(dir)
	}
	if all != nil {
		return all
	}
	return disk.Error("sweep staging", errors.Join(removeAll(s.fs, dir), s.fs.Remove(dir+lockSuffix)))
}

// syncSlots makes durable that the logs in a slot file are no more: a loss of power may
// not bring them back once the files they name are gone.
func (s *Session) syncSlots(dir string) error {
	f, err := s.fs.Open(filepath.Join(dir, slotsName))
	if err == nil {
		err = errors.Join(f.Sync(), f.Close())
	}
	return disk.Error("sweep staging", err)
}

// foundLog is a log with its records.
type foundLog struct {
	dir      string
	offset   int64 // of its slot
	number   uint64
	owner    objstore.Owner
	base     []byte // as described
	baseSize int64
	records  []logRecord
}

// clear forgets the log: it is not found again. Its files stay until the session goes.
func (l *foundLog) clear(fsys disk.FS) error {
	f, err := fsys.OpenRW(filepath.Join(l.dir, slotsName))
	if err == nil {
		err = errors.Join(clearSlot(f, l.offset), f.Close())
	}
	return disk.Error("clear stage", err)
}

// readLogs reads the logs of a session's slot file.
func (s *Session) readLogs(dir string) ([]foundLog, error) {
	slots, err := s.fs.Open(filepath.Join(dir, slotsName))
	if errors.Is(err, fs.ErrNotExist) { // died while it was born, or while it was removed
		return nil, nil
	}
	if err != nil {
		return nil, disk.Error("sweep staging", err)
	}
	defer slots.Close()
	slotBytes, err := readSlotsHead(slots)
	if objstore.KindOf(err) == objstore.ErrCorrupt { // power was cut: the head was never on the disk, so no log can be read
		return nil, nil
	}
	if err != nil || slotBytes == 0 {
		return nil, err
	}
	var logs []foundLog
	slot := make([]byte, slotBytes)
	for i := int64(0); ; i++ {
		offset := slotsHeadBytes + i*slotBytes
		n, err := slots.ReadAt(slot, offset)
		if err != nil && err != io.EOF {
			return nil, disk.Error("sweep staging", err)
		}
		l, ok, err := s.readLog(dir, slot[:n])
		if err != nil {
			return nil, err
		}
		if ok {
			l.offset = offset
			logs = append(logs, l)
		}
		if int64(n) < slotBytes {
			return logs, nil
		}
	}
}

// readLog reads one log, as far as its records are whole: the last one may
// be of a write that had not returned.
func (s *Session) readLog(dir string, slot []byte) (l foundLog, ok bool, err error) {
	open, rest, ok := parseRecord(slot, 0)
	if !ok || open.kind != recordOpen {
		return l, false, nil
	}
	l = foundLog{dir: dir, number: open.a, baseSize: int64(open.b)}
	if l.owner, l.base, ok = parseOwner(open); !ok {
		return l, false, nil
	}
	more, err := readWhole(s.fs, overflowName(dir, l.number))
	if err != nil {
		return l, false, err
	}
	for _, b := range [][]byte{rest, more} {
		for {
			r, rest, ok := parseRecord(b, l.number)
			if !ok {
				break
			}
			r.data = append([]byte(nil), r.data...)
			l.records = append(l.records, r)
			b = rest
		}
	}
	return l, true, nil
}

// readWhole reads a file that may be absent.
func readWhole(fsys disk.FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, disk.Error("sweep staging", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, disk.Error("sweep staging", err)
	}
	b := make([]byte, info.Size)
	n, err := f.ReadAt(b, 0)
	if err == io.EOF {
		err = nil
	}
	return b[:n], disk.Error("sweep staging", err)
}

// found is what a log says of its stage.
func (l *foundLog) found() Found {
	f := Found{Owner: l.owner, Base: l.base}
	for _, r := range l.records {
		f.Object, f.Version = 0, 0
		if r.kind == recordSeal {
			f.Object, f.Version = objstore.ID(r.a), r.b
		}
	}
	return f
}

// changed reports whether the log says of any change.
func (l *foundLog) changed() bool {
	for _, r := range l.records {
		if r.kind != recordSeal {
			return true
		}
	}
	return false
}

// sweepLogs keeps what logs tell of. Many are settled at once: to make them durable one by one would take minutes where a sync is slow.
func (s *Session) sweepLogs(logs []foundLog, k Keeper) (all error) {
	var kept []*Stage
	for i := range logs {
		st, err := s.sweepLog(&logs[i], k)
		if st != nil {
			kept = append(kept, st)
		}
		if len(kept) == keptMax {
			err = errors.Join(err, settle(kept, k))
			kept = kept[:0]
		}
		all = errors.Join(all, err)
	}
	if len(kept) > 0 {
		all = errors.Join(all, settle(kept, k))
	}
	return all
}

// sweepLog keeps the stage a log tells of, which is to be settled then; nil: there is none to settle.
func (s *Session) sweepLog(l *foundLog, k Keeper) (*Stage, error) {
	if !l.changed() {
		return nil, nil
	}
	found := l.found()
	base, err := k.Resume(found)
	if err != nil {
		return nil, err
	}
	r := s.newReplay(l, base)
	err = r.run()
	if err == nil {
		found.Lost = r.lost()
		err = k.Keep(found, r.st)
	}
	if err != nil {
		return nil, errors.Join(err, r.st.abandon())
	}
	return r.st, nil
}

// settle ends stages that were kept, once that is durable.
func settle(kept []*Stage, k Keeper) error {
	all := k.Settle()
	end := (*Stage).Close
	if all != nil {
		end = (*Stage).abandon
	}
	for _, st := range kept {
		all = errors.Join(all, end(st))
	}
	return all
}

// abandon closes a found stage and leaves all of it to the next sweep.
func (st *Stage) abandon() error {
	st.found = nil
	return st.Close()
}
