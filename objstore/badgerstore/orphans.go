package badgerstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/staging"
)

// adoptOrphans makes conflicts of what processes that are gone had staged. They
// go to the bucket of the object, or to the main one if there is no object any more.
func (e *Engine) adoptOrphans(ctx context.Context) error {
	return e.session.Sweep(&adoption{e: e, ctx: ctx})
}

// adoption is a [staging.Keeper]. What it keeps is visible at once, and durable once it is settled: one sync is for many.
type adoption struct {
	e    *Engine
	ctx  context.Context
	kept []*stage // not settled

	// Of the stage that was found last.
	b    *Bucket
	base *pinned
}

// Resume implements [staging.Keeper].
func (a *adoption) Resume(f staging.Found) (staging.Base, error) {
	var err error
	if a.b, err = a.e.bucketOf(a.ctx, f.Owner.Object); err != nil {
		return nil, err
	}
	if a.base, err = a.b.baseOf(f); a.base == nil {
		return nil, err
	}
	return a.base, err
}

// Keep implements [staging.Keeper].
func (a *adoption) Keep(f staging.Found, st *staging.Stage) error {
	committed, err := a.b.isCommitted(f)
	if err != nil {
		return err
	}
	if committed || f.Owner == (objstore.Owner{}) {
		release(a.base)
		return nil // nothing is lost, or it was a put that nobody was told of
	}
	s := a.b.adoptStage(st, a.base)
	if err := a.b.keepOrphan(a.ctx, f, s); err != nil {
		return err
	}
	a.kept = append(a.kept, s)
	return nil
}

