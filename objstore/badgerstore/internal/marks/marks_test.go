package marks

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/zeebo/xxh3"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

var (
	first = Marks{Durable: 1, Lease: 2, LowBlob: 3, Clean: true, ManifestBytes: 4, ManifestBegin: 5}
	next  = Marks{Durable: 1 << 40, Lease: 1<<63 + 1, LowBlob: 1 << 50, Suspect: true, ManifestBytes: 1<<32 - 1, ManifestBegin: 1 << 31}
)

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// made is a file with marks, which were synced.
func made(t *testing.T, fsys disk.FS, m Marks) (f *File, name string) {
	t.Helper()
	name = filepath.Join(t.TempDir(), "marks")
	f, err := Create(fsys, name, m)
	must(t, err)
	t.Cleanup(func() { must(t, f.Close()) })
	return f, name
}

// set writes other marks.
func set(t *testing.T, f *File, sync bool, m Marks) {
	t.Helper()
	must(t, f.Update(sync, func(to *Marks) { *to = m }))
}

// found is what a file of these bytes says.
func found(t *testing.T, content []byte) (Marks, error) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "marks")
	must(t, os.WriteFile(name, content, 0o600))
	f, err := OpenToRead(disk.OS{}, name)
	if err != nil {
		return Marks{}, err
	}
	must(t, f.Close())
	return f.Get(), nil
}

func contentOf(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(name)
	must(t, err)
	return content
}

func TestMarksAreFoundAsTheyWereWritten(t *testing.T) {
	f, name := made(t, disk.OS{}, first)
	for _, want := range []Marks{first, next, {}, first} {
		set(t, f, want != next, want)
		if got, err := found(t, contentOf(t, name)); got != want || f.Get() != want || err != nil {
			t.Errorf("found %+v (%v), want %+v", got, err, want)
		}
	}
	if f.Dirty() {
		t.Error("there is something to sync after it was")
	}
}

// However much of a write reached the disk: the marks are those before, or those after all of it.
func TestTornWriteLeavesTheMarksThatWereSynced(t *testing.T) {
	f, name := made(t, disk.OS{}, first)
	for range slots { // whichever slot is the older one
		set(t, f, true, first)
		torn := contentOf(t, name)
		set(t, f, false, Marks{Durable: 7}) // goes with what is written before the next sync
		set(t, f, false, next)
		after := contentOf(t, name)
		torn = append(torn, make([]byte, len(after)-len(torn))...)
		for n := range after {
			if torn[n] == after[n] {
				continue
			}
			if got, err := found(t, torn); got != first || err != nil {
				t.Fatalf("after %d bytes %+v were found (%v), want %+v", n, got, err, first)
			}
			torn[n] = after[n]
		}
		if got, err := found(t, torn); got != next || err != nil {
			t.Fatalf("after all bytes %+v were found (%v), want %+v", got, err, next)
		}
		must(t, f.Sync())
	}
}

func TestMarksOfWhichNothingIsGoodAreRefused(t *testing.T) {
	f, name := made(t, disk.OS{}, first)
	set(t, f, true, next)
	content := contentOf(t, name)
	for slot := range slots {
		content[slot*slotStep+20] ^= 1
		got, err := found(t, content)
		switch last := slot == slots-1; {
		case last && !errors.Is(err, objstore.ErrCorrupt):
			t.Errorf("with both slots damaged %+v were found (%v)", got, err)
		case !last && err != nil:
			t.Errorf("with one slot damaged: %v", err)
		}
	}
}

// A newer version is left alone, though the other slot is good.
func TestMarksOfANewerVersionAreRefused(t *testing.T) {
	f, name := made(t, disk.OS{}, first)
	set(t, f, true, first)
	content := contentOf(t, name)
	slot := content[:slotBytes]
	slot[11] = version + 1
	sum := xxh3.Hash(slot[:slotBytes-8])
	for i := range 8 {
		slot[slotBytes-1-i] = byte(sum >> (8 * i))
	}
	if got, err := found(t, content); !errors.Is(err, objstore.ErrNewerFormat) {
		t.Errorf("found %+v (%v)", got, err)
	}
}

// Nobody knows what reached the disk when a sync fails, so there is none after it.
func TestFailedSyncIsFinal(t *testing.T) {
	broken := errors.New("broken")
	fails := false
	f, _ := made(t, disk.Hooked(disk.OS{}, func(op disk.Op) error {
		if op.Kind == disk.OpSync && fails {
			return broken
		}
		return nil
	}), first)
	set(t, f, false, next)
	fails = true
	if err := f.Sync(); !errors.Is(err, broken) {
		t.Errorf("the sync that failed: %v", err)
	}
	fails = false
	for what, err := range map[string]error{"sync": f.Sync(), "update": f.Update(false, func(*Marks) {})} {
		if !errors.Is(err, broken) {
			t.Errorf("%s after it: %v", what, err)
		}
	}
}
