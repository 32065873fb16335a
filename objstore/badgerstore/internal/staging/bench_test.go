package staging

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

// A file of 4 KiB: stage, write, seal, commit, close; without the key-value store.
func BenchmarkSmallStage(b *testing.B) {
	e := newBenchEngine(b)
	p := randomBytes(rand.New(rand.NewPCG(1, 1)), 4096)
	for b.Loop() {
		st := e.session.NewStage(objstore.Owner{Path: "some/path/to/a/file", Object: 7}, nil)
		e.write(st, 0, p)
		e.finish(st, nil)
	}
}

// A file of 64 KiB, which is a file in staging and a blob.
func BenchmarkBlobStage(b *testing.B) {
	e := newBenchEngine(b)
	p := randomBytes(rand.New(rand.NewPCG(1, 1)), 64<<10)
	for b.Loop() {
		st := e.session.NewStage(objstore.Owner{Path: "f", Object: 7}, nil)
		e.write(st, 0, p)
		e.finish(st, nil)
		b.StopTimer()
		e.removeBlobs()
		b.StartTimer()
	}
}

// 1 GiB in order, in pieces of 128 KiB, with hashes and checksums.
func BenchmarkSequentialWrite1GiB(b *testing.B) {
	const size, piece = 1 << 30, 128 << 10
	e := newBenchEngine(b)
	p := randomBytes(rand.New(rand.NewPCG(1, 1)), piece)
	b.SetBytes(size)
	for b.Loop() {
		st := e.session.NewStage(objstore.Owner{Path: "f", Object: 7}, nil)
		for off := int64(0); off < size; off += piece {
			e.write(st, off, p)
		}
		e.finish(st, nil)
		b.StopTimer()
		e.removeBlobs()
		b.StartTimer()
	}
}

// The seal alone of 1 GiB written in order.
func BenchmarkSealOf1GiB(b *testing.B) {
	const size, piece = 1 << 30, 1 << 20
	e := newBenchEngine(b)
	p := randomBytes(rand.New(rand.NewPCG(1, 1)), piece)
	for b.Loop() {
		b.StopTimer()
		st := e.session.NewStage(objstore.Owner{Path: "f", Object: 7}, nil)
		for off := int64(0); off < size; off += piece {
			e.write(st, off, p)
		}
		b.StartTimer()
		e.finish(st, nil)
		b.StopTimer()
		e.removeBlobs()
		b.StartTimer()
	}
}

// A random 4 KiB edit and commit of a content of 1 GiB, each on top of those before.
func BenchmarkEdit4KiBOf1GiB(b *testing.B) {
	const size, piece = 1 << 30, 1 << 20
	e := newBenchEngine(b)
	rng := rand.New(rand.NewPCG(1, 1))
	p := randomBytes(rng, piece)
	st := e.session.NewStage(objstore.Owner{Path: "f", Object: 7}, nil)
	for off := int64(0); off < size; off += piece {
		e.write(st, off, p)
	}
	base := e.finish(st, nil)
	for b.Loop() {
		st := e.session.NewStage(objstore.Owner{Path: "f", Object: 7, Base: "5"}, base)
		e.write(st, rng.Int64N(size/4096)*4096, p[:4096])
		base = e.finish(st, base)
	}
}

func newBenchEngine(b *testing.B) *engine {
	e := newEngine(b)
	e.session.checks = false
	return e
}

// finish commits and closes.
func (e *engine) finish(st *Stage, base *committed) *committed {
	e.t.Helper()
	c := e.commit(st, base)
	if err := st.Close(); err != nil {
		e.t.Fatal(err)
	}
	return c
}

func (e *engine) removeBlobs() {
	if err := e.blobs.Orphans(0, e.blobs.Remove); err != nil {
		e.t.Fatal(err)
	}
	if err := e.blobs.Sync(); err != nil {
		e.t.Fatal(err)
	}
	clear(e.inline)
}

// A read of 4 KiB at random offsets of a blob of 1 GiB, verified.
func BenchmarkRead4KiB(b *testing.B) {
	const size, piece = 1 << 30, 1 << 20
	e := newBenchEngine(b)
	rng := rand.New(rand.NewPCG(1, 1))
	p := randomBytes(rng, piece)
	st := e.session.NewStage(objstore.Owner{Path: "f", Object: 7}, nil)
	for off := int64(0); off < size; off += piece {
		e.write(st, off, p)
	}
	base := e.finish(st, nil)
	for b.Loop() {
		if _, err := base.ReadAt(context.Background(), p[:4096], rng.Int64N(size/4096)*4096); err != nil {
			b.Fatal(err)
		}
	}
}
