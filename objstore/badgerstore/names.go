package badgerstore

import (
	"slices"
	"strings"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

// checkName refuses what POSIX has no such name for.
func checkName(name string) error {
	switch {
	case name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00"):
		return problem(objstore.ErrInvalid, "not a name of a directory entry")
	case len(name) > objstore.NameBytesMax:
		return problem(objstore.ErrTooLarge, "the name is longer than 255 bytes")
	}
	return nil
}

// component is the stored name without the slash of a directory.
func component(stored string) (name string, isDir bool) { return strings.CutSuffix(stored, "/") }

// shown is the name under which the namespace shows an entry: its own, or an escape.
func (t tree) shown(p place) (string, error) {
	name, isDir := component(p.Stored)
	if isDir {
		return objstore.EscapeName(name, false), nil
	}
	beside, err := t.isBesideDir(p)
	return objstore.EscapeName(p.Stored, beside), err
}

// isBesideDir reports whether there is a directory of the name of the object at p. In
// most directories of files there are no directories at all.
func (t tree) isBesideDir(p place) (bool, error) {
	dir, err := t.directory(objstore.ID(p.Parent))
	if err != nil || dir.Subdirs == 0 {
		return false, err
	}
	return t.exists(asDir(p))
}

// find is the entry shown as name in directory parent; o is nil if there is none.
// Then p is where a file of that name would go.
func (t tree) find(parent objstore.ID, name string) (p place, o *record.Object, err error) {
	if err := checkName(name); err != nil {
		return p, nil, err
	}
	parentDir, err := t.directory(parent)
	if err != nil {
		return p, nil, err
	}
	dir := parentDir.ID
	component, beside, hashed := objstore.Unescape(name)
	if hashed {
		return t.findHashed(dir, name)
	}
	p = place{Parent: dir, Stored: component}
	isDir := false
	if parentDir.Subdirs > 0 {
		if isDir, err = t.exists(asDir(p)); err != nil {
			return p, nil, err
		}
	}
	if isDir && !beside {
		p = asDir(p)
	}
	if o, err = t.entry(p); err != nil || o == nil {
		return p, nil, err
	}
	if objstore.EscapeName(component, isDir && beside) != name {
		return p, nil, nil // nothing is shown under that name
	}
	return p, o, nil
}

// findHashed looks for a name that does not tell its component.
func (t tree) findHashed(dir uint64, name string) (p place, o *record.Object, err error) {
	var all []string
	err = t.src.scan(record.EntryPrefix(dir), func(key []byte, _ any) (bool, error) {
		all = append(all, record.EntryStored(key))
		return true, nil
	})
	for _, stored := range all {
		at := place{Parent: dir, Stored: stored}
		shown, serr := t.shown(at)
		if serr != nil {
			return p, nil, serr
		}
		if shown == name {
			o, err := t.entry(at)
			return at, o, err
		}
	}
	return place{Parent: dir}, nil, err
}

// findExisting is find for an entry that must be there.
func (t tree) findExisting(parent objstore.ID, name string) (p place, o *record.Object, err error) {
	p, o, err = t.find(parent, name)
	if err == nil && o == nil {
		err = objstore.ErrNotFound
	}
	return p, o, err
}

// checkFree refuses a new entry at a place that find gave for name, unless it would be shown as
// name: names that look like escapes but are none cannot be made.
func (t tree) checkFree(p place, name string) error {
	taken := p.Stored == ""
	if !taken {
		var err error
		if taken, err = t.exists(p); err != nil {
			return err
		}
	}
	if !taken {
		shown, err := t.shown(p)
		if err != nil {
			return err
		}
		taken = shown != name
	}
	if taken {
		return problem(objstore.ErrInvalid, "the name is reserved for escaped keys")
	}
	return nil
}

// asDir is the place of a directory where find gave that of a file.
func asDir(p place) place { return place{Parent: p.Parent, Stored: p.Stored + "/"} }

// forType is the same place for an object that may be of another type than the one there.
func forType(p place, o *record.Object) place {
	name, _ := component(p.Stored)
	if o.IsDir() {
		name += "/"
	}
	return place{Parent: p.Parent, Stored: name}
}

// pathOf is one path of o from the root; empty if it has none.
func (t tree) pathOf(o *record.Object) (string, error) {
	var parts []string
	for {
		p, ok, err := t.placeOf(o)
		if err != nil || !ok {
			slices.Reverse(parts)
			return strings.Join(parts, "/"), err
		}
		name, err := t.shown(p)
		if err != nil {
			return "", err
		}
		parts = append(parts, name)
		if o, err = t.directory(objstore.ID(p.Parent)); err != nil {
			return "", err
		}
	}
}

// nodeAtPath is what a path from the root leads to, or nil.
func (t tree) nodeAtPath(root uint64, path string) *record.Object {
	id := objstore.ID(root)
	var o *record.Object
	for name := range strings.SplitSeq(path, "/") {
		_, next, err := t.find(id, name)
		if err != nil || next == nil {
			return nil
		}
		id, o = objstore.ID(next.ID), next
	}
	return o
}
