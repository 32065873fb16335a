package objstoretest

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

func attributeCases() []Case {
	return []Case{
		{Name: "SetAttrChangesWhatItNames", needs: needNamespace, run: setAttrChangesWhatItNames},
		{Name: "CommitKeepsCurrentAttributes", needs: needNamespace, run: commitKeepsCurrentAttributes},
		{Name: "CommitMayChangeAttributes", needs: needNamespace, run: commitMayChangeAttributes},
		{Name: "PutKeepsPOSIXAttributes", needs: needNamespace, run: putKeepsPOSIXAttributes},
		{Name: "NewFilesGetTheirAttributes", needs: needNamespace, run: newFilesGetTheirAttributes},
		{Name: "TimesMove", needs: needNamespace, run: timesMove},
		{Name: "ReadingMovesNothingButAtime", needs: needNamespace | needAccessTimes, run: readingMovesNothingButAtime},
		{Name: "ModifiedNeverGoesBack", run: modifiedNeverGoesBack},
		{Name: "InfosAreCopies", needs: needNamespace, run: infosAreCopies},
	}
}

func (e *Env) setAttr(ctx context.Context, id objstore.ID, change objstore.AttrChange) objstore.Info {
	info, err := e.ns().SetAttr(ctx, id, change, objstore.Visible)
	e.ok(err, "set attributes")
	return info
}

// attrText is the attributes of info but ctime, for comparison.
func attrText(info objstore.Info) string {
	return fmt.Sprintf("%o %d %d %v %v %v %q %q %q", info.Attr.Mode, info.Attr.UID, info.Attr.GID,
		info.Attr.Atime.UnixNano(), info.Attr.Mtime.UnixNano(), info.Attr.Btime.UnixNano(),
		info.ContentType, info.UserMeta, info.Xattrs)
}

func setAttrChangesWhatItNames(ctx context.Context, e *Env) {
	file := e.create(ctx, e.root(), "f", "x")
	when := time.Unix(1234567890, 123456789)
	changes := []objstore.AttrChange{
		{Mode: new(uint32(0o4751))}, {UID: new(uint32(12))}, {GID: new(uint32(1<<32 - 2))},
		{Atime: &when}, {Mtime: new(when.Add(time.Nanosecond))}, {ContentType: new("text/plain")},
		{UserMeta: map[string]string{"a": "1"}}, {Xattrs: map[string][]byte{"user.x": []byte("\x00\xff"), "user.y": {}}},
	}
	want := file
	for i, change := range changes {
		before := e.stat(ctx, file.ID)
		got := e.setAttr(ctx, file.ID, change)
		set(&want.Attr.Mode, change.Mode)
		set(&want.Attr.UID, change.UID)
		set(&want.Attr.GID, change.GID)
		set(&want.Attr.Atime, change.Atime)
		set(&want.Attr.Mtime, change.Mtime)
		set(&want.ContentType, change.ContentType)
		if change.UserMeta != nil {
			want.UserMeta = change.UserMeta
		}
		if change.Xattrs != nil {
			want.Xattrs = change.Xattrs
		}
		equal(e, attrText(got), attrText(want), fmt.Sprintf("attributes after change %d", i))
		equal(e, attrText(e.stat(ctx, file.ID)), attrText(want), "attributes later")
		if got.MetaVersion == before.MetaVersion || got.Attr.Ctime.Before(before.Attr.Ctime) {
			e.Failf("the metadata version or ctime did not move: %+v", got)
		}
		equal(e, got.Version, file.Version, "version")
	}
	head := e.head(ctx, "f")
	equal(e, head.ContentType, "text/plain", "content type in the flat store")
	equal(e, head.UserMeta["a"], "1", "user metadata in the flat store")
	// Extended attributes merge; other metadata is replaced as a whole.
	got := e.setAttr(ctx, file.ID, objstore.AttrChange{
		Xattrs: map[string][]byte{"user.x": nil, "user.z": []byte("z"), "user.none": nil}, UserMeta: map[string]string{"b": "2"},
	})
	equal(e, fmt.Sprint(got.Xattrs), "map[user.y:[] user.z:[122]]", "xattrs")
	equal(e, fmt.Sprint(got.UserMeta), "map[b:2]", "user metadata")
	got = e.setAttr(ctx, file.ID, objstore.AttrChange{UserMeta: map[string]string{}})
	equal(e, len(got.UserMeta), 0, "user metadata after a replacement by none")
	dir := e.mkdir(ctx, e.root(), "d")
	equal(e, e.setAttr(ctx, dir, objstore.AttrChange{Mode: new(uint32(0o1777))}).Attr.Mode, 0o1777, "mode of a directory")
	equal(e, e.setAttr(ctx, e.root(), objstore.AttrChange{UID: new(uint32(5))}).Attr.UID, 5, "owner of the root")
}

