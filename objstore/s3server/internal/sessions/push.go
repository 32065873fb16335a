package sessions

import (
	"context"
	"io"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/wire"
)

// push brings bytes into a stage, and commits or keeps them.
func (s *session) push(ctx context.Context, r *request, m *wire.Push) (wire.Message, error) {
	h, err := s.stageOf(ctx, m)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if m.Bytes {
		err = s.bring(ctx, r, h.stage, m)
	}
	if err != nil {
		if m.Stage == 0 {
			h.close()
		}
		return nil, err
	}
	pushed := &wire.Pushed{Stage: m.Stage}
	switch {
	case m.Commit != nil:
		if err = s.fenced("commit", m.Fence); err == nil {
			if m.Commit.Move != nil {
				s.moving(ctx, r, *m.Commit.Move)
			}
			pushed.Result, err = h.stage.Commit(ctx, *m.Commit)
		}
	case m.Keep != nil:
		pushed.Kept, err = h.stage.Keep(ctx, *m.Keep)
	}
	pushed.Failure = wire.FailureOf(err)
	if m.Stage == 0 {
		if pushed.Stage, err = s.hold("push", h); err != nil {
			pushed.Stage = 0 // the session ended meanwhile; what was done is done
		}
	}
	return pushed, nil
}

func (s *session) stageOf(ctx context.Context, m *wire.Push) (*handle, error) {
	if m.Stage != 0 {
		h, err := s.handle("push", m.Stage)
		if err == nil && h.stage == nil {
			err = &objstore.Error{Op: "push", Kind: objstore.ErrInvalid, Detail: "no stage"}
		}
		return h, err
	}
	spec := objstore.StageSpec{Empty: m.Empty, Owner: m.Owner}
	if m.Base != 0 {
		base, err := s.handle("push", m.Base)
		if err != nil {
			return nil, err
		}
		if base.reader == nil {
			return nil, &objstore.Error{Op: "push", Kind: objstore.ErrInvalid, Detail: "a stage is no base"}
		}
		spec.Base = base.reader
	}
	stage, err := s.ns.NewStage(ctx, spec)
	if err != nil {
		return nil, err
	}
	return &handle{stage: stage}, nil
}

// bring makes the stage what the client's is.
func (s *session) bring(ctx context.Context, r *request, stage objstore.Stage, m *wire.Push) error {
	if stage.Size() > m.Cut {
		if err := stage.Truncate(ctx, m.Cut); err != nil {
			return err
		}
	}
	for _, zero := range m.Zeros {
		if err := stage.Allocate(ctx, zero.Offset, zero.Length, objstore.PunchHole); err != nil {
			return err
		}
	}
	if err := s.bringData(ctx, r, stage, m.Data); err != nil {
		return err
	}
	if stage.Size() != m.Size {
		return stage.Truncate(ctx, m.Size)
	}
	return nil
}

func (s *session) bringData(ctx context.Context, r *request, stage objstore.Stage, data []wire.Range) error {
	if len(data) == 0 {
		return nil
	}
	var end wire.None
	body := r.body(&end)
	buf := make([]byte, wire.BufferBytes(data))
	for _, part := range data {
		for off, last := part.Offset, part.Offset+part.Length; off < last; {
			p := buf[:min(last-off, int64(len(buf)))]
			if _, err := io.ReadFull(body, p); err != nil {
				return err
			}
			if _, err := stage.WriteAt(ctx, p, off); err != nil {
				return err
			}
			off += int64(len(p))
		}
	}
	// The end has to be there, and nothing before it.
	if n, err := body.Read(buf[:1]); n != 0 || err != io.EOF {
		return &objstore.Error{Op: "push", Kind: objstore.ErrInvalid, Detail: "the body is not as long as it says", Err: err}
	}
	return nil
}
