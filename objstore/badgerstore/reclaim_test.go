package badgerstore

import (
	"bytes"
	"path/filepath"
	"sync"
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

// slowRemoval is a disk on which the first removal of a blob, once it has begun, ends when it is told to.
type slowRemoval struct {
	disk.FS
	first      *sync.Once
	began, may chan struct{}
}

func (d slowRemoval) Remove(name string) error {
	if filepath.Base(filepath.Dir(filepath.Dir(name))) == blobsName {
		d.first.Do(func() {
			close(d.began)
			<-d.may
		})
	}
	return d.FS.Remove(name)
}

// Who finds no space while the room of what was deleted is just being given back has that, whether it is there by then or not yet.
func TestRoomThatIsJustBeingGivenBackIsFound(t *testing.T) {
	slow := slowRemoval{disk.OS{}, new(sync.Once), make(chan struct{}), make(chan struct{})}
	parts := testParts(t)
	parts.Disk = slow
	e, err := Open(t.Context(), filepath.Join(testDir(t), "store"), Options{Create: true}, parts)
	must(t, err)
	t.Cleanup(func() { must(t, e.Close()) })
	b := mainBucket(t, e)
	_, err = b.Put(t.Context(), "f", bytes.NewReader(make([]byte, 1<<20)), objstore.Unconditional(), objstore.PutOptions{})
	must(t, err)
	resume := e.collector.pause()
	must(t, b.Delete(t.Context(), "f", objstore.IfPresent(), objstore.DeleteOptions{}))
	tries := 0
	err = e.withRoom(t.Context(), func() error {
		if tries++; tries > 1 {
			return nil
		}
		must(t, e.Sync(t.Context()))
		must(t, e.marks.Sync())
		e.syncer.marked.Store(e.marks.Get().Durable)
		resume()
		<-slow.began
		if !e.collector.mayFree() {
			t.Error("what is being removed is not waited for")
		}
		close(slow.may)
		drain(t, e)
		return objstore.ErrNoSpace
	})
	if err != nil {
		t.Errorf("after %d tries: %v", tries, err)
	}
}
