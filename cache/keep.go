package cache

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/etagfs/etagfs/objstore"
)

// A conflict is a directory below kept with the name of its id. infoName is written last; the others are contents.
const (
	infoName   = "info.json"
	mineName   = "mine"
	baseName   = "base"
	theirsName = "theirs"
)

// Keep implements [objstore.Stage]. It returns once the bytes survive the loss of power.
func (s *Stage) Keep(ctx context.Context, c objstore.Conflict) (kept objstore.Conflict, err error) {
	if c.Reason < objstore.ReasonLost || c.Reason > objstore.ReasonCrash {
		return kept, named("keep", s.owner.Path, problem(objstore.ErrInvalid, "a conflict needs a reason"))
	}
	if err := s.take(ctx); err != nil {
		return kept, named("keep", s.owner.Path, err)
	}
	defer func() { <-s.token }()
	kept, err = s.keep(ctx, c)
	return kept, named("keep", s.owner.Path, err)
}

// keep requires the token.
func (s *Stage) keep(ctx context.Context, c objstore.Conflict) (objstore.Conflict, error) {
	k := &keeping{s: s, dir: s.area.nextName("keep"), c: c}
	defer os.RemoveAll(k.dir) // nothing is there once it has its place
	if err := os.Mkdir(k.dir, 0o700); err != nil {
		return objstore.Conflict{}, err
	}
	s.area.keeping.Lock()
	defer s.area.keeping.Unlock()
	if err := k.fillIn(); err != nil {
		return objstore.Conflict{}, err
	}
	if err := k.mine(ctx); err != nil {
		return objstore.Conflict{}, err
	}
	k.hold(ctx, baseName, &k.c.Base)
	k.hold(ctx, theirsName, &k.c.Theirs)
	if err := k.publish(); err != nil {
		return objstore.Conflict{}, err
	}
	s.kept = k.c.ID
	return k.c, nil
}

// keeping is a conflict that is being written, with the area's lock held.
type keeping struct {
	s   *Stage
	dir string // in the session, until it is complete
	c   objstore.Conflict
	old *objstore.Conflict // the stage's earlier one; nil: none
}

// fillIn gives the conflict its id, its time and its base.
func (k *keeping) fillIn() error {
	if k.c.Time.IsZero() {
		k.c.Time = k.s.area.opt.Clock()
	}
	k.c.Time = k.c.Time.Round(0).UTC()
	if k.c.Base == (objstore.ContentRef{}) && k.s.ref.Exists {
		k.c.Base.Version = k.s.ref.Version
	}
	var err error
	k.c.ID, err = k.identify()
	return err
}

// identify finds the conflict to be replaced, and the id.
func (k *keeping) identify() (objstore.ConflictID, error) {
	a := k.s.area
	for _, id := range []objstore.ConflictID{k.s.kept, k.c.ID} {
		if !id.IsValid() {
			continue
		}
		old, err := a.conflict(id)
		switch {
		case err == nil && (id == k.s.kept || k.c.Replaces(old)):
			k.old = &old
			return id, nil
		case errors.Is(err, objstore.ErrNotFound) && id == k.c.ID:
			return id, nil
		}
	}
	for {
		id, err := objstore.NewConflictID(k.c.Time, a.opt.Rand)
		if err != nil {
			return "", err
		}
		if _, err := os.Stat(filepath.Join(a.kept, string(id))); errors.Is(err, os.ErrNotExist) {
			return id, nil
		} else if err != nil {
			return "", err
		}
	}
}

