package flatns

import (
	"context"
	"errors"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// CommitContent implements [Committer].
func (n *Namespace) CommitContent(ctx context.Context, req objstore.CommitRequest, body objstore.Reader) (res objstore.CommitResult, err error) {
	if err = n.writable(ctx); err == nil && !req.Cond.Valid() {
		err = problem(objstore.ErrInvalid, "no condition")
	}
	if err == nil && req.LinkParent != 0 {
		err = problem(objstore.ErrUnsupported, "a flat store has no hard links")
	}
	if err == nil {
		c := &commit{n: n, req: req, body: body}
		res, err = c.run(ctx)
	}
	if err != nil {
		return objstore.CommitResult{}, named("commit", req.Target.Name, err)
	}
	return res, nil
}

// commit is one request.
type commit struct {
	n    *Namespace
	req  objstore.CommitRequest
	body objstore.Reader
}

func (c *commit) run(ctx context.Context) (objstore.CommitResult, error) {
	switch {
	case c.req.Move != nil && c.req.Target.Parent == 0:
		return c.thenMove(ctx)
	case c.req.Move != nil:
		return c.elsewhere(ctx)
	case c.req.Target.Parent == 0:
		return c.toObject(ctx, c.req.Target.ID)
	default:
		return c.toName(ctx)
	}
}

// appended reports whether the body says so of itself.
func (c *commit) appended() bool {
	says, ok := c.body.(interface{ Appended() bool })
	return ok && says.Appended()
}

// put sends the body.
func (c *commit) put(ctx context.Context, key objstore.Key, cond objstore.Cond, info objstore.Info) (objstore.Info, error) {
	change := c.req.Change
	if change.Mtime == nil {
		change.Mtime = new(time.Time)
		*change.Mtime = c.n.cfg.Clock()
	}
	body := c.body.Stream(ctx, 0, -1)
	defer body.Close()
	return c.n.put(ctx, key, body, cond, c.n.changed(info, change), objstore.PutOptions{
		Durability: c.req.Durability, Length: c.body.Info().Size, LengthKnown: true, WriteID: c.req.WriteID,
	})
}

// toObject replaces the content of an existing file, wherever it is now. The first attempt is made
// on what was last seen, if that is the version asked for; each other one on what is there after a
// condition was lost. As long as the content is the one asked for, only attributes have changed.
func (c *commit) toObject(ctx context.Context, id objstore.ID) (objstore.CommitResult, error) {
	f, err := c.n.file(id)
	if err != nil {
		return objstore.CommitResult{}, err
	}
	for try := range attemptsMax {
		there, err := c.target(ctx, f, try == 0)
		if err == nil {
			err = there.checkSource(c.req.Cond)
		}
		if err != nil {
			return objstore.CommitResult{}, err
		}
		key, ok := c.n.key(f)
		if !ok {
			return objstore.CommitResult{}, objstore.ErrNotFound
		}
		raw, err := c.put(ctx, key, objstore.IfVersion(there.raw.Version), there.info)
		if objstore.IsLostCondition(err) {
			continue
		}
		if err != nil {
			return objstore.CommitResult{}, err
		}
		return c.committed(f, there, raw), nil
	}
	return objstore.CommitResult{}, contended()
}

// target is what a commit to a file finds. Where versions come back what was seen before cannot be
// relied on: attributes may have changed under the same version.
func (c *commit) target(ctx context.Context, f *node, first bool) (found, error) {
	want, ok := c.req.Cond.Version()
	if first && ok && c.n.caps.UniqueVersions {
		c.n.mu.Lock()
		seen := f.seen
		c.n.mu.Unlock()
		if seen.whole != nil && seen.content == want {
			return found{f, *seen.whole, c.n.describe(f.id, f.typ, *seen.whole, false)}, nil
		}
	}
	return c.n.stat(ctx, f.id)
}

// committed notes and tells a new content of a file.
func (c *commit) committed(f *node, before found, raw objstore.Info) objstore.CommitResult {
	info := c.n.describe(f.id, f.typ, raw, false)
	c.n.apply(func() []objstore.Change {
		c.n.note(f, raw)
		f.born = c.n.epoch
		change := objstore.Change{
			Kind: objstore.ChangeContent, Object: f.id, Old: before.info.Version, New: info.Version, Size: info.Size,
			Appended: c.appended(),
		}
		if base, ok := c.req.Cond.Version(); !ok || base != before.info.Version {
			change.Appended = false
		}
		if f.parent != nil {
			change.Parent, change.Name = f.parent.id, objstore.EscapeName(f.stored, false)
		}
		return []objstore.Change{change}
	})
	return objstore.CommitResult{Info: info}
}

// toName makes a file, or replaces the one that has the name.
func (c *commit) toName(ctx context.Context) (objstore.CommitResult, error) {
	for range attemptsMax {
		p, there, err := c.n.lookAt(ctx, c.req.Target.Parent, c.req.Target.Name)
		if err != nil {
			return objstore.CommitResult{}, err
		}
		if there.isDir() {
			return objstore.CommitResult{}, objstore.ErrIsDir
		}
		if err := there.check(c.req.Cond); err != nil {
			return objstore.CommitResult{}, err
		}
		if there.exists() && there.node.id == c.req.Target.ID {
			return c.toObject(ctx, there.node.id)
		}
		res, err := c.make(ctx, p, there)
		if objstore.IsLostCondition(err) && !c.req.Cond.IsIfAbsent() {
			continue
		}
		return res, err
	}
	return objstore.CommitResult{}, contended()
}

// make makes the file at a place, on condition of what was seen there.
func (c *commit) make(ctx context.Context, p place, there found) (objstore.CommitResult, error) {
	target := c.req.Target
	c.n.mu.Lock()
	bad := target.ID == 0 || target.ID > c.n.lastID || c.n.nodes[target.ID] != nil
	c.n.mu.Unlock()
	if bad {
		return objstore.CommitResult{}, problem(objstore.ErrInvalid, idText(target.ID)+" is not a new file")
	}
	if !there.exists() {
		if err := p.free(); err != nil {
			return objstore.CommitResult{}, err
		}
	}
	if err := c.n.makeExplicit(ctx, p.dir); err != nil {
		return objstore.CommitResult{}, err
	}
	defer c.n.occupy(spot{p.dir, p.stored(false)})()
	raw, err := c.put(ctx, p.key(false), on(there), c.n.fresh(objstore.TypeFile, target.Attr))
	if err != nil {
		return objstore.CommitResult{}, err
	}
	return objstore.CommitResult{Info: c.n.created(p, target.ID, objstore.TypeFile, raw)}, nil
}

// elsewhere makes a new file that is renamed before it ever was: only its last name comes into being.
func (c *commit) elsewhere(ctx context.Context) (objstore.CommitResult, error) {
	_, there, err := c.n.lookAt(ctx, c.req.Target.Parent, c.req.Target.Name)
	if err == nil && there.isDir() {
		err = objstore.ErrIsDir
	}
	if err == nil {
		err = there.check(c.req.Cond)
	}
	if err == nil && there.exists() {
		err = problem(objstore.ErrUnsupported, "a commit that replaces a name and renames it")
	}
	if err != nil {
		return objstore.CommitResult{}, err
	}
	m := c.req.Move
	for range attemptsMax {
		p, old, err := c.n.lookAt(ctx, m.NewParent, m.NewName)
		if err == nil {
			err = checkTarget(*m, old)
		}
		if err == nil && old.isDir() {
			err = objstore.ErrIsDir
		}
		if err != nil {
			return objstore.CommitResult{}, err
		}
		res, err := c.make(ctx, p, old)
		if objstore.IsLostCondition(err) {
			continue
		}
		if err == nil {
			res.Moved = objstore.MoveResult{Moved: res.Info}
			if old.exists() {
				res.Moved.Replaced, res.Moved.Gone = old.info, true
			}
		}
		return res, err
	}
	return objstore.CommitResult{}, contended()
}

// checkTarget evaluates what a rename demands of the new name.
func checkTarget(m objstore.MoveRequest, there found) error {
	if err := there.check(m.NewCond); err != nil {
		return err
	}
	switch {
	case m.Mode == objstore.RenameNoReplace && there.exists():
		return lost(there.info.ETag)
	case m.Mode == objstore.RenameExchange:
		return problem(objstore.ErrUnsupported, "a flat store cannot swap two names")
	case m.Mode > objstore.RenameExchange:
		return objstore.ErrInvalid
	}
	return nil
}

// thenMove commits and renames in two steps, after a look at what the rename demands.
func (c *commit) thenMove(ctx context.Context) (objstore.CommitResult, error) {
	m := *c.req.Move
	_, there, err := c.n.lookAt(ctx, m.NewParent, m.NewName)
	if err == nil {
		err = checkTarget(m, there)
	}
	if err == nil && there.isDir() {
		err = objstore.ErrIsDir
	}
	if err != nil {
		return objstore.CommitResult{}, err
	}
	res, err := c.toObject(ctx, c.req.Target.ID)
	if err != nil {
		return res, err
	}
	if m.Cond.IsUnconditional() {
		m.Cond = objstore.IfVersion(res.Info.Version)
	}
	if res.Moved, err = c.n.move(ctx, m); err != nil {
		if objstore.IsLostCondition(err) || errors.Is(err, objstore.ErrConflict) {
			return res, &objstore.Error{
				Kind: objstore.ErrUnavailable, Detail: "the content was committed under the old name, but the rename failed: " + err.Error(),
			}
		}
		return res, err
	}
	res.Info = res.Moved.Moved
	return res, nil
}
