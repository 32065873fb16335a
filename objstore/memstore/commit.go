package memstore

import (
	"context"
	"fmt"

	"github.com/etagfs/etagfs/objstore"
)

// Commit implements [objstore.Stage].
func (s *stage) Commit(ctx context.Context, req objstore.CommitRequest) (res objstore.CommitResult, err error) {
	err = s.do(ctx, "commit", func() error {
		if !req.Cond.Valid() {
			return objstore.ErrInvalid
		}
		c := s.draft.freeze()
		res, err = s.commitContent(c, req)
		if err != nil {
			return err
		}
		s.draft.rebase(c)
		s.base, s.version, s.changed = c, res.Info.Version, false
		return nil
	})
	if err != nil {
		return objstore.CommitResult{}, err
	}
	return res, nil
}

func (s *stage) commitContent(c *content, req objstore.CommitRequest) (objstore.CommitResult, error) {
	appended := s.base != nil && s.draft.prefix >= s.base.size
	request := fmt.Sprintf("commit %d %d %q %v %x %d", req.Target.ID, req.Target.Parent, req.Target.Name, req.Cond, c.hash(), c.size)
	s.b.engine.mu.Lock()
	defer s.b.engine.mu.Unlock()
	return once(s.b, req.WriteID, request, func(t *tx) (objstore.CommitResult, error) {
		return t.commit(req, c, s.version, appended)
	})
}

// commit makes c the content of the target. base is the version c was made
// from, appended says that c only added to it.
func (t *tx) commit(req objstore.CommitRequest, c *content, base objstore.Version, appended bool) (res objstore.CommitResult, err error) {
	n, err := t.commitTarget(req, c, base, appended)
	if err != nil {
		return res, err
	}
	t.merge(n, req.Change)
	if req.Move != nil {
		if res.Moved, err = t.move(*req.Move); err != nil {
			return res, err
		}
	}
	if req.LinkParent != 0 {
		if err := t.link(n, req.LinkParent, req.LinkName); err != nil {
			return res, err
		}
	}
	res.Info, res.Appended = n.info(), appended
	return res, nil
}

func (t *tx) commitTarget(req objstore.CommitRequest, c *content, base objstore.Version, appended bool) (*node, error) {
	if req.Target.Parent == 0 {
		n, err := t.b.file(req.Target.ID)
		if err != nil {
			return nil, err
		}
		if err := check(req.Cond, n); err != nil {
			return nil, err
		}
		t.commitTo(n, c, base, appended)
		return n, nil
	}
	at, old, err := t.b.find(req.Target.Parent, req.Target.Name)
	if err != nil {
		return nil, err
	}
	if old != nil && old.isDir() {
		return nil, objstore.ErrIsDir
	}
	if err := check(req.Cond, old); err != nil {
		return nil, err
	}
	if old != nil && old.id == req.Target.ID {
		t.commitTo(old, c, base, appended)
		return old, nil
	}
	return t.commitNew(at, old, req.Target, c)
}

// commitTo replaces the content of a file.
func (t *tx) commitTo(n *node, c *content, base objstore.Version, appended bool) {
	old := n.version
	t.setContent(n, c)
	t.tellContent(n, old, appended && old == base)
}

// commitNew makes a file, in place of old if that is not nil.
func (t *tx) commitNew(at entry, old *node, target objstore.Target, c *content) (*node, error) {
	if target.ID == 0 || target.ID > t.b.engine.lastID || t.b.nodes[target.ID] != nil {
		return nil, problem(objstore.ErrInvalid, fmt.Sprintf("%d is not the id of a new file", target.ID))
	}
	t.makeExplicit(at.dir)
	if old != nil {
		t.drop(at, old)
	} else if err := checkFree(at, target.Name); err != nil {
		return nil, err
	}
	n := t.newNode(target.ID, objstore.TypeFile, target.Attr)
	t.setContent(n, c)
	t.add(at, n)
	return n, nil
}
