package badgerstore

import (
	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

// committing is one commit of a stage in its turn.
type committing struct {
	b           *Bucket
	t           *tx
	req         objstore.CommitRequest
	in          *incoming
	baseVersion uint64

	res    objstore.CommitResult
	object *record.Object // as committed; nil if an earlier attempt's outcome was found
}

// once runs the commit, or finds what became of it.
func (c *committing) once(ask func() [16]byte) error {
	o, extra, err := c.b.outcome(c.t, c.req.WriteID, ask, func() (*record.Object, []byte, error) {
		o, err := c.run()
		if err != nil {
			return nil, nil, err
		}
		c.object = o
		return o, c.extra(), nil
	})
	if err == nil && c.object == nil && o != nil {
		c.res = objstore.CommitResult{Info: infoOf(o), Appended: len(extra) > 0 && extra[0] != 0}
	}
	return err
}

// extra is what a replay must know beyond the object.
func (c *committing) extra() []byte {
	if c.res.Appended {
		return []byte{1}
	}
	return []byte{0}
}

func (c *committing) run() (*record.Object, error) {
	t, req := c.t, c.req
	o, err := c.target()
	if err != nil {
		return nil, err
	}
	if req.Move != nil {
		if c.res.Moved, err = c.b.move(t, *req.Move); err != nil {
			return nil, err
		}
	}
	if req.LinkParent != 0 {
		if err := c.b.link(t, o.ID, req.LinkParent, req.LinkName); err != nil {
			return nil, err
		}
	}
	if req.Move != nil || req.LinkParent != 0 {
		now, err := t.object(o.ID)
		if err != nil {
			return nil, err
		}
		if now != nil {
			o = now
		}
	}
	c.res.Info, c.res.Appended = infoOf(o), c.in.appended
	return o, nil
}

// target makes the bytes the content of what the request names.
func (c *committing) target() (*record.Object, error) {
	t, req := c.t, c.req
	if req.Target.Parent == 0 {
		o, err := t.file(req.Target.ID)
		if err == nil {
			err = check(req.Cond, o)
		}
		if err != nil {
			return nil, err
		}
		return c.replaceContent(o)
	}
	p, old, err := t.find(req.Target.Parent, req.Target.Name)
	switch {
	case err != nil:
		return nil, err
	case old != nil && old.IsDir():
		return nil, objstore.ErrIsDir
	}
	if err := check(req.Cond, old); err != nil {
		return nil, err
	}
	if old != nil && objstore.ID(old.ID) == req.Target.ID {
		return c.replaceContent(old)
	}
	return c.newFile(p, old)
}

// replaceContent gives a file the new content.
func (c *committing) replaceContent(old *record.Object) (*record.Object, error) {
	o, err := c.t.touched(old)
	if err != nil {
		return nil, err
	}
	if err := c.t.setContent(o, c.in); err != nil {
		return nil, err
	}
	merge(o, c.req.Change)
	c.t.store(o)
	return o, c.b.tellContent(c.t, o, old.Version, c.in.appended && old.Version == c.baseVersion)
}

// newFile makes a file at p, in place of old if that is not nil.
func (c *committing) newFile(p place, old *record.Object) (*record.Object, error) {
	t, target := c.t, c.req.Target
	taken, err := t.object(uint64(target.ID))
	if err != nil {
		return nil, err
	}
	if taken != nil || !t.e.numbers.wasGiven(uint64(target.ID)) {
		return nil, problem(objstore.ErrInvalid, "%d is not the id of a new file", target.ID)
	}
	if err := t.makeExplicit(p.Parent); err != nil {
		return nil, err
	}
	o, err := t.newObject(uint64(target.ID), objstore.TypeFile, target.Attr)
	if err != nil {
		return nil, err
	}
	if old != nil {
		o.Modified = old.Modified
		_, err = c.b.drop(t, p, old)
	} else {
		err = t.checkFree(p, target.Name)
	}
	if err != nil {
		return nil, err
	}
	if err := t.setContent(o, c.in); err != nil {
		return nil, err
	}
	merge(o, c.req.Change)
	return c.b.add(t, p, o)
}
