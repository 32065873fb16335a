package cache

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/etagfs/etagfs/objstore"
)

// Sweep looks into sessions whose process is gone, keeps what was changed in them as conflicts, and removes
// them. What to has already, as the current content of the path, was committed and is not kept.
func (a *Area) Sweep(ctx context.Context, to Committer) error {
	entries, err := os.ReadDir(a.sessions)
	if err != nil {
		return named("sweep cache", a.sessions, err)
	}
	var all error
	for _, entry := range entries {
		name := filepath.Join(a.sessions, strings.TrimSuffix(entry.Name(), lockSuffix))
		if name == a.session || entry.IsDir() {
			continue // every session has a lock
		}
		if err := a.sweepSession(ctx, name, to); err != nil {
			all = errors.Join(all, named("sweep cache", name, err))
		}
	}
	return all
}

func (a *Area) sweepSession(ctx context.Context, dir string, to Committer) (err error) {
	lock, err := lockFile(dir + lockSuffix)
	if lock == nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	var all error
	for _, entry := range entries {
		name := filepath.Join(dir, entry.Name())
		if stage, isJournal := strings.CutSuffix(name, journalSuffix); isJournal {
			all = errors.Join(all, a.sweepStage(ctx, stage, to))
		} else if entry.IsDir() {
			all = errors.Join(all, a.sweepKept(name))
		}
	}
	if all != nil {
		return all // what could not be kept is left for the next time
	}
	return errors.Join(os.RemoveAll(dir), os.Remove(dir+lockSuffix))
}

// sweepKept gives a complete conflict its place if nothing has it.
func (a *Area) sweepKept(dir string) error {
	a.keeping.Lock()
	defer a.keeping.Unlock()
	text, err := os.ReadFile(filepath.Join(dir, infoName))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	id, err := conflictIDOf(text)
	if err != nil {
		return nil // it was being written
	}
	if _, err := a.conflict(id); !errors.Is(err, objstore.ErrNotFound) {
		return err
	}
	return errors.Join(os.Rename(dir, filepath.Join(a.kept, string(id))), syncDir(a.kept))
}

// sweepStage keeps a stage of a session that is locked, and then removes its journal.
func (a *Area) sweepStage(ctx context.Context, name string, to Committer) error {
	h, records, err := readJournal(name + journalSuffix)
	if err == io.EOF {
		return nil
	}
	if objstore.KindOf(err) == objstore.ErrCorrupt { // power was cut before it was on the disk
		a.opt.Logger.Warn("the journal of a stage cannot be read; its bytes are dropped", "journal", name+journalSuffix, "error", err)
		return nil
	}
	if err != nil {
		return err
	}
	s, err := a.found(ctx, name, h, records, to)
	if err != nil {
		return err
	}
	defer s.release()
	theirs, committed, err := s.compare(ctx)
	if err != nil {
		return err
	}
	if !committed {
		c := objstore.Conflict{
			Reason: objstore.ReasonCrash, Path: h.Owner.Path, Object: h.Owner.Object, UID: h.Owner.UID, GID: h.Owner.GID,
			Mode: h.Owner.Mode, PID: h.Owner.PID, Host: h.Owner.Host, Operation: "crash", Detail: "the process that wrote it ended without closing it",
			Theirs: theirs,
		}
		kept, err := s.keep(ctx, c)
		if err != nil {
			return err
		}
		a.opt.Logger.Warn("kept what a process that is gone has not committed", "path", c.Path, "conflict", string(kept.ID), "bytes", kept.Bytes)
	}
	return os.Remove(name + journalSuffix)
}

// found is the stage a journal tells of.
func (a *Area) found(ctx context.Context, name string, h head, records []record, to Committer) (*Stage, error) {
	s := &Stage{
		area: a, to: to, owner: h.Owner, token: make(chan struct{}, 1), ref: h.Base,
		size: h.Size, limit: h.Limit, lowest: math.MaxInt64,
	}
	for _, r := range records {
		switch r.kind {
		case recordData, recordZero:
			s.ranges.set(extent{r.a, r.b, r.kind == recordZero})
			if r.kind == recordData {
				s.size = max(s.size, r.b)
			}
		case recordSize:
			s.ranges.cut(r.a)
			s.size, s.limit = r.a, r.b
		}
	}
	if h.Base.Exists && s.limit > 0 && h.Owner.Path != "" { // what had no name cannot be found again
		base, err := to.OpenVersion(ctx, 0, h.Owner.Path, h.Base.Version)
		switch {
		case err == nil:
			s.base = base
		case !objstore.IsLostCondition(err):
			return nil, err // it may be had later
		}
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, errors.Join(err, s.release())
	}
	if err == nil {
		s.slot = &slot{name: name, data: f}
	}
	return s, nil
}

// release closes what a found stage has open.
func (s *Stage) release() error {
	var err error
	if s.base != nil {
		err = s.base.Close()
	}
	if s.slot != nil {
		err = errors.Join(err, s.slot.close())
	}
	return err
}

// compare tells what is at the path, and whether its content is the stage's: then its process had no time to say so. Large ones
// are not compared, and kept.
func (s *Stage) compare(ctx context.Context) (theirs objstore.ContentRef, committed bool, err error) {
	r, err := s.to.OpenVersion(ctx, 0, s.owner.Path, "")
	if objstore.KindOf(err) == objstore.ErrUnavailable {
		return theirs, false, err // it can be known later
	}
	if err != nil {
		return theirs, false, nil
	}
	defer r.Close()
	theirs = objstore.ContentRef{Exists: true, Version: r.Info().Version}
	return theirs, s.isIn(ctx, r), nil
}

// isIn reports whether r has the stage's bytes.
func (s *Stage) isIn(ctx context.Context, r objstore.Reader) bool {
	if s.size > s.area.opt.HoldBytes {
		return false
	}
	if r.Info().Size != s.size {
		return false
	}
	mine, theirs := make([]byte, s.size), make([]byte, s.size)
	if s.read(ctx, mine, 0) != nil {
		return false
	}
	n, err := r.ReadAt(ctx, theirs, 0)
	return n == len(theirs) && (err == nil || err == io.EOF) && bytes.Equal(mine, theirs)
}
