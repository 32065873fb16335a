package badgerstore

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

// share makes n bytes of src those of ed's stage, as often as it takes.
func (ed *editor) share(src objstore.Reader, bytesOf []byte, from, n, to int64) {
	ed.t.Helper()
	for n > 0 {
		copied, err := ed.stage.(objstore.Sharer).Share(ed.t.Context(), src, from, n, to)
		if err != nil || copied <= 0 {
			ed.t.Fatalf("shared %d: %v", copied, err)
		}
		if grow := to + copied - int64(len(ed.want)); grow > 0 {
			ed.want = append(ed.want, make([]byte, grow)...)
		}
		copy(ed.want[to:], bytesOf[from:from+copied])
		from, n, to = from+copied, n-copied, to+copied
	}
}

// Parts of other files, and of the file itself, are counted like what was written: they are there when what they were taken from is replaced,
// before the commit or after it, and go with the last who has them.
func TestSharedPartsOutliveTheirSource(t *testing.T) {
	for _, late := range []bool{false, true} {
		e := openTest(t, testDir(t), Options{Create: true})
		b := mainBucket(t, e)
		rng := rand.New(rand.NewPCG(1, 2))
		source := newEditor(t, b, "source", noise(rng, 13<<20))
		source.write(5<<20, noise(rng, 100_000)) // so that its content is in several blobs, and pages
		must(t, source.commit(objstore.IfVersion(source.info.Version)))
		ed := newEditor(t, b, "target", noise(rng, 6<<20))
		replace := func() {
			source.truncate(0)
			source.write(0, []byte("other"))
			must(t, source.commit(objstore.IfVersion(source.info.Version)))
			must(t, e.Sync(t.Context()))
		}
		r, err := b.Open(t.Context(), source.id, source.info.Version)
		must(t, err)
		taken := bytes.Clone(source.want)
		if !late {
			replace()
		}
		ed.share(r, taken, 0, 12<<20, 4<<20)     // whole blocks
		ed.share(r, taken, 4<<20, 3<<20, 100)    // at no block
		ed.share(r, taken, 12<<20, 1<<20, 3<<20) // the end
		must(t, r.Close())
		ed.write(1<<20, []byte("over it"))
		must(t, ed.commit(objstore.IfVersion(ed.info.Version)))
		if late {
			replace()
		}
		ed.check()
		own, err := b.Open(t.Context(), ed.id, ed.info.Version)
		must(t, err)
		ed.share(own, bytes.Clone(ed.want), 0, 5<<20, 16<<20)
		must(t, own.Close())
		must(t, ed.commit(objstore.IfVersion(ed.info.Version)))
		ed.check()
		source.check()
		must(t, errors.Join(e.Sync(t.Context()), e.checkInvariants()))
		ed.truncate(0)
		must(t, ed.commit(objstore.IfVersion(ed.info.Version)))
		ed.check()
		must(t, errors.Join(e.Sync(t.Context()), e.checkInvariants()))
	}
}

// C3: a commit with parts of other files that loses leaves the counts as they were, and what it keeps has the parts.
func TestSharedPartsOfALoserAreKept(t *testing.T) {
	e := openTest(t, testDir(t), Options{Create: true})
	b := mainBucket(t, e)
	rng := rand.New(rand.NewPCG(3, 4))
	source, ed := newEditor(t, b, "source", noise(rng, 5<<20)), newEditor(t, b, "target", noise(rng, 3<<20))
	r, err := b.Open(t.Context(), source.id, source.info.Version)
	must(t, err)
	ed.share(r, source.want, 1<<20, 4<<20, 1<<20)
	must(t, r.Close())
	if err := ed.commit(objstore.IfVersion(source.info.Version)); !objstore.IsLostCondition(err) {
		t.Fatal(err)
	}
	kept, err := ed.stage.Keep(t.Context(), objstore.Conflict{Path: "target", Object: ed.id, Reason: objstore.ReasonLost})
	must(t, err)
	source.truncate(0)
	must(t, source.commit(objstore.IfVersion(source.info.Version)))
	must(t, ed.stage.Close())
	wantContent(t, b, kept.ID, objstore.SideMine, ed.want)
	must(t, errors.Join(e.Sync(t.Context()), e.checkInvariants()))
}