func set[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}

// commitKeepsCurrentAttributes is promise C9: what others set since the stage
// began stays, and does not make it lose.
func commitKeepsCurrentAttributes(ctx context.Context, e *Env) {
	file := e.create(ctx, e.root(), "f", "old")
	s, base := e.edit(ctx, file.ID)
	defer s.Close()
	e.write(ctx, s, "new", 0)
	e.setAttr(ctx, file.ID, objstore.AttrChange{
		Mode: new(uint32(0o600)), UID: new(uint32(3)), GID: new(uint32(4)), ContentType: new("text/css"),
		UserMeta: map[string]string{"m": "1"}, Xattrs: map[string][]byte{"user.x": []byte("y")},
	})
	e.rename(ctx, e.root(), "f", e.root(), "g")
	before := e.stat(ctx, file.ID)
	after := e.commit(ctx, s, file.ID, objstore.IfVersion(base)).Info
	equal(e, after.Attr.Mode, 0o600, "mode")
	equal(e, after.Attr.UID, 3, "owner")
	equal(e, after.Attr.GID, 4, "group")
	equal(e, after.ContentType, "text/css", "content type")
	equal(e, fmt.Sprint(after.UserMeta), "map[m:1]", "user metadata")
	equal(e, string(after.Xattrs["user.x"]), "y", "xattr")
	equal(e, after.Attr.Btime.Equal(file.Attr.Btime), true, "birth time stays")
	equal(e, attrText(e.head(ctx, "g")), attrText(after), "attributes in the flat store")
	if after.MetaVersion == before.MetaVersion || after.Attr.Mtime.Before(before.Attr.Mtime) || after.Modified.Before(before.Modified) {
		e.Failf("the commit did not move what it must: %+v after %+v", after, before)
	}
	e.wantContent(ctx, "g", "new")
}

func commitMayChangeAttributes(ctx context.Context, e *Env) {
	file := e.create(ctx, e.root(), "f", "old")
	s, base := e.edit(ctx, file.ID)
	defer s.Close()
	e.setAttr(ctx, file.ID, objstore.AttrChange{Mode: new(uint32(0o600)), UID: new(uint32(3))})
	when := time.Unix(99, 42)
	res, err := s.Commit(ctx, objstore.CommitRequest{
		Target: objstore.Target{ID: file.ID}, Cond: objstore.IfVersion(base),
		Change: objstore.AttrChange{Mode: new(uint32(0o700)), Mtime: &when, Xattrs: map[string][]byte{"user.x": []byte("y")}},
	})
	e.ok(err, "commit")
	equal(e, res.Info.Attr.Mode, 0o700, "mode the writer set")
	equal(e, res.Info.Attr.UID, 3, "owner another set")
	equal(e, res.Info.Attr.Mtime.UnixNano(), when.UnixNano(), "mtime the writer set")
	equal(e, string(res.Info.Xattrs["user.x"]), "y", "xattr the writer set")
	if res.Info.Modified.Before(file.Modified) {
		e.Failf("modified went back with mtime: %v after %v", res.Info.Modified, file.Modified)
	}
	equal(e, attrText(e.stat(ctx, file.ID)), attrText(res.Info), "attributes later")
}

