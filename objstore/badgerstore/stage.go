package badgerstore

import (
	"context"
	"errors"
	"sync"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/blob"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/staging"
)

// stage implements [objstore.Stage]: bytes are package staging's business,
// commits this one's.
type stage struct {
	*staging.Stage
	b *Bucket

	// commitMu serialises seals and what follows them.
	commitMu sync.Mutex
	base     *pinned             // GUARDED_BY(commitMu): what a commit replaces; nil: nothing. A hold is ours
	empty    bool                // GUARDED_BY(commitMu): the bytes do not start from base
	source   *pinned             // GUARDED_BY(commitMu): what they start from instead; nil: nothing. A hold is ours
	sealed   *staging.Sealed     // GUARDED_BY(commitMu): between seal and finish
	in       *incoming           // GUARDED_BY(commitMu): made of sealed
	adopted  map[blob.Ref]bool   // GUARDED_BY(commitMu): in the tree, not in a commit
	floor    uint64              // GUARDED_BY(commitMu): in flight, and below the numbers of blobs made and not in a commit; 0: none
	kept     objstore.ConflictID // GUARDED_BY(commitMu): empty: nothing was kept
	held     []uint64            // GUARDED_BY(commitMu): lineages of kept contents, whose blobs the stage may use again
	closed   bool                // GUARDED_BY(commitMu)
	waits    bool                // GUARDED_BY(commitMu): the bytes are to be found when the store is opened again, which takes no more writes
	// found says that a process that is gone had the stage: nothing may fail for the lack of a
	// little space. Constant.
	found bool
}

// NewStage implements [objstore.Namespace].
func (b *Bucket) NewStage(ctx context.Context, spec objstore.StageSpec) (objstore.Stage, error) {
	if err := b.e.usable(ctx); err != nil {
		return nil, named("new stage", spec.Owner.Path, err)
	}
	if b.e.opt.ReadOnly {
		return nil, named("new stage", spec.Owner.Path, objstore.ErrReadOnly)
	}
	base, err := holdOn(spec.Base)
	if err != nil {
		return nil, named("new stage", spec.Owner.Path, err)
	}
	if spec.Source == nil {
		return b.newStage(spec.Owner, base, spec.Empty), nil
	}
	source, err := holdOn(spec.Source)
	if err != nil {
		release(base)
		return nil, named("new stage", spec.Owner.Path, err)
	}
	s := &stage{b: b, base: base, empty: true, source: source, adopted: map[blob.Ref]bool{}}
	s.Stage = b.e.session.NewStage(spec.Owner, source)
	if err := s.Truncate(ctx, source.Size()); err != nil { // a change, which is found after a crash
		return nil, errors.Join(named("new stage", spec.Owner.Path, err), s.Close())
	}
	return s, nil
}

// holdOn is a hold on what r reads, nil if it is nil.
func holdOn(r objstore.Reader) (*pinned, error) {
	if r == nil {
		return nil, nil
	}
	own, ok := r.(*reader)
	if !ok {
		return nil, problem(objstore.ErrInvalid, "not a reader of this store")
	}
	held := own.hold()
	if held == nil {
		return nil, objstore.ErrClosed
	}
	return held, nil
}

// newStage takes over the caller's hold on base.
func (b *Bucket) newStage(owner objstore.Owner, base *pinned, empty bool) *stage {
	s := &stage{b: b, base: base, empty: empty || base == nil, adopted: map[blob.Ref]bool{}}
	s.Stage = b.e.session.NewStage(owner, s.stagingBase())
	return s
}

// adoptStage makes a stage of one that was found; it takes over the hold on base.
func (b *Bucket) adoptStage(st *staging.Stage, base *pinned) *stage {
	return &stage{Stage: st, b: b, base: base, empty: base == nil, adopted: map[blob.Ref]bool{}, found: true}
}

// stagingBase is what the bytes start from; requires commitMu, or that nobody else has s.
func (s *stage) stagingBase() staging.Base {
	if start := s.start(); start != nil {
		return start
	}
	return nil // not a *pinned that is nil
}

// start is stagingBase.
func (s *stage) start() *pinned {
	switch {
	case s.source != nil:
		return s.source
	case s.empty:
		return nil
	}
	return s.base
}

// newBlobID is a number for a blob. What cannot be leased makes the store stop.
func (e *Engine) newBlobID() uint64 {
	id, err := e.numbers.next()
	if err != nil {
		e.committer.fail(err)
	}
	return id
}

// seal freezes the bytes and puts their blobs into the tree. finish must
// follow. It requires commitMu, or that nobody else has s.
func (s *stage) seal(ctx context.Context, object objstore.ID) error {
	if s.closed {
		return objstore.ErrClosed
	}
	e := s.b.e
	version, err := e.numbers.next()
	if err != nil {
		return err
	}
	if s.floor == 0 { // before a blob gets its number: what is not in flight is never looked for again
		s.floor = version
		e.inFlight.add(version)
	}
	err = e.withRoom(ctx, func() (err error) {
		s.sealed, err = s.Stage.Seal(ctx, object, version)
		return err
	})
	if err != nil {
		s.sealed = nil
		return err
	}
	if s.in, err = e.incoming(version, s.sealed, s.start()); err == nil {
		s.in.appended = s.in.appended && s.source == nil
		err = s.adopt()
	}
	if err != nil {
		s.finish()
	}
	return err
}

