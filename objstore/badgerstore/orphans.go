package badgerstore

import (
	"context"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/staging"
)

// adoptOrphans makes conflicts of what processes that are gone had staged. They
// go to the bucket of the object, or to the main one if there is no object any more.
func (e *Engine) adoptOrphans(ctx context.Context) error {
	var b *Bucket
	var base *pinned
	resume := func(f staging.Found) (staging.Base, error) {
		var err error
		if b, err = e.bucketOf(ctx, f.Owner.Object); err != nil {
			return nil, err
		}
		if base, err = b.baseOf(f); base == nil {
			return nil, err
		}
		return base, err
	}
	return e.session.Sweep(resume, func(f staging.Found, st *staging.Stage) error {
		if b.isCommitted(f) || f.Owner == (objstore.Owner{}) {
			release(base)
			return nil // nothing is lost, or it was a put that nobody was told of
		}
		return b.keepOrphan(ctx, f, st, base)
	})
}

// bucketOf is the bucket an object is in.
func (e *Engine) bucketOf(ctx context.Context, id objstore.ID) (*Bucket, error) {
	v := e.view()
	defer v.close()
	root, err := v.rootOf(uint64(id))
	if err != nil {
		return nil, err
	}
	name := MainBucket
	err = v.scan(record.BucketPrefix(), func(key []byte, value any) (bool, error) {
		if rec, ok := value.(record.Bucket); ok && rec.Root == root {
			name = record.BucketName(key)
		}
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	return e.bucket(ctx, name)
}

// rootOf is the directory at the top of the tree that object id is in; 0 if it is in none.
func (v *view) rootOf(id uint64) (uint64, error) {
	o, err := v.object(id)
	for err == nil && o != nil {
		p, ok, perr := v.placeOf(o)
		if perr != nil || !ok {
			return o.ID, perr
		}
		o, err = v.object(p.Parent)
	}
	return 0, err
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
