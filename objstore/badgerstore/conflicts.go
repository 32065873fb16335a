package badgerstore

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

// sideVersion is the version of every content of a conflict: each is the only one of its lineage.
const sideVersion = 1

// conflict is the conflict id.
func (t tree) conflict(root uint64, id objstore.ConflictID) (*record.Conflict, error) {
	value, err := t.src.get(record.ConflictKey(root, string(id)))
	if err != nil {
		return nil, err
	}
	c, ok := value.(*record.Conflict)
	if !ok {
		return nil, objstore.ErrNotFound
	}
	return c, nil
}

// ListConflicts implements [objstore.Conflicts].
func (b *Bucket) ListConflicts(ctx context.Context) (all []objstore.Conflict, err error) {
	var found []*record.Conflict
	err = b.read(ctx, "list conflicts", "", func(v *view) error {
		return v.scan(record.ConflictPrefix(b.root), func(_ []byte, value any) (bool, error) {
			c, ok := value.(*record.Conflict)
			if !ok {
				return false, damaged("a conflict is none")
			}
			found = append(found, c)
			return true, nil
		})
	})
	slices.SortFunc(found, func(a, b *record.Conflict) int { // numbers rise, and clocks of other machines may be wrong
		return cmp.Compare(a.Mine.Lineage, b.Mine.Lineage)
	})
	for _, c := range found {
		all = append(all, c.Conflict)
	}
	return all, err
}

// Conflict implements [objstore.Conflicts].
func (b *Bucket) Conflict(ctx context.Context, id objstore.ConflictID) (found objstore.Conflict, err error) {
	err = b.read(ctx, "conflict", string(id), func(v *view) error {
		c, err := v.conflict(b.root, id)
		if err == nil {
			found = c.Conflict
		}
		return err
	})
	return found, err
}

