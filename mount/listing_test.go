package mount

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/etagfs/etagfs/fs"
	"github.com/etagfs/etagfs/objstore"
)

// keeper is how Linux keeps the listing of one directory. A request and what becomes of its reply are separate steps, so that anything
// may happen between them.
type keeper struct {
	bridge *bridge

	mu sync.Mutex
	// Guarded by mu: the listing as far as it is kept, and whether that is all and its pages are there.
	entries  []fuse.DirEntry
	whole    bool
	dropped  bool
	version  int // of the directory, when it was begun
	versions int // of the directory, by the kernel's own changes

	// exact: what is kept fills its pages exactly. A place that is not in it is taken for its end then.
	exact bool
}

// InodeNotify implements notifications.
func (k *keeper) InodeNotify(_ uint64, off, _ int64) fuse.Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.dropped = k.dropped || off >= 0
	return fuse.OK
}

// EntryNotify implements notifications.
func (k *keeper) EntryNotify(uint64, string) fuse.Status { return fuse.OK }

// PruneNotify implements notifications.
func (k *keeper) PruneNotify([]uint64) fuse.Status { return fuse.OK }

// end is the cookie behind what is kept.
func (k *keeper) end() uint64 {
	if len(k.entries) == 0 {
		return 0
	}
	return k.entries[len(k.entries)-1].Off
}

// reset forgets what is kept.
func (k *keeper) reset() { k.entries, k.whole, k.dropped = nil, false, false }

// lister is an open directory, and a walk through it.
type lister struct {
	keeper *keeper
	fh     uint64
	flags  uint32
	opened bool // the reply to the open was taken in

	position uint64
	asked    bool            // a reply is on its way
	reply    []fuse.DirEntry // this one

	walking    bool
	listed     map[string]int
	throughout map[string]bool // names that have been there since the walk began, or the open
	ever       map[string]bool // at any time since
}

func (k *keeper) open(t *testing.T) *lister {
	t.Helper()
	out := fuse.OpenOut{}
	if status := k.bridge.OpenDir(nil, &fuse.OpenIn{InHeader: header(fuse.FUSE_ROOT_ID, 1)}, &out); !status.Ok() {
		t.Fatal("opendir:", status)
	}
	return &lister{keeper: k, fh: out.Fh, flags: out.OpenFlags}
}

// takeOpen takes in the reply to the open.
func (l *lister) takeOpen() {
	l.keeper.mu.Lock()
	defer l.keeper.mu.Unlock()
	l.opened = true
	if l.flags&fuse.FOPEN_KEEP_CACHE == 0 {
		l.keeper.dropped = true
	}
}

func (l *lister) close() {
	l.keeper.bridge.ReleaseDir(&fuse.ReleaseIn{InHeader: header(fuse.FUSE_ROOT_ID, 1), Fh: l.fh})
}

// kept lists at most so many entries of what is kept. It reports whether that answers the walk.
func (l *lister) kept(most int) bool {
	k := l.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.whole && (k.dropped || l.position == 0 && k.version != k.versions) {
		k.reset()
	}
	if !k.whole {
		if l.position == 0 && len(k.entries) == 0 {
			k.version = k.versions
		}
		return false
	}
	at := uint64(0)
	for i, e := range k.entries {
		if at == l.position {
			l.show(k.entries[i:min(i+most, len(k.entries))])
			return true
		}
		at = e.Off
	}
	l.walking = l.position != k.end() && !k.exact
	return !l.walking
}

