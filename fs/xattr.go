package fs

import (
	"context"
	"encoding/json"
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
	xattrWhy      = xattrPrefix + "why"
	xattrRefusing = xattrPrefix + "refusing"
	// xattrControl begins the names of texts of the control directory, of the root.
	xattrControl = "system.etagfs."
)

const (
	// xattrTrusted begins the names that only root sees.
	xattrTrusted = "trusted."
	// xattrCapability goes when content or owner change.
	xattrCapability = "security.capability"
	// What an object may have: as much as listxattr(2) lists, and two values of the largest size.
	xattrNamesBytesMax  = 64 << 10
	xattrValuesBytesMax = 128 << 10
)

// GetXattr reads an extended attribute; ErrNoXattr if there is none.
//
//   - user.etagfs.etag and user.etagfs.version: those of the content shown; of a writer's view,
//     those of its last commit. None before the first commit.
//   - user.etagfs.base: the ETag a writer's next commit is conditional on.
//   - user.etagfs.conflict: the kept copy of this writer, else the newest of this file.
//   - user.etagfs.why: a [Why] in JSON.
//   - user.etagfs.refusing, of the root: why the store takes no more writes. None while it takes them.
//   - system.etagfs.NAME, of the root: the text of a control file. The way to the file leads through the root, whose
//     attributes the kernel asks the store for; to this it does not, so that it can be read while the store is silent.
func (fs *FS) GetXattr(ctx context.Context, c Caller, v View, name string) ([]byte, error) {
	none := &Error{Op: "getxattr", Path: name, Kind: ErrNoXattr}
	if isControl(v.Object) {
		return nil, none
	}
	if text, ok := strings.CutPrefix(name, xattrControl); ok {
		return fs.controlXattr(ctx, c, v, text)
	}
	if !strings.HasPrefix(name, xattrPrefix) {
		info, err := fs.xattrsOf(ctx, v)
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
	t := fs.shown(v)
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
	case xattrWhy:
		why, err := fs.Why(ctx, c, v.Object)
		if err != nil {
			return "", fs.goneSince("getxattr", v, err)
		}
		text, err := json.Marshal(why)
		return string(text), err
	case xattrRefusing:
		if v.Object != fs.ns.Root() {
			return "", nil
		}
		usage, err := fs.ns.Usage(ctx)
		return usage.Refusing, err
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
	if err == nil && info.Type == objstore.TypeFile && info.Version != v.Version && v.Version != "" && !fs.sharing() {
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
	if v.Writer != 0 || fs.sharing() {
		return fs.shown(v) != nil
	}
	p := fs.heldPin(v)
	p.release()
	return p != nil
}

func (fs *FS) conflictOf(ctx context.Context, c Caller, v View, t *transaction) (string, error) {
	if t != nil {
		if id := t.keptAs(); id != "" || !t.shared {
			return string(id), nil
		}
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

func (t *transaction) keptAs() objstore.ConflictID {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.kept.id
}

// ListXattr lists the names; those of user.etagfs are left out, and those of trusted for all but root.
func (fs *FS) ListXattr(ctx context.Context, c Caller, v View) ([]string, error) {
	if isControl(v.Object) {
		return nil, nil
	}
	info, err := fs.xattrsOf(ctx, v)
	if errors.Is(err, objstore.ErrNotFound) {
		return nil, nil
	}
	names := slices.Sorted(maps.Keys(info.Xattrs))
	if c.UID != 0 {
		names = slices.DeleteFunc(names, func(name string) bool { return strings.HasPrefix(name, xattrTrusted) })
	}
	return names, err
}

// xattrsOf is what v's object has, stored or not: its attributes and extended attributes.
func (fs *FS) xattrsOf(ctx context.Context, v View) (objstore.Info, error) {
	f := fs.openFile(v.Object)
	if create, pending := fs.creationOf(f); pending {
		info := objstore.Info{ID: v.Object, Type: objstore.TypeFile, Xattrs: create.change.Xattrs}
		info.Attr.Mode, info.Attr.UID, info.Attr.GID = create.attr.Mode, create.attr.UID, create.attr.GID
		return info, nil
	}
	info, err := fs.ns.Stat(ctx, v.Object)
	if !errors.Is(err, objstore.ErrNotFound) || f == nil {
		return info, err
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f.orphan == nil {
		f.orphan = f.lastKnown()
	}
	if f.orphan == nil {
		return info, err
	}
	return *f.orphan, nil
}

// SetXattr sets an extended attribute: user, trusted, security, or an ACL, which changes the mode with it. Of user.etagfs it is
// ErrNotPermitted, but on a conflict's directory user.etagfs.resolve takes the values "keep-mine" and "keep-theirs".
func (fs *FS) SetXattr(ctx context.Context, c Caller, v View, name string, value []byte, mode XattrMode) error {
	if isControl(v.Object) && name == xattrResolve {
		return fs.resolveControl(ctx, c, v.Object, string(value))
	}
	return fs.changeXattr(ctx, c, v, "setxattr", name, func(info objstore.Info) (objstore.AttrChange, error) {
		if name == xattrAccessACL {
			return accessChange(info, value, mode.ClearSetGID)
		}
		_, exists := info.Xattrs[name]
		switch {
		case mode.Create && exists:
			return objstore.AttrChange{}, &Error{Op: "setxattr", Path: name, Kind: ErrExists}
		case mode.Replace && !exists:
			return objstore.AttrChange{}, &Error{Op: "setxattr", Path: name, Kind: ErrNoXattr}
		}
		set := objstore.AttrChange{Xattrs: map[string][]byte{name: append([]byte{}, value...)}}
		return set, roomFor(mergedXattrs(info.Xattrs, set.Xattrs))
	})
}

// RemoveXattr removes an extended attribute that SetXattr can set; ErrNoXattr if there is none.
func (fs *FS) RemoveXattr(ctx context.Context, c Caller, v View, name string) error {
	return fs.changeXattr(ctx, c, v, "removexattr", name, func(info objstore.Info) (objstore.AttrChange, error) {
		set := objstore.AttrChange{Xattrs: map[string][]byte{name: nil}}
		if _, exists := info.Xattrs[name]; !exists && name != xattrAccessACL && name != xattrDefaultACL {
			return set, &Error{Op: "removexattr", Path: name, Kind: ErrNoXattr}
		}
		return set, nil
	})
}

// changeXattr decides on a change by what there is, and makes it.
func (fs *FS) changeXattr(ctx context.Context, c Caller, v View, op, name string, decide func(objstore.Info) (objstore.AttrChange, error)) error {
	if isControl(v.Object) || strings.HasPrefix(name, xattrPrefix) {
		return &Error{Op: op, Path: name, Kind: ErrNotPermitted}
	}
	if err := fs.writable(op); err != nil {
		return err
	}
	f := fs.openFile(v.Object)
	unlock := fs.lockNames(f)
	defer unlock()
	fs.attributes.Lock()
	defer fs.attributes.Unlock()
	info, err := fs.xattrsOf(ctx, v)
	if err != nil {
		return orFirst(fs.goneSince(op, v, err), err)
	}
	set, err := decide(info)
	if err != nil {
		return err
	}
	return fs.storeXattr(ctx, f, v.Object, name, set)
}

// storeXattr requires the names of f, and FS.attributes.
func (fs *FS) storeXattr(ctx context.Context, f *file, object objstore.ID, name string, set objstore.AttrChange) error {
	fs.mu.Lock()
	if f != nil && f.create != nil {
		assign(&f.create.attr.Mode, set.Mode)
		f.create.change.Xattrs = mergedXattrs(f.create.change.Xattrs, set.Xattrs)
		fs.mu.Unlock()
		return nil
	}
	fs.mu.Unlock()
	_, err := fs.ns.SetAttr(ctx, object, set, objstore.Visible)
	switch {
	case errors.Is(err, objstore.ErrNotFound) && f != nil:
		return fs.changeOrphan(f, set)
	case errors.Is(err, objstore.ErrTooLarge):
		return &objstore.Error{Op: "setxattr", Key: name, Kind: objstore.ErrNoSpace}
	case err == nil && name == xattrCapability:
		fs.keepCapability(f)
	}
	return err
}

// keepCapability makes writers of f leave alone what somebody has just set: what they wrote, they wrote before.
func (fs *FS) keepCapability(f *file) {
	if f != nil {
		f.capabilitiesSet.Add(1)
	}
}

// roomFor is ErrNoSpace if that is more than an object may have: listxattr(2) could not list it, or it would be stored badly.
func roomFor(xattrs map[string][]byte) error {
	names, values := 0, 0
	for name, value := range xattrs {
		names += len(name) + 1
		values += len(value)
	}
	if names > xattrNamesBytesMax || values > xattrValuesBytesMax {
		return &objstore.Error{Op: "setxattr", Kind: objstore.ErrNoSpace}
	}
	return nil
}

// mergedXattrs is what a change makes of extended attributes; neither is written to.
func mergedXattrs(old, change map[string][]byte) map[string][]byte {
	if len(change) == 0 {
		return old
	}
	merged := make(map[string][]byte, len(old)+len(change))
	maps.Copy(merged, old)
	for name, value := range change {
		if value == nil {
			delete(merged, name)
		} else {
			merged[name] = value
		}
	}
	return merged
}
