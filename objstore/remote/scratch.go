package remote

import (
	"context"
	"os"

	"github.com/etagfs/etagfs/objstore"
)

// Staging makes stages that keep on this machine what is written to a stage of a [Store]. Their base can be
// shared: it has the method Share of package cache. They are never committed.
type Staging func(ctx context.Context, spec objstore.StageSpec) (objstore.Stage, error)

// StageIn has what is written from now on staged by f. It is called before there is a stage. Without it
// bytes are in temporary files without names.
func (s *Store) StageIn(f Staging) { s.staging = f }

// scratch is where the bytes of a stage are that differ from its base.
type scratch interface {
	ReadAt(p []byte, off int64) (int, error)
	WriteAt(p []byte, off int64) (int, error)
	// Truncate and Zero note what the layout has already.
	Truncate(size int64) error
	Zero(off, length int64) error
	// Keep makes all of the stage a conflict of this machine.
	Keep(ctx context.Context, c objstore.Conflict) (objstore.Conflict, error)
	Close() error
}

// openScratch makes the stage's scratch unless there is one. It requires writing; nothing differs from the base yet if
// there is none.
func (t *stage) openScratch(ctx context.Context) error {
	if t.scratch != nil {
		return nil
	}
	made, err := t.newScratch(ctx)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.scratch = made
	return nil
}

func (t *stage) newScratch(ctx context.Context) (scratch, error) {
	if t.s.staging == nil {
		f, err := os.CreateTemp(t.s.opt.StageDir, "etagfs-stage-")
		if err == nil {
			err = os.Remove(f.Name())
		}
		if err != nil {
			return nil, t.fileError("new stage", err)
		}
		return nameless{f}, nil
	}
	spec := t.spec
	if t.base != nil {
		t.base.retain()
		base := &sharedReader{reader: t.base}
		defer base.Close()
		spec.Base = base
	}
	local, err := t.s.staging(context.WithoutCancel(ctx), spec)
	if err != nil {
		return nil, err
	}
	return journaled{local}, nil
}

// nameless is a file without a name: its bytes go with its process.
type nameless struct{ *os.File }

// Truncate does nothing: the layout says where the bytes end.
func (nameless) Truncate(int64) error { return nil }

// Zero does nothing: the layout says what is zeros.
func (nameless) Zero(int64, int64) error { return nil }

// Keep cannot.
func (nameless) Keep(context.Context, objstore.Conflict) (objstore.Conflict, error) {
	return objstore.Conflict{}, &objstore.Error{Op: "keep", Kind: objstore.ErrUnsupported, Detail: "nothing is kept on this machine"}
}

// journaled is a stage of this machine. What it was given outlives the process.
type journaled struct{ local objstore.Stage }

// ReadAt implements [io.ReaderAt].
func (j journaled) ReadAt(p []byte, off int64) (int, error) {
	return j.local.ReadAt(context.Background(), p, off)
}

// WriteAt implements [io.WriterAt].
func (j journaled) WriteAt(p []byte, off int64) (int, error) {
	return j.local.WriteAt(context.Background(), p, off)
}

// Truncate sets the size.
func (j journaled) Truncate(size int64) error { return j.local.Truncate(context.Background(), size) }

// Zero makes a range zeros.
func (j journaled) Zero(off, length int64) error {
	if length <= 0 {
		return nil
	}
	return j.local.Allocate(context.Background(), off, length, objstore.PunchHole)
}

// Keep keeps all of it.
func (j journaled) Keep(ctx context.Context, c objstore.Conflict) (objstore.Conflict, error) {
	return j.local.Keep(ctx, c)
}

// Close ends it, and drops what was written.
func (j journaled) Close() error { return j.local.Close() }