// adopt puts the blobs of a sealed content into the tree.
func (s *stage) adopt() error {
	for _, b := range s.sealed.Blobs {
		if s.adopted[b.Ref] {
			continue
		}
		s.adopted[b.Ref] = true
		if err := s.b.e.expectBlob(b.Ref.ID); err != nil {
			return err
		}
		if err := s.b.e.blobs.Adopt(b); err != nil {
			return err
		}
	}
	return nil
}

// finish ends what seal began, if rebase has not; the stage is as before. It
// requires commitMu, or that nobody else has s.
func (s *stage) finish() {
	if s.sealed == nil {
		return
	}
	s.sealed.Failed()
	s.sealed, s.in = nil, nil
}

// handOver leaves the sealed blobs to the commit they are part of now.
func (s *stage) handOver() {
	for _, b := range s.sealed.Blobs {
		s.b.e.inFlight.remove(b.Ref.ID)
		delete(s.adopted, b.Ref)
	}
	s.land()
}

// land says that no blob of the stage waits for a commit.
func (s *stage) land() {
	s.b.e.inFlight.remove(s.floor)
	s.floor = 0
}

// rebase makes p, a hold on which it takes over, what the stage goes on from.
func (s *stage) rebase(p *pinned, info objstore.Info) {
	owner := s.Stage.Owner()
	owner.Object, owner.Base = info.ID, info.Version
	old, source := s.base, s.source
	s.base, s.empty, s.source = p, false, nil
	s.handOver()
	if err := s.sealed.Committed(owner, p); err != nil {
		s.b.e.log.Warn("staged bytes of a commit stay behind", "object", info.ID, "error", err)
		old, source = nil, nil // what stays may refer to them
	}
	s.sealed, s.in = nil, nil
	release(old)
	release(source)
}

// Commit implements [objstore.Stage].
func (s *stage) Commit(ctx context.Context, req objstore.CommitRequest) (objstore.CommitResult, error) {
	s.commitMu.Lock()
	defer s.commitMu.Unlock()
	res, err := s.commit(ctx, req)
	return res, named("commit", s.Stage.Owner().Path, err)
}

func (s *stage) commit(ctx context.Context, req objstore.CommitRequest) (res objstore.CommitResult, err error) {
	if !req.Cond.Valid() {
		return res, objstore.ErrInvalid
	}
	if err := cancelled(ctx); err != nil {
		return res, err
	}
	if err := s.seal(ctx, req.Target.ID); err != nil {
		return res, err
	}
	res, err = s.commitSealed(ctx, req)
	if err != nil {
		s.finish()
	}
	return res, err
}

// commitSealed commits and goes on from what was committed. The version is
// pinned beforehand: another commit may replace it at once.
func (s *stage) commitSealed(ctx context.Context, req objstore.CommitRequest) (objstore.CommitResult, error) {
	lineage, version := uint64(req.Target.ID), s.in.version
	s.b.e.pins.add(lineage, version)
	defer s.b.e.pins.remove(lineage, version)
	var c *committing
	err := s.mutate(ctx, req.Durability, func(t *tx) error {
		c = &committing{b: s.b, t: t, req: req, in: s.in, baseVersion: s.baseVersion()}
		return c.once(func() [16]byte { return s.requestOf(req) })
	})
	if err != nil {
		return objstore.CommitResult{}, err
	}
	if c.object == nil {
		s.finish() // an earlier attempt was answered once more
		return c.res, nil
	}
	p, err := s.b.e.pinFresh(lineage, version, c.object.Content)
	if err != nil {
		return objstore.CommitResult{}, err
	}
	s.rebase(p, c.res.Info)
	return c.res, nil
}

// baseVersion is the version a commit would replace; 0: none.
func (s *stage) baseVersion() uint64 {
	if s.base == nil {
		return 0
	}
	return s.base.version
}

func (s *stage) requestOf(req objstore.CommitRequest) [16]byte {
	t := req.Target
	return requestOf("commit", t.ID, t.Parent, t.Name, req.Cond.String(), s.in.hash, s.in.size)
}

// Close implements [objstore.Stage].
func (s *stage) Close() error {
	s.commitMu.Lock()
	defer s.commitMu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	end := s.Stage.Close
	if s.waits {
		end = s.Leave
	}
	errs := []error{end()}
	for ref := range s.adopted {
		errs = append(errs, s.b.e.removeUnused(ref))
		s.b.e.inFlight.remove(ref.ID)
	}
	s.land()
	for _, lineage := range s.held {
		s.b.e.pins.remove(lineage, sideVersion)
	}
	release(s.base)
	release(s.source)
	s.base, s.source = nil, nil
	return named("close stage", s.Stage.Owner().Path, errors.Join(errs...))
}
