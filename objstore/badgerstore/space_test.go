package badgerstore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/objstore"
)

// smallDisk mounts a tmpfs of the given size.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("needs leave to mount: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// TestFullDiskLosesNothing: (1) writers are told that there is no space, before Badger meets it;
// (2) what was acknowledged is there; (3) deletes still work; (4) the store opens again, also after others filled
// the disk to the last byte; (5) with room again, writes work again.
func TestFullDiskLosesNothing(t *testing.T) {
	disk := smallDisk(t, "96m")
	dir := filepath.Join(disk, "store")
	open := func() *Engine {
		t.Helper()
		e, err := Open(t.Context(), dir, Options{Create: true}, testParts(t))
		must(t, err)
		return e
	}
	e := open()
	t.Cleanup(func() { e.Close() })
	b := mainBucket(t, e)
	there := 0
	put := func(i int, n int) error {
		key := objstore.Key(fmt.Sprintf("f/%06d", i))
		_, err := b.Put(t.Context(), key, bytes.NewReader(bytes.Repeat([]byte{byte(i)}, n)), objstore.IfAbsent(), objstore.PutOptions{Durability: objstore.Durability(i % 2)})
		return err
	}
	sizes := []int{4 << 10, 200 << 10}
	for ; ; there++ {
		if err := put(there, sizes[there%2]); err != nil {
			if objstore.KindOf(err) != objstore.ErrNoSpace {
				t.Fatalf("after %d puts: %v", there, err)
			}
			break
		}
	}
	if there < 20 {
		t.Errorf("only %d puts found space", there)
	}
	check := func(when string) {
		t.Helper()
		for i := range there {
			p, err := getAll(t.Context(), b, objstore.Key(fmt.Sprintf("f/%06d", i)))
			if err != nil || len(p) != sizes[i%2] || p[0] != byte(i) {
				t.Fatalf("%s: put %d: %d bytes, %v", when, i, len(p), err)
			}
		}
	}
	check("full")
	must(t, e.Close())
	hog := filepath.Join(disk, "hog")
	fillDisk(t, hog)
	e = open()
	b = mainBucket(t, e)
	check("filled by others")
	must(t, b.Delete(t.Context(), "f/000001", objstore.IfPresent(), objstore.DeleteOptions{}))
	if err := put(1, sizes[1]); objstore.KindOf(err) != objstore.ErrNoSpace {
		t.Errorf("a put on a full disk: %v", err)
	}
	must(t, os.Remove(hog))
	for i := 2; i < 40; i++ {
		must(t, b.Delete(t.Context(), objstore.Key(fmt.Sprintf("f/%06d", i)), objstore.IfPresent(), objstore.DeleteOptions{}))
	}
	must(t, e.Close())
	e = open()
	b = mainBucket(t, e)
	must(t, put(1, sizes[1]))
	must(t, e.checkInvariants())
	must(t, e.Close())
}

// Who is told that there is no space, and removes something, has room at once: for a put, for a stage that goes on, and for its commit. (2) What
// somebody reads gives none, and is read on.
func TestRoomOfWhatWasDeletedIsThereAtOnce(t *testing.T) {
	e, err := Open(t.Context(), filepath.Join(smallDisk(t, "96m"), "store"), Options{Create: true}, testParts(t))
	must(t, err)
	t.Cleanup(func() { e.Close() })
	b := mainBucket(t, e)
	body := bytes.Repeat([]byte("x"), 512<<10)
	put := func(i int) error {
		_, err := b.Put(t.Context(), objstore.Key(fmt.Sprint(i)), bytes.NewReader(body), objstore.Unconditional(), objstore.PutOptions{})
		return err
	}
	there := 0
	for err = put(0); err == nil; err = put(there) {
		there++
	}
	if objstore.KindOf(err) != objstore.ErrNoSpace {
		t.Fatal(err)
	}
	const gone = 80 // some of what they had is for the logs that say so, and for the ballast
	for i := range gone {
		must(t, b.Delete(t.Context(), objstore.Key(fmt.Sprint(i)), objstore.IfPresent(), objstore.DeleteOptions{}))
	}
	for i := range gone / 4 {
		if err := put(i); err != nil {
			t.Fatalf("put %d of %d after the deletes: %v", i, there, err)
		}
	}
	r, err := b.Get(t.Context(), "0", objstore.Unconditional())
	must(t, err)
	must(t, b.Delete(t.Context(), "0", objstore.IfPresent(), objstore.DeleteOptions{}))
	for err = put(there); err == nil; err = put(there) {
		there++
	}
	if objstore.KindOf(err) != objstore.ErrNoSpace {
		t.Fatal(err)
	}
	got := make([]byte, len(body))
	if _, err := r.ReadAt(t.Context(), got, 0); err != nil && err != io.EOF || !bytes.Equal(got, body) {
		t.Errorf("what was open: %v", err)
	}
	must(t, r.Close())
	must(t, b.Delete(t.Context(), "1", objstore.IfPresent(), objstore.DeleteOptions{}))
	must(t, put(there))
}

// fillDisk writes a file until the disk is full.
func fillDisk(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	must(t, err)
	defer f.Close()
	for block := make([]byte, 1<<20); len(block) > 0; {
		if _, err := f.Write(block); errors.Is(err, unix.ENOSPC) {
			block = block[:len(block)/2]
		} else {
			must(t, err)
		}
	}
}

// TestNothingGoesToTheValueLog: what is larger than Badger keeps with its keys is refused, and only that, also
// where the tables in memory are small; the value log has nothing but its head.
func TestNothingGoesToTheValueLog(t *testing.T) {
	parts := testParts(t)
	parts.sizes = smallSizes()
	e, err := Open(t.Context(), filepath.Join(testDir(t), "store"), Options{Create: true}, parts)
	must(t, err)
	b := mainBucket(t, e)
	info := mustPut(t, b, "f", []byte("x"))
	refused, taken := 0, 0
	for n := 1 << 10; n <= 64<<10; n *= 2 {
		change := objstore.AttrChange{Xattrs: map[string][]byte{"user.x": bytes.Repeat([]byte{1}, n)}}
		_, err := b.SetAttr(t.Context(), info.ID, change, objstore.Visible)
		switch {
		case err == nil && refused == 0:
			taken++
		case errors.Is(err, objstore.ErrTooLarge):
			refused++
		default:
			t.Errorf("%d bytes: %v, after %d were refused", n, err, refused)
		}
	}
	if taken == 0 || refused == 0 {
		t.Errorf("%d taken, %d refused: this shows nothing", taken, refused)
	}
	mustPut(t, b, "g", []byte("y"))
	logs, err := filepath.Glob(filepath.Join(e.path(badgerName), "*"+valueLogSuffix))
	if err != nil || len(logs) == 0 {
		t.Fatalf("value logs %v, %v", logs, err)
	}
	for _, name := range logs {
		if n := writtenBytes(t, name); n > logHeaderBytes {
			t.Errorf("%s has %d bytes", name, n)
		}
	}
	must(t, e.Close())
}
