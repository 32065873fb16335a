package mount

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/etagfs/etagfs/fs"
	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/memstore"
)

// filedStore has what it stores in one file, too, which it gives away once that is verified.
type filedStore struct {
	objstore.Namespace
	path     string
	verified atomic.Bool
}

func (s *filedStore) Open(ctx context.Context, id objstore.ID, want objstore.Version) (objstore.Reader, error) {
	r, err := s.Namespace.Open(ctx, id, want)
	if err != nil {
		return nil, err
	}
	return &filedReader{Reader: r, store: s}, nil
}

type filedReader struct {
	objstore.Reader
	store *filedStore
}

func (r *filedReader) Stream(ctx context.Context, off, length int64) io.ReadCloser {
	if !r.store.verified.Load() {
		return r.Reader.Stream(ctx, off, length)
	}
	f, err := os.Open(r.store.path)
	if err != nil {
		return nil
	}
	return f
}

// takers take every file as number 7.
type takers struct{}

func (takers) RegisterBackingFd(*fuse.BackingMap) (int32, syscall.Errno) { return 7, 0 }
func (takers) UnregisterBackingFd(int32) syscall.Errno                   { return 0 }

// An OPEN past the daemon would have to wait until the kernel has dropped the node's pages: they are dropped by the close before it, of
// the last file whose reads made the store's file one that can be given away.
func TestPagesAreDroppedByTheCloseBeforeAnOpenPastUs(t *testing.T) {
	text := strings.Repeat("a", throughBytesMin)
	store := &filedStore{Namespace: memstore.NewBucket(memstore.Options{}), path: filepath.Join(t.TempDir(), "file")}
	if err := os.WriteFile(store.path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	k := newKernelOver(t, store, fs.Options{})
	k.bridge.table.passes = true
	k.bridge.passer.connect(takers{})
	k.put("f", text)
	k.put("small", "a")
	drops := func(f *opened) bool {
		k.dropped = nil
		f.close()
		return slices.Contains(k.dropped, f.node)
	}
	if drops(k.mustOpen(1, "f", syscall.O_RDONLY)) {
		t.Error("pages were dropped of a file that has to be asked for again")
	}
	first, second, small := k.mustOpen(1, "f", syscall.O_RDONLY), k.mustOpen(2, "f", syscall.O_RDONLY), k.mustOpen(3, "small", syscall.O_RDONLY)
	store.verified.Store(true)
	if drops(small) || drops(first) {
		t.Error("pages were dropped of a small file, or of one that is read by others")
	}
	if !drops(second) {
		t.Error("the close of the last that asked us leaves pages to be dropped by the next OPEN")
	}
	passed := k.mustOpen(1, "f", syscall.O_RDONLY)
	if passed.flags&fuse.FOPEN_PASSTHROUGH == 0 {
		t.Errorf("the OPEN has flags %#x", passed.flags)
	}
	if drops(passed) {
		t.Error("pages were dropped after a close of what was read past us")
	}
}
