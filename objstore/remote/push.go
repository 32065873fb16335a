package remote

import (
	"context"
	"io"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/wire"
)

// Commit implements [objstore.Stage].
func (t *stage) Commit(ctx context.Context, req objstore.CommitRequest) (objstore.CommitResult, error) {
	done, err := t.begin(ctx, "commit")
	if err != nil {
		return objstore.CommitResult{}, err
	}
	defer done()
	if err := t.s.identify(&req.WriteID); err != nil {
		return objstore.CommitResult{}, err
	}
	m, err := t.push(ctx, "commit", wire.Push{Commit: &req})
	if err != nil {
		return objstore.CommitResult{}, err
	}
	t.committed(m.Result)
	return m.Result, nil
}

// committed goes on with what was committed as the base: the server's stage has it.
func (t *stage) committed(res objstore.CommitResult) {
	base := &reader{s: t.s, info: res.Info, users: 1}
	if t.handle != 0 {
		base.session, base.handle, base.borrowed = t.session, t.handle, true
	}
	t.s.pins.add(base)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.base.drop()
	t.base, t.spec.Empty = base, false
	t.cut = t.layout.size()
	t.layout.reset(t.cut)
	t.changed.Store(false)
	t.keptHere = false
	if t.scratch != nil {
		if err := t.scratch.Close(); err != nil {
			t.s.parts.Logger.Warn("what was staged and is committed stays on this machine", "path", t.spec.Owner.Path, "error", err)
		}
		t.scratch = nil
	}
}

// Keep implements [objstore.Stage]. The server keeps the bytes if it can be had. Else this machine does, and what keeps
// something again replaces it there.
func (t *stage) Keep(ctx context.Context, c objstore.Conflict) (objstore.Conflict, error) {
	done, err := t.begin(ctx, "keep")
	if err != nil {
		return objstore.Conflict{}, err
	}
	defer done()
	if err := t.identify(&c); err != nil {
		return objstore.Conflict{}, err
	}
	if !t.keptHere {
		m, err := t.push(ctx, "keep", wire.Push{Keep: &c})
		if err == nil {
			t.keptAs = m.Kept.ID
			return m.Kept, nil
		}
		if t.s.staging == nil || c.Reason < objstore.ReasonLost || c.Reason > objstore.ReasonCrash {
			return objstore.Conflict{}, err
		}
		c.Detail = detailed(c.Detail, "kept on the machine of the mount, because the server could not: "+err.Error())
	}
	return t.keepHere(ctx, c)
}

// identify gives a conflict the id of the stage's earlier one, or one to be recognised by: who keeps it again because a reply
// was lost, be it on this machine, has one copy. It requires writing.
func (t *stage) identify(c *objstore.Conflict) (err error) {
	if t.keptAs == "" {
		t.keptAs = c.ID
	}
	if c.Time.IsZero() {
		c.Time = time.Now()
	}
	if !t.keptAs.IsValid() {
		t.keptAs, err = objstore.NewConflictID(c.Time, t.s.parts.Rand)
	}
	c.ID = t.keptAs
	return err
}

// keepHere keeps the bytes on this machine. It requires writing. What nobody can tell now to be there instead is
// taken to be the base: whoever decides for the copy finds out.
func (t *stage) keepHere(ctx context.Context, c objstore.Conflict) (objstore.Conflict, error) {
	if err := t.openScratch(ctx); err != nil {
		return objstore.Conflict{}, err
	}
	if c.Theirs == (objstore.ContentRef{}) && c.Reason != objstore.ReasonLost {
		c.Theirs = c.Base
	}
	kept, err := t.scratch.Keep(ctx, c)
	t.keptHere = t.keptHere || err == nil
	return kept, err
}

func detailed(detail, more string) string {
	if detail == "" {
		return more
	}
	return detail + "; " + more
}

