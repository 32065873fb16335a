package badgerstore

import (
	"context"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/staging"
)

// adoptOrphans makes conflicts of what processes that are gone had staged.
func (e *Engine) adoptOrphans(ctx context.Context) error {
	b, err := e.bucket(ctx, MainBucket)
	if objstore.KindOf(err) == objstore.ErrNotFound {
		return nil // nothing to adopt into; the sessions stay until there is
	}
	if err != nil {
		return err
	}
	var last *pinned
	resume := func(f staging.Found) (staging.Base, error) {
		last, err = b.baseOf(f)
		if last == nil {
			return nil, err
		}
		return last, err
	}
	return e.session.Sweep(resume, func(f staging.Found, st *staging.Stage) error {
		base := last
		last = nil
		if b.isCommitted(f) || f.Owner == (objstore.Owner{}) {
			release(base)
			return nil // nothing is lost, or it was a put that nobody was told of
		}
		return b.keepOrphan(ctx, f, st, base)
	})
}

// baseOf is what a stage that was found started from; nil if that is nothing, or lost.
func (b *Bucket) baseOf(f staging.Found) (*pinned, error) {
	version, ok := f.Owner.Base.Number()
	if !ok {
		return nil, nil
	}
	v := b.e.view()
	defer v.close()
	o, err := v.object(uint64(f.Owner.Object))
	if err != nil {
		return nil, err
	}
	if o != nil && o.Version == version {
		return v.pin(o.ID, o.Version, o.Content)
	}
	return v.pinReplaced(uint64(f.Owner.Object), version)
}

// pinReplaced pins a content that was replaced and whose garbage is still there;
// nil if it is not. Nobody may be collecting garbage.
func (v *view) pinReplaced(lineage, version uint64) (p *pinned, err error) {
	err = v.scan(record.GarbagePrefix(), func(_ []byte, value any) (bool, error) {
		g, ok := value.(*record.Garbage)
		if !ok || g.Lineage != lineage || g.Version != version || g.Content.Size == 0 {
			return true, nil
		}
		p, err = v.pin(lineage, version, g.Content)
		return false, err
	})
	return p, err
}

// isCommitted reports whether what was found is the current content of its object.
func (b *Bucket) isCommitted(f staging.Found) bool {
	return f.Version != 0 && b.current(f.Object) == objstore.VersionOf(f.Version)
}

func release(p *pinned) {
	if p != nil {
		p.release()
	}
}

func (b *Bucket) keepOrphan(ctx context.Context, f staging.Found, st *staging.Stage, base *pinned) error {
	s := b.adoptStage(st, base)
	c := objstore.Conflict{
		Reason: objstore.ReasonCrash, Path: f.Owner.Path, Object: f.Owner.Object,
		UID: f.Owner.UID, GID: f.Owner.GID, Mode: f.Owner.Mode, PID: f.Owner.PID,
		Operation: "open", Detail: "the process that wrote this ended before it was committed",
	}
	c.Base.Version = f.Owner.Base
	if o := b.current(f.Owner.Object); o != "" && o != f.Owner.Base {
		c.Theirs.Version = o
	}
	kept, err := s.Keep(ctx, c)
	if objstore.KindOf(err) == objstore.ErrPrecondition {
		return s.Close() // they were kept before the process ended, or by a sweep that did not end
	}
	if err != nil {
		return err
	}
	b.e.log.Warn("kept what a crash left uncommitted", "conflict", kept.ID, "path", kept.Path, "bytes", kept.Bytes)
	return s.Close()
}

// current is the version object id has now; empty if there is none.
func (b *Bucket) current(id objstore.ID) objstore.Version {
	v := b.e.view()
	defer v.close()
	o, err := v.object(uint64(id))
	if err != nil || o == nil {
		return ""
	}
	return objstore.VersionOf(o.Version)
}
