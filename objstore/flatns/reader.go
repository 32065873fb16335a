package flatns

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/etagfs/etagfs/objstore"
)

// pin is what readers of one version share. It follows the object when only its attributes or its name change.
type pin struct {
	// Constant.
	n    *Namespace
	node *node
	info objstore.Info

	mu    sync.Mutex
	inner objstore.Reader   // GUARDED_BY(mu)
	uses  int               // GUARDED_BY(mu): readers that are not closed
	moved uint64            // GUARDED_BY(mu): how often inner was replaced
	old   []objstore.Reader // GUARDED_BY(mu): replaced, perhaps in use
}

// reader implements [objstore.Reader] and can be shared.
type reader struct {
	pin    *pin
	closed atomic.Bool
}

// Open implements [objstore.Namespace].
func (n *Namespace) Open(ctx context.Context, id objstore.ID, want objstore.Version) (objstore.Reader, error) {
	err := ended(ctx)
	var f *node
	if err == nil {
		f, err = n.file(id)
	}
	if err != nil {
		return nil, named("open", idText(id), err)
	}
	r, err := n.openNode(ctx, f, want)
	if err != nil {
		return nil, named("open", idText(id), err)
	}
	return r, nil
}

// openNode opens the current content of a file, which must be want unless that is empty.
func (n *Namespace) openNode(ctx context.Context, f *node, want objstore.Version) (*reader, error) {
	since := n.now()
	inner, err := n.get(ctx, f, want)
	if err != nil {
		return nil, err
	}
	raw := inner.Info()
	n.mu.Lock()
	if f.born <= since {
		n.note(f, raw)
	}
	f.readers++
	n.mu.Unlock()
	p := &pin{n: n, node: f, info: n.describe(f.id, f.typ, raw, false), inner: inner, uses: 1}
	return &reader{pin: p}, nil
}

// get pins the store's current version of a file if that has the wanted content.
func (n *Namespace) get(ctx context.Context, f *node, want objstore.Version) (objstore.Reader, error) {
	key, ok := n.key(f)
	if !ok {
		return nil, objstore.ErrNotFound
	}
	inner, err := n.store.Get(ctx, key, objstore.Unconditional())
	if err != nil {
		return nil, err
	}
	raw := inner.Info()
	switch {
	case typeOf(raw) != f.typ:
		err = objstore.ErrNotFound
	case want != "" && contentOf(raw) != want:
		err = lost(raw.ETag)
	default:
		return inner, nil
	}
	return nil, errors.Join(err, inner.Close())
}

// OpenVersion implements [Committer].
func (n *Namespace) OpenVersion(ctx context.Context, object objstore.ID, path string, v objstore.Version) (objstore.Reader, error) {
	f, err := n.file(object)
	if err != nil {
		f, err = n.fileAt(ctx, path)
	}
	if err != nil {
		return nil, named("open", path, err)
	}
	r, err := n.openNode(ctx, f, v)
	if err != nil {
		return nil, named("open", path, err)
	}
	return r, nil
}

// fileAt is the regular file at a path.
func (n *Namespace) fileAt(ctx context.Context, path string) (*node, error) {
	id := n.root.id
	for name := range strings.SplitSeq(path, "/") {
		info, err := n.Lookup(ctx, id, name)
		if err != nil {
			return nil, err
		}
		id = info.ID
	}
	return n.file(id)
}

// Share is another reader of the same version; ErrClosed once this one is closed.
func (r *reader) Share() (objstore.Reader, error) {
	p := r.pin
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.closed.Load() || p.uses == 0 {
		return nil, named("share", "", objstore.ErrClosed)
	}
	p.uses++
	return &reader{pin: p}, nil
}

// Info implements [objstore.Reader].
func (r *reader) Info() objstore.Info { return r.pin.info }

// Close implements [objstore.Reader].
func (r *reader) Close() error {
	if r.closed.Swap(true) {
		return nil
	}
	p := r.pin
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.uses--; p.uses > 0 {
		return nil
	}
	p.n.mu.Lock()
	p.node.readers--
	p.n.mu.Unlock()
	err := p.inner.Close()
	for _, old := range p.old {
		err = errors.Join(err, old.Close())
	}
	return err
}

