package sessions

import (
	"context"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/wire"
)

// The most that one reply brings.
const (
	idsMax        = 64
	entriesMax    = 1000
	prefetchMax   = 256 << 10
	messageTarget = wire.FrameBytesMax / 4
)

func (s *session) newIDs(ctx context.Context, _ *request, m *wire.Count) (wire.Message, error) {
	first, err := s.ns.NewID(ctx)
	if err != nil {
		return nil, err
	}
	ids := &wire.Release{Handles: []uint64{uint64(first)}}
	for len(ids.Handles) < min(m.Count, idsMax) {
		id, err := s.ns.NewID(ctx)
		if err != nil {
			break // there is one
		}
		ids.Handles = append(ids.Handles, uint64(id))
	}
	return ids, nil
}

func (s *session) lookup(ctx context.Context, _ *request, m *wire.Name) (wire.Message, error) {
	info, err := s.ns.Lookup(ctx, m.Parent, m.Name)
	return &wire.Info{Info: info}, err
}

func (s *session) stat(ctx context.Context, _ *request, m *wire.Object) (wire.Message, error) {
	info, err := s.ns.Stat(ctx, m.ID)
	return &wire.Info{Info: info}, err
}

func (s *session) parent(ctx context.Context, _ *request, m *wire.Object) (wire.Message, error) {
	id, err := s.ns.Parent(ctx, m.ID)
	return &wire.Object{ID: id}, err
}

func (s *session) path(ctx context.Context, _ *request, m *wire.Object) (wire.Message, error) {
	path, err := s.ns.Path(ctx, m.ID)
	return &wire.Text{Text: path}, err
}

func (s *session) readlink(ctx context.Context, _ *request, m *wire.Object) (wire.Message, error) {
	target, err := s.ns.Readlink(ctx, m.ID)
	return &wire.Text{Text: target}, err
}

func (s *session) readDir(ctx context.Context, _ *request, m *wire.ReadDir) (wire.Message, error) {
	most := min(m.Max, entriesMax)
	for {
		entries, more, err := s.ns.ReadDir(ctx, m.Dir, m.After, most)
		reply := &wire.Entries{Entries: entries, More: more}
		if err != nil || len(entries) <= 1 || len(wire.Encode(reply)) <= messageTarget {
			return reply, err
		}
		most = len(entries) / 2
	}
}

func (s *session) open(ctx context.Context, _ *request, m *wire.Open) (wire.Message, error) {
	r, err := s.ns.Open(ctx, m.ID, m.Want)
	if err != nil {
		return nil, err
	}
	return s.opened(ctx, "open", r, m.Prefetch)
}

// opened holds r for the client and reads it, if it is small.
func (s *session) opened(ctx context.Context, op string, r objstore.Reader, prefetch int64) (wire.Message, error) {
	m := &wire.Opened{Info: r.Info()}
	if size := m.Info.Size; size <= min(prefetch, prefetchMax) {
		m.Data = make([]byte, size)
		if n, err := r.ReadAt(ctx, m.Data, 0); int64(n) != size || notEOF(err) != nil {
			m.Data = nil // whoever reads is told why
		}
	}
	var err error
	m.Handle, err = s.hold(op, &handle{reader: r})
	return m, err
}

func (s *session) make(ctx context.Context, _ *request, m *wire.Make) (wire.Message, error) {
	info, err := s.ns.Make(ctx, m.Request)
	return &wire.Info{Info: info}, err
}

func (s *session) link(ctx context.Context, _ *request, m *wire.Link) (wire.Message, error) {
	info, err := s.ns.Link(ctx, m.ID, m.Parent, m.Name, m.Durability)
	return &wire.Info{Info: info}, err
}

func (s *session) unlink(ctx context.Context, _ *request, m *wire.Name) (wire.Message, error) {
	res, err := s.ns.Unlink(ctx, m.Parent, m.Name, m.Cond, m.Durability)
	return &wire.Removed{Result: res}, err
}

func (s *session) rmdir(ctx context.Context, _ *request, m *wire.Name) (wire.Message, error) {
	res, err := s.ns.Rmdir(ctx, m.Parent, m.Name, m.Durability)
	return &wire.Removed{Result: res}, err
}

func (s *session) move(ctx context.Context, r *request, m *wire.Move) (wire.Message, error) {
	s.moving(ctx, r, m.Request)
	res, err := s.ns.Move(ctx, m.Request)
	return &wire.Moved{Result: res}, err
}

// moving lets those who remember names forget those that are about to be moved.
func (s *session) moving(ctx context.Context, r *request, m objstore.MoveRequest) {
	if s.table.opt.Moving != nil {
		r.moved = s.table.opt.Moving(ctx, m)
	}
}

func (s *session) setAttr(ctx context.Context, _ *request, m *wire.SetAttr) (wire.Message, error) {
	info, err := s.ns.SetAttr(ctx, m.ID, m.Change, m.Durability)
	return &wire.Info{Info: info}, err
}

func (s *session) usage(ctx context.Context, _ *request, _ *wire.None) (wire.Message, error) {
	usage, err := s.ns.Usage(ctx)
	return &wire.Usage{Usage: usage}, err
}

func (s *session) sync(ctx context.Context, _ *request, _ *wire.None) (wire.Message, error) {
	return &wire.None{}, s.ns.Sync(ctx)
}

func (s *session) listConflicts(ctx context.Context, _ *request, _ *wire.None) (wire.Message, error) {
	all, err := s.ns.ListConflicts(ctx)
	return &wire.Conflicts{Conflicts: all}, err
}

func (s *session) conflict(ctx context.Context, _ *request, m *wire.Conflict) (wire.Message, error) {
	c, err := s.ns.Conflict(ctx, m.Conflict.ID)
	return &wire.Conflict{Conflict: c}, err
}

func (s *session) openConflict(ctx context.Context, _ *request, m *wire.Conflict) (wire.Message, error) {
	r, err := s.ns.OpenConflict(ctx, m.Conflict.ID, m.Side)
	if err != nil {
		return nil, err
	}
	return s.opened(ctx, "open conflict", r, 0)
}

func (s *session) dropConflict(ctx context.Context, _ *request, m *wire.Conflict) (wire.Message, error) {
	return &wire.None{}, s.ns.DropConflict(ctx, m.Conflict.ID)
}