// ask asks for entries.
func (l *lister) ask(t *testing.T) {
	t.Helper()
	const replyBytes = 120
	out := fuse.NewDirEntryList(make([]byte, replyBytes), l.position)
	in := fuse.ReadIn{InHeader: header(fuse.FUSE_ROOT_ID, 1), Fh: l.fh, Offset: l.position, Size: replyBytes}
	if status := l.keeper.bridge.ReadDir(nil, &in, out); !status.Ok() {
		t.Fatal("readdir:", status)
	}
	reply, err := fuse.ParseDirEntries(out.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	l.asked, l.reply = true, reply
}

// take takes in the reply, of which the reader has room for so many entries.
func (l *lister) take(most int) {
	k := l.keeper
	k.mu.Lock()
	defer k.mu.Unlock()
	l.asked = false
	keeps := l.flags&fuse.FOPEN_CACHE_DIR != 0
	if len(l.reply) == 0 {
		l.walking = false
		k.whole = k.whole || keeps && k.end() == l.position
	}
	for i, e := range l.reply {
		if keeps && !k.whole && k.end() == l.position && (len(k.entries) == 0 || !k.dropped) {
			k.dropped = false
			k.entries = append(k.entries, e)
		}
		if i == most {
			return
		}
		l.show(l.reply[i : i+1])
	}
}

func (l *lister) show(entries []fuse.DirEntry) {
	for _, e := range entries {
		l.listed[e.Name]++
		l.position = e.Off
	}
}

// listingWorld is a directory that is listed and changed.
type listingWorld struct {
	*keeper
	t       *testing.T
	random  *rand.Rand
	fs      *fs.FS
	store   objstore.Namespace
	names   map[string]bool
	writing map[string]*fs.Handle
	listers []*lister
	most    int // opens at a time
	changes int // of sixty steps, about
	ends    int // walks that came to their end
	unasked int // getdents that what is kept answered
}

// step does one thing.
func (w *listingWorld) step() {
	switch n := w.random.IntN(20); {
	case n < w.changes && w.random.IntN(3) == 0:
		w.change()
	case n < 5 && len(w.listers) < w.most:
		l := w.open(w.t)
		l.throughout, l.ever = maps.Clone(w.names), maps.Clone(w.names)
		w.listers = append(w.listers, l)
	case len(w.listers) > 0:
		w.list(w.random.IntN(len(w.listers)))
	}
}

// list goes on with an open directory.
func (w *listingWorld) list(i int) {
	l, most := w.listers[i], 1+w.random.IntN(6)
	switch {
	case !l.opened:
		l.takeOpen()
	case l.asked:
		l.take(most)
	case !l.walking && l.listed != nil && w.random.IntN(4) > 0:
		l.close()
		w.listers = append(w.listers[:i], w.listers[i+1:]...)
		return
	default:
		if !l.walking {
			w.begin(l)
		}
		if l.flags&fuse.FOPEN_CACHE_DIR != 0 && l.kept(most) {
			w.unasked++
		} else {
			l.walking = true
			l.ask(w.t)
		}
	}
	if !l.walking && l.listed != nil && !l.asked {
		w.check(l)
	}
}

// begin begins a walk. With more than two opens, a walk that is not the first of its open may show what has been since that: it takes a
// reply from before a change, not yet taken in, and another one like it, while a third reader comes to an end and begins again.
func (w *listingWorld) begin(l *lister) {
	if l.listed == nil || w.most <= 2 {
		l.throughout, l.ever = maps.Clone(w.names), maps.Clone(w.names)
	}
	l.walking, l.position, l.listed = true, 0, make(map[string]int)
}

// check looks at a walk that came to its end.
func (w *listingWorld) check(l *lister) {
	w.ends++
	for name := range l.throughout {
		if l.listed[name] != 1 {
			w.t.Fatalf("%s was there throughout and is listed %d times", name, l.listed[name])
		}
	}
	for name, times := range l.listed {
		if name != "." && name != ".." && (!l.ever[name] || times > 1) {
			w.t.Fatalf("%s is listed %d times, has it been there: %v", name, times, l.ever[name])
		}
	}
}

// came and went note what is changed, before and after it is.
func (w *listingWorld) came(name string) {
	for _, l := range w.listers {
		l.ever[name] = true
	}
	w.names[name] = true
}

func (w *listingWorld) went(name string) {
	for _, l := range w.listers {
		delete(l.throughout, name)
	}
	delete(w.names, name)
}

func (w *listingWorld) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// change changes a name, by the kernel or by others.
func (w *listingWorld) change() {
	ctx, root, name := context.Background(), w.fs.Root(), fmt.Sprint("n", w.random.IntN(12))
	c, byOthers := fs.Caller{Thread: 1}, w.random.IntN(2) == 0
	h := w.writing[name]
	switch {
	case h != nil && w.random.IntN(2) == 0:
		delete(w.writing, name)
		w.must(h.Flush(ctx, c))
		h.Release(ctx)
		return // of which the kernel does not notice anything
	case !w.names[name] && byOthers:
		w.came(name)
		_, err := w.store.Make(ctx, objstore.MakeRequest{Parent: root, Name: name, Type: objstore.TypeDir})
		w.must(err)
	case !w.names[name]:
		w.came(name)
		h, _, err := w.fs.Create(ctx, c, root, name, fs.OpenMode{Write: true}, 0o644)
		w.must(err)
		w.writing[name] = h
	case w.random.IntN(2) == 0:
		w.move(ctx, c, name, fmt.Sprint("n", w.random.IntN(12)), byOthers)
	default:
		w.remove(ctx, c, name, byOthers)
	}
	if byOthers {
		w.must(w.fs.Told(ctx))
	} else {
		w.mu.Lock()
		w.versions++
		w.mu.Unlock()
	}
}

// move renames what has a name, unless there is something in its place.
func (w *listingWorld) move(ctx context.Context, c fs.Caller, from, to string, byOthers bool) {
	root := w.fs.Root()
	if w.names[to] || byOthers && w.writing[from] != nil {
		return
	}
	w.came(to)
	if byOthers {
		_, err := w.store.Move(ctx, objstore.MoveRequest{
			Parent: root, Name: from, Cond: objstore.Unconditional(), NewParent: root, NewName: to, NewCond: objstore.IfAbsent(), Mode: objstore.RenameNoReplace,
		})
		w.must(err)
	} else {
		w.must(w.fs.Rename(ctx, c, root, from, root, to, objstore.RenameNoReplace))
	}
	w.went(from)
	if h := w.writing[from]; h != nil {
		delete(w.writing, from)
		w.writing[to] = h
	}
}

func (w *listingWorld) remove(ctx context.Context, c fs.Caller, name string, byOthers bool) {
	root := w.fs.Root()
	if byOthers && w.writing[name] != nil {
		return
	}
	e, err := w.fs.Lookup(ctx, c, root, name)
	w.must(err)
	switch directory := e.Attr.Type == objstore.TypeDir; {
	case byOthers && directory:
		_, err = w.store.Rmdir(ctx, root, name, objstore.Visible)
	case byOthers:
		_, err = w.store.Unlink(ctx, root, name, objstore.Unconditional(), objstore.Visible)
	case directory:
		err = w.fs.Rmdir(ctx, c, root, name)
	default:
		err = w.fs.Unlink(ctx, c, root, name)
	}
	w.must(err)
	w.went(name)
	if h := w.writing[name]; h != nil {
		delete(w.writing, name)
		h.Release(ctx)
	}
}

// C5: whatever is changed while a directory is listed, by the kernel that keeps the listing or by others, and however late replies are
// taken in: a walk lists what was there throughout once, and nothing that went before it began.
func TestC5KeptListingsAreWhatThereIs(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	var ends, unasked int
	for round := range uint64(200) {
		k := newKernel(t)
		w := &listingWorld{
			keeper: &keeper{bridge: k.bridge, exact: round%2 == 0}, t: t, random: rand.New(rand.NewPCG(seed, round)), fs: k.bridge.fs, store: k.store,
			names: make(map[string]bool), writing: make(map[string]*fs.Handle),
			changes: 1 + int(round%5), most: 2 + int(round%3),
		}
		k.bridge.notifier.connect(w.keeper)
		for range 500 {
			w.step()
		}
		for _, h := range w.writing {
			w.must(h.Flush(context.Background(), fs.Caller{Thread: 1}))
			h.Release(context.Background())
		}
		ends, unasked = ends+w.ends, unasked+w.unasked
	}
	if ends < 1000 || unasked < 200 {
		t.Errorf("%d walks came to their end, and %d times nothing was asked", ends, unasked)
	}
}

// walk lists all of the root with an open of its own, and reports whether what is listed may be kept, or was.
func (k *keeper) walk(t *testing.T) (keeps bool) {
	t.Helper()
	l := k.open(t)
	defer l.close()
	l.takeOpen()
	l.walking, l.listed = true, make(map[string]int)
	for l.walking {
		l.ask(t)
		l.take(len(l.reply))
	}
	return l.flags&fuse.FOPEN_CACHE_DIR != 0
}

// A listing that is kept tells nothing of files: once the kernel has forgotten many of them, it lists them anew and is told of all together,
// instead of asking for each.
func TestKeptListingIsNotUsedForForgottenFiles(t *testing.T) {
	k := newKernel(t)
	keeper := &keeper{bridge: k.bridge}
	files := make(map[name]uint64)
	for i := range 20 {
		base := fmt.Sprint("f", i)
		k.put(base, "")
		out, errno := k.lookup(1, base)
		k.must(errno)
		files[name{fuse.FUSE_ROOT_ID, base}] = out.NodeId
	}
	k.must(syscall.Errno(k.bridge.status("told", k.bridge.fs.Told(context.Background()))))
	for i, want := range []bool{true, true, false, true} {
		if got := keeper.walk(t); got != want {
			t.Errorf("the listing of walk %d may be kept: %v, want %v", i, got, want)
		}
		for at, node := range files {
			if i == 0 { // used by nobody, but believed
				k.drop(node)
			} else {
				k.believe(at, 0)
			}
		}
	}
}
