package objstoretest

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

func conflictCases() []Case {
	return []Case{
		{Name: "KeptBytesAreListedAndRead", needs: needNamespace, run: keptBytesAreListedAndRead},
		{Name: "KeepingAgainReplaces", needs: needNamespace, run: keepingAgainReplaces},
		{Name: "ConflictsHoldBaseAndTheirs", needs: needNamespace, run: conflictsHoldBaseAndTheirs},
		{Name: "ConflictsOfCreatorsHoldTheirs", needs: needNamespace, run: conflictsOfCreatorsHoldTheirs},
		{Name: "DroppedConflictsAreGone", needs: needNamespace, run: droppedConflictsAreGone},
		{Name: "MissingConflictsAreNotFound", needs: needNamespace, run: missingConflictsAreNotFound},
	}
}

func (e *Env) conflicts(ctx context.Context) []objstore.Conflict {
	all, err := e.ns().ListConflicts(ctx)
	e.ok(err, "list conflicts")
	return all
}

// listed is the conflict id as the list has it.
func (e *Env) listed(ctx context.Context, id objstore.ConflictID) objstore.Conflict {
	var found []objstore.Conflict
	for _, c := range e.conflicts(ctx) {
		if c.ID == id {
			found = append(found, c)
		}
	}
	equal(e, len(found), 1, "times the conflict is listed")
	return found[0]
}

func (e *Env) keep(ctx context.Context, s objstore.Stage, c objstore.Conflict) objstore.Conflict {
	kept, err := s.Keep(ctx, c)
	e.ok(err, "keep")
	return kept
}

func (e *Env) wantSide(ctx context.Context, id objstore.ConflictID, side objstore.ConflictSide, want string) {
	r, err := e.ns().OpenConflict(ctx, id, side)
	e.ok(err, fmt.Sprintf("open side %d", side))
	defer r.Close()
	e.wantBytes(e.readAll(ctx, r), want, fmt.Sprintf("side %d", side))
}

var conflictID = regexp.MustCompile(`^\d{8}T\d{6}Z-[0-9a-f]{8}$`)

// keptBytesAreListedAndRead is promise C4.
func keptBytesAreListedAndRead(ctx context.Context, e *Env) {
	for i, size := range append([]int64{0}, e.pinSizes()...) {
		body := string(pattern(uint64(i), size))
		s := e.newStage(ctx, nil)
		if body != "" {
			e.write(ctx, s, body, 0)
		}
		kept := e.keep(ctx, s, objstore.Conflict{
			Reason: objstore.ReasonFailed, Path: "dir/f", Object: 77, UID: 1, GID: 2, Mode: 0o640, PID: 3,
			Host: "h", Operation: "close", Detail: "why",
		})
		e.ok(s.Close(), "close stage")
		if !conflictID.MatchString(string(kept.ID)) || kept.Time.IsZero() {
			e.Failf("id %q, time %v", kept.ID, kept.Time)
		}
		equal(e, kept.Bytes, size, "bytes")
		found, err := e.ns().Conflict(ctx, kept.ID)
		e.ok(err, "conflict")
		for what, c := range map[string]objstore.Conflict{"found": found, "listed": e.listed(ctx, kept.ID)} {
			equal(e, c.ID, kept.ID, what+": id")
			equal(e, c.Time.Equal(kept.Time), true, what+": time as told")
			c.Time, c.ID = time.Time{}, ""
			equal(e, c, objstore.Conflict{
				Reason: objstore.ReasonFailed, Path: "dir/f", Object: 77, UID: 1, GID: 2, Mode: 0o640, PID: 3,
				Host: "h", Operation: "close", Detail: "why", Bytes: size,
			}, what)
		}
		e.wantSide(ctx, kept.ID, objstore.SideMine, body)
		_, err = e.ns().OpenConflict(ctx, kept.ID, objstore.SideTheirs)
		e.want(err, objstore.ErrNotFound, "open a side that is not held")
	}
	equal(e, len(e.keys(ctx, objstore.ListOptions{})), 0, "keys: kept bytes are none")
}

