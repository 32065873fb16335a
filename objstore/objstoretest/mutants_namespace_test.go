package objstoretest

import (
	"context"
	"fmt"
	"slices"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/memstore"
)

func namespaceMutants() []mutant {
	move := func(name, caughtBy string, f moveFunc) mutant {
		return mutant{name, caughtBy, func(b *memstore.Bucket) subjectStore { return moveChanger{b, f} }}
	}
	info := func(name, caughtBy string, f func(*objstore.Info)) mutant {
		return mutant{name, caughtBy, func(b *memstore.Bucket) subjectStore { return infoChanger{b, f} }}
	}
	watch := func(name, caughtBy string, f func(n int, c objstore.Change, tell func(objstore.Change))) mutant {
		return mutant{name, caughtBy, func(b *memstore.Bucket) subjectStore { return watchChanger{b, f} }}
	}
	return []mutant{
		move("rename replaces full directories", "RenameReplacesByPOSIX", replaceFull),
		move("noreplace replaces", "NoReplaceReplacesNothing", func(b *memstore.Bucket, ctx context.Context, req objstore.MoveRequest) (objstore.MoveResult, error) {
			if req.Mode == objstore.RenameNoReplace {
				req.Mode = objstore.RenameReplace
			}
			return b.Move(ctx, req)
		}),
		move("exchange replaces", "ExchangeSwaps", func(b *memstore.Bucket, ctx context.Context, req objstore.MoveRequest) (objstore.MoveResult, error) {
			if req.Mode == objstore.RenameExchange {
				req.Mode = objstore.RenameReplace
			}
			return b.Move(ctx, req)
		}),
		move("rename unlinks its target first", "RenamedNamesAlwaysExist", unlinkFirst),
		move("rename of a file to itself removes a name", "RenameOfOneFileToItselfKeepsBothNames", removeSame),
		info("files have one link", "LinksShareTheObject", func(i *objstore.Info) { i.Nlink = min(i.Nlink, 1) }),
		info("directories have two links", "DirectoriesCountTheirLinks", func(i *objstore.Info) { i.Nlink = min(i.Nlink, 2) }),
		info("ids change with the metadata", "VersionsSurviveRenameAndAttributes", func(i *objstore.Info) { i.ID += objstore.ID(i.MetaVersion) }),
		info("times are whole seconds", "SetAttrChangesWhatItNames", func(i *objstore.Info) { i.Attr.Mtime = i.Attr.Mtime.Truncate(1e9) }),
		info("the metadata version stands still", "ParentsFeelChanges", func(i *objstore.Info) { i.MetaVersion = 1 }),
		info("every directory is explicit", "ImpliedDirectoriesComeAndGo", func(i *objstore.Info) { i.Explicit = i.Type == objstore.TypeDir }),
		info("xattrs are lost", "MakeMakesEveryType", func(i *objstore.Info) { i.Xattrs = nil }),
		watch("changes are told late", "WatchTellsContentsInOrder", tellOneLate()),
		watch("changes of several are told in pairs, the second first", "ConcurrentOpsAreWatchedInOrder", tellSwapped()),
		watch("creations are not told", "WatchTellsEveryName", func(_ int, c objstore.Change, tell func(objstore.Change)) {
			if c.Kind != objstore.ChangeCreated {
				tell(c)
			}
		}),
		watch("the replaced is not told", "WatchTellsEveryName", func(_ int, c objstore.Change, tell func(objstore.Change)) {
			c.Replaced = 0
			tell(c)
		}),
		watch("shifted names are not told", "WatchTellsShiftedNames", func(_ int, c objstore.Change, tell func(objstore.Change)) {
			if c.Kind != objstore.ChangeMoved || c.Parent != c.NewParent {
				tell(c)
			}
		}),
		watch("link counts are not told", "WatchTellsAttributes", func(n int, c objstore.Change, tell func(objstore.Change)) {
			if c.Kind != objstore.ChangeAttr || n < 4 {
				tell(c)
			}
		}),
		watch("every commit appends", "WatchTellsContentsInOrder", func(_ int, c objstore.Change, tell func(objstore.Change)) {
			c.Appended = true
			tell(c)
		}),
		{"watching never stops", "WatchStops", func(b *memstore.Bucket) subjectStore { return watchesOn{b} }},
		{"errors name nothing", "NamespaceErrorsNameOperationAndName", func(b *memstore.Bucket) subjectStore { return namelessErrors{b} }},
		{"cancelling has no effect", "CancelledNamespaceCallsChangeNothing", func(b *memstore.Bucket) subjectStore {
			return stageChanger{b, func(s objstore.Stage, _ objstore.StageSpec) objstore.Stage { return cancelledCommits{s} }}
		}},
		{"readdir continues by position", "ReadDirIsStableUnderChange", func(b *memstore.Bucket) subjectStore { return &readDirByPosition{Bucket: b} }},
		{"readdir returns too much", "ReadDirPages", func(b *memstore.Bucket) subjectStore { return readDirAll{b} }},
		{"names of 256 bytes are cut", "NamesAreThoseOfPOSIX", func(b *memstore.Bucket) subjectStore { return cutsNames{b} }},
		{"unlink removes directories", "RemovalFollowsPOSIX", func(b *memstore.Bucket) subjectStore { return unlinksDirs{b} }},
		{"ids are given out twice", "NewIDsAreDistinct", func(b *memstore.Bucket) subjectStore { return repeatsIDs{b} }},
		{"attributes of a change replace all", "SetAttrChangesWhatItNames", func(b *memstore.Bucket) subjectStore { return clobbersXattrs{b} }},
		{"reading moves ctime", "ReadingMovesNothingButAtime", func(b *memstore.Bucket) subjectStore { return touchesReaders{b} }},
		{"kept conflicts cannot be dropped", "DroppedConflictsAreGone", func(b *memstore.Bucket) subjectStore { return neverDrops{b} }},
		{"the wrong side is opened", "ConflictsHoldBaseAndTheirs", func(b *memstore.Bucket) subjectStore { return swapsSides{b} }},
		{"links to a file replace", "LinkRefusesNonsense", func(b *memstore.Bucket) subjectStore { return linkReplaces{b} }},
		{"a rare commit is lost", "RandomOpsMatchTheOracle", losesRareCommits},
	}
}

