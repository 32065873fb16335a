package objstoretest

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/etagfs/etagfs/objstore"
)

func completionCases() []Case {
	return []Case{
		{Name: "CompletionsAreConditional", needs: needMultipart, run: completionsAreConditional},
		{Name: "CompletionsSeeChangesOfTheKey", needs: needMultipart | needRenameDir, run: completionsSeeChangesOfTheKey},
		{Name: "CompletionsOverlookWhatIsNoChange", needs: needMultipart | needRenameDir, run: completionsOverlookWhatIsNoChange},
		{Name: "CompletionsSeeChangesThroughTheNamespace", needs: needMultipart | needNamespace, run: completionsSeeChangesThroughTheNamespace},
		{Name: "ChangesOfTheKeySurviveACrash", needs: needMultipart | needReopen, run: changesOfTheKeySurviveACrash},
		{Name: "RepeatedCompletionsAreAnswered", needs: needMultipart, run: repeatedCompletionsAreAnswered},
		{Name: "PartsAreNamedByTheirBytes", needs: needMultipart, run: partsAreNamedByTheirBytes},
		{Name: "OneCompletionWins", needs: needMultipart, run: oneCompletionWins},
		{Name: "LayoutsGoWithTheContent", needs: needMultipart | needRenameFile, run: layoutsGoWithTheContent},
		{Name: "AssembledObjectsAreEdited", needs: needMultipart | needNamespace, run: assembledObjectsAreEdited},
		{Name: "AssembledObjectsAreCopied", needs: needMultipart, run: assembledObjectsAreCopied},
	}
}

func completionsAreConditional(ctx context.Context, e *Env) {
	old := e.put(ctx, "k", "old")
	other := e.put(ctx, "other", "x")
	id, none := e.begin(ctx, "k"), e.begin(ctx, "none")
	p, q := e.part(ctx, "k", id, 1, "new"), e.part(ctx, "none", none, 1, "new")
	_, err := e.tryComplete(ctx, "k", id, objstore.IfAbsent(), p)
	e.want(err, objstore.ErrPrecondition, "complete over an object if absent")
	_, err = e.tryComplete(ctx, "k", id, objstore.IfVersion(other.Version), p)
	e.want(err, objstore.ErrPrecondition, "complete over another version")
	_, err = e.tryComplete(ctx, "none", none, objstore.IfVersion(old.Version), q)
	e.want(err, objstore.ErrNotFound, "complete over nothing if it has a version")
	_, err = e.tryComplete(ctx, "none", none, objstore.IfPresent(), q)
	e.want(err, objstore.ErrNotFound, "complete over nothing if present")
	e.wantContent(ctx, "k", "old")
	e.wantAbsent(ctx, "none")
	info, err := e.tryComplete(ctx, "k", id, objstore.IfVersion(old.Version), p)
	e.ok(err, "complete over the version")
	equal(e, info.ID, old.ID, "the object keeps its id")
	_, err = e.tryComplete(ctx, "none", none, objstore.IfAbsent(), q)
	e.ok(err, "complete over nothing if absent")
	e.wantContent(ctx, "k", "new")
	e.wantContent(ctx, "none", "new")
}

// keyChange is something that happens to a key while an upload to it is open.
type keyChange struct {
	name    string
	existed bool // there is an object at the key before
	change  func(ctx context.Context, e *Env, key objstore.Key)
	exists  bool // afterwards
}

// wantKeyChanges runs each change between the beginning and the end of an upload, and wants its conditional
// completion to fail with KeyChanged, or not, and an unconditional one never.
func (e *Env) wantKeyChanges(ctx context.Context, changes []keyChange, seen bool) {
	for i, c := range changes {
		key := objstore.Key(fmt.Sprintf("dir%d/sub/k", i))
		e.put(ctx, objstore.Key(fmt.Sprintf("dir%d/sub/beside", i)), "x")
		if c.existed {
			e.put(ctx, key, "old")
		}
		id, second := e.begin(ctx, key), e.begin(ctx, key)
		p, q := e.part(ctx, key, id, 1, "new"), e.part(ctx, key, second, 1, "newer")
		c.change(ctx, e, key)
		cond := objstore.IfAbsent()
		if c.exists {
			cond = objstore.IfVersion(e.head(ctx, key).Version)
		}
		before := e.snapshot(ctx, key)
		_, err := e.tryComplete(ctx, key, id, cond, p)
		if !seen {
			e.ok(err, c.name+": complete "+cond.String())
			continue
		}
		e.wantCause(err, objstore.ErrConflict, objstore.KeyChanged, c.name+": complete "+cond.String())
		equal(e, e.snapshot(ctx, key), before, c.name+": the object")
		e.complete(ctx, key, second, q)
		e.wantContent(ctx, key, "newer")
	}
}

