package sessions

import (
	"context"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/wire"
)

// reopener is a namespace that has versions which were replaced.
type reopener interface {
	Reopen(ctx context.Context, id objstore.ID, version objstore.Version) (objstore.Reader, error)
}

// reclaim gives a client what it had in a session that is gone, as far as it is there.
func (s *session) reclaim(ctx context.Context, _ *request, m *wire.Reclaim) (wire.Message, error) {
	reply := &wire.Reclaimed{Handles: make([]uint64, len(m.Readers)), Held: make([]bool, len(m.Locks))}
	for i, p := range m.Readers {
		r, err := s.reopen(ctx, p)
		if err != nil {
			continue // the client is told when it reads
		}
		if reply.Handles[i], err = s.hold("reclaim", &handle{reader: r}); err != nil {
			return nil, err
		}
	}
	if len(m.Locks) == 0 {
		return reply, nil
	}
	held, err := s.locks.session()
	if err != nil {
		return nil, err
	}
	reply.Fence = uint64(held.ID())
	for i := range m.Locks {
		reply.Held[i] = held.Reclaim(m.Locks[i].Object, lockOf(&m.Locks[i]))
	}
	return reply, nil
}

func (s *session) reopen(ctx context.Context, p wire.Pinned) (objstore.Reader, error) {
	if old, ok := s.ns.(reopener); ok {
		return old.Reopen(ctx, p.ID, p.Version)
	}
	return s.ns.Open(ctx, p.ID, p.Version)
}
