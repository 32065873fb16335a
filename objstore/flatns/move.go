package flatns

import (
	"context"
	"errors"
	"strings"

	"github.com/etagfs/etagfs/objstore"
)

// Move implements [objstore.Namespace].
func (n *Namespace) Move(ctx context.Context, req objstore.MoveRequest) (res objstore.MoveResult, err error) {
	if err = n.writable(ctx); err == nil {
		res, err = n.move(ctx, req)
	}
	return res, named("rename", req.Name+" to "+req.NewName, err)
}

func (n *Namespace) move(ctx context.Context, req objstore.MoveRequest) (objstore.MoveResult, error) {
	alone := false
	for range attemptsMax {
		m := &mover{n: n, req: req}
		same, err := m.prepare(ctx)
		if err != nil {
			return objstore.MoveResult{}, err
		}
		if same {
			return objstore.MoveResult{Moved: m.src.info}, nil
		}
		if m.src.isDir() && !alone {
			n.renaming.Lock()
			defer n.renaming.Unlock()
			alone = true
			continue // what was looked at may have moved meanwhile
		}
		res, err := m.run(ctx)
		if objstore.IsLostCondition(err) {
			continue // prepare will say whether it is the caller's condition
		}
		return res, err
	}
	return objstore.MoveResult{}, contended()
}

// mover is one attempt of a rename.
type mover struct {
	n        *Namespace
	req      objstore.MoveRequest
	from, to place
	src, dst found
}

// prepare looks at both names and refuses what rename(2) refuses. same: both are one name.
func (m *mover) prepare(ctx context.Context) (same bool, err error) {
	if m.from, m.src, err = m.n.lookAt(ctx, m.req.Parent, m.req.Name); err != nil {
		return false, err
	}
	if err := m.src.checkSource(m.req.Cond); err != nil {
		return false, err
	}
	if m.to, m.dst, err = m.n.lookAt(ctx, m.req.NewParent, m.req.NewName); err != nil {
		return false, err
	}
	same = m.src.node == m.dst.node
	if same && m.req.Mode == objstore.RenameReplace {
		return true, m.dst.check(m.req.NewCond)
	}
	if err := checkTarget(m.req, m.dst); err != nil {
		return false, err
	}
	if m.src.isDir() && m.n.isWithin(m.to.dir, m.src.node) {
		return false, problem(objstore.ErrInvalid, "a directory cannot move below itself")
	}
	if !m.dst.exists() {
		return false, m.to.free()
	}
	return false, m.checkReplace(ctx)
}

func (m *mover) checkReplace(ctx context.Context) error {
	switch {
	case m.dst.isDir() && !m.src.isDir():
		return objstore.ErrIsDir
	case !m.dst.isDir() && m.src.isDir():
		return objstore.ErrNotDir
	case m.dst.isDir() && movingFrom(m.dst.raw) != m.from.key(true):
		return m.n.checkEmpty(ctx, m.to.key(true))
	}
	return nil
}

// run moves what is in the store, and then in the table.
func (m *mover) run(ctx context.Context) (objstore.MoveResult, error) {
	for _, dir := range []*node{m.from.dir, m.to.dir} {
		if err := m.n.makeExplicit(ctx, dir); err != nil {
			return objstore.MoveResult{}, err
		}
	}
	isDir := m.src.isDir()
	defer m.n.occupy(spot{m.from.dir, m.from.stored(isDir)}, spot{m.to.dir, m.to.stored(isDir)})()
	var raw objstore.Info
	var err error
	if isDir {
		raw, err = m.directory(ctx)
	} else {
		raw, err = m.n.transfer(ctx, m.from.key(false), m.src.raw, m.to.key(false), on(m.dst))
	}
	if err != nil {
		return objstore.MoveResult{}, err
	}
	return m.moved(raw), nil
}

// moved notes and tells.
func (m *mover) moved(raw objstore.Info) (res objstore.MoveResult) {
	m.n.apply(func() []objstore.Change {
		d := m.src.node
		change := objstore.Change{
			Kind: objstore.ChangeMoved, Object: d.id, Parent: m.from.dir.id, Name: m.from.name,
			NewParent: m.to.dir.id, NewName: m.to.name,
		}
		if d.parent == nil {
			return nil // removed by a lookup that came in between; it is found again under its new name
		}
		if replaced := m.n.relocate(d, m.to.dir, m.to.stored(d.isDir())); replaced != nil {
			change.Replaced = replaced.id
		}
		m.n.note(d, raw)
		d.explicit = d.isDir() && raw.Version != ""
		res.Moved = m.n.describe(d.id, d.typ, raw, d.explicit)
		change.New, change.Size = res.Moved.Version, res.Moved.Size
		return []objstore.Change{change}
	})
	if m.dst.exists() {
		m.dst.info.Nlink = 0
		res.Replaced, res.Gone = m.dst.info, true
	}
	return res
}

// transfer moves one object, on condition of what was seen of it and of cond on the target. Without the
// store's rename it is a copy and then a delete; if somebody has written the source in between that is copied too.
func (n *Namespace) transfer(ctx context.Context, src objstore.Key, seen objstore.Info, dst objstore.Key, cond objstore.Cond) (objstore.Info, error) {
	source := objstore.IfVersion(seen.Version)
	if n.caps.RenameFile && n.caps.RenameSource.Has(source) && n.caps.RenameTarget.Has(cond) {
		raw, err := n.store.Rename(ctx, objstore.RenameRequest{Src: src, SrcCond: source, Dst: dst, DstCond: cond})
		if err == nil && raw.Version == "" {
			raw = seen // renamed on, or not described
		}
		return raw, err
	}
	copied, err := n.copyTo(ctx, src, seen, dst, cond)
	for try := 0; err == nil && try < attemptsMax; try++ {
		err = n.delete(ctx, src, seen)
		if err == nil || errors.Is(err, objstore.ErrNotFound) {
			return copied, nil
		}
		if !errors.Is(err, objstore.ErrPrecondition) {
			break
		}
		var exists bool
		if seen, exists, err = n.head(ctx, src); err == nil && exists {
			copied, err = n.copyTo(ctx, src, seen, dst, objstore.IfVersion(copied.Version))
		} else if err == nil {
			return copied, nil
		}
	}
	return objstore.Info{}, halfway(err)
}