func (p *pin) current() (objstore.Reader, uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.inner, p.moved
}

// again finds the same content in the version the store has now, after the one that was
// pinned is gone. The error is why it is not there.
func (p *pin) again(ctx context.Context, moved uint64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.moved != moved {
		return nil // another reader has found it
	}
	inner, err := p.n.get(ctx, p.node, p.info.Version)
	if err != nil {
		return err
	}
	p.old = append(p.old, p.inner)
	p.inner = inner
	p.moved++
	return nil
}

func (r *reader) usable() error {
	if r.closed.Load() {
		return named("read", "", objstore.ErrClosed)
	}
	return nil
}

// ReadAt implements [objstore.Reader].
func (r *reader) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	if err := r.usable(); err != nil {
		return 0, err
	}
	for range attemptsMax {
		inner, moved := r.pin.current()
		n, err := inner.ReadAt(ctx, p, off)
		if !objstore.IsLostCondition(err) {
			return n, err
		}
		if err := r.pin.again(ctx, moved); err != nil {
			return 0, named("read", r.pin.n.pathOf(r.pin.node), err)
		}
	}
	return 0, named("read", "", contended())
}

// Stream implements [objstore.Reader].
func (r *reader) Stream(ctx context.Context, off, length int64) io.ReadCloser {
	s := &stream{ctx: ctx, r: r, off: off, end: -1}
	if off >= 0 && length >= 0 {
		s.end = off + min(length, max(0, r.pin.info.Size-off))
	}
	if length < -1 {
		s.end = length
	}
	return s
}

// stream reads in order, and goes on in another version of the same content.
type stream struct {
	ctx   context.Context // of the one stream
	r     *reader
	off   int64
	end   int64         // -1: of the content
	in    io.ReadCloser // nil: not open
	moved uint64
	tries int // since the last byte
}

func (s *stream) Read(b []byte) (int, error) {
	for {
		if s.in == nil {
			if err := s.r.usable(); err != nil {
				return 0, err
			}
			var inner objstore.Reader
			inner, s.moved = s.r.pin.current()
			length := s.end
			if length > 0 {
				length = max(0, length-s.off)
			}
			s.in = inner.Stream(s.ctx, s.off, length)
		}
		n, err := s.in.Read(b)
		s.off += int64(n)
		if n > 0 {
			s.tries = 0
		}
		if n > 0 && objstore.IsLostCondition(err) {
			err = nil // it will be said again
		}
		if !objstore.IsLostCondition(err) {
			return n, err
		}
		s.tries++
		if err := errors.Join(s.Close(), s.r.pin.again(s.ctx, s.moved)); err != nil || s.tries > attemptsMax {
			return 0, named("read", s.r.pin.n.pathOf(s.r.pin.node), errors.Join(err, s.ctx.Err()))
		}
	}
}

func (s *stream) Close() error {
	if s.in == nil {
		return nil
	}
	in := s.in
	s.in = nil
	return in.Close()
}

// linkBytesMax is the longest target of a symlink (PATH_MAX without its NUL).
const linkBytesMax = 4095

// Readlink implements [objstore.Namespace].
func (n *Namespace) Readlink(ctx context.Context, id objstore.ID) (string, error) {
	err := ended(ctx)
	var target string
	if err == nil {
		target, err = n.readlink(ctx, id)
	}
	return target, named("readlink", idText(id), err)
}

func (n *Namespace) readlink(ctx context.Context, id objstore.ID) (string, error) {
	link, err := n.node(id)
	if err != nil {
		return "", err
	}
	if link.typ != objstore.TypeSymlink {
		return "", problem(objstore.ErrInvalid, "not a symbolic link")
	}
	r, err := n.get(ctx, link, "")
	if err != nil {
		return "", err
	}
	defer r.Close()
	if size := r.Info().Size; size == 0 || size > linkBytesMax {
		return "", problem(objstore.ErrCorrupt, "the body of the link is no target")
	}
	body := r.Stream(ctx, 0, -1)
	defer body.Close()
	target, err := io.ReadAll(body)
	return string(target), err
}
