package remote

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/wire"
)

// Waits between attempts.
const (
	waitFirst = 10 * time.Millisecond
	waitMost  = time.Second
)

// tries counts the attempts of one request.
type tries struct {
	s       *Store
	op, key string
	mutates bool
	sent    bool // an attempt may have reached the server
	wait    time.Duration
	most    time.Duration // of all waits, and of all time
	left    time.Duration // of the waits
	began   time.Time
}

func (s *Store) newTries(op, key string, mutates bool) *tries {
	return s.newTriesFor(op, key, mutates, s.opt.Patience)
}

func (s *Store) newTriesFor(op, key string, mutates bool, most time.Duration) *tries {
	return &tries{s: s, op: op, key: key, mutates: mutates, most: most, left: most}
}

// again waits before the next attempt; an error means that there is none.
func (t *tries) again(ctx context.Context, cause error) error {
	var no *refused
	if errors.As(cause, &no) && no.kind() != 0 {
		return &objstore.Error{Op: t.op, Key: t.key, Kind: no.kind(), Err: cause}
	}
	if objstore.KindOf(cause) == objstore.ErrPermission {
		return cause
	}
	var op *net.OpError
	if !errors.As(cause, &op) || op.Op != "dial" {
		t.sent = true
	}
	if t.began.IsZero() {
		t.began = time.Now()
	}
	t.wait = min(max(2*t.wait, waitFirst), waitMost)
	t.left -= t.wait
	if err := ctx.Err(); err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			t.s.silence.broken(0) // how long it has waited is not known, and may be much less than requests do
		}
		return t.failed(errors.Join(err, cause))
	}
	t.s.unanswered(cause)
	if t.left <= 0 || time.Since(t.began) > t.most || t.s.silence.lasts(t.most) {
		return t.failed(cause)
	}
	if err := t.s.parts.Clock.Sleep(ctx, t.wait); err != nil {
		return t.failed(errors.Join(err, cause))
	}
	return nil
}

// failed is why a request has no answer.
func (t *tries) failed(cause error) error {
	var known *objstore.Error
	if errors.As(cause, &known) && !t.sent {
		return cause
	}
	if t.mutates && t.sent {
		return &objstore.Error{Op: t.op, Key: t.key, Kind: objstore.ErrUnknown, Err: cause}
	}
	return &objstore.Error{Op: t.op, Key: t.key, Kind: objstore.ErrUnavailable, Detail: noAnswer(cause), Err: cause}
}

// noAnswer is what no answer comes from, for people.
func noAnswer(cause error) string {
	var untrusted *tls.CertificateVerificationError
	switch {
	case errors.As(cause, &untrusted):
		return "the server has a certificate this machine does not trust (SSL_CERT_FILE names a file of authorities to trust)"
	case errors.Is(cause, http.ErrSchemeMismatch):
		return "the server does not speak TLS (write http://)"
	}
	return "the server does not answer"
}

// resolve asks what became of a request that cannot be sent again.
func (s *Store) resolve(ctx context.Context, in *session, id uint64, tries *tries) (*reply, error) {
	head := wire.Head{Protocol: wire.Protocol, Method: wire.MethodResolve, Session: in.id, ID: in.begin()}
	defer in.done(head.ID)
	for {
		head.Oldest = in.oldest()
		r, err := s.send(ctx, &head, &wire.Resolve{ID: id}, nil)
		switch {
		case err == nil && r.state.Lost:
			r.close()
			return nil, errLost
		case err == nil:
			return s.resolved(r, tries)
		}
		if err := tries.again(ctx, err); err != nil {
			return nil, err
		}
	}
}

func (s *Store) resolved(r *reply, tries *tries) (*reply, error) {
	var known wire.Resolved
	if err := wire.Decode(r.rest, &known); err != nil {
		r.close()
		return nil, tries.failed(err)
	}
	if !known.Known {
		r.close()
		return nil, &objstore.Error{Op: tries.op, Key: tries.key, Kind: objstore.ErrUnavailable, Detail: "the connection broke before all was sent"}
	}
	frame, err := wire.ReadFrame(bytes.NewReader(known.Reply), nil)
	if err == nil {
		r.rest, err = wire.DecodeHead(frame, &r.state)
	}
	if err != nil {
		r.close()
		return nil, tries.failed(err)
	}
	return r, nil
}