// renameTo moves an object or a directory.
func (e *Env) renameTo(ctx context.Context, src, dst objstore.Key) {
	_, err := e.Store.Rename(ctx, objstore.RenameRequest{
		Src: src, SrcCond: objstore.Unconditional(), Dst: dst, DstCond: objstore.Unconditional(), Durability: objstore.Visible,
	})
	e.ok(err, fmt.Sprintf("rename %q to %q", src, dst))
}

// above is the key of the directory at the top of a key.
func above(key objstore.Key) objstore.Key {
	top, _, _ := strings.Cut(string(key), "/")
	return objstore.Key(top + "/")
}

func completionsSeeChangesOfTheKey(ctx context.Context, e *Env) {
	put := func(ctx context.Context, e *Env, key objstore.Key) { e.put(ctx, key, "old") }
	remove := func(ctx context.Context, e *Env, key objstore.Key) { e.delete(ctx, key) }
	replace := func(ctx context.Context, e *Env, key objstore.Key) { e.delete(ctx, key); e.put(ctx, key, "old") }
	comeAndGo := func(ctx context.Context, e *Env, key objstore.Key) { e.put(ctx, key, "x"); e.delete(ctx, key) }
	upload := func(ctx context.Context, e *Env, key objstore.Key) {
		id := e.begin(ctx, key)
		e.complete(ctx, key, id, e.part(ctx, key, id, 1, "x"))
	}
	moveAway := func(ctx context.Context, e *Env, key objstore.Key) { e.renameTo(ctx, key, key+"-away") }
	moveHere := func(ctx context.Context, e *Env, key objstore.Key) {
		e.put(ctx, key+"-there", "x")
		e.renameTo(ctx, key+"-there", key)
	}
	dirAway := func(ctx context.Context, e *Env, key objstore.Key) { e.renameTo(ctx, above(key), "away-"+above(key)) }
	dirHere := func(ctx context.Context, e *Env, key objstore.Key) {
		e.put(ctx, "new-"+key, "x")
		e.renameTo(ctx, above(key), "was-"+above(key))
		e.renameTo(ctx, "new-"+above(key), above(key))
	}
	e.wantKeyChanges(ctx, []keyChange{
		{"rewritten with the same bytes", true, put, true}, {"created", false, put, true}, {"deleted", true, remove, false},
		{"deleted and created", true, replace, true}, {"created and deleted", false, comeAndGo, false},
		{"another upload", true, upload, true}, {"renamed", true, moveAway, false}, {"renamed to", true, moveHere, true},
		{"a directory above renamed", true, dirAway, false}, {"a directory above replaced", true, dirHere, true},
		{"a directory above that came", false, dirHere, true},
	}, true)
}

func completionsOverlookWhatIsNoChange(ctx context.Context, e *Env) {
	nothing := func(context.Context, *Env, objstore.Key) {}
	besides := func(ctx context.Context, e *Env, key objstore.Key) {
		beside := key[:len(key)-1] + "beside"
		e.put(ctx, beside, "y")
		e.delete(ctx, beside)
		e.put(ctx, key+"-longer", "y")
		e.delete(ctx, key+"-longer")
	}
	tag := func(ctx context.Context, e *Env, key objstore.Key) {
		if tagger, ok := e.Store.(objstore.Tagger); ok {
			_, err := tagger.SetTags(ctx, key, map[string]string{"a": "b"}, objstore.Visible)
			e.ok(err, "set tags")
		}
	}
	dirAway := func(ctx context.Context, e *Env, key objstore.Key) { e.renameTo(ctx, above(key), "away-"+above(key)) }
	lost := func(ctx context.Context, e *Env, key objstore.Key) {
		_, err := e.tryPut(ctx, key, "x", objstore.IfVersion("ffffff"))
		e.want(err, objstore.ErrPrecondition, "put over another version")
	}
	e.wantKeyChanges(ctx, []keyChange{
		{"nothing", true, nothing, true}, {"nothing there", false, nothing, false}, {"other keys", true, besides, true},
		{"other keys, nothing there", false, besides, false}, {"tags", true, tag, true},
		{"a directory without the key", false, dirAway, false}, {"a put that lost", true, lost, true},
	}, false)
}

