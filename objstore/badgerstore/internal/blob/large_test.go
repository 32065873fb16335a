package blob

import (
	"encoding/binary"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/zeebo/xxh3"

	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

// addZeros puts a bare blob of zeros into the tree, without a block on the disk but for its checksums.
func (fx *fixture) addZeros(id uint64, dataBytes int64) Ref {
	fx.t.Helper()
	ref := Ref{ID: id, Bare: true}
	units := dataBytes / SumBytes
	b := &block{id: id, dataBytes: dataBytes, sumRuns: []run{{0, units}}, sums: make([]byte, 0, units*sumEntry)}
	sum := xxh3.Hash(make([]byte, SumBytes))
	for range units {
		b.sums = binary.BigEndian.AppendUint64(b.sums, sum)
	}
	raw, _ := b.encode()
	path := fx.store.Path(ref)
	fx.must(fx.store.mkdir(fx.store.dir + "/" + dirName(id)))
	fx.must(os.WriteFile(path+sumSuffix, raw, 0o600))
	fx.must(os.WriteFile(path, nil, 0o600))
	fx.must(os.Truncate(path, dataBytes))
	return ref
}

func (fx *fixture) must(err error) {
	fx.t.Helper()
	if err != nil {
		fx.t.Fatal(err)
	}
}

// The checksums of a blob too large for them to be kept are not read again with every call; and of several such blobs one
// at most is kept.
func TestChecksumsOfALargeBlobAreReadOnce(t *testing.T) {
	var read atomic.Int64
	fs := disk.Hooked(disk.OS{}, func(op disk.Op) error {
		if op.Kind == disk.OpOpen && strings.HasSuffix(op.Name, sumSuffix) {
			read.Add(1)
		}
		return nil
	})
	fx := newFixture(t, fs)
	const dataBytes = (sumsBytesMax/sumEntry + 1) * SumBytes
	one, two := fx.addZeros(1, dataBytes), fx.addZeros(2, dataBytes)
	p := make([]byte, 4096)
	for i := range int64(20) {
		if _, err := fx.store.ReadAt(t.Context(), one, p, i*dataBytes/20); err != nil && err != io.EOF {
			t.Fatal(err)
		}
	}
	if n := read.Load(); n != 1 {
		t.Errorf("checksums were read %d times", n)
	}
	if _, err := fx.store.ReadAt(t.Context(), two, p, 0); err != nil {
		t.Fatal(err)
	}
	fx.store.files.checkInvariants(t)
	if n := fx.store.files.sumsBytes; n > 2*sumsBytesMax {
		t.Errorf("%d bytes of checksums are kept", n)
	}
}