// copyTo copies one object with its attributes.
func (n *Namespace) copyTo(ctx context.Context, src objstore.Key, seen objstore.Info, dst objstore.Key, cond objstore.Cond) (objstore.Info, error) {
	typ := typeOf(seen)
	if strings.HasSuffix(string(src), "/") {
		typ = objstore.TypeDir
	}
	return n.replaceMeta(ctx, src, seen, dst, cond, n.describe(0, typ, seen, false), "")
}

// halfway is an error of a copy that may leave both names.
func halfway(err error) error {
	if objstore.IsLostCondition(err) || err == nil {
		return err
	}
	return &objstore.Error{Kind: objstore.KindOf(err), Detail: "both names may exist now; the same rename goes on", Err: err}
}

// directory moves a directory with all below it.
func (m *mover) directory(ctx context.Context) (objstore.Info, error) {
	src, dst := m.from.key(true), m.to.key(true)
	unconditional := objstore.Unconditional()
	if m.n.caps.RenameDir && m.n.caps.RenameSource.Has(unconditional) && m.n.caps.RenameTarget.Has(unconditional) {
		cond := unconditional
		if !m.dst.exists() && m.n.caps.RenameTarget.Has(objstore.IfAbsent()) {
			cond = objstore.IfAbsent()
		}
		if _, err := m.n.store.Rename(ctx, objstore.RenameRequest{Src: src, SrcCond: unconditional, Dst: dst, DstCond: cond}); err != nil {
			return objstore.Info{}, err
		}
		raw, _, err := m.n.head(ctx, dst)
		if err != nil {
			raw = m.src.raw // it was renamed; only the description is missing
		}
		return raw, nil
	}
	return m.copyDirectory(ctx, src, dst)
}

// copyDirectory moves key by key. While it goes on the new marker says where it comes from.
func (m *mover) copyDirectory(ctx context.Context, src, dst objstore.Key) (objstore.Info, error) {
	marker := m.dst.raw
	if movingFrom(marker) != src {
		var err error
		if marker, err = m.begin(ctx, src, dst); err != nil {
			return objstore.Info{}, err
		}
	}
	for {
		page, err := m.n.store.List(ctx, objstore.ListOptions{Prefix: src, StartAfter: src})
		if err != nil {
			return objstore.Info{}, halfway(err)
		}
		for _, e := range page.Entries {
			if err := m.one(ctx, e.Key, dst+e.Key[len(src):]); err != nil {
				return objstore.Info{}, halfway(err)
			}
		}
		if len(page.Entries) == 0 {
			return m.end(ctx, src, dst, marker)
		}
	}
}

// begin makes the new marker, or says in the one that is there what is going on.
func (m *mover) begin(ctx context.Context, src, dst objstore.Key) (objstore.Info, error) {
	info := m.src.info
	if m.dst.raw.Version != "" {
		return m.n.replaceMeta(ctx, dst, m.dst.raw, dst, objstore.IfVersion(m.dst.raw.Version), info, src)
	}
	if m.src.raw.Version != "" {
		return m.n.replaceMeta(ctx, src, m.src.raw, dst, objstore.IfAbsent(), info, src)
	}
	raw, err := m.n.putMarker(ctx, dst, info)
	if err != nil {
		return raw, err
	}
	return m.n.replaceMeta(ctx, dst, raw, dst, objstore.IfVersion(raw.Version), info, src)
}

// one moves the object of one key. One that an earlier attempt has copied already is only deleted.
func (m *mover) one(ctx context.Context, src, dst objstore.Key) error {
	for range attemptsMax {
		seen, exists, err := m.n.head(ctx, src)
		if err != nil || !exists {
			return err
		}
		_, err = m.n.transfer(ctx, src, seen, dst, objstore.IfAbsent())
		if !objstore.IsLostCondition(err) {
			return err
		}
		there, copied, err := m.n.head(ctx, dst)
		if err != nil {
			return err
		}
		if !copied {
			continue // the source was written meanwhile
		}
		if contentOf(there) != contentOf(seen) {
			return &objstore.Error{
				Kind: objstore.ErrNotEmpty, Detail: "the directory that is being moved and its target both have " + string(dst),
			}
		}
		if err := m.n.delete(ctx, src, seen); !objstore.IsLostCondition(err) {
			return err
		}
	}
	return contended()
}

// end removes the old marker and what the new one says of it.
func (m *mover) end(ctx context.Context, src, dst objstore.Key, marker objstore.Info) (objstore.Info, error) {
	old, exists, err := m.n.head(ctx, src)
	if err == nil && exists {
		err = m.n.delete(ctx, src, old)
	}
	if err != nil && !errors.Is(err, objstore.ErrNotFound) {
		return objstore.Info{}, halfway(err)
	}
	for range attemptsMax {
		info := m.n.describe(0, objstore.TypeDir, marker, true)
		raw, err := m.n.replaceMeta(ctx, dst, marker, dst, objstore.IfVersion(marker.Version), info, "")
		if !objstore.IsLostCondition(err) {
			return raw, err
		}
		if marker, exists, err = m.n.head(ctx, dst); err != nil || !exists {
			return marker, err
		}
	}
	return objstore.Info{}, contended()
}
