package sessions

import (
	"context"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/wire"
)

func (s *session) get(ctx context.Context, _ *request, m *wire.Key) (wire.Message, error) {
	r, err := s.store.Get(ctx, m.Key, m.Cond)
	if err != nil {
		return nil, err
	}
	return s.opened(ctx, "get", r, m.Prefetch)
}

func (s *session) headOf(ctx context.Context, _ *request, m *wire.Key) (wire.Message, error) {
	info, err := s.store.Head(ctx, m.Key)
	return &wire.Info{Info: info}, err
}

func (s *session) put(ctx context.Context, r *request, m *wire.Put) (wire.Message, error) {
	var end wire.BodyEnd
	m.Options.Finish = func() (objstore.Digests, error) { return end.Digests, end.Failure.Err() }
	info, err := s.store.Put(ctx, m.Key, r.body(&end), m.Cond, m.Options)
	return &wire.Info{Info: info}, err
}

func (s *session) delete(ctx context.Context, _ *request, m *wire.Key) (wire.Message, error) {
	opt := objstore.DeleteOptions{Durability: m.Durability, WriteID: m.WriteID}
	return &wire.None{}, s.store.Delete(ctx, m.Key, m.Cond, opt)
}

func (s *session) copy(ctx context.Context, _ *request, m *wire.Copy) (wire.Message, error) {
	info, err := s.store.Copy(ctx, m.Request)
	return &wire.Info{Info: info}, err
}

func (s *session) rename(ctx context.Context, _ *request, m *wire.Rename) (wire.Message, error) {
	info, err := s.store.Rename(ctx, m.Request)
	return &wire.Info{Info: info}, err
}

func (s *session) list(ctx context.Context, _ *request, m *wire.List) (wire.Message, error) {
	if m.Options.Max <= 0 || m.Options.Max > entriesMax {
		m.Options.Max = entriesMax
	}
	for {
		page, err := s.store.List(ctx, m.Options)
		reply := &wire.Page{Page: page}
		if err != nil || len(page.Entries) <= 1 || len(wire.Encode(reply)) <= messageTarget {
			return reply, err
		}
		m.Options.Max = len(page.Entries) / 2
	}
}

func (s *session) answer(ctx context.Context, _ *request, m *wire.Key) (wire.Message, error) {
	store, ok := s.store.(objstore.Answers)
	if !ok {
		return nil, &objstore.Error{Op: "answer", Kind: objstore.ErrUnsupported}
	}
	a, err := store.Answer(ctx, m.WriteID)
	return &wire.Answer{Failure: wire.FailureOf(a.Err), Info: a.Info}, err
}
