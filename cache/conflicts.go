package cache

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/etagfs/etagfs/objstore"
)

// conflict reads what is written down about a conflict. It requires keeping.
func (a *Area) conflict(id objstore.ConflictID) (c objstore.Conflict, err error) {
	if id == "" || strings.ContainsAny(string(id), "/\x00") || strings.HasPrefix(string(id), ".") {
		return c, objstore.ErrNotFound
	}
	text, err := os.ReadFile(filepath.Join(a.kept, string(id), infoName))
	if errors.Is(err, os.ErrNotExist) {
		return c, objstore.ErrNotFound
	}
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(text, &c); err != nil || c.ID != id {
		return objstore.Conflict{}, &objstore.Error{Kind: objstore.ErrCorrupt, Detail: "what is written down about it", Err: err}
	}
	return c, nil
}

// ListConflicts implements [objstore.Conflicts].
func (a *Area) ListConflicts(ctx context.Context) (all []objstore.Conflict, err error) {
	a.keeping.Lock()
	defer a.keeping.Unlock()
	if err := ended(ctx); err != nil {
		return nil, named("list conflicts", "", err)
	}
	names, err := os.ReadDir(a.kept)
	if err != nil {
		return nil, named("list conflicts", "", err)
	}
	for _, name := range names {
		c, err := a.conflict(objstore.ConflictID(name.Name()))
		if errors.Is(err, objstore.ErrNotFound) {
			continue // dropped meanwhile by another process
		}
		if err != nil {
			return nil, named("list conflicts", name.Name(), err)
		}
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b objstore.Conflict) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.ID, b.ID))
	})
	return all, nil
}

// Conflict implements [objstore.Conflicts].
func (a *Area) Conflict(ctx context.Context, id objstore.ConflictID) (c objstore.Conflict, err error) {
	a.keeping.Lock()
	defer a.keeping.Unlock()
	if err = ended(ctx); err == nil {
		c, err = a.conflict(id)
	}
	return c, named("conflict", string(id), err)
}

// OpenConflict implements [objstore.Conflicts].
func (a *Area) OpenConflict(ctx context.Context, id objstore.ConflictID, side objstore.ConflictSide) (objstore.Reader, error) {
	a.keeping.Lock()
	defer a.keeping.Unlock()
	c, err := a.conflict(id)
	if err := cmp.Or(ended(ctx), err); err != nil {
		return nil, named("open conflict", string(id), err)
	}
	r, err := a.openSide(c, side)
	if err != nil {
		return nil, named("open conflict", string(id), err)
	}
	return r, nil
}

func (a *Area) openSide(c objstore.Conflict, side objstore.ConflictSide) (*fileReader, error) {
	name, ref := mineName, objstore.ContentRef{Held: true}
	switch side {
	case objstore.SideMine:
	case objstore.SideBase:
		name, ref = baseName, c.Base
	case objstore.SideTheirs:
		name, ref = theirsName, c.Theirs
	default:
		return nil, objstore.ErrInvalid
	}
	if !ref.Held {
		return nil, problem(objstore.ErrNotFound, "the bytes are not held")
	}
	f, err := os.Open(filepath.Join(a.kept, string(c.ID), name))
	if err != nil {
		return nil, err
	}
	stat, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &fileReader{file: f, info: objstore.Info{
		ID: c.Object, Type: objstore.TypeFile, Size: stat.Size(), Allocated: stat.Size(),
		Version: ref.Version, ETag: ref.ETag, Modified: c.Time,
		Attr: objstore.Attr{Mode: c.Mode, UID: c.UID, GID: c.GID, Mtime: c.Time},
	}}, nil
}

// DropConflict implements [objstore.Conflicts].
func (a *Area) DropConflict(ctx context.Context, id objstore.ConflictID) error {
	a.keeping.Lock()
	defer a.keeping.Unlock()
	_, err := a.conflict(id)
	if err := cmp.Or(ended(ctx), err); err != nil {
		return named("drop conflict", string(id), err)
	}
	place := filepath.Join(a.kept, string(id))
	return named("drop conflict", string(id), errors.Join(
		os.Remove(filepath.Join(place, infoName)), syncDir(place), os.RemoveAll(place), syncDir(a.kept)))
}

// fileReader reads one side of a conflict.
type fileReader struct {
	file   *os.File
	info   objstore.Info
	closed atomic.Bool
}

// Info implements [objstore.Reader].
func (r *fileReader) Info() objstore.Info { return r.info }

// ReadAt implements [objstore.Reader].
func (r *fileReader) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	err := ended(ctx)
	switch {
	case r.closed.Load():
		err = objstore.ErrClosed
	case err == nil && off < 0:
		err = objstore.ErrInvalid
	}
	if err != nil {
		return 0, named("read", "", err)
	}
	n, err := r.file.ReadAt(p, off)
	if err != nil && err != io.EOF {
		err = named("read", "", err)
	}
	return n, err
}

// Stream implements [objstore.Reader].
func (r *fileReader) Stream(ctx context.Context, off, length int64) io.ReadCloser {
	return newStream(ctx, r, r.info.Size, off, length)
}

// Close implements [objstore.Reader].
func (r *fileReader) Close() error {
	if r.closed.Swap(true) {
		return nil
	}
	return r.file.Close()
}

// conflictIDOf is the id in what is written down about a conflict.
func conflictIDOf(text []byte) (objstore.ConflictID, error) {
	var c objstore.Conflict
	err := json.Unmarshal(text, &c)
	return c.ID, err
}
