package badgerstore

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/etagfs/etagfs/objstore"
)

// spread runs f b.N times on as many goroutines as there are writers.
func spread(b *testing.B, writers int, f func(i int64) error) {
	b.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range writers {
		wg.Go(func() {
			for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
				if err := f(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "puts/s")
}

// BenchmarkPut is a conditional put of 4 KiB. ETAGFS_TEST_DIR must be on a disk for the durable rows to mean something.
func BenchmarkPut(b *testing.B) {
	body := bytes.Repeat([]byte("etagfs! "), 512)
	for _, profile := range []Profile{ProfileMount, ProfileServer} {
		for _, d := range []objstore.Durability{objstore.Visible, objstore.Durable} {
			for _, writers := range []int{1, 8, 64} {
				name := fmt.Sprintf("%s/%s/%d", []string{"mount", "server"}[profile], []string{"durable", "visible"}[d], writers)
				b.Run(name, func(b *testing.B) {
					e := openTest(b, testDir(b), Options{Profile: profile, Create: true})
					bucket := mainBucket(b, e)
					spread(b, writers, func(i int64) error {
						_, err := bucket.Put(context.Background(), objstore.Key(fmt.Sprintf("dir/%08d", i)), bytes.NewReader(body),
							objstore.IfAbsent(), objstore.PutOptions{Durability: d, Length: int64(len(body)), LengthKnown: true})
						return err
					})
				})
			}
		}
	}
}

// BenchmarkPlainBadger is the same with a transaction of Badger for each put.
func BenchmarkPlainBadger(b *testing.B) {
	body := bytes.Repeat([]byte("etagfs! "), 512)
	for _, durable := range []bool{false, true} {
		for _, writers := range []int{1, 8, 64} {
			b.Run(fmt.Sprintf("durable=%v/%d", durable, writers), func(b *testing.B) {
				opt := badger.DefaultOptions(testDir(b)).WithSyncWrites(durable).WithLogger(nil).
					WithValueThreshold(1 << 20).WithCompression(0).WithBlockCacheSize(0)
				db, err := badger.Open(opt)
				if err != nil {
					b.Fatal(err)
				}
				defer db.Close()
				spread(b, writers, func(i int64) error {
					key := []byte(fmt.Sprintf("dir/%08d", i))
					return db.Update(func(txn *badger.Txn) error {
						if _, err := txn.Get(key); err != badger.ErrKeyNotFound {
							return fmt.Errorf("get: %w", err)
						}
						return txn.Set(key, body)
					})
				})
			})
		}
	}
}

func BenchmarkLookup(b *testing.B) {
	e := openTest(b, testDir(b), Options{Create: true})
	bucket := mainBucket(b, e)
	const files = 10000
	for i := range files {
		if _, err := bucket.Put(b.Context(), objstore.Key(fmt.Sprintf("dir/%08d", i)), bytes.NewReader(nil),
			objstore.IfAbsent(), objstore.PutOptions{Durability: objstore.Visible}); err != nil {
			b.Fatal(err)
		}
	}
	dir, err := bucket.Lookup(b.Context(), bucket.Root(), "dir")
	if err != nil {
		b.Fatal(err)
	}
	var names [files]string
	for i := range names {
		names[i] = fmt.Sprintf("%08d", i)
	}
	b.Run("name", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			if _, err := bucket.Lookup(context.Background(), dir.ID, names[i%files]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("absent", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			if _, err := bucket.Lookup(context.Background(), dir.ID, "no"+names[i%files]); objstore.KindOf(err) != objstore.ErrNotFound {
				b.Fatal(err)
			}
		}
	})
	b.Run("readdir1000", func(b *testing.B) {
		for b.Loop() {
			if _, _, err := bucket.ReadDir(context.Background(), dir.ID, "", 1000); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkEdit is a commit of 4 KiB changed in a file of 1 GiB, first and after 10,000 others.
func BenchmarkEdit(b *testing.B) {
	const size = 1 << 30
	e := openTest(b, testDir(b), Options{Create: true})
	bucket := mainBucket(b, e)
	info, err := bucket.Put(b.Context(), "big", io.LimitReader(pattern{}, size), objstore.IfAbsent(), objstore.PutOptions{})
	if err != nil {
		b.Fatal(err)
	}
	edits := 0
	edit := func(b *testing.B) {
		for b.Loop() {
			edits++
			editOnce(b, bucket, info.ID, int64(edits*7919%(size/4096))*4096)
		}
	}
	b.Run("first", edit)
	for edits < 10000 {
		edits++
		editOnce(b, bucket, info.ID, int64(edits*7919%(size/4096))*4096)
	}
	b.Run("10000th", edit)
}

func editOnce(b *testing.B, bucket *Bucket, id objstore.ID, off int64) {
	ctx := context.Background()
	r, err := bucket.Open(ctx, id, "")
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	s, err := bucket.NewStage(ctx, objstore.StageSpec{Base: r, Owner: objstore.Owner{Object: id}})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	if _, err := s.WriteAt(ctx, bytes.Repeat([]byte{byte(off >> 12)}, 4096), off); err != nil {
		b.Fatal(err)
	}
	_, err = s.Commit(ctx, objstore.CommitRequest{
		Target: objstore.Target{ID: id}, Cond: objstore.IfVersion(r.Info().Version), Durability: objstore.Visible,
	})
	if err != nil {
		b.Fatal(err)
	}
}

// pattern is bytes that differ.
type pattern struct{}

func (pattern) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(i >> 8 * 7)
	}
	return len(p), nil
}
