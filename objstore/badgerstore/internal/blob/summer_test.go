package blob

import (
	"bytes"
	"context"
	"path/filepath"
	"testing"

	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

// countedFile counts the bytes that are read of it.
type countedFile struct {
	disk.File
	bytesRead int
}

func (f *countedFile) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.File.ReadAt(p, off)
	f.bytesRead += n
	return n, err
}

// sealCounted seals what write writes, adopts it and verifies all of it.
func sealCounted(t *testing.T, size int64, write func(f disk.File, s *Summer)) (bytesRead int) {
	t.Helper()
	fx := newFixture(t, disk.OS{})
	created, err := fx.fs.Create(filepath.Join(fx.dir, "1"))
	if err != nil {
		t.Fatal(err)
	}
	f, s := &countedFile{File: created}, NewSummer()
	defer f.Close()
	write(f, s)
	sealed, err := Seal(fx.fs, f, 1, Meta{}, size, s, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := fx.store.Adopt(sealed); err != nil {
		t.Fatal(err)
	}
	if err := fx.store.Verify(context.Background(), sealed.Ref, sealed.Check); err != nil {
		t.Error(err)
	}
	return f.bytesRead
}

func mustWrite(t *testing.T, f disk.File, p []byte, off int64) {
	t.Helper()
	if _, err := f.WriteAt(p, off); err != nil {
		t.Fatal(err)
	}
}

// What is scattered over a file is summed without reading the holes between.
func TestHolesAreNotReadToBeSummed(t *testing.T) {
	const size = 2*BareBytes + 100
	pieces := []struct {
		off        int64
		n, inPages int // the bytes of the pages it touches
	}{
		{3*SumBytes + 2*pageBytes, pageBytes, pageBytes},
		{3*SumBytes + 9*pageBytes + 5, 1, pageBytes},
		{3*SumBytes + 15*pageBytes + 5, 10, pageBytes},
		{8*SumBytes - 1, 2, 2 * pageBytes},
		{size - 50, 50, 100}, // of the last page there is no more
	}
	want := 0
	got := sealCounted(t, size, func(f disk.File, s *Summer) {
		for i, p := range pieces {
			b := bytes.Repeat([]byte{byte(i + 1)}, p.n)
			mustWrite(t, f, b, p.off)
			s.Wrote(b, p.off)
			want += p.inPages
		}
	})
	if got != want {
		t.Errorf("%d bytes were read, want %d", got, want)
	}
}

// A write that failed may have left bytes where nothing was noted; what is written beside them later has the right sum.
func TestBytesOfAFailedWriteAreSummed(t *testing.T) {
	sealCounted(t, SumBytes, func(f disk.File, s *Summer) {
		garbage := bytes.Repeat([]byte("x"), pageBytes)
		mustWrite(t, f, garbage, 5*pageBytes)
		s.Doubt(5*pageBytes, 6*pageBytes)
		mustWrite(t, f, garbage, 15*pageBytes)
		s.Wrote(garbage, 15*pageBytes)
	})
}
