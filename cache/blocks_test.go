package cache

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

// remote is a store without pins, as S3 is, that counts the bytes it was asked for.
type remote struct {
	objstore.Store
	bytes *atomic.Int64
}

func (r remote) Get(ctx context.Context, key objstore.Key, cond objstore.Cond) (objstore.Reader, error) {
	in, err := r.Store.Get(ctx, key, cond)
	if err != nil {
		return nil, err
	}
	return remoteReader{in, r, key}, nil
}

type remoteReader struct {
	objstore.Reader
	r   remote
	key objstore.Key
}

func (r remoteReader) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	info, err := r.r.Head(ctx, r.key)
	if err == nil && info.Version != r.Info().Version {
		err = &objstore.Error{Op: "read", Kind: objstore.ErrPrecondition}
	}
	if err != nil {
		return 0, err
	}
	n, err := r.Reader.ReadAt(ctx, p, off)
	r.r.bytes.Add(int64(n))
	return n, err
}

func (r remoteReader) Stream(ctx context.Context, off, length int64) io.ReadCloser {
	return newStream(ctx, r, r.Info().Size, off, length)
}

func pattern(size int64) []byte {
	p := make([]byte, size)
	rand.NewChaCha8([32]byte{1}).Read(p) // never fails
	return p
}

type cached struct {
	objstore.Store
	b     *Blocks
	dir   string
	bytes *atomic.Int64
	body  []byte
}

// newCached is a cache over a bucket whose key "f" has size bytes.
func newCached(t *testing.T, size int64, opt BlocksOptions) *cached {
	t.Helper()
	store := newBucket(t)
	c := &cached{dir: t.TempDir(), bytes: new(atomic.Int64), body: pattern(size)}
	store.put(t, "f", string(c.body))
	b, err := OpenBlocks(c.dir, opt)
	must(t, err)
	t.Cleanup(func() { must(t, b.Close()) })
	c.b, c.Store = b, b.Over(remote{store, c.bytes})
	return c
}

func (c *cached) open(t *testing.T) objstore.Reader {
	t.Helper()
	r, err := c.Get(t.Context(), "f", objstore.IfPresent())
	must(t, err)
	t.Cleanup(func() { must(t, r.Close()) })
	return r
}

func (c *cached) wantRange(t *testing.T, r objstore.Reader, off, length int64) {
	t.Helper()
	p := make([]byte, length)
	n, err := r.ReadAt(t.Context(), p, off)
	want := c.body[off:min(off+length, int64(len(c.body)))]
	if n != len(want) || err != nil && err != io.EOF || !bytes.Equal(p[:n], want) {
		t.Errorf("%d bytes at %d: %d, %v, the same %v", length, off, n, err, bytes.Equal(p[:n], want))
	}
}

func (c *cached) overwrite(t *testing.T) {
	t.Helper()
	_, err := c.Put(t.Context(), "f", bytes.NewReader([]byte("other")), objstore.Unconditional(), objstore.PutOptions{})
	must(t, err)
}

// TestObjectsOfPinSizeOutliveTheirKey is promise C2 on a store without pins.
func TestObjectsOfPinSizeOutliveTheirKey(t *testing.T) {
	c := newCached(t, 3<<20+77, BlocksOptions{Bytes: 1, PinBytes: 4 << 20}) // held, though there is no room
	r := c.open(t)
	c.overwrite(t)
	c.wantRange(t, r, 0, int64(len(c.body)))
	c.wantRange(t, r, 1<<20-5, 10)
	must(t, r.Close())
	c.b.mu.Lock()
	defer c.b.mu.Unlock()
	if len(c.b.blocks) > 0 || c.b.bytes != 0 || len(c.b.holds) != 0 {
		t.Errorf("after the close %d blocks of %d bytes, %d held", len(c.b.blocks), c.b.bytes, len(c.b.holds))
	}
}

