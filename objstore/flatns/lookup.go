package flatns

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/etagfs/etagfs/objstore"
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

// place is what a name in a directory stands for, whether or not there is anything.
type place struct {
	dir       *node
	dirKey    objstore.Key
	name      string
	component string
	beside    bool // the object beside the directory of that name
}

// free refuses a new entry unless it would be shown as its name.
func (p place) free() error {
	if p.beside || objstore.EscapeName(p.component, false) != p.name {
		return problem(objstore.ErrInvalid, "the name is reserved for escaped keys")
	}
	return nil
}

// stored is the stored name of a file or directory at the place.
func (p place) stored(dir bool) string {
	if dir {
		return p.component + "/"
	}
	return p.component
}

func (p place) key(dir bool) objstore.Key { return p.dirKey + objstore.Key(p.stored(dir)) }

// place resolves a name without asking the store, unless the name does not tell the component.
func (n *Namespace) place(ctx context.Context, parent objstore.ID, name string) (place, error) {
	p := place{name: name}
	if err := checkName(name); err != nil {
		return p, err
	}
	var err error
	if p.dir, err = n.directory(parent); err != nil {
		return p, err
	}
	var ok bool
	if p.dirKey, ok = n.key(p.dir); !ok {
		return p, objstore.ErrNotFound
	}
	var hashed bool
	p.component, p.beside, hashed = objstore.Unescape(name)
	if hashed {
		p.component, p.beside, err = n.unhash(ctx, p.dirKey, name)
	}
	return p, err
}

// unhash looks for the component that is shown as a name that is a hash; the name itself if there is none.
func (n *Namespace) unhash(ctx context.Context, dirKey objstore.Key, name string) (component string, beside bool, err error) {
	after := objstore.Key("")
	for {
		page, err := n.store.List(ctx, objstore.ListOptions{Prefix: dirKey, Delimiter: "/", StartAfter: after})
		if err != nil {
			return "", false, err
		}
		for _, e := range page.Entries {
			component := strings.TrimSuffix(string(e.Key[len(dirKey):]), "/")
			for _, beside := range []bool{false, true} {
				if objstore.EscapeName(component, beside) == name {
					return component, beside, nil
				}
			}
			after = e.Key
		}
		if !page.More {
			return name, false, nil
		}
	}
}

// found is what the store has at a place.
type found struct {
	node *node // nil: nothing
	raw  objstore.Info
	info objstore.Info
}

func (f found) exists() bool { return f.node != nil }
func (f found) isDir() bool  { return f.node != nil && f.node.isDir() }

// check evaluates a condition on it.
func (f found) check(c objstore.Cond) error {
	err := c.Check(f.info.Version, f.exists())
	if errors.Is(err, objstore.ErrPrecondition) {
		return lost(f.info.ETag)
	}
	return err
}

// checkSource is check of what has to be there anyway.
func (f found) checkSource(c objstore.Cond) error {
	if err := f.check(c); err != nil {
		return err
	}
	if !f.exists() {
		return objstore.ErrNotFound
	}
	return nil
}

// look asks the store what is at a place: for the object and for anything below, at the same time. Only if both are
// answered is it known that there is nothing.
func (n *Namespace) look(ctx context.Context, p place) (found, error) {
	since := n.now()
	var file objstore.Info
	var isFile bool
	var fileErr error
	var wait sync.WaitGroup
	if p.component != "" { // the object of that key is the directory's own marker
		wait.Go(func() { file, isFile, fileErr = n.head(ctx, p.key(false)) })
	}
	dir, dirErr := n.dirAt(ctx, p)
	wait.Wait()
	if err := errors.Join(fileErr, dirErr); err != nil {
		return found{}, err
	}
	if !isFile {
		n.missed(since, p, p.stored(false))
	}
	if !dir.exists {
		n.missed(since, p, p.stored(true))
	}
	switch {
	case p.beside && !(isFile && dir.exists), !isFile && !dir.exists, p.name != objstore.EscapeName(p.component, p.beside):
		return found{}, nil
	case dir.exists && !p.beside:
		return n.foundDir(since, p, dir), nil
	}
	return n.foundFile(since, p, file), nil
}

// directory is what the store says of one.
type directory struct {
	exists   bool
	explicit bool
	marker   objstore.Info // if explicit
}

// dirAt asks for a directory: where one is known to have had a marker for that, which is cheaper, and otherwise,
// or if that is gone, for anything that has its key or is below.
func (n *Namespace) dirAt(ctx context.Context, p place) (d directory, err error) {
	n.mu.Lock()
	known := p.dir.children[p.stored(true)]
	marked := known != nil && known.explicit
	n.mu.Unlock()
	if marked {
		if d.marker, d.explicit, err = n.head(ctx, p.key(true)); err != nil || d.explicit {
			d.exists = d.explicit
			return d, err
		}
	}
	if d.exists, d.explicit, err = n.below(ctx, p.key(true)); err == nil && d.explicit {
		d.marker, d.explicit, err = n.head(ctx, p.key(true))
	}
	return d, err
}

