package remote

import (
	"context"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/wire"
)

// hello asks for a session, for as long as patience.
func (s *Store) hello(ctx context.Context, patience time.Duration) (wire.Hello, error) {
	var hello wire.Hello
	head := wire.Head{Protocol: wire.Protocol, Method: wire.MethodHello}
	tries := s.newTriesFor("open store", s.opt.Bucket, false, patience)
	for {
		r, err := s.send(ctx, &head, nil, nil)
		if err == nil {
			err = r.state.Failure.Err()
			if err == nil {
				err = wire.Decode(r.rest, &hello)
			}
			r.close()
			return hello, err
		}
		if err := tries.again(ctx, err); err != nil {
			return hello, err
		}
	}
}

// current is the session requests belong to. One that was lost is replaced.
func (s *Store) current(ctx context.Context) (*session, error) {
	for {
		s.mu.Lock()
		session, renewing := s.session, s.renewing
		if session == nil && renewing == nil {
			s.renewing = make(chan struct{})
			s.mu.Unlock()
			return s.renew(ctx)
		}
		s.mu.Unlock()
		if session != nil {
			return session, nil
		}
		select {
		case <-renewing:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// renew begins a session in place of one that was lost. Nothing else is asked for in it before it has what that had.
func (s *Store) renew(ctx context.Context) (*session, error) {
	hello, err := s.hello(ctx, s.opt.Patience)
	var begun *session
	if err == nil && hello.Root != s.root {
		err = &objstore.Error{Op: "open store", Key: s.opt.Bucket, Kind: objstore.ErrUnavailable, Detail: "the server has another store now"}
	}
	if err == nil {
		begun = newSession(hello)
		s.reclaim(begun)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.renewing)
	s.renewing = nil
	if err != nil {
		return nil, err
	}
	s.session = begun
	s.parts.Logger.Warn("the server began anew", "bucket", s.opt.Bucket)
	return s.session, nil
}

// lost notes that the server does not know the session. There may still be a stream in it, of a server that is gone.
func (s *Store) lost(old *session) {
	s.broken(old)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.session == old {
		s.session, s.gone = nil, old
	}
}

// begin gives a request its number.
func (n *session) begin() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.last++
	n.pending[n.last] = struct{}{}
	return n.last
}

func (n *session) done(id uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.pending, id)
}

// oldest is the first request without an answer.
func (n *session) oldest() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	oldest := n.last + 1
	for id := range n.pending {
		oldest = min(oldest, id)
	}
	return oldest
}