// TestLargeObjectsAreNeverMixed: what was fetched can be read, the rest is an error.
func TestLargeObjectsAreNeverMixed(t *testing.T) {
	c := newCached(t, 3<<20, BlocksOptions{PinBytes: 1 << 20})
	r := c.open(t)
	c.wantRange(t, r, 10, 100)
	c.overwrite(t)
	c.wantRange(t, r, 500_000, 100)
	if _, err := r.ReadAt(t.Context(), make([]byte, 100), 2<<20+5); objstore.KindOf(err) != objstore.ErrPrecondition {
		t.Errorf("a block that was not fetched: %v", err)
	}
}

func TestBlocksAreFetchedOnceAndSurvive(t *testing.T) {
	c := newCached(t, 2<<20, BlocksOptions{PinBytes: 1})
	r := c.open(t)
	for range 3 {
		for off := int64(0); off < 2<<20; off += 100_000 {
			c.wantRange(t, r, off, 100_000)
		}
	}
	if got := c.bytes.Load(); got != 2<<20 {
		t.Errorf("%d bytes were fetched", got)
	}
	must(t, c.b.Close())
	again, err := OpenBlocks(c.dir, BlocksOptions{PinBytes: 1})
	must(t, err)
	defer again.Close()
	if len(again.blocks) != 2 {
		t.Errorf("the next process finds %d blocks", len(again.blocks))
	}
}

// TestDamagedBlocksAreNotServed is promise C11.
func TestDamagedBlocksAreNotServed(t *testing.T) {
	c := newCached(t, 2<<20, BlocksOptions{PinBytes: 1})
	r := c.open(t)
	c.wantRange(t, r, 0, 2<<20)
	files, err := filepath.Glob(filepath.Join(c.b.dir, "*"+blockSuffix))
	must(t, err)
	for _, name := range files {
		raw, err := os.ReadFile(name)
		must(t, err)
		raw[headBytes+300_000] ^= 1
		must(t, os.WriteFile(name, raw, 0o600))
	}
	c.wantRange(t, r, 0, 2<<20)
	if got := c.bytes.Load(); len(files) != 2 || got != 4<<20 {
		t.Errorf("%d blocks were damaged and %d bytes fetched", len(files), got)
	}
}

func TestCacheIsBounded(t *testing.T) {
	const bound = 3 * (headBytes + blockBytes)
	c := newCached(t, 10<<20, BlocksOptions{PinBytes: 1, Bytes: bound})
	c.wantRange(t, c.open(t), 0, 10<<20)
	var total int64
	files, err := filepath.Glob(filepath.Join(c.b.dir, "*"))
	must(t, err)
	for _, name := range files {
		info, err := os.Stat(name)
		must(t, err)
		total += info.Size()
	}
	if total > bound || len(files) != 3 {
		t.Errorf("%d bytes in %d files", total, len(files))
	}
}

// TestOneBufferIsEnough: readers wait for memory, and for nothing else while they have it.
func TestOneBufferIsEnough(t *testing.T) {
	c := newCached(t, 6<<20, BlocksOptions{PinBytes: 1, MemoryBytes: 1, Bytes: 2 << 20})
	if got := cap(c.b.buffers); got != 1 {
		t.Fatalf("%d buffers", got)
	}
	var all sync.WaitGroup
	for i := range int64(6) {
		r := c.open(t)
		all.Go(func() {
			for off := i * 50_000; off < 6<<20; off += 300_000 {
				c.wantRange(t, r, off, min(300_000, 6<<20-off))
			}
		})
	}
	all.Wait()
}

func TestTwoProcessesHaveBlocksOfTheirOwn(t *testing.T) {
	dir := t.TempDir()
	a, err := OpenBlocks(dir, BlocksOptions{})
	must(t, err)
	defer a.Close()
	b, err := OpenBlocks(dir, BlocksOptions{})
	must(t, err)
	defer b.Close()
	if a.dir == b.dir {
		t.Errorf("both have %s", a.dir)
	}
}
