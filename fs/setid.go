package fs

import (
	"context"
	"errors"
	"slices"

	"github.com/etagfs/etagfs/objstore"
)

// Mode bits that have a meaning here.
const (
	modeSetUID    = 0o4000
	modeSetGID    = 0o2000
	modeGroupExec = 0o0010
	modeMask      = 0o7777
)

// withoutSetID is a mode after a change by somebody without privilege. Set-group-id without the
// permission to execute means something else and goes only if an outsider made the change.
func withoutSetID(mode uint32, outsider bool) uint32 {
	mode &^= modeSetUID
	if outsider || mode&modeGroupExec != 0 {
		mode &^= modeSetGID
	}
	return mode
}

// outsider reports whether c is not in the group of a file, if that matters to a file of this mode.
func (fs *FS) outsider(c Caller, mode, group uint32) bool {
	if mode&modeSetGID == 0 || mode&modeGroupExec != 0 || c.GID == group {
		return false
	}
	return !slices.Contains(fs.processes.Groups(c.Thread), group)
}

// outsider reports whether who changes t is one.
func (t *transaction) outsider() bool {
	_, base, work := t.snapshot()
	if work.clearIDs {
		return work.byOutsider
	}
	attr := t.attrNow(base)
	return t.fs.outsider(t.changer(), attr.Mode, attr.GID)
}

// keepSetID makes writers of f leave alone the mode that somebody has just set: what they wrote, they wrote before.
func (fs *FS) keepSetID(f *file) {
	if f != nil {
		f.modesSet.Add(1)
	}
}

// consequences adds to a change what follows from it: what a chown(2) clears, and the ACL of a new mode.
func (fs *FS) consequences(ctx context.Context, c Caller, id objstore.ID, change Change, set *objstore.AttrChange) error {
	if set.Mode == nil && !change.Touch && set.UID == nil && set.GID == nil {
		return nil
	}
	info, err := fs.xattrsOf(ctx, View{Object: id})
	if errors.Is(err, objstore.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if set.Mode == nil {
		fs.chownClears(c, info, change, set)
	}
	chmodACL(info.Xattrs, set)
	return nil
}

// chownClears takes set-user-id, set-group-id and capabilities off what is no directory and gets another owner, or the
// same by one who might give it another.
func (fs *FS) chownClears(c Caller, info objstore.Info, change Change, set *objstore.AttrChange) {
	if info.Type == objstore.TypeDir || change.Touch && c.UID != 0 && c.UID != info.Attr.UID {
		return
	}
	outsider := c.UID != 0 && fs.outsider(c, info.Attr.Mode, info.Attr.GID)
	if cleared := withoutSetID(info.Attr.Mode, outsider); cleared != info.Attr.Mode {
		set.Mode = &cleared
	}
	if _, capable := info.Xattrs[xattrCapability]; capable {
		set.Xattrs = map[string][]byte{xattrCapability: nil}
	}
}
