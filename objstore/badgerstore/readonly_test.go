package badgerstore

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

// readOnlyDisk is a file system that is mounted read-only, for all that goes through it.
type readOnlyDisk struct{ disk.FS }

func (readOnlyDisk) OpenRW(string) (disk.File, error) { return nil, syscall.EROFS }
func (readOnlyDisk) Create(string) (disk.File, error) { return nil, syscall.EROFS }
func (readOnlyDisk) Lock(string) (disk.File, error)   { return nil, syscall.EROFS }
func (readOnlyDisk) Link(string, string) error        { return syscall.EROFS }
func (readOnlyDisk) Rename(string, string) error      { return syscall.EROFS }
func (readOnlyDisk) Remove(string) error              { return syscall.EROFS }
func (readOnlyDisk) Mkdir(string) error               { return syscall.EROFS }

// A store on a read-only file system is opened to be read, any number of times, and by nobody who would write.
func TestStoreOnAReadOnlyFileSystemCanBeRead(t *testing.T) {
	dir := makeVariedStore(t)
	want := heldBy(t, dir)
	parts := testParts(t)
	parts.Disk = readOnlyDisk{disk.OS{}}
	if _, err := Open(t.Context(), dir, Options{}, parts); objstore.KindOf(err) != objstore.ErrReadOnly || !strings.Contains(err.Error(), "read-only file system") {
		t.Errorf("opened for writing: %v", err)
	}
	for range 2 {
		e, err := Open(t.Context(), dir, Options{ReadOnly: true}, parts)
		must(t, err)
		defer func() { must(t, e.Close()) }()
		for key, body := range want {
			if got, err := held(t, e, key); err != nil || got != body {
				t.Errorf("%s: %v", key, err)
			}
		}
		if all, err := e.findings(CheckOptions{Payload: true}); err != nil || len(all) > 0 {
			t.Errorf("check: %v, %v", all, err)
		}
	}
	if _, err := (disk.OS{}).Lock(dir + "/" + lockName); !errors.Is(err, disk.ErrLocked) {
		t.Errorf("it may be opened for writing elsewhere meanwhile: %v", err)
	}
}

// One that has logs to replay is not, and says why.
func TestStoreThatWasNotClosedOnAReadOnlyFileSystemIsRefused(t *testing.T) {
	dir := crashedStore(t, makeVariedStore(t))
	parts := testParts(t)
	parts.Disk = readOnlyDisk{disk.OS{}}
	if _, err := Open(t.Context(), dir, Options{ReadOnly: true}, parts); objstore.KindOf(err) != objstore.ErrUnavailable || !strings.Contains(err.Error(), "was not closed") {
		t.Errorf("%v", err)
	}
}
