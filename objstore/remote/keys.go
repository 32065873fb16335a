package remote

import (
	"bytes"
	"context"
	"errors"
	"io"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/wire"
)

// Get implements [objstore.Store].
func (s *Store) Get(ctx context.Context, key objstore.Key, cond objstore.Cond) (objstore.Reader, error) {
	r, err := s.opening(ctx, request{
		op: "get", key: string(key), method: wire.MethodGet, message: &wire.Key{Key: key, Cond: cond, Prefetch: PrefetchBytes},
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Head implements [objstore.Store].
func (s *Store) Head(ctx context.Context, key objstore.Key) (objstore.Info, error) {
	return s.infoOf(ctx, request{op: "head", key: string(key), method: wire.MethodHead, message: &wire.Key{Key: key}})
}

// List implements [objstore.Store].
func (s *Store) List(ctx context.Context, opt objstore.ListOptions) (objstore.ListPage, error) {
	var m wire.Page
	if err := s.ask(ctx, request{op: "list", key: string(opt.Prefix), method: wire.MethodList, message: &wire.List{Options: opt}}, &m); err != nil {
		return objstore.ListPage{}, err
	}
	return m.Page, nil
}

// Delete implements [objstore.Store].
func (s *Store) Delete(ctx context.Context, key objstore.Key, cond objstore.Cond, opt objstore.DeleteOptions) error {
	if err := s.identify(&opt.WriteID); err != nil {
		return err
	}
	return s.ask(ctx, request{
		op: "delete", key: string(key), method: wire.MethodDelete, writeID: true,
		message: &wire.Key{Key: key, Cond: cond, Durability: opt.Durability, WriteID: opt.WriteID},
	}, &wire.None{})
}

// identify gives a write an id if it has none.
func (s *Store) identify(id *string) (err error) {
	if *id == "" {
		*id, err = s.newWriteID()
	}
	return err
}

// Copy implements [objstore.Store].
func (s *Store) Copy(ctx context.Context, req objstore.CopyRequest) (objstore.Info, error) {
	if req.SrcBucket != "" && req.SrcBucket != s.opt.Bucket {
		return objstore.Info{}, &objstore.Error{Op: "copy", Key: string(req.Src), Kind: objstore.ErrUnsupported, Detail: "from another bucket"}
	}
	if err := s.identify(&req.Put.WriteID); err != nil {
		return objstore.Info{}, err
	}
	return s.infoOf(ctx, request{op: "copy", key: string(req.Src), method: wire.MethodCopy, writeID: true, message: &wire.Copy{Request: req}})
}

// Rename implements [objstore.Store].
func (s *Store) Rename(ctx context.Context, req objstore.RenameRequest) (objstore.Info, error) {
	if err := s.identify(&req.WriteID); err != nil {
		return objstore.Info{}, err
	}
	return s.infoOf(ctx, request{op: "rename", key: string(req.Src), method: wire.MethodRename, writeID: true, message: &wire.Rename{Request: req}})
}

// Answer implements [objstore.Answers].
func (s *Store) Answer(ctx context.Context, writeID string) (objstore.Answer, error) {
	var m wire.Answer
	if err := s.ask(ctx, request{op: "answer", method: wire.MethodAnswer, message: &wire.Key{WriteID: writeID}}, &m); err != nil {
		return objstore.Answer{}, err
	}
	return objstore.Answer{Info: m.Info, Err: m.Failure.Err()}, nil
}

// Put implements [objstore.Store].
func (s *Store) Put(ctx context.Context, key objstore.Key, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	if err := s.identify(&opt.WriteID); err != nil {
		return objstore.Info{}, err
	}
	p := &putBody{ctx: ctx, src: body, opt: opt}
	q := request{
		op: "put", key: string(key), method: wire.MethodPut, writeID: true,
		message: &wire.Put{Key: key, Cond: cond, Options: opt}, body: &content{size: -1, write: p.send}, single: true,
	}
	var whole bytes.Buffer
	if p.fits(&whole) {
		q.single = false
		q.body = &content{size: int64(whole.Len()), write: func(w *wire.BodyWriter) error {
			_, err := w.Write(whole.Bytes())
			return errors.Join(err, w.End(&p.end))
		}}
	}
	info, err := s.infoOf(ctx, q)
	if q.single && errors.Is(err, errLost) {
		info, err = s.afterwards(ctx, key, opt.WriteID)
	}
	if err != nil && p.err != nil {
		return objstore.Info{}, p.failure(key)
	}
	return info, err
}

// afterwards is what became of a put whose body cannot be sent again, which was sent to a server that is gone: nothing
// is under way any more.
func (s *Store) afterwards(ctx context.Context, key objstore.Key, writeID string) (objstore.Info, error) {
	a, err := s.Answer(context.WithoutCancel(ctx), writeID)
	switch {
	case objstore.KindOf(err) == objstore.ErrNotFound:
		return objstore.Info{}, &objstore.Error{Op: "put", Key: string(key), Kind: objstore.ErrUnavailable, Detail: "the server began anew before all was sent"}
	case err != nil:
		return objstore.Info{}, &objstore.Error{Op: "put", Key: string(key), Kind: objstore.ErrUnknown, Err: err}
	}
	return a.Info, a.Err
}

// putBody is the body of a put on its way.
type putBody struct {
	ctx  context.Context
	src  io.Reader
	opt  objstore.PutOptions
	size int64
	err  error // what was wrong with it
	end  wire.BodyEnd
}

// fits reads a body that is small enough to be sent more than once, or else its begin.
func (p *putBody) fits(whole *bytes.Buffer) bool {
	n, err := io.CopyN(whole, p.src, wholeBytesMax)
	if err == nil {
		p.src = io.MultiReader(bytes.NewReader(whole.Bytes()), p.src)
		return false
	}
	p.size = n
	p.finish(err)
	return true
}

// send sends the body, and at its end what it turned out to be.
func (p *putBody) send(w *wire.BodyWriter) error {
	buf := make([]byte, wire.PartBytes)
	for {
		n, err := p.src.Read(buf)
		p.size += int64(n)
		if _, err := w.Write(buf[:n]); err != nil {
			return err
		}
		if err == nil {
			err = p.ctx.Err()
		}
		if err != nil {
			p.finish(err)
			return w.End(&p.end)
		}
	}
}

// finish says what a body that ended with err turned out to be.
func (p *putBody) finish(err error) {
	switch {
	case err != io.EOF:
	case p.ctx.Err() != nil:
		err = p.ctx.Err()
	case p.opt.LengthKnown && p.size != p.opt.Length: // the server refuses it
		return
	case p.opt.Finish != nil:
		p.end.Digests, err = p.opt.Finish()
	}
	if err != nil && err != io.EOF {
		p.err = err
		p.end.Failure = wire.Failure{Failed: true, Kind: objstore.ErrInvalid, Op: "put", Detail: "the body failed"}
	}
}

// failure is why the body was not stored.
func (p *putBody) failure(key objstore.Key) error {
	var known *objstore.Error
	switch {
	case errors.As(p.err, &known):
		return p.err
	case p.ctx.Err() != nil:
		return &objstore.Error{Op: "put", Key: string(key), Kind: objstore.ErrUnavailable, Err: p.err}
	default:
		return &objstore.Error{Op: "put", Key: string(key), Kind: objstore.ErrInvalid, Detail: "the body failed", Err: p.err}
	}
}