func putKeepsPOSIXAttributes(ctx context.Context, e *Env) {
	file := e.create(ctx, e.root(), "f", "old")
	e.setAttr(ctx, file.ID, objstore.AttrChange{
		Mode: new(uint32(0o751)), UID: new(uint32(3)), GID: new(uint32(4)), ContentType: new("text/css"),
		UserMeta: map[string]string{"m": "1"}, Xattrs: map[string][]byte{"user.x": []byte("y")},
	})
	info, err := e.Store.Put(ctx, "f", strings.NewReader("new"), objstore.IfPresent(), objstore.PutOptions{
		ContentType: "text/html", UserMeta: map[string]string{"n": "2"}, Attr: &objstore.NewAttr{Mode: 0o100},
	})
	e.ok(err, "put")
	equal(e, info.ID, file.ID, "id")
	equal(e, info.Attr.Mode, 0o751, "mode")
	equal(e, info.Attr.UID, 3, "owner")
	equal(e, info.Attr.GID, 4, "group")
	equal(e, string(info.Xattrs["user.x"]), "y", "xattr")
	equal(e, info.ContentType, "text/html", "content type")
	equal(e, fmt.Sprint(info.UserMeta), "map[n:2]", "user metadata")
	equal(e, attrText(e.stat(ctx, file.ID)), attrText(info), "attributes in the namespace")
}

func newFilesGetTheirAttributes(ctx context.Context, e *Env) {
	info, err := e.Store.Put(ctx, "d/put", strings.NewReader(""), objstore.IfAbsent(), objstore.PutOptions{
		Attr: &objstore.NewAttr{Mode: 0o2640, UID: 5, GID: 6},
	})
	e.ok(err, "put")
	equal(e, fmt.Sprintf("%o %d %d", info.Attr.Mode, info.Attr.UID, info.Attr.GID), "2640 5 6", "attributes of a put")
	s := e.newStage(ctx, nil)
	defer s.Close()
	target := e.target(ctx, e.root(), "f")
	target.Attr = objstore.NewAttr{Mode: 0o4711, UID: 7, GID: 8}
	when := time.Unix(5, 0)
	res, err := s.Commit(ctx, objstore.CommitRequest{
		Target: target, Cond: objstore.IfAbsent(), Change: objstore.AttrChange{Mtime: &when, Xattrs: map[string][]byte{"user.a": []byte("b")}},
	})
	e.ok(err, "commit")
	info = e.lookup(ctx, e.root(), "f")
	equal(e, attrText(info), attrText(res.Info), "attributes looked up and told")
	equal(e, fmt.Sprintf("%o %d %d", info.Attr.Mode, info.Attr.UID, info.Attr.GID), "4711 7 8", "attributes of a commit")
	equal(e, info.Attr.Mtime.Equal(when), true, "mtime of a commit")
	equal(e, string(info.Xattrs["user.a"]), "b", "xattr of a commit")
	equal(e, info.ID, target.ID, "id")
	equal(e, info.Nlink, 1, "links")
}

func readingMovesNothingButAtime(ctx context.Context, e *Env) {
	var told []objstore.Change
	file := e.create(ctx, e.root(), "f", "1")
	stage, _ := e.edit(ctx, file.ID)
	defer stage.Close()
	stop := e.ns().Watch(func(c objstore.Change) { told = append(told, c) })
	was, read := file.Attr.Atime, file.Attr.Atime.Add(time.Hour)
	got := e.setAttr(ctx, file.ID, objstore.AttrChange{Atime: &read, AtimeWas: &was})
	want := file
	want.Attr.Atime = read
	equal(e, attrText(got), attrText(want), "attributes of a file that was read")
	equal(e, got.Attr.Ctime.UnixNano(), file.Attr.Ctime.UnixNano(), "ctime")
	equal(e, got.ETag, file.ETag, "ETag")
	later := read.Add(time.Hour)
	got = e.setAttr(ctx, file.ID, objstore.AttrChange{Atime: &later, AtimeWas: &was})
	equal(e, attrText(got), attrText(want), "attributes whose atime is another than it was")
	equal(e, attrText(e.stat(ctx, file.ID)), attrText(want), "attributes later")
	stop()
	equal(e, fmt.Sprint(told), fmt.Sprint([]objstore.Change{{Kind: objstore.ChangeAttr, Object: file.ID, Accessed: true}}), "what was told")
	e.write(ctx, stage, "2", 0)
	e.commit(ctx, stage, file.ID, objstore.IfVersion(file.Version))
}