func completionsSeeChangesThroughTheNamespace(ctx context.Context, e *Env) {
	parent := func(ctx context.Context, e *Env, key objstore.Key) objstore.ID {
		return e.lookup(ctx, e.lookup(ctx, e.root(), strings.TrimSuffix(string(above(key)), "/")).ID, "sub").ID
	}
	unlink := func(ctx context.Context, e *Env, key objstore.Key) { e.unlink(ctx, parent(ctx, e, key), "k") }
	commit := func(ctx context.Context, e *Env, key objstore.Key) { e.overwrite(ctx, e.head(ctx, key).ID, "old") }
	move := func(ctx context.Context, e *Env, key objstore.Key) {
		e.rename(ctx, parent(ctx, e, key), "k", e.root(), "moved-"+strings.TrimSuffix(string(above(key)), "/"))
	}
	exchange := func(ctx context.Context, e *Env, key objstore.Key) {
		dir := parent(ctx, e, key)
		_, err := e.tryMove(ctx, dir, "k", dir, "beside", objstore.RenameExchange)
		e.ok(err, "exchange")
	}
	e.wantKeyChanges(ctx, []keyChange{
		{"unlinked", true, unlink, false}, {"committed", true, commit, true}, {"moved", true, move, false},
		{"exchanged", true, exchange, true},
	}, true)
	setMode := func(ctx context.Context, e *Env, key objstore.Key) {
		mode := uint32(0o600)
		_, err := e.ns().SetAttr(ctx, e.head(ctx, key).ID, objstore.AttrChange{Mode: &mode}, objstore.Visible)
		e.ok(err, "set mode")
	}
	e.wantKeyChanges(ctx, []keyChange{{"attributes", true, setMode, true}}, false)
}

func changesOfTheKeySurviveACrash(ctx context.Context, e *Env) {
	e.put(ctx, "k", "old")
	id := e.begin(ctx, "k")
	p := e.part(ctx, "k", id, 1, "new")
	e.crash(ctx)
	e.delete(ctx, "k")
	e.crash(ctx)
	_, err := e.tryComplete(ctx, "k", id, objstore.IfAbsent(), p)
	e.wantCause(err, objstore.ErrConflict, objstore.KeyChanged, "complete")
}

// repeatedCompletionsAreAnswered: a retried completion whose first reply was lost is no second one.
func repeatedCompletionsAreAnswered(ctx context.Context, e *Env) {
	id := e.begin(ctx, "k")
	p, q := e.part(ctx, "k", id, 1, "one"), e.part(ctx, "k", id, 2, "two")
	first, err := e.tryComplete(ctx, "k", id, objstore.IfAbsent(), p, q)
	e.ok(err, "complete")
	e.put(ctx, "k", "another writer's")
	for _, cond := range []objstore.Cond{objstore.IfAbsent(), objstore.Unconditional(), objstore.IfVersion("ffffff")} {
		again, err := e.tryComplete(ctx, "k", id, cond, p, q)
		e.ok(err, "the same completion again")
		equal(e, again.Version, first.Version, "version of the repetition")
		equal(e, again.ETag, first.ETag, "etag of the repetition")
	}
	e.wantContent(ctx, "k", "another writer's")
	_, err = e.tryComplete(ctx, "k", id, objstore.Unconditional(), p)
	e.wantCause(err, objstore.ErrNotFound, objstore.NoSuchUpload, "a completion of other parts")
}

// partsAreNamedByTheirBytes: who sent a part twice, as the first answer was late, names it by either, then and when the answer
// to the completion was lost, too. A part with other bytes is another.
func partsAreNamedByTheirBytes(ctx context.Context, e *Env) {
	id := e.begin(ctx, "k")
	other := e.part(ctx, "k", id, 1, "two")
	older := e.part(ctx, "k", id, 1, "one")
	newer := e.part(ctx, "k", id, 1, "one")
	_, err := e.tryComplete(ctx, "k", id, objstore.IfAbsent(), other)
	e.wantCause(err, objstore.ErrInvalid, objstore.NoSuchPart, "a completion with bytes that were replaced")
	first, err := e.tryComplete(ctx, "k", id, objstore.IfAbsent(), older)
	e.ok(err, "complete")
	for _, part := range []objstore.CompletedPart{older, newer} {
		again, err := e.tryComplete(ctx, "k", id, objstore.IfAbsent(), part)
		e.ok(err, "the same completion again")
		equal(e, again.Version, first.Version, "version of the repetition")
	}
	_, err = e.tryComplete(ctx, "k", id, objstore.IfAbsent(), other)
	e.wantCause(err, objstore.ErrNotFound, objstore.NoSuchUpload, "a repetition with bytes that were replaced")
	e.wantContent(ctx, "k", "one")
}

func oneCompletionWins(ctx context.Context, e *Env) {
	for round := range 5 {
		key := objstore.Key(fmt.Sprint("k", round))
		const racers = 8
		var ids [racers]objstore.UploadID
		var parts [racers]objstore.CompletedPart
		for i := range racers {
			ids[i] = e.begin(ctx, key)
			parts[i] = e.part(ctx, key, ids[i], 1, fmt.Sprint("racer ", i))
		}
		var won atomic.Int32
		won.Store(-1)
		e.parallel(racers, func(i int) {
			_, err := e.tryComplete(ctx, key, ids[i], objstore.IfAbsent(), parts[i])
			if err == nil && !won.CompareAndSwap(-1, int32(i)) {
				e.Failf("racers %d and %d both won", won.Load(), i)
			}
			if err != nil {
				e.want(err, objstore.ErrPrecondition, "the loser's completion")
			}
		})
		e.wantContent(ctx, key, fmt.Sprint("racer ", won.Load()))
	}
}

