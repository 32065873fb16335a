package fs

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/etagfs/etagfs/objstore"
)

// Names under this prefix are answered here, left out of listings and not settable.
const (
	xattrPrefix   = "user.etagfs."
	xattrETag     = xattrPrefix + "etag"
	xattrVersion  = xattrPrefix + "version"
	xattrBase     = xattrPrefix + "base"
	xattrConflict = xattrPrefix + "conflict"
	xattrResolve  = xattrPrefix + "resolve"
)

// GetXattr reads an extended attribute; ErrNoXattr if there is none.
//
//   - user.etagfs.etag and user.etagfs.version: those of the content shown; of a writer's view,
//     those of its last commit. None before the first commit.
//   - user.etagfs.base: the ETag a writer's next commit is conditional on.
//   - user.etagfs.conflict: the kept copy of this writer, else the newest of this file.
func (fs *FS) GetXattr(ctx context.Context, c Caller, v View, name string) ([]byte, error) {
	none := &Error{Op: "getxattr", Path: name, Kind: ErrNoXattr}
	if isControl(v.Object) {
		return nil, none
	}
	if !strings.HasPrefix(name, xattrPrefix) {
		info, err := fs.ns.Stat(ctx, v.Object)
		if value, ok := info.Xattrs[name]; ok && err == nil {
			return value, nil
		}
		return nil, orFirst(fs.goneSince("getxattr", v, err), none)
	}
	value, err := fs.ownXattr(ctx, c, v, name)
	if err != nil {
		return nil, err
	}
	if value == "" {
		return nil, none
	}
	return []byte(value), nil
}

// ownXattr is one of ours, empty if there is none.
func (fs *FS) ownXattr(ctx context.Context, c Caller, v View, name string) (string, error) {
	t := fs.writer(v.Writer)
	switch name {
	case xattrETag, xattrVersion:
		info, err := fs.shownInfo(ctx, v, t)
		if err != nil || info.Type != objstore.TypeFile {
			return "", err
		}
		if name == xattrETag {
			return string(info.ETag), nil
		}
		return string(info.Version), nil
	case xattrBase:
		if t == nil {
			return "", nil
		}
		_, base, _ := t.snapshot()
		return string(base.ETag), nil
	case xattrConflict:
		return fs.conflictOf(ctx, c, v, t)
	default:
		return "", nil
	}
}

// shownInfo is the version a view shows, or began with.
func (fs *FS) shownInfo(ctx context.Context, v View, t *transaction) (objstore.Info, error) {
	if t != nil {
		_, base, _ := t.snapshot()
		return base, nil
	}
	if p := fs.heldPin(v); p != nil {
		defer p.release()
		return p.reader.Info(), nil
	}
	info, err := fs.ns.Stat(ctx, v.Object)
	if err == nil && info.Type == objstore.TypeFile && info.Version != v.Version && v.Version != "" {
		return info, stale("getxattr")
	}
	return info, fs.goneSince("getxattr", v, err)
}

// goneSince is the error of an operation on a view whose object is gone: the name it was found by may
// have another by now, so it must be looked up again. What is open goes on without a name.
func (fs *FS) goneSince(op string, v View, err error) error {
	if errors.Is(err, objstore.ErrNotFound) && v != (View{Object: v.Object}) && !fs.isOpen(v) {
		return stale(op)
	}
	return notFoundIsEnd(err)
}

// isOpen reports whether a handle shows v.
func (fs *FS) isOpen(v View) bool {
	if v.Writer != 0 {
		return fs.writer(v.Writer) != nil
	}
	p := fs.heldPin(v)
	p.release()
	return p != nil
}

func (fs *FS) conflictOf(ctx context.Context, c Caller, v View, t *transaction) (string, error) {
	if t != nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		return string(t.kept.id), nil
	}
	all, err := fs.ns.ListConflicts(ctx)
	if err != nil {
		return "", err
	}
	for _, conflict := range slices.Backward(all) {
		if conflict.Object == v.Object && mayResolve(c, conflict) {
			return string(conflict.ID), nil
		}
	}
	return "", nil
}

// ListXattr lists the names; those of user.etagfs are left out.
func (fs *FS) ListXattr(ctx context.Context, c Caller, v View) ([]string, error) {
	if isControl(v.Object) {
		return nil, nil
	}
	info, err := fs.ns.Stat(ctx, v.Object)
	if errors.Is(err, objstore.ErrNotFound) {
		return nil, nil
	}
	return slices.Sorted(maps.Keys(info.Xattrs)), err
}

// SetXattr is ErrUnsupported, and ErrNotPermitted for user.etagfs.*. On a conflict's directory
// user.etagfs.resolve takes the values "keep-mine" and "keep-theirs".
func (fs *FS) SetXattr(ctx context.Context, c Caller, v View, name string, value []byte) error {
	if isControl(v.Object) && name == xattrResolve {
		return fs.resolveControl(ctx, c, v.Object, string(value))
	}
	return fs.refuseXattr("setxattr", v, name)
}

// RemoveXattr is ErrUnsupported, and ErrNotPermitted for user.etagfs.*.
func (fs *FS) RemoveXattr(ctx context.Context, c Caller, v View, name string) error {
	return fs.refuseXattr("removexattr", v, name)
}

func (fs *FS) refuseXattr(op string, v View, name string) error {
	if isControl(v.Object) || strings.HasPrefix(name, xattrPrefix) {
		return &Error{Op: op, Path: name, Kind: ErrNotPermitted}
	}
	return &objstore.Error{Op: op, Key: name, Kind: objstore.ErrUnsupported}
}