// push brings the server's stage up to date, which makes one if there is none, and has it do something. It
// requires writing.
func (t *stage) push(ctx context.Context, op string, m wire.Push) (wire.Pushed, error) {
	var in *session
	var pushed wire.Pushed
	done, err := t.turn(ctx, op)
	if err != nil {
		return pushed, err
	}
	defer done()
	err = t.s.ask(ctx, request{
		op: op, key: t.spec.Owner.Path, method: wire.MethodPush, writeID: m.Commit != nil || m.Keep != nil,
		build: func(ctx context.Context, current *session) (wire.Message, *content, error) {
			in = current
			return t.message(ctx, m, current)
		},
	}, &pushed)
	if err != nil {
		return pushed, err
	}
	t.session, t.handle, t.pushed = in, pushed.Stage, t.written
	return pushed, pushed.Failure.Err()
}

const (
	// largePushes is how many large stages are sent at a time: whoever takes one has to remember checksums and places of all of it until it
	// is committed, and may have little memory, as may this process. Two or three use up a disk or a network.
	largePushes = 8
	// largeBytes, and largeRanges that were written, are what makes a stage large.
	largeBytes  = 1 << 20
	largeRanges = 64
)

// turn waits until a stage may be sent. Small ones always may. It requires writing.
func (t *stage) turn(ctx context.Context, op string) (done func(), err error) {
	data, bytes := t.layout.all(fromFile), int64(0)
	for _, r := range data {
		bytes += r.Length
	}
	if bytes < largeBytes && len(data) < largeRanges {
		return func() {}, nil
	}
	select {
	case t.s.turns <- struct{}{}:
		return func() { <-t.s.turns }, nil
	case <-ctx.Done():
		return nil, t.failed(op, objstore.ErrUnavailable, ctx.Err())
	}
}

// message is m for a session: with all that differs from the base, unless the server has it.
func (t *stage) message(ctx context.Context, m wire.Push, in *session) (wire.Message, *content, error) {
	m.Owner, m.Empty = t.spec.Owner, t.spec.Empty
	if t.session == in && t.handle != 0 {
		m.Stage, m.Bytes = t.handle, t.pushed != t.written
	} else {
		handle, err := t.baseIn(ctx, in)
		if err != nil {
			return nil, nil, err
		}
		m.Base, m.Bytes = handle, t.Changed()
	}
	if m.Commit != nil {
		m.Fence = t.s.locker.fence(m.Commit.Target.ID, in)
	}
	if !m.Bytes {
		return &m, nil, nil
	}
	m.Cut, m.Size, m.Data = t.cut, t.layout.size(), t.layout.all(fromFile)
	for _, zero := range t.layout.all(fromZero) {
		// Beyond the cut there are zeros as it is.
		if zero.Length = min(zero.Length, t.cut-zero.Offset); zero.Length > 0 {
			m.Zeros = append(m.Zeros, zero)
		}
	}
	if len(m.Data) == 0 {
		return &m, nil, nil
	}
	return &m, t.content(m.Data), nil
}

// baseIn is the handle of the base in a session. If nothing of it is needed, it may be gone.
func (t *stage) baseIn(ctx context.Context, in *session) (uint64, error) {
	if t.base == nil {
		return 0, nil
	}
	handle, err := t.base.handleIn(ctx, in)
	if err != nil && t.Changed() && len(t.layout.all(fromBase)) == 0 {
		return 0, nil
	}
	return handle, err
}

// content sends what was written.
func (t *stage) content(data []wire.Range) *content {
	c := &content{write: func(w *wire.BodyWriter) error {
		buf := make([]byte, wire.BufferBytes(data))
		for _, part := range data {
			if _, err := io.CopyBuffer(w, onlyReader{io.NewSectionReader(t.scratch, part.Offset, part.Length)}, buf); err != nil {
				return err
			}
		}
		return w.End(&wire.None{})
	}}
	for _, part := range data {
		c.size += part.Length
	}
	return c
}

// onlyReader hides WriteTo, which would bring a smaller buffer.
type onlyReader struct{ io.Reader }