type moveFunc func(b *memstore.Bucket, ctx context.Context, req objstore.MoveRequest) (objstore.MoveResult, error)

type moveChanger struct {
	*memstore.Bucket
	f moveFunc
}

func (m moveChanger) Move(ctx context.Context, req objstore.MoveRequest) (objstore.MoveResult, error) {
	return m.f(m.Bucket, ctx, req)
}

func replaceFull(b *memstore.Bucket, ctx context.Context, req objstore.MoveRequest) (objstore.MoveResult, error) {
	if info, err := b.Lookup(ctx, req.NewParent, req.NewName); err == nil && info.Type == objstore.TypeDir {
		entries, _, _ := b.ReadDir(ctx, info.ID, "", 100)
		for _, entry := range entries {
			b.Unlink(ctx, info.ID, entry.Name, objstore.Unconditional(), objstore.Visible)
		}
	}
	return b.Move(ctx, req)
}

func unlinkFirst(b *memstore.Bucket, ctx context.Context, req objstore.MoveRequest) (objstore.MoveResult, error) {
	b.Unlink(ctx, req.NewParent, req.NewName, objstore.Unconditional(), objstore.Visible)
	for range 50 {
		dawdle()
	}
	return b.Move(ctx, req)
}

func removeSame(b *memstore.Bucket, ctx context.Context, req objstore.MoveRequest) (objstore.MoveResult, error) {
	from, _ := b.Lookup(ctx, req.Parent, req.Name)
	to, err := b.Lookup(ctx, req.NewParent, req.NewName)
	if err == nil && from.ID == to.ID && from.Type == objstore.TypeFile {
		_, err = b.Unlink(ctx, req.Parent, req.Name, objstore.Unconditional(), objstore.Visible)
		return objstore.MoveResult{Moved: to}, err
	}
	return b.Move(ctx, req)
}

