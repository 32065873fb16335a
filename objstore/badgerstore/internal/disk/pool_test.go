package disk

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// inPool is a file system whose files to write are in a pool.
type inPool struct {
	FS
	pool *Pool
}

func (p inPool) Create(name string) (File, error) { return p.pool.Create(name) }
func (p inPool) Reopen(name string) (File, error) { return p.pool.Reopen(name) }

// counted counts the open descriptors of files to write, and refuses more than it has.
type counted struct {
	FS
	free *atomic.Int64
	most *atomic.Int64 // open at once
	open *atomic.Int64
}

func newCounted(free int64) counted {
	c := counted{OS{}, new(atomic.Int64), new(atomic.Int64), new(atomic.Int64)}
	c.free.Store(free)
	return c
}

func (c counted) count(open func(string) (File, error), name string) (File, error) {
	if c.free.Add(-1) < 0 {
		c.free.Add(1)
		return nil, &os.PathError{Op: "open", Path: name, Err: unix.EMFILE}
	}
	f, err := open(name)
	if err != nil {
		c.free.Add(1)
		return nil, err
	}
	n := c.open.Add(1)
	for most := c.most.Load(); n > most && !c.most.CompareAndSwap(most, n); most = c.most.Load() {
	}
	return countedFile{f, c}, nil
}

func (c counted) Create(name string) (File, error) { return c.count(c.FS.Create, name) }
func (c counted) Reopen(name string) (File, error) { return c.count(c.FS.Reopen, name) }

type countedFile struct {
	File
	c counted
}

func (f countedFile) Close() error {
	f.c.open.Add(-1)
	defer f.c.free.Add(1)
	return f.File.Close()
}

func TestManyFilesTakeFewDescriptors(t *testing.T) {
	const files, rounds, writers = 50, 20, 8
	for name, limits := range map[string]struct {
		free    int64
		openMax int
	}{"by the pool's limit": {1 << 30, 3}, "by the process's limit": {3, 1000}} {
		t.Run(name, func(t *testing.T) {
			fsys := newCounted(limits.free)
			pool := NewPool(fsys, limits.openMax)
			dir := t.TempDir()
			var all []File
			for i := range files {
				f, err := pool.Create(filepath.Join(dir, fmt.Sprint(i)))
				must(t, err)
				all = append(all, f)
			}
			var wait sync.WaitGroup
			for w := range writers { // some files have two writers at once
				wait.Go(func() {
					for r := range rounds {
						for i := w / 2; i < files; i += writers / 2 {
							off := int64(r*writers + w)
							_, err := all[i].WriteAt([]byte{byte(i)}, off)
							var got [1]byte
							_, err2 := all[i].ReadAt(got[:], off)
							if err != nil || err2 != nil || got[0] != byte(i) {
								t.Errorf("file %d: %v %v %v", i, err, err2, got)
								return
							}
						}
					}
				})
			}
			wait.Wait()
			if n := fsys.most.Load(); n > 3 {
				t.Errorf("%d descriptors at once", n)
			}
			for i, f := range all {
				must(t, f.Close())
				content, err := os.ReadFile(f.Name())
				if n := bytes.Count(content, []byte{byte(i)}); err != nil || i > 0 && n != 2*rounds {
					t.Errorf("file %d has %d bytes of %d: %v", i, n, 2*rounds, err)
				}
			}
			if n := fsys.open.Load(); n != 0 {
				t.Errorf("%d descriptors stay open", n)
			}
		})
	}
}

// What has no descriptor and gets none fails, and works again when there is one.
func TestPoolSaysThatThereAreNoDescriptors(t *testing.T) {
	fsys := newCounted(1)
	pool := NewPool(fsys, 10)
	dir := t.TempDir()
	a, err := pool.Create(filepath.Join(dir, "a"))
	must(t, err)
	_, err = a.WriteAt([]byte("a"), 0)
	must(t, err)
	b, err := pool.Create(filepath.Join(dir, "b"))
	must(t, err)
	must(t, b.Close()) // of others is the descriptor now
	fsys.free.Add(-1)
	if _, err := a.Stat(); !errors.Is(err, unix.EMFILE) {
		t.Errorf("use without a descriptor: %v", err)
	}
	if _, err := pool.Create(filepath.Join(dir, "c")); !errors.Is(err, unix.EMFILE) {
		t.Errorf("create without a descriptor: %v", err)
	}
	fsys.free.Add(1)
	info, err := a.Stat()
	if err != nil || info.Size != 1 {
		t.Errorf("%d bytes, %v", info.Size, err)
	}
	must(t, a.Close())
}

// A file that is gone is not made anew by those who still have it open.
func TestPoolMakesNoFileAgain(t *testing.T) {
	pool := NewPool(OS{}, 1)
	dir := t.TempDir()
	a, err := pool.Create(filepath.Join(dir, "a"))
	must(t, err)
	b, err := pool.Create(filepath.Join(dir, "b"))
	must(t, err, os.Remove(a.Name()))
	if _, err := a.WriteAt([]byte("a"), 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("write: %v", err)
	}
	must(t, a.Close(), b.Close())
	if err := a.Close(); !errors.Is(err, unix.EBADF) {
		t.Errorf("closed again: %v", err)
	}
	if _, err := a.Stat(); !errors.Is(err, unix.EBADF) {
		t.Errorf("used after its end: %v", err)
	}
}
