package fs

import (
	"context"
	"strings"

	"github.com/etagfs/etagfs/objstore"
)

// ControlFile is a text that is made when somebody reads it, in the control directory beside the conflicts.
//
// A read returns what there was when the file was opened and then, once, that it ends. So a program that reads to the
// end ends, whatever happens meanwhile, and one that comes back afterwards, as tail -f does, gets what came since.
type ControlFile struct {
	Name     string
	Mode     uint32 // permission bits
	UID, GID uint32
	// Text makes the whole text.
	Text func(ctx context.Context) []byte
	// Size is the size stat(2) tells, for a text that only grows until it begins anew. nil: 0, as in /proc.
	Size func(ctx context.Context) int64
}

// Object ids of control files are those from controlTexts on, below the first conflict's.
const controlTexts = controlBit | 3

// controlFilesMax is how many there may be.
const controlFilesMax = controlFirst<<controlSideBits - 3

// text is the control file of an id, nil if it is none.
func (fs *FS) text(id objstore.ID) *ControlFile {
	if id < controlTexts || id >= controlTexts+objstore.ID(len(fs.texts)) {
		return nil
	}
	return &fs.texts[id-controlTexts]
}

// textNamed is the id of a control file, 0 if there is none.
func (fs *FS) textNamed(name string) objstore.ID {
	for i := range fs.texts {
		if fs.texts[i].Name == name {
			return controlTexts + objstore.ID(i)
		}
	}
	return 0
}

// attrOf describes a control file.
func (fs *FS) attrOf(ctx context.Context, id objstore.ID, f *ControlFile) Attr {
	now := fs.clock()
	a := Attr{
		Object: id, Type: objstore.TypeFile, Mode: f.Mode, UID: f.UID, GID: f.GID, Nlink: 1,
		Atime: now, Mtime: now, Ctime: now,
	}
	if f.Size != nil {
		a.Size = f.Size(ctx)
		a.Allocated = a.Size
	}
	return a
}

// textAt answers a read of a text.
func (f *controlFile) textAt(ctx context.Context, p []byte, off int64) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended && f.source != nil {
		f.text, f.ended = f.source.Text(ctx), false
	}
	if off >= int64(len(f.text)) {
		f.ended = true
		return 0
	}
	return copy(p, f.text[off:])
}

// IsControlXattr reports whether a name is that of an attribute of the root which has the text of a control file.
func IsControlXattr(name string) bool { return strings.HasPrefix(name, xattrControl) }

// controlXattr is the text of a control file, for those who may read it.
func (fs *FS) controlXattr(ctx context.Context, c Caller, v View, name string) ([]byte, error) {
	f := fs.text(fs.textNamed(name))
	switch {
	case v.Object != fs.ns.Root() || f == nil:
		return nil, &Error{Op: "getxattr", Path: xattrControl + name, Kind: ErrNoXattr}
	case c.UID != 0 && c.UID != f.UID && f.Mode&0o004 == 0:
		return nil, &objstore.Error{Op: "getxattr", Key: xattrControl + name, Kind: objstore.ErrPermission}
	}
	return f.Text(ctx), nil
}