// Settle implements [staging.Keeper].
func (a *adoption) Settle() error {
	all := a.e.Sync(a.ctx)
	if all == nil {
		for _, s := range a.kept {
			all = errors.Join(all, s.Close())
		}
	}
	a.kept = nil
	return all
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

// baseOf is what a stage that was found started from; nil if that is nothing, or lost. An empty
// stage has no bytes of its base, which is then known by its version only.
func (b *Bucket) baseOf(f staging.Found) (*pinned, error) {
	v := b.e.view()
	defer v.close()
	if len(f.Base) > 0 {
		return v.pinDescribed(f.Base)
	}
	version, ok := f.Owner.Base.Number()
	if !ok {
		return nil, nil
	}
	c, err := v.contentOf(uint64(f.Owner.Object), version)
	if err != nil || c == nil {
		return nil, err
	}
	return v.pin(uint64(f.Owner.Object), version, *c)
}

// Describe implements staging.Base: the content, and its bytes if they are inline, and not damaged, which who reads or commits them
// is told. Those go with the commit that replaces them; what other contents refer to stays for as long as this one is pinned, and until orphans are adopted.
func (p *pinned) Describe(b []byte) []byte {
	g := record.EncodeGarbage(nil, &record.Garbage{Lineage: p.lineage, Version: p.version, Content: p.rec})
	b = binary.AppendUvarint(b, uint64(len(g)))
	b = append(b, g...)
	if !p.isInline() {
		return b
	}
	inline, err := p.inline()
	if readable(err) != nil {
		p.e.log.Warn("the base of a stage cannot be described", "lineage", p.lineage, "error", err)
	}
	return append(b, inline...)
}

// pinDescribed pins the content Describe was about; nil if that is lost. Nobody may be collecting garbage.
func (v *view) pinDescribed(b []byte) (*pinned, error) {
	n, head := binary.Uvarint(b)
	if head <= 0 || n > uint64(len(b)-head) {
		return nil, damaged("the base of a stage is not described")
	}
	g, err := record.DecodeGarbage(nil, b[head:head+int(n)])
	if err != nil {
		return nil, err
	}
	x, err := extentsOf(g.Content)
	if err != nil {
		return nil, err
	}
	if run, ok := x.Run(); ok && run.Kind == extent.Inline {
		inline := b[head+int(n):]
		if int64(len(inline)) != x.Size {
			return nil, nil // it could not be read any more when the stage began
		}
		return v.e.hold(&pinned{lineage: g.Lineage, version: g.Version, content: x, rec: g.Content, payload: &payload{bytes: inline}}), nil
	}
	c, err := v.contentOf(g.Lineage, g.Version)
	if err != nil {
		return nil, err
	}
	if c == nil || !bytes.Equal(c.Root, g.Content.Root) {
		if there, err := v.isThere(x); err != nil || !there {
			return nil, err
		}
	}
	return v.pin(g.Lineage, g.Version, g.Content)
}

// isThere reports whether everything that c refers to exists. After a loss of power it may not.
func (v *view) isThere(c extent.Content) (bool, error) {
	there := true
	err := c.Extents(pages{v.tree}, 0, c.Size, func(x extent.Extent) error {
		switch x.Source.Kind {
		case extent.Hole:
			return nil
		case extent.Inline:
			_, err := v.readPayload(x.Source.ID)
			return err
		}
		refs, err := v.refs(extent.Ref{Kind: extent.RefKind(x.Source.Kind), ID: x.Source.ID})
		there = there && refs.Count > 0
		return err
	})
	if objstore.KindOf(err) == objstore.ErrCorrupt {
		return false, nil
	}
	return there, err
}

// contentOf is what a lineage had at a version, if that is what the object has now, or
// was replaced by a commit since which no garbage was collected; else nil.
func (v *view) contentOf(lineage, version uint64) (c *record.Content, err error) {
	o, err := v.object(lineage)
	if err != nil {
		return nil, err
	}
	if o != nil && o.Version == version {
		return &o.Content, nil
	}
	err = v.scan(record.GarbagePrefix(), func(_ []byte, value any) (bool, error) {
		g, ok := value.(*record.Garbage)
		if !ok || g.Lineage != lineage || g.Version != version || g.Content.Size == 0 {
			return true, nil
		}
		c = &g.Content
		return false, nil
	})
	return c, err
}

// isCommitted reports whether what was found is the current content of its object, or was. Until the stage said that its commit
// was done it held on to what it had committed; a loss of power brings back stages of which nothing holds that any more.
func (b *Bucket) isCommitted(f staging.Found) (bool, error) {
	if f.Version == 0 {
		return false, nil
	}
	v := b.e.view()
	defer v.close()
	o, err := v.object(uint64(f.Object))
	if err != nil || o != nil && o.Version == f.Version {
		return err == nil, err
	}
	if known, err := v.isGarbage(f); known || err != nil {
		return known, err
	}
	return v.isSideOfConflict(b.root, f)
}

// isGarbage reports whether what was found was replaced, and what it left behind was not collected, or not all of it.
func (v *view) isGarbage(f staging.Found) (found bool, err error) {
	err = v.scan(record.GarbagePrefix(), func(_ []byte, value any) (bool, error) {
		g, ok := value.(*record.Garbage)
		found = ok && g.Lineage == uint64(f.Object) && g.Version == f.Version
		return !found, nil
	})
	return found, err
}

// isSideOfConflict reports whether another writer had begun with what was found, or lost to it. What is known of a crash does not count:
// the version that a log names may have gone with the power.
func (v *view) isSideOfConflict(root uint64, f staging.Found) (found bool, err error) {
	version := objstore.VersionOf(f.Version)
	err = v.scan(record.ConflictPrefix(root), func(_ []byte, value any) (bool, error) {
		c, ok := value.(*record.Conflict)
		found = ok && c.Object == f.Object && c.Reason != objstore.ReasonCrash && (c.Base.Version == version || c.Theirs.Version == version)
		return !found, nil
	})
	return found, err
}

func release(p *pinned) {
	if p != nil {
		p.release()
	}
}

func (b *Bucket) keepOrphan(ctx context.Context, f staging.Found, s *stage) error {
	c := objstore.Conflict{
		Reason: objstore.ReasonCrash, Path: f.Owner.Path, Object: f.Owner.Object,
		UID: f.Owner.UID, GID: f.Owner.GID, Mode: f.Owner.Mode, PID: f.Owner.PID, Host: f.Owner.Host,
		Operation: "open", Detail: "the process that wrote this ended before it was committed" + lostIn(f),
		Gaps: len(f.Lost) > 0,
	}
	c.Base.Version, c.Theirs.Version = f.Owner.Base, b.current(f.Owner.Object)
	kept, err := s.Keep(ctx, c)
	if objstore.KindOf(err) == objstore.ErrPrecondition {
		return nil // they were kept before the process ended, or by a sweep that did not end
	}
	if err == nil {
		b.e.log.Warn("kept what a crash left uncommitted", "conflict", kept.ID, "path", kept.Path, "bytes", kept.Bytes)
	}
	return err
}

// lostIn says which bytes are not those that were written, if there are any.
func lostIn(f staging.Found) string {
	const rangesMax = 16
	if len(f.Lost) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("; bytes that could not be had read as zeros:")
	for i, r := range f.Lost {
		if i == rangesMax {
			fmt.Fprintf(&b, " and %d more ranges", len(f.Lost)-i)
			break
		}
		fmt.Fprintf(&b, " [%d,%d)", r.Off, r.End)
	}
	return b.String()
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