func (n *Namespace) foundFile(since uint64, p place, raw objstore.Info) found {
	typ := typeOf(raw)
	there := n.see(since, p.dir, p.stored(false), typ, raw, false)
	return found{there, raw, n.describe(there.id, typ, raw, false)}
}

func (n *Namespace) foundDir(since uint64, p place, d directory) found {
	there := n.see(since, p.dir, p.stored(true), objstore.TypeDir, d.marker, d.explicit)
	return found{there, d.marker, n.describe(there.id, objstore.TypeDir, d.marker, d.explicit)}
}

// head describes an object; false if the store says that there is none.
func (n *Namespace) head(ctx context.Context, key objstore.Key) (objstore.Info, bool, error) {
	raw, err := n.store.Head(ctx, key)
	if errors.Is(err, objstore.ErrNotFound) {
		return objstore.Info{}, false, nil
	}
	return raw, err == nil, err
}

// below reports whether there is a directory of a key, and whether it has a marker.
func (n *Namespace) below(ctx context.Context, key objstore.Key) (exists, explicit bool, err error) {
	page, err := n.store.List(ctx, objstore.ListOptions{Prefix: key, Max: 1})
	if err != nil || len(page.Entries) == 0 {
		return false, false, err
	}
	return true, page.Entries[0].Key == key, nil
}

// lookAt is look for a name.
func (n *Namespace) lookAt(ctx context.Context, parent objstore.ID, name string) (place, found, error) {
	p, err := n.place(ctx, parent, name)
	if err != nil {
		return p, found{}, err
	}
	f, err := n.look(ctx, p)
	return p, f, err
}

// Lookup implements [objstore.Namespace].
func (n *Namespace) Lookup(ctx context.Context, parent objstore.ID, name string) (objstore.Info, error) {
	err := ended(ctx)
	var f found
	if err == nil {
		_, f, err = n.lookAt(ctx, parent, name)
	}
	if err == nil && !f.exists() {
		err = objstore.ErrNotFound
	}
	return f.info, named("lookup", name, err)
}

// Stat implements [objstore.Namespace].
func (n *Namespace) Stat(ctx context.Context, id objstore.ID) (objstore.Info, error) {
	err := ended(ctx)
	var f found
	if err == nil {
		f, err = n.stat(ctx, id)
	}
	return f.info, named("stat", idText(id), err)
}

func (n *Namespace) stat(ctx context.Context, id objstore.ID) (found, error) {
	there, err := n.node(id)
	if err != nil {
		return found{}, err
	}
	if there == n.root {
		return found{there, objstore.Info{}, n.describe(id, objstore.TypeDir, objstore.Info{}, true)}, nil
	}
	n.mu.Lock()
	p := place{dir: there.parent, component: strings.TrimSuffix(there.stored, "/")}
	n.mu.Unlock()
	if p.dir == nil {
		return found{}, objstore.ErrNotFound
	}
	var ok bool
	if p.dirKey, ok = n.key(p.dir); !ok {
		return found{}, objstore.ErrNotFound
	}
	f, err := n.statPlace(ctx, p, there.isDir())
	if err == nil && f.node != there {
		err = objstore.ErrNotFound // its name is another's, or nobody's
	}
	return f, err
}

// statPlace asks for the file or for the directory of a place.
func (n *Namespace) statPlace(ctx context.Context, p place, dir bool) (found, error) {
	since := n.now()
	if dir {
		d, err := n.dirAt(ctx, p)
		if err == nil && d.exists {
			return n.foundDir(since, p, d), nil
		}
		if err == nil {
			n.missed(since, p, p.stored(true))
		}
		return found{}, err
	}
	raw, exists, err := n.head(ctx, p.key(false))
	if err == nil && exists {
		return n.foundFile(since, p, raw), nil
	}
	if err == nil {
		n.missed(since, p, p.stored(false))
	}
	return found{}, err
}

// Parent implements [objstore.Namespace].
func (n *Namespace) Parent(ctx context.Context, id objstore.ID) (objstore.ID, error) {
	err := ended(ctx)
	var d *node
	if err == nil {
		d, err = n.directory(id)
	}
	if err != nil {
		return 0, named("parent", idText(id), err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if d.parent == nil {
		return d.id, nil
	}
	return d.parent.id, nil
}

// Path implements [objstore.Namespace].
func (n *Namespace) Path(ctx context.Context, id objstore.ID) (string, error) {
	err := ended(ctx)
	var d *node
	if err == nil {
		d, err = n.node(id)
	}
	if err != nil {
		return "", named("path", idText(id), err)
	}
	return n.pathOf(d), nil
}
