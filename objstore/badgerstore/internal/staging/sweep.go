package staging

import (
	"errors"
	"io"
	"io/fs"
	"math"
	"path/filepath"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/blob"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

// Found is a changed stage of a process that is gone.
type Found struct {
	Owner objstore.Owner
	// Object and Version are what it was sealed as, 0 if it was not or has changed since. If that
	// commit succeeded nothing is lost: the process had no time to say so here.
	Object  objstore.ID
	Version uint64
}

// Sweep looks into the sessions beside this one whose process is gone. For each stage
// that was changed it calls resume, which says what its base is (nil if it had none, or
// if that is lost: its bytes read as zeros then), and then keep, with the stage. The stage is closed
// after that. Once keep has returned nil for all stages of a session, the session is removed;
// else it is found again by the next sweep.
func (s *Session) Sweep(resume func(Found) (Base, error), keep func(Found, *Stage) error) error {
	names, err := s.fs.ReadDir(s.root)
	if err != nil {
		return disk.Error("sweep staging", err)
	}
	var all error
	for _, name := range names {
		dir := filepath.Join(s.root, name)
		if info, err := s.fs.Stat(dir); err != nil || !info.Dir || dir == s.dir {
			continue
		}
		if err := s.sweepSession(dir, resume, keep); err != nil {
			all = errors.Join(all, err)
		}
	}
	return all
}

func (s *Session) sweepSession(dir string, resume func(Found) (Base, error), keep func(Found, *Stage) error) error {
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
	var all error
	for _, l := range logs {
		if err := s.sweepLog(l, resume, keep); err != nil {
			all = errors.Join(all, err)
		}
	}
	if all != nil {
		return all
	}
	return disk.Error("sweep staging", errors.Join(removeAll(s.fs, dir), s.fs.Remove(dir+lockSuffix)))
}

// foundLog is a log with its records.
type foundLog struct {
	dir      string
	number   uint64
	owner    objstore.Owner
	baseSize int64
	records  []logRecord
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
		n, err := slots.ReadAt(slot, slotsHeadBytes+i*slotBytes)
		if err != nil && err != io.EOF {
			return nil, disk.Error("sweep staging", err)
		}
		l, ok, err := s.readLog(dir, slot[:n])
		if err != nil {
			return nil, err
		}
		if ok {
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
	if l.owner, ok = parseOwner(open.data); !ok {
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
	f := Found{Owner: l.owner}
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

func (s *Session) sweepLog(l foundLog, resume func(Found) (Base, error), keep func(Found, *Stage) error) error {
	if !l.changed() {
		return nil
	}
	found := l.found()
	base, err := resume(found)
	if err != nil {
		return err
	}
	st := s.NewStage(l.owner, base)
	st.log.muted = true
	r := replay{st: st, log: &l, files: make(map[uint64]*layer)}
	err = r.run()
	if err == nil {
		err = keep(found, st)
	}
	if err != nil {
		// The files are for the next sweep.
		st.abandon()
		return err
	}
	return st.Close()
}

// abandon closes a stage and leaves its files.
func (st *Stage) abandon() {
	st.mu.Lock()
	for _, l := range st.layers {
		if l.file != nil {
			l.close()
		}
	}
	st.layers = nil
	st.mu.Unlock()
	st.Close()
}

// replay makes a stage of its log. Nobody else has the stage yet.
type replay struct {
	st    *Stage
	log   *foundLog
	files map[uint64]*layer
	whole *layer // not yet applied
}

func (r *replay) run() error {
	v := &r.st.view
	v.size = r.log.baseSize
	v.limit = min(v.limit, v.size)
	for _, record := range r.log.records {
		if err := r.record(record); err != nil {
			return err
		}
		r.st.changes++
	}
	if err := r.applyWhole(math.MaxInt64); err != nil {
		return err
	}
	for _, l := range r.files {
		l.summer.Found(0, l.end)
	}
	r.st.checkInvariants()
	return nil
}

func (r *replay) record(rec logRecord) error {
	st, off, n := r.st, int64(rec.a), int64(rec.b)
	switch rec.kind {
	case recordData:
		src := r.memory(rec.data)
		st.put(off, int64(len(rec.data)), st.current, src)
	case recordRange:
		l, err := r.file(rec.c)
		if l == nil {
			return err
		}
		l.end = max(l.end, int64(rec.d)+n)
		st.put(off, n, l, int64(rec.d))
	case recordWhole:
		l, err := r.file(rec.c)
		r.whole = l
		return err
	case recordSize:
		st.view.truncate(off)
	case recordZero:
		return st.view.zero(off, off+n, st.epoch, false)
	case recordSeal:
		if rec.d != 0 {
			return r.applyWhole(int64(rec.d))
		}
	}
	return nil
}

// memory adds data to the one memory layer and returns its place there.
func (r *replay) memory(p []byte) int64 {
	st := r.st
	if st.current == nil {
		st.current = new(layer)
		st.layers = append(st.layers, st.current)
	}
	return st.current.remember(p)
}

// file is the layer of that number; nil if its file is gone, as after a move that failed.
func (r *replay) file(id uint64) (*layer, error) {
	if l := r.files[id]; l != nil {
		return l, nil
	}
	name := layerName(r.log.dir, id)
	info, err := r.st.session.fs.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && info.Links > 1 {
		err = r.st.session.detach(name, info.Size)
	}
	if err != nil {
		return nil, disk.Error("sweep staging", err)
	}
	f, err := r.st.session.fs.OpenRW(name)
	if err != nil {
		return nil, disk.Error("sweep staging", err)
	}
	l := &layer{session: r.st.session, file: f, id: id, frozen: true, summer: blob.NewSummer()}
	r.files[id] = l
	r.st.layers = append(r.st.layers, l)
	return l, nil
}

// applyWhole enters what a whole layer's file has below end.
func (r *replay) applyWhole(end int64) error {
	l := r.whole
	if l == nil {
		return nil
	}
	r.whole = nil
	info, err := l.file.Stat()
	if err != nil {
		return disk.Error("sweep staging", err)
	}
	end = min(end, info.Size, straightChunks*chunkBytes)
	for pos := int64(0); pos < end; {
		data, err := l.file.NextData(pos)
		if err == io.EOF || data >= end {
			break
		}
		hole, err2 := l.file.NextHole(data)
		if err := errors.Join(err, err2); err != nil {
			return disk.Error("sweep staging", err)
		}
		hole = min(hole, end)
		r.st.put(data, hole-data, l, data)
		pos = hole
	}
	l.end = max(l.end, end)
	if end > r.st.view.size {
		r.st.view.truncate(end)
	}
	return nil
}