func (e *Env) wantParts(ctx context.Context, key objstore.Key, want int, what string) {
	info, parts, err := e.uploads().Parts(ctx, key, objstore.IfPresent())
	e.ok(err, "parts")
	equal(e, info.PartCount, want, what+": parts counted")
	equal(e, len(parts), want, what+": parts")
	var size int64
	for _, p := range parts {
		size += p.Size
	}
	if want > 0 {
		equal(e, size, info.Size, what+": bytes of the parts")
	}
}

func layoutsGoWithTheContent(ctx context.Context, e *Env) {
	e.assembled(ctx, "k", 100, 200)
	e.wantParts(ctx, "k", 2, "complete")
	_, err := e.Store.Copy(ctx, objstore.CopyRequest{Src: "k", SrcCond: objstore.IfPresent(), Dst: "copy", DstCond: objstore.IfAbsent()})
	e.ok(err, "copy")
	e.wantParts(ctx, "copy", 0, "a copy")
	e.renameTo(ctx, "k", "dir/renamed")
	e.wantParts(ctx, "dir/renamed", 2, "renamed")
	e.assembled(ctx, "dir/renamed", 1, 2, 3)
	e.wantParts(ctx, "dir/renamed", 3, "uploaded again")
	e.put(ctx, "dir/renamed", "x")
	e.wantParts(ctx, "dir/renamed", 0, "put")
	e.assembled(ctx, "k", 100, 200)
	e.delete(ctx, "k")
	e.put(ctx, "k", "x")
	e.wantParts(ctx, "k", 0, "deleted and put")
	if e.isNamespace() {
		e.assembled(ctx, "k", 100, 200)
		mode := uint32(0o600)
		_, err := e.ns().SetAttr(ctx, e.head(ctx, "k").ID, objstore.AttrChange{Mode: &mode}, objstore.Visible)
		e.ok(err, "set mode")
		e.wantParts(ctx, "k", 2, "attributes set")
		e.overwrite(ctx, e.head(ctx, "k").ID, "x")
		e.wantParts(ctx, "k", 0, "committed through the namespace")
	}
}

// assembledObjectsAreEdited: a commit over parts that end anywhere gives what a put of the same bytes gives.
func assembledObjectsAreEdited(ctx context.Context, e *Env) {
	for i, sizes := range e.partSizes() {
		key := objstore.Key(fmt.Sprint("k", i))
		body := []byte(e.assembled(ctx, key, sizes...))
		id := e.head(ctx, key).ID
		for round, off := range []int64{int64(len(body)) / 2, 0, int64(len(body))} {
			s, version := e.edit(ctx, id)
			change := fmt.Sprint("change ", round)
			e.write(ctx, s, change, off)
			if grown := int(off) + len(change); grown > len(body) {
				body = append(body, make([]byte, grown-len(body))...)
			}
			copy(body[off:], change)
			if round == 1 && len(body) > 100 {
				body = body[:len(body)-50]
				e.ok(s.Truncate(ctx, int64(len(body))), "truncate")
			}
			info := e.commit(ctx, s, id, objstore.IfVersion(version)).Info
			e.ok(s.Close(), "close")
			e.wantContent(ctx, key, string(body))
			put := e.put(ctx, "same", string(body))
			ours, _, isOurs := info.ETag.Split()
			theirs, _, _ := put.ETag.Split()
			if isOurs && ours != theirs {
				e.Failf("parts %v, change %d: hash %x instead of %x", sizes, round, ours, theirs)
			}
		}
	}
}

func assembledObjectsAreCopied(ctx context.Context, e *Env) {
	for i, sizes := range e.partSizes() {
		key := objstore.Key(fmt.Sprint("k", i))
		body := e.assembled(ctx, key, sizes...)
		_, err := e.Store.Copy(ctx, objstore.CopyRequest{Src: key, SrcCond: objstore.IfPresent(), Dst: key + "copy", DstCond: objstore.IfAbsent()})
		e.ok(err, "copy")
		id := e.begin(ctx, key+"again")
		p, err := e.uploads().CopyPart(ctx, objstore.CopyPartRequest{
			Src: key, SrcCond: objstore.IfPresent(), Length: -1, Key: key + "again", ID: id, Number: 1,
		})
		e.ok(err, "copy part")
		e.delete(ctx, key)
		e.complete(ctx, key+"again", id, objstore.CompletedPart{Number: 1, ETag: p.ETag}, e.part(ctx, key+"again", id, 2, "end"))
		e.wantContent(ctx, key+"copy", body)
		e.wantContent(ctx, key+"again", body+"end")
	}
}
