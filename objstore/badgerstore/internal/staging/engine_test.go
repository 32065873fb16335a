package staging

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/blob"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
	"github.com/etagfs/etagfs/objstore/blockhash"
)

var seedFlag = flag.Uint64("seed", 0, "run the random tests with this seed only")

func seeds(n uint64) []uint64 {
	if *seedFlag != 0 {
		return []uint64{*seedFlag}
	}
	var all []uint64
	for s := uint64(1); s <= n; s++ {
		all = append(all, s)
	}
	return all
}

const testInlineBytes = 16 << 10

// freeSpace admits everything, or fails.
type freeSpace struct {
	reserved int64
	err      error
}

func (f *freeSpace) Reserve(n int64) error {
	if f.err == nil {
		f.reserved += n
	}
	return f.err
}
func (f *freeSpace) ReserveEssential(n int64) error {
	f.reserved += n
	return nil
}
func (f *freeSpace) Release(n int64) { f.reserved -= n }

// engine is the least that commits a stage: payloads, pages, blobs, no records.
type engine struct {
	t       testing.TB
	fs      disk.FS
	dir     string
	space   *freeSpace
	openMax int    // of the session
	other   *Stage // of crowd
	session *Session
	blobs   *blob.Store
	lastID  uint64
	inline  map[uint64][]byte
	pages   map[extent.PageID]*extent.Page
}

func newEngine(t testing.TB) *engine { return newEngineOn(t, disk.OS{}, t.TempDir()) }

func newEngineOn(t testing.TB, fs disk.FS, dir string) *engine { return newEngineOf(t, fs, dir, 0) }

// newEngineOf has openMax descriptors for the files of stages.
func newEngineOf(t testing.TB, fs disk.FS, dir string, openMax int) *engine {
	t.Helper()
	e := &engine{
		t: t, fs: fs, dir: dir, openMax: openMax, space: new(freeSpace),
		inline: make(map[uint64][]byte), pages: make(map[extent.PageID]*extent.Page),
	}
	var err error
	if e.blobs, err = blob.Open(fs, filepath.Join(dir, "blobs"), blob.Options{}); err != nil {
		t.Fatal(err)
	}
	e.openSession()
	t.Cleanup(func() {
		if !t.Failed() { // else a seal may be without an outcome, for which Close would wait
			e.session.Close()
		}
		e.blobs.Close()
	})
	return e
}

func (e *engine) openSession() {
	e.t.Helper()
	var err error
	e.session, err = OpenSession(e.fs, filepath.Join(e.dir, "staging"), Options{
		InlineBytes: testInlineBytes, NewID: e.id, Space: e.space, OpenMax: e.openMax,
	})
	if err != nil {
		e.t.Fatal(err)
	}
	e.session.checks = true
}

// crowd uses the file of another stage, so that where there is one descriptor no other file has it.
func (e *engine) crowd() {
	if e.openMax != 1 {
		return
	}
	if e.other == nil {
		e.other = e.session.NewStage(objstore.Owner{}, nil)
	}
	_, _ = e.other.WriteAt(context.Background(), filled(testInlineBytes+1, 'x'), 0) // the disk may fail
}

// crash forgets the session as the death of the process does, and opens another.
func (e *engine) crash() {
	e.t.Helper()
	if e.other != nil {
		if err := e.other.Close(); err != nil {
			e.t.Fatal(err)
		}
		e.other = nil
	}
	e.session.lock.Close()
	e.openSession()
}

func (e *engine) id() uint64 {
	e.lastID++
	return e.lastID
}

func (e *engine) Page(id extent.PageID) (*extent.Page, error) {
	if p := e.pages[id]; p != nil {
		return p, nil
	}
	return nil, objstore.ErrCorrupt
}
func (e *engine) State(extent.PageID) (extent.PageState, error) { return extent.Owned, nil }
func (e *engine) NewPageID() extent.PageID                      { return extent.PageID(e.id()) }

func (e *engine) BlockDigests(s extent.Source, n int64) ([]blockhash.Digest, error) {
	if s.Kind == extent.Inline {
		return []blockhash.Digest{blockhash.Of(e.inline[s.ID])}, nil
	}
	return e.blobs.BlockDigests(blob.Ref{ID: s.ID, Bare: s.Kind == extent.Bare}, s.Off/blockBytes, n)
}

// committed is a content of the engine.
type committed struct {
	e       *engine
	content extent.Content
}

func (c *committed) Size() int64 { return c.content.Size }