// infoChanger tells other attributes.
type infoChanger struct {
	*memstore.Bucket
	f func(*objstore.Info)
}

func (c infoChanger) Stat(ctx context.Context, id objstore.ID) (objstore.Info, error) {
	info, err := c.Bucket.Stat(ctx, id)
	c.f(&info)
	return info, err
}

func (c infoChanger) Lookup(ctx context.Context, parent objstore.ID, name string) (objstore.Info, error) {
	info, err := c.Bucket.Lookup(ctx, parent, name)
	c.f(&info)
	return info, err
}

func (c infoChanger) SetAttr(ctx context.Context, id objstore.ID, change objstore.AttrChange, d objstore.Durability) (objstore.Info, error) {
	info, err := c.Bucket.SetAttr(ctx, id, change, d)
	c.f(&info)
	return info, err
}

// watchChanger tells changes in another way; n counts them.
type watchChanger struct {
	*memstore.Bucket
	f func(n int, c objstore.Change, tell func(objstore.Change))
}

func (w watchChanger) Watch(f func(objstore.Change)) func() {
	n := 0
	return w.Bucket.Watch(func(c objstore.Change) {
		n++
		w.f(n, c, f)
	})
}

// tellOneLate tells each change when the next comes.
func tellOneLate() func(int, objstore.Change, func(objstore.Change)) {
	var held []objstore.Change
	return func(n int, c objstore.Change, tell func(objstore.Change)) {
		if n == 1 {
			held = nil
		}
		for _, earlier := range held {
			tell(earlier)
		}
		held = []objstore.Change{c}
	}
}

// tellSwapped tells every second change before the first.
func tellSwapped() func(int, objstore.Change, func(objstore.Change)) {
	var held objstore.Change
	return func(n int, c objstore.Change, tell func(objstore.Change)) {
		if n%2 == 1 {
			held = c
			return
		}
		tell(c)
		tell(held)
	}
}

// watchesOn does not stop.
type watchesOn struct{ *memstore.Bucket }

func (w watchesOn) Watch(f func(objstore.Change)) func() {
	w.Bucket.Watch(f)
	return func() {}
}

// readDirByPosition takes the name to continue after for a position.
type readDirByPosition struct {
	*memstore.Bucket
}

func (r *readDirByPosition) ReadDir(ctx context.Context, dir objstore.ID, after string, max int) ([]objstore.DirEntry, bool, error) {
	all, _, err := r.Bucket.ReadDir(ctx, dir, "", 1<<20)
	if err != nil {
		return nil, false, err
	}
	first := 0
	if after != "" {
		first = slices.IndexFunc(all, func(e objstore.DirEntry) bool { return e.Name == after }) + 1 // 0 if it is gone
	}
	last := min(len(all), first+max)
	return all[first:last], last < len(all), nil
}

// readDirAll does not count.
type readDirAll struct{ *memstore.Bucket }

func (r readDirAll) ReadDir(ctx context.Context, dir objstore.ID, after string, _ int) ([]objstore.DirEntry, bool, error) {
	return r.Bucket.ReadDir(ctx, dir, after, 1<<20)
}

// cutsNames takes long names for short ones.
type cutsNames struct{ *memstore.Bucket }

func (c cutsNames) Lookup(ctx context.Context, parent objstore.ID, name string) (objstore.Info, error) {
	return c.Bucket.Lookup(ctx, parent, name[:min(len(name), objstore.NameBytesMax)])
}

// unlinksDirs removes what rmdir would.
type unlinksDirs struct{ *memstore.Bucket }

func (u unlinksDirs) Unlink(ctx context.Context, parent objstore.ID, name string, cond objstore.Cond, d objstore.Durability) (objstore.RemoveResult, error) {
	if info, err := u.Bucket.Lookup(ctx, parent, name); err == nil && info.Type == objstore.TypeDir {
		return u.Bucket.Rmdir(ctx, parent, name, d)
	}
	return u.Bucket.Unlink(ctx, parent, name, cond, d)
}

