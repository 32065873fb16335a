package flatns_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/flatns"
)

func wantKind(t *testing.T, err error, kind objstore.Kind, what string) {
	t.Helper()
	if objstore.KindOf(err) != kind {
		t.Errorf("%s: %v, not %q", what, err, kind.Error())
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestStoreWithoutConditionsIsRefused(t *testing.T) {
	for name, without := range map[string]func(*objstore.Capabilities){
		"no If-Match": func(c *objstore.Capabilities) {
			c.Put = objstore.CondsOf(objstore.Unconditional(), objstore.IfAbsent())
		},
		"no If-None-Match": func(c *objstore.Capabilities) {
			c.Put = objstore.CondsOf(objstore.Unconditional(), objstore.IfVersion("1"))
		},
	} {
		w := newWorld(t, without, nil)
		_, err := flatns.New(flatns.Config{Store: w.store})
		wantKind(t, err, objstore.ErrUnsupported, name)
		_, err = flatns.New(flatns.Config{Store: w.store, ReadOnly: true})
		must(t, err)
	}
}

func TestAttributesAreThoseOfS3FS(t *testing.T) {
	ctx := t.Context()
	w := newWorld(t, nil, nil)
	m := w.mount()
	_, err := m.create(ctx, m.root, "f", "x")
	must(t, err)
	_, err = m.Make(ctx, objstore.MakeRequest{Parent: m.root, Name: "l", Type: objstore.TypeSymlink, Target: "to/there"})
	must(t, err)
	_, err = m.mkdir(ctx, m.root, "d")
	must(t, err)
	for key, want := range map[objstore.Key][3]string{
		"f": {"33184", "7", "8"}, "l": {"40960", "0", "0"}, "d/": {"16877", "0", "0"},
	} {
		info, err := w.store.Head(ctx, key)
		must(t, err)
		got := [3]string{info.UserMeta["mode"], info.UserMeta["uid"], info.UserMeta["gid"]}
		if got != want {
			t.Errorf("%s: mode, uid, gid %v instead of %v", key, got, want)
		}
	}
	must(t, w.is(ctx, "l", "to/there"))
	// What s3fs has written is read.
	must(t, w.put(ctx, "theirs", "target", map[string]string{"mode": "41471", "uid": "5", "gid": "6", "mtime": "12.000000034"}))
	info, err := m.Lookup(ctx, m.root, "theirs")
	must(t, err)
	if info.Type != objstore.TypeSymlink || info.Attr.Mode != 0o777 || info.Attr.UID != 5 || info.Attr.GID != 6 ||
		info.Attr.Mtime.Unix() != 12 || info.Attr.Mtime.Nanosecond() != 34 {
		t.Errorf("a link of s3fs: %+v", info)
	}
	target, err := m.Readlink(ctx, info.ID)
	must(t, err)
	if target != "target" {
		t.Errorf("target %q", target)
	}
}

func TestWhatAFlatStoreCannotIsUnsupported(t *testing.T) {
	ctx := t.Context()
	m := newWorld(t, nil, nil).mount()
	f, err := m.create(ctx, m.root, "f", "x")
	must(t, err)
	_, err = m.create(ctx, m.root, "g", "x")
	must(t, err)
	_, err = m.Link(ctx, f.ID, m.root, "l", objstore.Visible)
	wantKind(t, err, objstore.ErrUnsupported, "link")
	for _, typ := range []objstore.FileType{objstore.TypeFifo, objstore.TypeSocket, objstore.TypeCharDevice, objstore.TypeBlockDevice} {
		_, err = m.Make(ctx, objstore.MakeRequest{Parent: m.root, Name: "s", Type: typ})
		wantKind(t, err, objstore.ErrUnsupported, fmt.Sprintf("special file %d", typ))
	}
	_, err = m.Move(ctx, objstore.MoveRequest{
		Parent: m.root, Name: "f", Cond: objstore.Unconditional(), NewParent: m.root, NewName: "g", NewCond: objstore.Unconditional(),
		Mode: objstore.RenameExchange,
	})
	wantKind(t, err, objstore.ErrUnsupported, "exchange")
	caps := m.Capabilities()
	if caps.HardLinks || caps.PartialCommit || caps.Watch || !caps.Attributes {
		t.Errorf("capabilities %+v", caps)
	}
	if caps := newWorld(t, plain, nil).mount().Capabilities(); caps.RenameFile || caps.RenameDir {
		t.Errorf("a copy is no atomic rename: %+v", caps)
	}
}

// TestUnknownIsNotAbsent: as long as one of the two questions a name takes is not answered, nobody is told that
// there is nothing.
func TestUnknownIsNotAbsent(t *testing.T) {
	ctx := t.Context()
	w := newWorld(t, nil, nil)
	must(t, w.put(ctx, "d/x", "", nil))
	down := &objstore.Error{Op: "ask", Kind: objstore.ErrUnavailable}
	for name, broken := range map[string]hooked{
		"head": {head: func(objstore.Key) error { return down }},
		"list": {list: func(objstore.ListOptions) error { return down }},
	} {
		m := w.mount(func(s objstore.Store) objstore.Store {
			broken.Store = s
			return broken
		})
		_, err := m.Lookup(ctx, m.root, "none")
		wantKind(t, err, objstore.ErrUnavailable, name+": lookup")
		_, _, err = m.ReadDir(ctx, m.root, "", 10)
		wantKind(t, err, objstore.ErrUnavailable, name+": readdir")
		_, err = m.mkdir(ctx, m.root, "new")
		wantKind(t, err, objstore.ErrUnavailable, name+": mkdir")
		_, err = m.Unlink(ctx, m.root, "none", objstore.Unconditional(), objstore.Visible)
		wantKind(t, err, objstore.ErrUnavailable, name+": unlink")
	}
}

// TestEveryWriteIsConditional: nothing is decided by a look that came before.
func TestEveryWriteIsConditional(t *testing.T) {
	ctx := t.Context()
	var blind []string
	watch := func(s objstore.Store) objstore.Store {
		return hooked{
			Store: s,
			put: func(key objstore.Key, c objstore.Cond) (objstore.Cond, error) {
				if c.IsUnconditional() {
					blind = append(blind, "put "+string(key))
				}
				return c, nil
			},
			copy: func(req *objstore.CopyRequest) error {
				if req.DstCond.IsUnconditional() || req.SrcCond.IsUnconditional() {
					blind = append(blind, "copy "+string(req.Dst))
				}
				return nil
			},
			delete: func(key objstore.Key, c objstore.Cond) (objstore.Cond, error) {
				if c.IsUnconditional() {
					blind = append(blind, "delete "+string(key))
				}
				return c, nil
			},
		}
	}
	m := newWorld(t, plain, nil).mount(watch)
	d, err := m.mkdir(ctx, m.root, "d")
	must(t, err)
	_, err = m.create(ctx, d.ID, "inside", "x")
	must(t, err)
	_, err = m.create(ctx, m.root, "f", "x")
	must(t, err)
	must(t, m.chmod(ctx, "f", 0o600))
	must(t, m.chmod(ctx, "d", 0o700))
	wr, err := m.open(ctx, "f")
	must(t, err)
	_, err = wr.close(ctx, "y")
	must(t, err)
	must(t, m.rename(ctx, "f", "g"))
	must(t, m.rename(ctx, "d", "e"))
	_, err = m.Unlink(ctx, m.root, "g", objstore.Unconditional(), objstore.Visible)
	must(t, err)
	if len(blind) > 0 {
		t.Errorf("without a condition: %q", blind)
	}
}

// TestReadersNeverMix is promise C2 for a store without pins.
func TestReadersNeverMix(t *testing.T) {
	ctx := t.Context()
	w := newWorld(t, nil, func(s objstore.Store) objstore.Store { return unpinned{s} })
	m := w.mount()
	_, err := m.create(ctx, m.root, "f", "one")
	must(t, err)
	info, err := m.Lookup(ctx, m.root, "f")
	must(t, err)
	r, err := m.Open(ctx, info.ID, "")
	must(t, err)
	defer r.Close()
	must(t, w.mount().chmod(ctx, "f", 0o600)) // another version of the same bytes
	p := make([]byte, 3)
	if _, err := r.ReadAt(ctx, p, 0); err != nil && err != io.EOF || string(p) != "one" {
		t.Errorf("after a change of mode: %q, %v", p, err)
	}
	body, err := io.ReadAll(r.Stream(ctx, 0, -1))
	if err != nil || string(body) != "one" {
		t.Errorf("stream after a change of mode: %q, %v", body, err)
	}
	must(t, w.put(ctx, "f", "two", nil))
	_, err = r.ReadAt(ctx, p, 0)
	wantKind(t, err, objstore.ErrPrecondition, "read after a put")
	_, err = io.ReadAll(r.Stream(ctx, 0, -1))
	wantKind(t, err, objstore.ErrPrecondition, "stream after a put")
	must(t, w.store.Delete(ctx, "f", objstore.Unconditional(), objstore.DeleteOptions{}))
	_, err = r.ReadAt(ctx, p, 0)
	wantKind(t, err, objstore.ErrNotFound, "read after a delete")
}

// TestRenameOfADirectoryGoesOn: wherever a rename by copies breaks off, every file is somewhere, and the same rename
// ends it.
func TestRenameOfADirectoryGoesOn(t *testing.T) {
	ctx := t.Context()
	for broken := 1; ; broken++ {
		w := newWorld(t, plain, nil)
		setup := w.mount()
		d, err := setup.mkdir(ctx, setup.root, "src")
		must(t, err)
		const files = 3
		for i := range files {
			_, err := setup.create(ctx, d.ID, fmt.Sprintf("f%d", i), fmt.Sprint(i))
			must(t, err)
		}
		calls, down := 0, errors.New("down")
		fail := func() error {
			if calls++; calls == broken {
				return &objstore.Error{Op: "write", Kind: objstore.ErrUnavailable, Err: down}
			}
			return nil
		}
		m := w.mount(func(s objstore.Store) objstore.Store {
			return hooked{
				Store:  s,
				put:    func(_ objstore.Key, c objstore.Cond) (objstore.Cond, error) { return c, fail() },
				copy:   func(*objstore.CopyRequest) error { return fail() },
				delete: func(_ objstore.Key, c objstore.Cond) (objstore.Cond, error) { return c, fail() },
			}
		})
		err = m.rename(ctx, "src", "dst")
		if calls < broken {
			must(t, err)
			if broken < 2*files {
				t.Errorf("only %d writes", calls)
			}
			return
		}
		if !errors.Is(err, down) {
			t.Fatalf("write %d: rename got %v", broken, err)
		}
		for i := range files {
			if w.is(ctx, objstore.Key(fmt.Sprintf("src/f%d", i)), fmt.Sprint(i)) != nil &&
				w.is(ctx, objstore.Key(fmt.Sprintf("dst/f%d", i)), fmt.Sprint(i)) != nil {
				t.Errorf("write %d: file %d is nowhere", broken, i)
			}
		}
		again := w.mount()
		if err := again.rename(ctx, "src", "dst"); err != nil && !errors.Is(err, objstore.ErrNotFound) {
			t.Fatalf("write %d: the second rename got %v", broken, err)
		}
		for i := range files {
			must(t, w.is(ctx, objstore.Key(fmt.Sprintf("dst/f%d", i)), fmt.Sprint(i)))
		}
		_, err = again.Lookup(ctx, again.root, "src")
		wantKind(t, err, objstore.ErrNotFound, fmt.Sprintf("write %d: the old name", broken))
		_, err = again.create(ctx, again.root, "src", "a file now")
		must(t, err)
	}
}

// TestRenameDoesNotMerge: a directory that is not the rest of an interrupted rename is not empty.
func TestRenameDoesNotMerge(t *testing.T) {
	ctx := t.Context()
	w := newWorld(t, plain, nil)
	m := w.mount()
	for _, key := range []objstore.Key{"a/x", "b/y"} {
		must(t, w.put(ctx, key, "", nil))
	}
	wantKind(t, m.rename(ctx, "a", "b"), objstore.ErrNotEmpty, "rename over a full directory")
	must(t, m.rename(ctx, "a", "c"))
	must(t, w.put(ctx, "a/z", "", nil)) // the same name again
	wantKind(t, m.rename(ctx, "a", "c"), objstore.ErrNotEmpty, "the same rename later")
}

func TestIDsSurviveRenamesOfThisMount(t *testing.T) {
	ctx := t.Context()
	w := newWorld(t, plain, nil)
	m := w.mount()
	d, err := m.mkdir(ctx, m.root, "d")
	must(t, err)
	f, err := m.create(ctx, d.ID, "f", "x")
	must(t, err)
	must(t, m.rename(ctx, "d", "e"))
	e, err := m.Lookup(ctx, m.root, "e")
	must(t, err)
	g, err := m.Lookup(ctx, e.ID, "f")
	must(t, err)
	if e.ID != d.ID || g.ID != f.ID || g.Version != f.Version {
		t.Errorf("directory %d, file %d, version %s became %d, %d, %s", d.ID, f.ID, f.Version, e.ID, g.ID, g.Version)
	}
}

// TestLookupsDuringAChangeLoseNoID: what a lookup is answered while this mount makes or renames something, but has not
// noted that yet, is not taken for the doing of others.
func TestLookupsDuringAChangeLoseNoID(t *testing.T) {
	ctx := t.Context()
	for what, f := range map[string]func(m *mounted) (was, is objstore.ID, err error){
		"create": func(m *mounted) (objstore.ID, objstore.ID, error) {
			made, err := m.create(ctx, m.root, "f", "x")
			if err != nil {
				return 0, 0, err
			}
			found, err := m.Lookup(ctx, m.root, "f")
			return made.ID, found.ID, err
		},
		"rename of a file": func(m *mounted) (objstore.ID, objstore.ID, error) {
			made, err := m.create(ctx, m.root, "f", "x")
			if err != nil {
				return 0, 0, err
			}
			if err := m.rename(ctx, "f", "g"); err != nil {
				return 0, 0, err
			}
			found, err := m.Lookup(ctx, m.root, "g")
			return made.ID, found.ID, err
		},
		"rename of a directory": func(m *mounted) (objstore.ID, objstore.ID, error) {
			made, err := m.mkdir(ctx, m.root, "f")
			if err != nil {
				return 0, 0, err
			}
			if err := m.rename(ctx, "f", "g"); err != nil {
				return 0, 0, err
			}
			found, err := m.Lookup(ctx, m.root, "g")
			return made.ID, found.ID, err
		},
	} {
		in := &intruder{answered: make(chan struct{}, 1000)}
		m := newWorld(t, nil, nil).mount(func(s objstore.Store) objstore.Store {
			in.Store = s
			return in
		})
		in.lookup = func(name string) { m.Lookup(ctx, m.root, name) }
		was, is, err := f(m)
		in.looks.Wait()
		must(t, err)
		if was != is {
			t.Errorf("%s: id %d became %d", what, was, is)
		}
	}
}

// intruder is a store that has names looked up after each put and rename, and waits until those are answered.
type intruder struct {
	objstore.Store
	lookup   func(name string)
	looks    sync.WaitGroup
	answered chan struct{}
}

func (in *intruder) intrude() {
	for _, name := range []string{"f", "g"} {
		for len(in.answered) > 0 {
			<-in.answered
		}
		in.looks.Go(func() { in.lookup(name) })
		<-in.answered
		<-in.answered
	}
}

func (in *intruder) Head(ctx context.Context, key objstore.Key) (objstore.Info, error) {
	info, err := in.Store.Head(ctx, key)
	in.answered <- struct{}{}
	return info, err
}

func (in *intruder) List(ctx context.Context, opt objstore.ListOptions) (objstore.ListPage, error) {
	page, err := in.Store.List(ctx, opt)
	in.answered <- struct{}{}
	return page, err
}

func (in *intruder) Put(ctx context.Context, key objstore.Key, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	info, err := in.Store.Put(ctx, key, body, cond, opt)
	in.intrude()
	return info, err
}

func (in *intruder) Rename(ctx context.Context, req objstore.RenameRequest) (objstore.Info, error) {
	info, err := in.Store.Rename(ctx, req)
	in.intrude()
	return info, err
}