func keepingAgainReplaces(ctx context.Context, e *Env) {
	other := e.newStage(ctx, nil)
	defer other.Close()
	e.write(ctx, other, "other", 0)
	first := e.keep(ctx, other, objstore.Conflict{Reason: objstore.ReasonLost, Path: "other"})
	s := e.newStage(ctx, nil)
	defer s.Close()
	var kept objstore.Conflict
	for i := range 5 {
		e.write(ctx, s, fmt.Sprintf("mine %d", i), 0)
		kept = e.keep(ctx, s, objstore.Conflict{Reason: objstore.ReasonLost, Path: "f"})
	}
	equal(e, len(e.conflicts(ctx)), 2, "conflicts")
	e.wantSide(ctx, kept.ID, objstore.SideMine, "mine 4")
	e.wantSide(ctx, first.ID, objstore.SideMine, "other")
	keptByItsID(ctx, e, kept, first)
	e.write(ctx, s, "not kept", 0) // what is written afterwards is not in it
	e.wantSide(ctx, kept.ID, objstore.SideMine, "mine 4")
	// The stage stays usable.
	res, err := s.Commit(ctx, objstore.CommitRequest{Target: e.target(ctx, e.root(), "f"), Cond: objstore.IfAbsent()})
	e.ok(err, "commit")
	e.wantBytes(e.readID(ctx, res.Info.ID), "not kept", "content")
	e.wantSide(ctx, kept.ID, objstore.SideMine, "mine 4")
}

// keptByItsID keeps a copy of its own once more, as who has lost the reply does, and others under ids that are not theirs.
func keptByItsID(ctx context.Context, e *Env, kept, other objstore.Conflict) {
	keep := func(c objstore.Conflict, body string) objstore.Conflict {
		s := e.newStage(ctx, nil)
		e.write(ctx, s, body, 0)
		c = e.keep(ctx, s, c)
		e.ok(s.Close(), "close stage")
		return c
	}
	again := keep(objstore.Conflict{ID: kept.ID, Reason: objstore.ReasonLost, Path: "f"}, "mine 4")
	equal(e, again.ID, kept.ID, "id of a copy that is kept again")
	equal(e, len(e.conflicts(ctx)), 2, "conflicts")
	const id = "20260102T030405Z-1a2b3c4d"
	equal(e, keep(objstore.Conflict{ID: id, Reason: objstore.ReasonLost, Path: "g"}, "new").ID, id, "an id nobody has")
	for _, taken := range []objstore.ConflictID{other.ID, "../f", "20260102T030405Z-1A2B3C4D"} {
		c := keep(objstore.Conflict{ID: taken, Reason: objstore.ReasonLost, Path: "h", Object: 7}, "new")
		equal(e, conflictID.MatchString(string(c.ID)) && c.ID != taken, true, fmt.Sprintf("%q instead of %q", c.ID, taken))
		e.ok(e.ns().DropConflict(ctx, c.ID), "drop")
	}
	e.ok(e.ns().DropConflict(ctx, id), "drop")
	e.wantSide(ctx, other.ID, objstore.SideMine, "other")
}

// lose makes a stage lose against body and keeps it.
func (e *Env) lose(ctx context.Context, file objstore.Info, path, mine, theirs string) (objstore.Stage, objstore.Conflict) {
	s, base := e.edit(ctx, file.ID)
	e.ok(s.Truncate(ctx, 0), "truncate")
	e.write(ctx, s, mine, 0)
	winner := e.overwrite(ctx, file.ID, theirs)
	_, err := e.tryCommit(ctx, s, file.ID, objstore.IfVersion(base))
	e.want(err, objstore.ErrPrecondition, "commit")
	return s, e.keep(ctx, s, objstore.Conflict{
		Reason: objstore.ReasonLost, Path: path, Object: file.ID, Operation: "close",
		Base:   objstore.ContentRef{Exists: true, Version: base},
		Theirs: objstore.ContentRef{Exists: true, Version: winner.Version},
	})
}

func conflictsHoldBaseAndTheirs(ctx context.Context, e *Env) {
	for i, size := range e.pinSizes() {
		base, mine, theirs := string(pattern(1, size)), string(pattern(2, size)), string(pattern(3, size))
		name := fmt.Sprintf("f%d", i)
		file := e.create(ctx, e.root(), name, base)
		s, kept := e.lose(ctx, file, name, mine, theirs)
		for _, ref := range []objstore.ContentRef{kept.Base, kept.Theirs} {
			equal(e, ref.Held, true, "held")
			equal(e, ref.Size, size, "size")
			hash, version, ok := ref.ETag.Split()
			if ref.ETag == "" || ok && (version != ref.Version || hash == [16]byte{}) {
				e.Failf("etag %q of version %s", ref.ETag, ref.Version)
			}
		}
		check := func(what string) {
			e.wantSide(ctx, kept.ID, objstore.SideMine, mine)
			e.wantSide(ctx, kept.ID, objstore.SideBase, base)
			e.wantSide(ctx, kept.ID, objstore.SideTheirs, theirs)
		}
		check("at once")
		e.overwrite(ctx, file.ID, "later")
		check("after an overwrite")
		// Keeping again does not let go of what was held.
		e.write(ctx, s, "!", size)
		mine += "!"
		again := e.keep(ctx, s, objstore.Conflict{
			Reason: objstore.ReasonLost, Path: name, Object: file.ID, Base: kept.Base, Theirs: kept.Theirs,
		})
		kept = again
		check("kept again")
		e.ok(s.Close(), "close stage")
		e.unlink(ctx, e.root(), name)
		check("after an unlink")
		equal(e, len(e.conflicts(ctx)), i+1, "conflicts")
	}
}