// Describe says something of the content, that tests can tell it by.
func (c *committed) Describe(b []byte) []byte { return fmt.Appendf(b, "%d bytes", c.content.Size) }

func (c *committed) Extents(off, length int64, yield func(extent.Extent) error) error {
	return c.content.Extents(c.e, off, length, yield)
}

func (c *committed) Digests(first, n int64) ([]blockhash.Digest, error) {
	return c.content.Digests(c.e, c.e, first, n)
}

func (c *committed) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	n := min(int64(len(p)), c.content.Size-off)
	if n <= 0 {
		return 0, io.EOF
	}
	err := c.Extents(off, n, func(x extent.Extent) error {
		q := p[x.Off-off : x.End()-off]
		switch x.Source.Kind {
		case extent.Hole:
			clear(q)
		case extent.Inline:
			copy(q, c.e.inline[x.Source.ID][x.Source.Off:])
		default:
			_, err := c.e.blobs.ReadAt(ctx, blob.Ref{ID: x.Source.ID, Bare: x.Source.Kind == extent.Bare}, q, x.Source.Off)
			if err != nil && err != io.EOF {
				return err
			}
		}
		return nil
	})
	if err == nil && n < int64(len(p)) {
		err = io.EOF
	}
	return int(n), err
}

// build makes the content of a Sealed over base.
func (e *engine) build(se *Sealed, base *committed) *committed {
	e.t.Helper()
	var from extent.Content
	if se.FromBase {
		from = base.content
	}
	for _, b := range se.Blobs {
		if err := e.blobs.Adopt(b); err != nil {
			e.t.Fatal(err)
		}
	}
	edit := se.Edit
	if len(se.Inline) > 0 {
		id := e.id()
		e.inline[id] = bytes.Clone(se.Inline)
		edit.Changes = nil
		for _, c := range se.Edit.Changes {
			if c.Source.ID == InlineID {
				c.Source.ID = id
			}
			edit.Changes = append(edit.Changes, c)
		}
	}
	plan, err := extent.Apply(from, edit, e, true)
	if err != nil {
		e.t.Fatal(err)
	}
	for _, p := range plan.Pages {
		e.pages[p.ID] = p.Page
	}
	return &committed{e, plan.Content}
}

// check compares a content with the bytes it should have, the digests among them.
func (e *engine) check(c *committed, hash blockhash.Digest, want []byte) {
	e.t.Helper()
	if c.Size() != int64(len(want)) {
		e.t.Fatalf("size %d, want %d", c.Size(), len(want))
	}
	got := make([]byte, len(want))
	if n, err := c.ReadAt(context.Background(), got, 0); n != len(want) || err != nil && err != io.EOF {
		e.t.Fatalf("read %d of %d: %v", n, len(want), err)
	}
	if !bytes.Equal(got, want) {
		e.t.Fatalf("content differs at %d of %d", diff(got, want), len(want))
	}
	var h blockhash.Hasher
	h.Write(want)
	if h.Sum() != hash {
		e.t.Fatal("wrong content hash")
	}
	digests, err := c.Digests(0, blockhash.BlockCount(c.Size()))
	if err != nil {
		e.t.Fatal(err)
	}
	if blockhash.Content(digests) != hash {
		e.t.Fatal("the digests do not make the hash")
	}
}

func diff(a, b []byte) int {
	for i := range a {
		if a[i] != b[i] {
			return i
		}
	}
	return len(a)
}

func (e *engine) write(st *Stage, off int64, p []byte) {
	e.t.Helper()
	if n, err := st.WriteAt(context.Background(), p, off); n != len(p) || err != nil {
		e.t.Fatalf("write %d at %d: %d, %v", len(p), off, n, err)
	}
}

func (e *engine) seal(st *Stage) *Sealed {
	e.t.Helper()
	se, err := st.Seal(context.Background(), 7, e.id())
	if err != nil {
		e.t.Fatal(err)
	}
	return se
}

// commit seals st over base and commits it.
func (e *engine) commit(st *Stage, base *committed) *committed {
	e.t.Helper()
	se := e.seal(st)
	c := e.build(se, base)
	if err := se.Committed(st.Owner(), c); err != nil {
		e.t.Fatal(err)
	}
	return c
}

func randomBytes(rng *rand.Rand, n int) []byte {
	p := make([]byte, n)
	for i := 0; i+8 <= n; i += 8 {
		v := rng.Uint64()
		for j := range 8 {
			p[i+j] = byte(v >> (8 * j))
		}
	}
	return p
}