// OpenConflict implements [objstore.Conflicts].
func (b *Bucket) OpenConflict(ctx context.Context, id objstore.ConflictID, side objstore.ConflictSide) (objstore.Reader, error) {
	var r *reader
	err := b.read(ctx, "open conflict", string(id), func(v *view) error {
		c, err := v.conflict(b.root, id)
		if err != nil {
			return err
		}
		held, ok := sideOf(c, side)
		switch {
		case !ok:
			return objstore.ErrInvalid
		case !held.Held:
			return problem(objstore.ErrNotFound, "the bytes are not held")
		}
		p, err := v.pin(held.Lineage, sideVersion, held.Content)
		if err == nil {
			r = &reader{info: sideInfo(c, held), content: p}
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

func sideOf(c *record.Conflict, side objstore.ConflictSide) (*record.Side, bool) {
	switch side {
	case objstore.SideMine:
		return &c.Mine, true
	case objstore.SideBase:
		return &c.Base, true
	case objstore.SideTheirs:
		return &c.Theirs, true
	}
	return nil, false
}

func sideInfo(c *record.Conflict, s *record.Side) objstore.Info {
	return objstore.Info{
		ID: c.Object, Type: objstore.TypeFile, Size: s.Content.Size, Allocated: s.Content.Allocated,
		Version: s.Version, ETag: s.ETag, Modified: c.Time,
		Attr: objstore.Attr{Mode: c.Mode, UID: c.UID, GID: c.GID, Mtime: c.Time},
	}
}

// DropConflict implements [objstore.Conflicts].
func (b *Bucket) DropConflict(ctx context.Context, id objstore.ConflictID) error {
	err := b.write(ctx, objstore.Durable, true, func(t *tx) error {
		c, err := t.conflict(b.root, id)
		if err != nil {
			return err
		}
		t.set(record.ConflictKey(b.root, string(id)), nil)
		return t.discardSides(c)
	})
	return named("drop conflict", string(id), err)
}

func (t *tx) discardSides(c *record.Conflict) error {
	for _, s := range []*record.Side{&c.Mine, &c.Base, &c.Theirs} {
		if err := t.discardSide(s); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) discardSide(s *record.Side) error {
	if !s.Held {
		return nil
	}
	return t.discard(leaving{s.Lineage, sideVersion, s.Content})
}

// dropConflicts drops all of a bucket.
func (t *tx) dropConflicts(root uint64) error {
	return t.src.scan(record.ConflictPrefix(root), func(key []byte, value any) (bool, error) {
		c, ok := value.(*record.Conflict)
		if !ok {
			return false, damaged("a conflict is none")
		}
		t.set(append([]byte(nil), key...), nil)
		return true, t.discardSides(c)
	})
}

// Keep implements [objstore.Stage].
func (s *stage) Keep(ctx context.Context, c objstore.Conflict) (objstore.Conflict, error) {
	s.commitMu.Lock()
	defer s.commitMu.Unlock()
	kept, err := s.keep(ctx, c)
	if objstore.KindOf(err) == objstore.ErrCorrupt {
		kept, err = s.keepReadable(ctx, c)
	}
	if err != nil && !s.found && s.b.e.Refusing() != nil { // which has told why, and tells it with each commit
		s.waits = true
		err = problem(objstore.KindOf(problemOf("", err)), "what was written waits in the store's directory, and is kept when the store is opened again")
	}
	return kept, named("keep", s.Stage.Owner().Path, err)
}

func (s *stage) keep(ctx context.Context, c objstore.Conflict) (none objstore.Conflict, err error) {
	if c.Reason < objstore.ReasonLost || c.Reason > objstore.ReasonCrash {
		return none, problem(objstore.ErrInvalid, "a conflict needs a reason")
	}
	if err := cancelled(ctx); err != nil {
		return none, err
	}
	if err := s.seal(ctx, c.Object); err != nil {
		return none, err
	}
	defer s.finish()
	lineage, err := s.b.e.numbers.next()
	if err != nil {
		return none, err
	}
	s.b.e.pins.add(lineage, sideVersion)
	s.held = append(s.held, lineage)
	var kept *record.Conflict
	durability := objstore.Durable
	if s.found { // the staged bytes stay until a sync of many
		durability = objstore.Visible
	}
	err = s.mutate(ctx, durability, func(t *tx) (err error) {
		k := keeping{s: s, t: t, mine: lineage}
		kept, err = k.run(c)
		return err
	})
	if err != nil {
		return none, err
	}
	s.handOver()
	s.kept = kept.ID
	return kept.Conflict, nil
}

// keeping is one Keep in its turn.
type keeping struct {
	s       *stage
	t       *tx
	mine    uint64           // lineage of the bytes
	earlier *record.Conflict // of this stage; nil: none
}

func (k *keeping) run(c objstore.Conflict) (*record.Conflict, error) {
	b, t := k.s.b, k.t
	id, err := k.identify(c)
	if err != nil {
		return nil, err
	}
	if c.Reason == objstore.ReasonCrash {
		if err := k.refuseTwin(c); err != nil {
			return nil, err
		}
	}
	if c.Time.IsZero() {
		c.Time = t.now
	}
	if c.Base == (objstore.ContentRef{}) && k.s.base != nil {
		c.Base.Version = objstore.VersionOf(k.s.base.version)
	}
	rec := &record.Conflict{Conflict: c}
	if err := k.fill(rec); err != nil {
		return nil, err
	}
	if k.earlier != nil {
		if err := t.discardSides(k.earlier); err != nil {
			return nil, err
		}
	}
	if rec.ID = id; id == "" {
		if rec.ID, err = b.newConflictID(t, c.Time); err != nil {
			return nil, err
		}
	}
	t.set(record.ConflictKey(b.root, string(rec.ID)), rec)
	return rec, nil
}

// identify finds the conflict to be replaced, and the id; empty: a new one.
func (k *keeping) identify(c objstore.Conflict) (objstore.ConflictID, error) {
	for _, id := range []objstore.ConflictID{k.s.kept, c.ID} {
		if !id.IsValid() {
			continue
		}
		old, err := k.t.conflict(k.s.b.root, id)
		switch {
		case objstore.KindOf(err) == objstore.ErrNotFound && id == c.ID:
			return id, nil
		case objstore.KindOf(err) == objstore.ErrNotFound:
		case err != nil:
			return "", err
		case id == k.s.kept || c.Replaces(old.Conflict):
			k.earlier = old
			return id, nil
		}
	}
	return "", nil
}

// refuseTwin is ErrPrecondition if the file has the same bytes already, or they are kept for it: a stage that was kept stays until it is
// closed, and is found again after a crash, and a commit or a keep that was not synced may have come through one. The file may have
// been renamed since the stage began.
func (k *keeping) refuseTwin(c objstore.Conflict) error {
	now, err := k.t.object(uint64(c.Object))
	if err != nil {
		return err
	}
	if now != nil && !c.Gaps && k.isIn(now.Content) {
		return objstore.ErrPrecondition
	}
	return k.t.src.scan(record.ConflictPrefix(k.s.b.root), func(_ []byte, value any) (bool, error) {
		old, ok := value.(*record.Conflict)
		if !ok {
			return false, damaged("a conflict is none")
		}
		if old.Object == c.Object && (c.Object != 0 || old.Path == c.Path) && k.isIn(old.Mine.Content) {
			return false, objstore.ErrPrecondition
		}
		return true, nil
	})
}

// isIn reports whether a content is the bytes that are to be kept.
func (k *keeping) isIn(c record.Content) bool {
	return c.Hash == k.s.in.hash && c.Size == k.s.in.size
}

// fill completes the sides.
func (k *keeping) fill(rec *record.Conflict) error {
	base, _ := k.s.in.baseFor(&record.Object{})
	content, err := k.t.make(k.s.in, base, false, leaving{})
	if err != nil {
		return err
	}
	rec.Bytes = content.Size
	rec.Mine = record.Side{Lineage: k.mine, Content: content}
	rec.Mine.Exists, rec.Mine.Held, rec.Mine.ContentRef.Size = true, true, content.Size
	if rec.Base, err = k.hold(rec.Conflict.Base, rec); err != nil {
		return err
	}
	if rec.Theirs, err = k.hold(rec.Conflict.Theirs, rec); err != nil {
		return err
	}
	rec.Conflict.Base, rec.Conflict.Theirs = rec.Base.ContentRef, rec.Theirs.ContentRef
	return nil
}

// hold finds the content ref stands for and refers to it: the stage's base, what is
// now at the object or the path, or what this stage's earlier conflict held.
func (k *keeping) hold(ref objstore.ContentRef, c *record.Conflict) (record.Side, error) {
	ref.Held = false
	side := record.Side{ContentRef: ref}
	if ref.Version == "" {
		return side, nil
	}
	side.Exists = true
	found, inline, err := k.contentOf(ref.Version, c)
	if err != nil || found == nil {
		return side, err
	}
	if side.Lineage, err = k.t.e.numbers.next(); err != nil {
		return side, err
	}
	side.Content, err = k.t.clone(*found, inline)
	if objstore.KindOf(err) == objstore.ErrCorrupt && isInline(found) {
		return record.Side{ContentRef: side.ContentRef}, nil // nothing was stored of it
	}
	if err != nil {
		return side, err
	}
	side.Held, side.ContentRef.Size = true, found.Size
	side.ETag = objstore.MakeETag(found.Hash, ref.Version)
	return side, nil
}

func (k *keeping) contentOf(version objstore.Version, c *record.Conflict) (*record.Content, []byte, error) {
	if base := k.s.base; base != nil && objstore.VersionOf(base.version) == version {
		inline, err := base.inlineIfAny()
		return &base.rec, inline, err
	}
	o, err := k.t.object(uint64(c.Object))
	if err != nil {
		return nil, nil, err
	}
	for _, o := range []*record.Object{o, k.t.nodeAtPath(k.s.b.root, c.Path)} {
		if o != nil && objstore.VersionOf(o.Version) == version {
			return &o.Content, nil, nil
		}
	}
	if k.earlier == nil {
		return nil, nil, nil
	}
	for _, side := range []*record.Side{&k.earlier.Base, &k.earlier.Theirs} {
		if side.Held && side.Version == version {
			return &side.Content, nil, nil
		}
	}
	return nil, nil, nil
}

func (b *Bucket) newConflictID(t *tx, at time.Time) (objstore.ConflictID, error) {
	for {
		id, err := objstore.NewConflictID(at, b.e.rand)
		if err != nil {
			return "", err
		}
		if old, err := t.get(record.ConflictKey(b.root, string(id))); err != nil || old == nil {
			return id, err
		}
	}
}