// conflictsOfCreatorsHoldTheirs: of two who make a file the loser's object never
// existed; the winner's is found at the path.
func conflictsOfCreatorsHoldTheirs(ctx context.Context, e *Env) {
	dir := e.mkdir(ctx, e.root(), "dir")
	s := e.newStage(ctx, nil)
	defer s.Close()
	e.write(ctx, s, "mine", 0)
	target := e.target(ctx, dir, "f")
	winner := e.create(ctx, dir, "f", "theirs")
	_, err := s.Commit(ctx, objstore.CommitRequest{Target: target, Cond: objstore.IfAbsent()})
	e.want(err, objstore.ErrPrecondition, "second create")
	kept := e.keep(ctx, s, objstore.Conflict{
		Reason: objstore.ReasonLost, Path: "dir/f", Object: target.ID, Operation: "close",
		Theirs: objstore.ContentRef{Exists: true, Version: winner.Version},
	})
	equal(e, kept.Base.Exists, false, "base exists")
	equal(e, kept.Theirs.Held, true, "theirs held")
	e.unlink(ctx, dir, "f")
	e.wantSide(ctx, kept.ID, objstore.SideMine, "mine")
	e.wantSide(ctx, kept.ID, objstore.SideTheirs, "theirs")
	_, err = e.ns().OpenConflict(ctx, kept.ID, objstore.SideBase)
	e.want(err, objstore.ErrNotFound, "open a base that never was")
}

func droppedConflictsAreGone(ctx context.Context, e *Env) {
	file := e.create(ctx, e.root(), "f", strings.Repeat("base", 10_000))
	var ids []objstore.ConflictID
	for i := range 3 {
		s, kept := e.lose(ctx, file, "f", fmt.Sprintf("mine %d", i), fmt.Sprintf("theirs %d", i))
		e.ok(s.Close(), "close stage")
		ids = append(ids, kept.ID)
	}
	r, err := e.ns().OpenConflict(ctx, ids[1], objstore.SideMine)
	e.ok(err, "open side")
	defer r.Close()
	e.ok(e.ns().DropConflict(ctx, ids[1]), "drop")
	e.wantBytes(e.readAll(ctx, r), "mine 1", "what a reader opened before reads")
	_, err = e.ns().OpenConflict(ctx, ids[1], objstore.SideMine)
	e.want(err, objstore.ErrNotFound, "open a side of a dropped conflict")
	equal(e, len(e.conflicts(ctx)), 2, "conflicts")
	for _, i := range []int{0, 2} {
		c := e.listed(ctx, ids[i])
		e.wantSide(ctx, c.ID, objstore.SideMine, fmt.Sprintf("mine %d", i))
		e.wantSide(ctx, c.ID, objstore.SideTheirs, fmt.Sprintf("theirs %d", i))
	}
	e.wantContent(ctx, "f", "theirs 2")
}

func missingConflictsAreNotFound(ctx context.Context, e *Env) {
	const id = "20260102T030405Z-1a2b3c4d"
	_, err := e.ns().Conflict(ctx, id)
	e.want(err, objstore.ErrNotFound, "conflict")
	_, err = e.ns().OpenConflict(ctx, id, objstore.SideMine)
	e.want(err, objstore.ErrNotFound, "open conflict")
	e.want(e.ns().DropConflict(ctx, id), objstore.ErrNotFound, "drop conflict")
	equal(e, len(e.conflicts(ctx)), 0, "conflicts")
	s := e.newStage(ctx, nil)
	defer s.Close()
	_, err = s.Keep(ctx, objstore.Conflict{Path: "f"})
	e.want(err, objstore.ErrInvalid, "keep without a reason")
}