func timesMove(ctx context.Context, e *Env) {
	past := time.Unix(1000, 0)
	file := e.create(ctx, e.root(), "f", "1")
	if file.Attr.Atime.IsZero() || file.Attr.Mtime.IsZero() || file.Attr.Ctime.IsZero() || file.Attr.Btime.IsZero() {
		e.Failf("a time is missing: %+v", file.Attr)
	}
	e.setAttr(ctx, file.ID, objstore.AttrChange{Mtime: &past, Atime: &past})
	info := e.overwrite(ctx, file.ID, "2")
	if !info.Attr.Mtime.After(past) || !info.Attr.Atime.Equal(past) {
		e.Failf("after a commit: %+v", info.Attr)
	}
	e.setAttr(ctx, file.ID, objstore.AttrChange{Mtime: &past})
	if info = e.put(ctx, "f", "3"); !info.Attr.Mtime.After(past) {
		e.Failf("after a put: %+v", info.Attr)
	}
	e.setAttr(ctx, file.ID, objstore.AttrChange{Mtime: &past})
	moved := e.rename(ctx, e.root(), "f", e.root(), "g").Moved
	if !moved.Attr.Mtime.Equal(past) || moved.Attr.Ctime.Before(info.Attr.Ctime) {
		e.Failf("after a rename: %+v", moved.Attr)
	}
}

// modifiedNeverGoesBack: whatever happens to a key, S3's Last-Modified does not move back.
func modifiedNeverGoesBack(ctx context.Context, e *Env) {
	var last time.Time
	check := func(what string) {
		now := e.head(ctx, "k").Modified
		if now.Before(last) {
			e.Failf("%s: modified went back from %v to %v", what, last, now)
		}
		last = now
	}
	e.put(ctx, "older", "x")
	e.put(ctx, "k", "1")
	check("put")
	for range 10 {
		e.put(ctx, "k", "1")
		check("put")
	}
	if e.isNamespace() {
		past := time.Unix(1000, 0)
		e.setAttr(ctx, e.head(ctx, "k").ID, objstore.AttrChange{Mtime: &past})
		check("set mtime")
	}
	if !e.Store.Capabilities().RenameFile {
		return
	}
	_, err := e.Store.Rename(ctx, objstore.RenameRequest{Src: "older", SrcCond: objstore.IfPresent(), Dst: "k", DstCond: objstore.Unconditional()})
	e.ok(err, "rename")
	check("rename of something older over it")
	if e.isNamespace() {
		e.put(ctx, "older", "x")
		e.put(ctx, "k", "1")
		check("put")
		e.rename(ctx, e.root(), "older", e.root(), "k")
		check("rename in the namespace")
	}
}

// infosAreCopies: nothing handed in or out is shared with the store.
func infosAreCopies(ctx context.Context, e *Env) {
	value := []byte("abc")
	xattrs := map[string][]byte{"user.x": value}
	meta := map[string]string{"a": "1"}
	file := e.create(ctx, e.root(), "f", "x")
	e.setAttr(ctx, file.ID, objstore.AttrChange{Xattrs: xattrs, UserMeta: meta})
	value[0], meta["a"] = 'X', "X"
	xattrs["user.y"] = nil
	before := attrText(e.stat(ctx, file.ID))
	if !strings.Contains(before, "abc") || strings.Contains(before, "X") || strings.Contains(before, "user.y") {
		e.Failf("the store shares what it was given: %s", before)
	}
	old := e.stat(ctx, file.ID)
	e.setAttr(ctx, file.ID, objstore.AttrChange{Xattrs: map[string][]byte{"user.x": []byte("new")}, UserMeta: map[string]string{"b": "2"}})
	equal(e, attrText(old), before, "an info handed out before a change")
	p := []byte("shared")
	s := e.newStage(ctx, nil)
	defer s.Close()
	_, err := s.WriteAt(ctx, p, 0)
	e.ok(err, "write")
	copy(p, "broken")
	e.commit(ctx, s, file.ID, objstore.IfPresent())
	e.wantContent(ctx, "f", "shared")
}