// repeatsIDs gives out the number the next directory gets.
type repeatsIDs struct{ *memstore.Bucket }

func (r repeatsIDs) NewID(ctx context.Context) (objstore.ID, error) {
	id, err := r.Bucket.NewID(ctx)
	if id%50 == 0 {
		id++
	}
	return id, err
}

// touchesReaders takes a reading for any change of attributes.
type touchesReaders struct{ *memstore.Bucket }

func (c touchesReaders) SetAttr(ctx context.Context, id objstore.ID, change objstore.AttrChange, d objstore.Durability) (objstore.Info, error) {
	change.AtimeWas = nil
	return c.Bucket.SetAttr(ctx, id, change, d)
}

// clobbersXattrs replaces all xattrs by the changed ones.
type clobbersXattrs struct{ *memstore.Bucket }

func (c clobbersXattrs) SetAttr(ctx context.Context, id objstore.ID, change objstore.AttrChange, d objstore.Durability) (objstore.Info, error) {
	if info, err := c.Bucket.Stat(ctx, id); err == nil && change.Xattrs != nil {
		all := map[string][]byte{}
		for name := range info.Xattrs {
			all[name] = nil
		}
		for name, value := range change.Xattrs {
			all[name] = value
		}
		change.Xattrs = all
	}
	return c.Bucket.SetAttr(ctx, id, change, d)
}

// neverDrops answers, and does nothing.
type neverDrops struct{ *memstore.Bucket }

func (neverDrops) DropConflict(context.Context, objstore.ConflictID) error { return nil }

// swapsSides takes theirs for base.
type swapsSides struct{ *memstore.Bucket }

func (s swapsSides) OpenConflict(ctx context.Context, id objstore.ConflictID, side objstore.ConflictSide) (objstore.Reader, error) {
	if side == objstore.SideBase {
		side = objstore.SideTheirs
	}
	return s.Bucket.OpenConflict(ctx, id, side)
}

// linkReplaces links over files.
type linkReplaces struct{ *memstore.Bucket }

func (l linkReplaces) Link(ctx context.Context, id, parent objstore.ID, name string, d objstore.Durability) (objstore.Info, error) {
	info, err := l.Bucket.Link(ctx, id, parent, name, d)
	if objstore.KindOf(err) == objstore.ErrPrecondition {
		return l.Bucket.Stat(ctx, id)
	}
	return info, err
}

// losesRareCommits forgets one in seven contents, which only a long run finds.
func losesRareCommits(b *memstore.Bucket) subjectStore {
	return stageChanger{b, func(s objstore.Stage, spec objstore.StageSpec) objstore.Stage {
		if spec.Base == nil || spec.Base.Info().Size%7 != 1 {
			return s
		}
		return forgetsBytes{s}
	}}
}

// forgetsBytes drops what it is given.
type forgetsBytes struct{ objstore.Stage }

func (forgetsBytes) WriteAt(_ context.Context, p []byte, _ int64) (int, error) {
	if len(p) == 0 {
		return 0, fmt.Errorf("nothing to forget")
	}
	return len(p), nil
}

// namelessErrors say what failed and not on what.
type namelessErrors struct{ *memstore.Bucket }

func (n namelessErrors) Make(ctx context.Context, req objstore.MakeRequest) (objstore.Info, error) {
	info, err := n.Bucket.Make(ctx, req)
	if err != nil {
		err = &objstore.Error{Op: "make", Kind: objstore.KindOf(err)}
	}
	return info, err
}

// cancelledCommits commit all the same.
type cancelledCommits struct{ objstore.Stage }

func (c cancelledCommits) Commit(ctx context.Context, req objstore.CommitRequest) (objstore.CommitResult, error) {
	res, err := c.Stage.Commit(context.WithoutCancel(ctx), req)
	if err == nil && ctx.Err() != nil {
		err = &objstore.Error{Op: "commit", Kind: objstore.ErrUnavailable, Err: ctx.Err()}
	}
	return res, err
}
