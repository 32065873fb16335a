package memstore

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// conflict is a kept copy with the contents it holds on to; nil: not held.
type conflict struct {
	objstore.Conflict
	mine, base, theirs *content
	turn               uint64 // among all that were kept
}

// Keep implements [objstore.Stage].
func (s *stage) Keep(ctx context.Context, c objstore.Conflict) (kept objstore.Conflict, err error) {
	err = s.do(ctx, "keep", func() error {
		if c.Reason < objstore.ReasonLost || c.Reason > objstore.ReasonCrash {
			return problem(objstore.ErrInvalid, "a conflict needs a reason")
		}
		mine := s.draft.freeze()
		s.b.engine.mu.Lock()
		defer s.b.engine.mu.Unlock()
		kept, err = s.keep(c, mine)
		return err
	})
	return kept, err
}

// keep records a conflict. It requires s.mu and the engine's mutex.
func (s *stage) keep(c objstore.Conflict, mine *content) (objstore.Conflict, error) {
	record := &conflict{Conflict: c, mine: mine}
	record.Bytes = mine.size
	if record.Time.IsZero() {
		record.Time = s.b.engine.tick()
	}
	if record.Base == (objstore.ContentRef{}) && s.base != nil {
		record.Base.Version = s.version
	}
	if record.ID = s.kept; s.b.conflicts[s.kept] == nil {
		id, err := s.b.conflictIDFor(c, record.Time)
		if err != nil {
			return objstore.Conflict{}, err
		}
		record.ID, s.kept = id, id
	}
	record.base = s.hold(&record.Base, c)
	record.theirs = s.hold(&record.Theirs, c)
	s.b.turn++
	record.turn = s.b.turn
	s.b.conflicts[record.ID] = record
	return record.Conflict, nil
}

// hold finds the content ref stands for and completes ref: the stage's base, what
// is now at the object or the path of c, or what this stage's earlier conflict held.
func (s *stage) hold(ref *objstore.ContentRef, c objstore.Conflict) *content {
	ref.Held = false
	if ref.Version == "" {
		return nil
	}
	ref.Exists = true
	if found := s.contentOf(ref.Version, c); found != nil {
		ref.Held, ref.Size = true, found.size
		ref.ETag = objstore.MakeETag(found.hash(), ref.Version)
		return found
	}
	return nil
}

func (s *stage) contentOf(version objstore.Version, c objstore.Conflict) *content {
	if s.base != nil && s.version == version {
		return s.base
	}
	for _, n := range []*node{s.b.nodes[c.Object], s.b.nodeAtPath(c.Path)} {
		if n != nil && n.version == version {
			return n.content
		}
	}
	if earlier := s.b.conflicts[s.kept]; earlier != nil {
		switch version {
		case earlier.Base.Version:
			return earlier.base
		case earlier.Theirs.Version:
			return earlier.theirs
		}
	}
	return nil
}

// conflictIDFor is the id that was asked for, if it is c's to have, or a new one. It requires the engine's mutex.
func (b *Bucket) conflictIDFor(c objstore.Conflict, at time.Time) (objstore.ConflictID, error) {
	if old := b.conflicts[c.ID]; c.ID.IsValid() && (old == nil || c.Replaces(old.Conflict)) {
		return c.ID, nil
	}
	for {
		id, err := objstore.NewConflictID(at, b.engine.opt.Rand)
		if err != nil || b.conflicts[id] == nil {
			return id, err
		}
	}
}

// conflict is the conflict id; requires the engine's mutex.
func (b *Bucket) conflict(id objstore.ConflictID) (*conflict, error) {
	if c := b.conflicts[id]; c != nil {
		return c, nil
	}
	return nil, objstore.ErrNotFound
}

// ListConflicts implements [objstore.Conflicts].
func (b *Bucket) ListConflicts(ctx context.Context) (all []objstore.Conflict, err error) {
	err = b.read(ctx, "list conflicts", "", func() error {
		for _, c := range slices.SortedFunc(maps.Values(b.conflicts), func(a, b *conflict) int { return cmp.Compare(a.turn, b.turn) }) {
			all = append(all, c.Conflict)
		}
		return nil
	})
	return all, err
}

// Conflict implements [objstore.Conflicts].
func (b *Bucket) Conflict(ctx context.Context, id objstore.ConflictID) (found objstore.Conflict, err error) {
	err = b.read(ctx, "conflict", string(id), func() error {
		c, err := b.conflict(id)
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
	err := b.read(ctx, "open conflict", string(id), func() error {
		c, err := b.conflict(id)
		if err != nil {
			return err
		}
		r, err = c.open(side)
		return err
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (c *conflict) open(side objstore.ConflictSide) (*reader, error) {
	var held *content
	var ref objstore.ContentRef
	switch side {
	case objstore.SideMine:
		held = c.mine
	case objstore.SideBase:
		held, ref = c.base, c.Base
	case objstore.SideTheirs:
		held, ref = c.theirs, c.Theirs
	default:
		return nil, objstore.ErrInvalid
	}
	if held == nil {
		return nil, problem(objstore.ErrNotFound, "the bytes are not held")
	}
	return &reader{content: held, info: objstore.Info{
		ID: c.Object, Type: objstore.TypeFile, Size: held.size, Allocated: held.allocated,
		Version: ref.Version, ETag: ref.ETag, Modified: c.Time,
		Attr: objstore.Attr{Mode: c.Mode, UID: c.UID, GID: c.GID, Mtime: c.Time},
	}}, nil
}

// DropConflict implements [objstore.Conflicts].
func (b *Bucket) DropConflict(ctx context.Context, id objstore.ConflictID) error {
	return b.read(ctx, "drop conflict", string(id), func() error {
		_, err := b.conflict(id)
		delete(b.conflicts, id)
		return err
	})
}
