package badgerstore

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/blockhash"
)

// editor is one writer of one file, with the bytes it should have.
type editor struct {
	t     testing.TB
	b     *Bucket
	key   objstore.Key
	stage objstore.Stage
	id    objstore.ID
	info  objstore.Info
	want  []byte
}

// newEditor makes a file of those bytes; the stage goes on from there.
func newEditor(t testing.TB, b *Bucket, name string, content []byte) *editor {
	t.Helper()
	id, err := b.NewID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ed := &editor{t: t, b: b, key: objstore.Key(name), id: id}
	ed.stage, err = b.NewStage(t.Context(), objstore.StageSpec{Owner: objstore.Owner{Path: name, Object: id}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ed.stage.Close() })
	ed.write(0, content)
	res, err := ed.stage.Commit(t.Context(), objstore.CommitRequest{
		Target: objstore.Target{ID: id, Parent: b.Root(), Name: name, Attr: objstore.NewAttr{Mode: 0o644}},
		Cond:   objstore.IfAbsent(), Durability: objstore.Visible,
	})
	if err != nil {
		t.Fatal(err)
	}
	ed.info = res.Info
	return ed
}

func (ed *editor) write(off int64, p []byte) {
	ed.t.Helper()
	if _, err := ed.stage.WriteAt(context.Background(), p, off); err != nil {
		ed.t.Fatal(err)
	}
	if grow := off + int64(len(p)) - int64(len(ed.want)); grow > 0 {
		ed.want = append(ed.want, make([]byte, grow)...)
	}
	copy(ed.want[off:], p)
}

func (ed *editor) truncate(size int64) {
	ed.t.Helper()
	if err := ed.stage.Truncate(context.Background(), size); err != nil {
		ed.t.Fatal(err)
	}
	if grow := size - int64(len(ed.want)); grow > 0 {
		ed.want = append(ed.want, make([]byte, grow)...)
	}
	ed.want = ed.want[:size:size]
}

func (ed *editor) commit(cond objstore.Cond) error {
	res, err := ed.stage.Commit(context.Background(), objstore.CommitRequest{
		Target: objstore.Target{ID: ed.id}, Cond: cond, Durability: objstore.Visible,
	})
	if err == nil {
		ed.info = res.Info
	}
	return err
}

// check compares what is committed with what should be, bytes and hash.
func (ed *editor) check() {
	ed.t.Helper()
	r, err := ed.b.Get(context.Background(), ed.key, objstore.IfVersion(ed.info.Version))
	if err != nil {
		ed.t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(r.Stream(context.Background(), 0, -1))
	if err != nil || !bytes.Equal(got, ed.want) {
		ed.t.Fatalf("%d bytes of %d, equal: %v, %v", len(got), len(ed.want), bytes.Equal(got, ed.want), err)
	}
	var h blockhash.Hasher
	h.Write(ed.want)
	if hash, _, ok := r.Info().ETag.Split(); !ok || hash != h.Sum() {
		ed.t.Fatalf("etag %s, want hash %x", r.Info().ETag, h.Sum())
	}
}

func noise(rng *rand.Rand, n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(rng.Uint32())
	}
	return p
}

// The hash in an ETag is that of the bytes, after any mix of edits, cuts, commits that fail and
// commits that succeed: what one leaves behind is the base of the next.
func TestETagIsTheHashOfTheBytes(t *testing.T) {
	for seed := range uint64(6) {
		rng := rand.New(rand.NewPCG(seed, 7))
		e := openTest(t, t.TempDir()+"/store", Options{Create: true})
		ed := newEditor(t, mainBucket(t, e), "f", noise(rng, 2*blockhash.BlockBytes+500))
		for range 40 {
			size := int64(len(ed.want))
			switch rng.IntN(6) {
			case 0:
				ed.truncate(rng.Int64N(2*blockhash.BlockBytes + 1000))
			case 1:
				ed.write(size, noise(rng, 1+rng.IntN(100_000)))
			case 2:
				if err := ed.commit(objstore.IfVersion("ffffff")); !objstore.IsLostCondition(err) {
					t.Fatalf("seed %d: commit on another version: %v", seed, err)
				}
			case 3:
				if err := ed.commit(objstore.IfVersion(ed.info.Version)); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				ed.check()
			default:
				if size > 0 {
					off := rng.Int64N(size)
					ed.write(off, noise(rng, 1+rng.IntN(int(min(size-off, 60_000)))))
				}
			}
			if t.Failed() {
				t.Fatalf("seed %d", seed)
			}
		}
		if err := e.checkInvariants(); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// A blob that was cut after a commit with it failed has not got the digest of its new last block.
func TestCutAfterFailedCommitKeepsTheHash(t *testing.T) {
	e := openTest(t, t.TempDir()+"/store", Options{Create: true})
	rng := rand.New(rand.NewPCG(1, 7))
	ed := newEditor(t, mainBucket(t, e), "f", nil)
	ed.write(0, noise(rng, 2*blockhash.BlockBytes))
	if err := ed.commit(objstore.IfVersion("ffffff")); !objstore.IsLostCondition(err) {
		t.Fatalf("commit on another version: %v", err)
	}
	ed.truncate(blockhash.BlockBytes + 1000)
	for range 2 {
		if err := ed.commit(objstore.IfVersion(ed.info.Version)); err != nil {
			t.Fatal(err)
		}
		ed.check()
		ed.write(5, []byte("edit of the first block"))
	}
}