// mine writes the loser's bytes. What the base no longer gives is zeros, and the detail says so.
func (k *keeping) mine(ctx context.Context) error {
	s := k.s
	lost := k.fill(ctx)
	out, err := os.OpenFile(filepath.Join(k.dir, mineName), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = out.Truncate(s.size)
	for off := int64(0); off < s.size && err == nil; {
		from, end := s.ranges.at(off, s.size, s.limit)
		if from == fromFile {
			_, err = io.Copy(io.NewOffsetWriter(out, off), io.NewSectionReader(s.slot.data, off, end-off))
		}
		off = end
	}
	k.c.Bytes = s.size
	if k.c.Gaps = len(lost) > 0; k.c.Gaps {
		k.c.Detail = strings.TrimPrefix(k.c.Detail+"; ", "; ") + "zeros stand for bytes of the base that are gone: " + strings.Join(lost, ", ")
	}
	return errors.Join(err, out.Sync(), out.Close())
}

// fill fetches what can be had of the base, and says what cannot.
func (k *keeping) fill(ctx context.Context) (lost []string) {
	s := k.s
	for off := int64(0); off < s.limit; {
		from, end := s.ranges.at(off, s.limit, s.limit)
		if from == fromBase && (s.base == nil || s.fetch(ctx, off, end) != nil) {
			lost = append(lost, fmt.Sprintf("%d to %d", off, end))
		}
		off = end
	}
	return lost
}

// hold keeps the content ref stands for, if it can be had and is not too large, and completes ref.
func (k *keeping) hold(ctx context.Context, name string, ref *objstore.ContentRef) {
	ref.Held = false
	if ref.Version == "" {
		return
	}
	ref.Exists = true
	if k.holdAgain(name, ref) {
		return
	}
	r, err := k.s.to.OpenVersion(ctx, k.c.Object, k.c.Path, ref.Version)
	if err != nil && k.c.Reason == objstore.ReasonCrash { // the object's id may have been good for as long as its process
		r, err = k.s.to.OpenVersion(ctx, 0, k.c.Path, ref.Version)
	}
	if k.s.base != nil && ref.Version == k.s.ref.Version && err != nil {
		r, err = notClosed{k.s.base}, nil
	}
	if err != nil {
		k.s.area.opt.Logger.Debug("a conflict cannot hold a version", "path", k.c.Path, "version", string(ref.Version), "error", err)
		return
	}
	defer r.Close()
	info := r.Info()
	ref.ETag, ref.Size = info.ETag, info.Size
	if info.Size <= k.s.area.opt.HoldBytes {
		err = writeFrom(ctx, filepath.Join(k.dir, name), r)
		ref.Held = err == nil
	}
	if err != nil {
		k.s.area.opt.Logger.Warn("a conflict cannot hold a version", "path", k.c.Path, "version", string(ref.Version), "error", err)
	}
}

// notClosed is a reader that somebody else closes.
type notClosed struct{ objstore.Reader }

func (notClosed) Close() error { return nil }

// holdAgain takes over what the stage's earlier conflict holds.
func (k *keeping) holdAgain(name string, ref *objstore.ContentRef) bool {
	if k.old == nil {
		return false
	}
	for oldName, old := range map[string]objstore.ContentRef{baseName: k.old.Base, theirsName: k.old.Theirs} {
		if old.Held && old.Version == ref.Version &&
			os.Link(filepath.Join(k.s.area.kept, string(k.old.ID), oldName), filepath.Join(k.dir, name)) == nil {
			*ref = old
			return true
		}
	}
	return false
}

// writeFrom writes all r reads to a new file, durably.
func writeFrom(ctx context.Context, name string, r objstore.Reader) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	body := r.Stream(ctx, 0, -1)
	_, err = io.CopyBuffer(struct{ io.Writer }{f}, body, make([]byte, pieceBytes))
	return errors.Join(err, body.Close(), f.Sync(), f.Close())
}

// publish gives the complete conflict its place, in that of an earlier one. If the process dies
// between the two steps of that, a sweep ends it.
func (k *keeping) publish() error {
	text, err := json.MarshalIndent(k.c, "", "  ")
	if err != nil {
		return err
	}
	if err := writeDurably(filepath.Join(k.dir, infoName), append(text, '\n')); err != nil {
		return err
	}
	if err := syncDir(k.dir); err != nil {
		return err
	}
	place := filepath.Join(k.s.area.kept, string(k.c.ID))
	if k.old != nil {
		aside := k.s.area.nextName("replaced")
		if err := os.Rename(place, aside); err != nil {
			return err
		}
		defer os.RemoveAll(aside)
	}
	if err := os.Rename(k.dir, place); err != nil {
		return err
	}
	return syncDir(k.s.area.kept)
}

func writeDurably(name string, text []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
