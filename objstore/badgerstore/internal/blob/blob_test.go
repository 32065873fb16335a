package blob

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
	"github.com/etagfs/etagfs/objstore/blockhash"
)

// fixture is a blob tree and a directory to stage in.
type fixture struct {
	t     testing.TB
	fs    disk.FS
	dir   string
	store *Store
}

func newFixture(t testing.TB, fs disk.FS) *fixture {
	t.Helper()
	fx := &fixture{t: t, fs: fs, dir: t.TempDir()}
	fx.store = fx.open(0)
	return fx
}

func (fx *fixture) open(openMax int) *Store {
	fx.t.Helper()
	s, err := Open(fx.fs, filepath.Join(fx.dir, "blobs"), Options{OpenMax: openMax})
	if err != nil {
		fx.t.Fatal(err)
	}
	fx.t.Cleanup(func() { s.Close() })
	return s
}

// piece is bytes written at an offset.
type piece struct {
	off int64
	p   []byte
}

// seal stages and seals a payload of the pieces, written in that order.
func (fx *fixture) seal(id uint64, pieces ...piece) Sealed {
	fx.t.Helper()
	f, err := fx.fs.Create(filepath.Join(fx.dir, Ref{ID: id}.String()))
	if err != nil {
		fx.t.Fatal(err)
	}
	defer f.Close()
	s := NewSummer()
	end := int64(0)
	for _, p := range pieces {
		if _, err := f.WriteAt(p.p, p.off); err != nil {
			fx.t.Fatal(err)
		}
		s.Wrote(p.p, p.off)
		end = max(end, p.off+int64(len(p.p)))
	}
	digests := make(map[int64]blockhash.Digest)
	for k := range blockhash.BlockCount(end) {
		digests[k] = blockhash.Digest{byte(k), byte(id)}
	}
	sealed, err := Seal(fx.fs, f, id, Meta{Object: 7, Version: 8}, end, s, digests)
	if err != nil {
		fx.t.Fatal(err)
	}
	return sealed
}

// add makes a blob.
func (fx *fixture) add(id uint64, pieces ...piece) Ref {
	fx.t.Helper()
	sealed := fx.seal(id, pieces...)
	for range 2 { // the second time changes nothing
		if err := fx.store.Adopt(sealed); err != nil {
			fx.t.Fatal(err)
		}
	}
	return sealed.Ref
}

func randomBytes(seed uint64, n int) []byte {
	p := make([]byte, n)
	var key [32]byte
	key[0] = byte(seed)
	rand.NewChaCha8(key).Read(p)
	return p
}

func sizes() []int {
	return []int{1, 100, SumBytes - 1, SumBytes, SumBytes + 1, 3*SumBytes + 17,
		BareBytes - 1, BareBytes, BareBytes + 1, 3*BareBytes + 5}
}

// What was written is read, at any offset and length, and no byte of the checksum block ever.
func TestReadsReturnWhatWasWritten(t *testing.T) {
	fx := newFixture(t, disk.OS{})
	for i, n := range sizes() {
		want := randomBytes(uint64(i), n)
		ref := fx.add(uint64(i+1)<<dirBits, piece{0, want})
		if ref.Bare != (n >= BareBytes) {
			t.Errorf("%d bytes: bare is %v", n, ref.Bare)
		}
		rng := rand.New(rand.NewPCG(1, uint64(i)))
		for range 50 {
			off, length := rng.IntN(n+10), rng.IntN(n+10)
			got := make([]byte, length)
			m, err := fx.store.ReadAt(t.Context(), ref, got, int64(off))
			end := min(n, off+length)
			if off >= n && (m != 0 || err != io.EOF) || off < n && !bytes.Equal(got[:m], want[off:end]) ||
				off < n && (err == io.EOF) != (off+length > n) || err != nil && err != io.EOF {
				t.Fatalf("%d bytes at %d of %d: %d, %v", length, off, n, m, err)
			}
		}
		if info, err := fx.fs.Stat(fx.store.Path(ref)); err != nil || ref.Bare && info.Size != int64(n) {
			t.Errorf("a bare blob is its content: %+v, %v", info, err)
		}
		fx.checkDescription(ref, int64(n))
	}
}

func (fx *fixture) checkDescription(ref Ref, n int64) {
	fx.t.Helper()
	h, err := fx.store.files.use(ref, fx.store.Path(ref))
	if err != nil {
		fx.t.Fatal(err)
	}
	defer fx.store.files.done(h)
	if size, err := fx.store.Size(ref); size != n || err != nil {
		fx.t.Errorf("size %d, %v", size, err)
	}
	if h.block.meta != (Meta{7, 8}) || h.block.id != ref.ID {
		fx.t.Errorf("description: %+v", h.block)
	}
	d, err := fx.store.BlockDigests(ref, 0, blockhash.BlockCount(n))
	if err != nil || d[len(d)-1] != (blockhash.Digest{byte(len(d) - 1), byte(ref.ID)}) {
		fx.t.Errorf("digests %v, %v", d, err)
	}
	if _, err := fx.store.BlockDigests(ref, 0, blockhash.BlockCount(n)+1); !errors.Is(err, objstore.ErrCorrupt) {
		fx.t.Errorf("digest there is not: %v", err)
	}
}

// Bytes written in any order, over each other and with holes are summed as they are in the end.
func TestWritesInAnyOrderVerify(t *testing.T) {
	for seed := range uint64(30) {
		fx := newFixture(t, disk.OS{})
		rng := rand.New(rand.NewPCG(seed, 2))
		content := make([]byte, 20*SumBytes)
		var pieces []piece
		pos := 0
		for range 1 + rng.IntN(40) {
			if rng.IntN(2) == 0 {
				pos = rng.IntN(len(content) - 1)
			}
			n := 1 + rng.IntN(min(len(content)-pos, 3*SumBytes))
			p := randomBytes(rng.Uint64(), n)
			copy(content[pos:], p)
			pieces = append(pieces, piece{int64(pos), p})
			if pos += n; pos >= len(content) {
				pos = 0
			}
		}
		ref := fx.add(1, pieces...)
		for _, p := range pieces {
			got := make([]byte, len(p.p))
			if _, err := fx.store.ReadAt(t.Context(), ref, got, p.off); err != nil || !bytes.Equal(got, content[p.off:][:len(got)]) {
				t.Fatalf("seed %d: read %d at %d: %v", seed, len(got), p.off, err)
			}
		}
		if err := fx.store.Verify(t.Context(), ref, 0); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// A flipped bit anywhere is reported and never served (C11).
func TestFlippedBitsAreNeverServed(t *testing.T) {
	for _, n := range []int{5000, BareBytes} {
		fx := newFixture(t, disk.OS{})
		want := randomBytes(1, n)
		sealed := fx.seal(1, piece{0, want})
		if err := fx.store.Adopt(sealed); err != nil {
			t.Fatal(err)
		}
		paths := []string{fx.store.Path(sealed.Ref)}
		if sealed.Ref.Bare {
			paths = append(paths, paths[0]+sumSuffix)
		}
		rng := rand.New(rand.NewPCG(1, 1))
		for _, path := range paths {
			good, _ := os.ReadFile(path)
			for range 300 {
				bit := rng.IntN(len(good) * 8)
				flip(t, path, bit)
				fx.checkDamaged(sealed, want)
				flip(t, path, bit)
			}
		}
		if err := fx.open(0).Verify(t.Context(), sealed.Ref, sealed.Check); err != nil {
			t.Errorf("whole again: %v", err)
		}
	}
}

func (fx *fixture) checkDamaged(sealed Sealed, want []byte) {
	fx.t.Helper()
	s := fx.open(0)
	defer s.Close()
	got := make([]byte, len(want))
	n, err := s.ReadAt(context.Background(), sealed.Ref, got, 0)
	if err == nil || !bytes.Equal(got[:n], want[:n]) || n < len(want) && !slices.Contains([]objstore.Kind{
		objstore.ErrCorrupt, objstore.ErrNewerFormat}, objstore.KindOf(err)) {
		fx.t.Fatalf("damaged blob: %d bytes read, %v", n, err)
	}
	if err := s.Verify(context.Background(), sealed.Ref, sealed.Check); err == nil {
		fx.t.Fatal("damaged blob verifies")
	}
}

func flip(t *testing.T, path string, bit int) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b [1]byte
	if _, err := f.ReadAt(b[:], int64(bit/8)); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1 << (bit % 8)
	if _, err := f.WriteAt(b[:], int64(bit/8)); err != nil {
		t.Fatal(err)
	}
}

// A blob that is missing, cut short, another one's or of another commit is corrupt.
func TestWrongFilesAreCorrupt(t *testing.T) {
	for name, damage := range map[string]func(path, other string) error{
		"cut":       func(path, _ string) error { return os.Truncate(path, 4000) },
		"empty":     func(path, _ string) error { return os.Truncate(path, 0) },
		"exchanged": func(path, other string) error { return os.Rename(other, path) },
		"missing":   func(path, _ string) error { return os.Remove(path) },
	} {
		fx := newFixture(t, disk.OS{})
		a, b := fx.add(1, piece{0, randomBytes(1, 5000)}), fx.add(2, piece{0, randomBytes(2, 5000)})
		if err := fx.store.Verify(t.Context(), a, 12345); !errors.Is(err, objstore.ErrCorrupt) {
			t.Errorf("of another commit: %v", err)
		}
		if err := damage(fx.store.Path(a), fx.store.Path(b)); err != nil {
			t.Fatal(err)
		}
		if _, err := fx.store.ReadAt(t.Context(), a, make([]byte, 10), 0); !errors.Is(err, objstore.ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
		if err := fx.store.Verify(t.Context(), a, 0); !errors.Is(err, objstore.ErrCorrupt) {
			t.Errorf("%s: verify: %v", name, err)
		}
	}
}

// C8: a sync covers the file, its checksums, its directory, and the parents of new ones, deepest first.
func TestSyncCoversFilesAndDirectories(t *testing.T) {
	var mu sync.Mutex
	var synced []string
	var fx *fixture
	hook := func(op disk.Op) error {
		if op.Kind == disk.OpSync || op.Kind == disk.OpSyncDir {
			mu.Lock()
			defer mu.Unlock()
			rel, _ := filepath.Rel(fx.dir, op.Name)
			synced = append(synced, rel)
		}
		return nil
	}
	fx = &fixture{t: t, fs: disk.Hooked(disk.OS{}, hook), dir: t.TempDir()}
	fx.store = fx.open(0)
	fx.add(0x2001, piece{0, []byte("small")})
	fx.add(0x2002, piece{0, make([]byte, BareBytes)})
	if err := fx.store.Sync(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(synced[:3])
	want := []string{"blobs/2/2001", "blobs/2/2002", "blobs/2/2002.sum", "blobs/2", "blobs", "."}
	if !slices.Equal(synced, want) {
		t.Errorf("synced %q, want %q", synced, want)
	}
	synced = nil
	fx.add(0x2003, piece{0, []byte("more")})
	gone := fx.add(0x2004, piece{0, []byte("removed before the sync")})
	if err := errors.Join(fx.store.Remove(gone), fx.store.Sync(), fx.store.Sync()); err != nil {
		t.Fatal(err)
	}
	if want := []string{"blobs/2/2003", "blobs/2"}; !slices.Equal(synced, want) {
		t.Errorf("then synced %q, want %q", synced, want)
	}
}

// C8: after a failed sync no later one succeeds.
func TestFailedSyncIsFinal(t *testing.T) {
	failure := errors.New("disk gone")
	fail := false
	fx := newFixture(t, disk.Hooked(disk.OS{}, func(op disk.Op) error {
		if op.Kind == disk.OpSync && fail {
			return failure
		}
		return nil
	}))
	fx.add(1, piece{0, []byte("x")})
	fail = true
	if err := fx.store.Sync(); !errors.Is(err, failure) {
		t.Errorf("failed sync: %v", err)
	}
	fail = false
	if err := fx.store.Sync(); !errors.Is(err, failure) {
		t.Errorf("sync after a failed one: %v", err)
	}
}

// Orphans finds what is there from the given id on, halves too; Remove removes all of it.
func TestOrphansAreFoundAndRemoved(t *testing.T) {
	fx := newFixture(t, disk.OS{})
	for _, id := range []uint64{5, 0xfff, 0x1000, 0x5001} {
		fx.add(id, piece{0, []byte("x")})
	}
	bare := fx.add(0x5002, piece{0, make([]byte, BareBytes)})
	half := fx.add(0x5003, piece{0, make([]byte, BareBytes)})
	if err := errors.Join(os.Remove(fx.store.Path(bare)), os.Remove(fx.store.Path(half)+sumSuffix)); err != nil {
		t.Fatal(err)
	}
	find := func(low uint64) (ids []uint64) {
		err := fx.store.Orphans(low, func(ref Ref) error {
			ids = append(ids, ref.ID)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(ids)
		return ids
	}
	if got, want := find(0xfff), []uint64{0xfff, 0x1000, 0x5001, 0x5002, 0x5003}; !slices.Equal(got, want) {
		t.Errorf("from fff: %x, want %x", got, want)
	}
	if err := fx.store.Orphans(0, fx.store.Remove); err != nil {
		t.Fatal(err)
	}
	if got := find(0); len(got) != 0 {
		t.Errorf("left: %x", got)
	}
}

// Few descriptors serve many blobs and readers, also when the process has none left.
func TestReadsSurviveLackOfDescriptors(t *testing.T) {
	var fx *fixture
	var mu sync.Mutex
	free := 3
	starved := disk.Hooked(disk.OS{}, func(op disk.Op) error {
		mu.Lock()
		defer mu.Unlock()
		if op.Kind != disk.OpOpen {
			return nil
		}
		if free == 0 {
			return unix.EMFILE
		}
		free--
		return nil
	})
	fx = newFixture(t, disk.OS{})
	for id := uint64(1); id <= 20; id++ {
		fx.add(id, piece{0, randomBytes(id, 1000)})
	}
	s, err := Open(countingFS{starved, func() { mu.Lock(); free++; mu.Unlock() }}, filepath.Join(fx.dir, "blobs"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var wait sync.WaitGroup
	for reader := range 8 {
		wait.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(reader)))
			for range 300 {
				id := 1 + rng.Uint64N(20)
				got := make([]byte, 1000)
				if _, err := s.ReadAt(t.Context(), Ref{ID: id}, got, 0); err != nil || !bytes.Equal(got, randomBytes(id, 1000)) {
					t.Errorf("blob %d: %v", id, err)
				}
			}
		})
	}
	wait.Wait()
	s.files.checkInvariants(t)
}

// countingFS tells when a file opened for reading is closed.
type countingFS struct {
	disk.FS
	closed func()
}

func (c countingFS) Open(name string) (disk.File, error) {
	f, err := c.FS.Open(name)
	if err != nil {
		return nil, err
	}
	return countingFile{f, c.closed}, nil
}

type countingFile struct {
	disk.File
	closed func()
}

func (f countingFile) Close() error {
	defer f.closed()
	return f.File.Close()
}

func (f *files) checkInvariants(t *testing.T) {
	f.mu.Lock()
	defer f.mu.Unlock()
	idle, bytes := 0, 0
	for ref, h := range f.open {
		if (h.element != nil) != (h.users == 0) || h.ref != ref || h.gone || h.opening {
			t.Errorf("handle %+v", h)
		}
		if h.users == 0 {
			idle++
		}
		bytes += h.sumsBytes()
	}
	if idle != f.idle.Len() || bytes != f.sumsBytes || len(f.open) > f.openMax {
		t.Errorf("%d idle of %d, list has %d; %d bytes of checksums, counted %d", idle, len(f.open), f.idle.Len(), bytes, f.sumsBytes)
	}
}

// The bound on open descriptors is kept.
func TestDescriptorsAreBounded(t *testing.T) {
	fx := newFixture(t, disk.OS{})
	s := fx.open(4)
	for id := uint64(1); id <= 20; id++ {
		ref := fx.add(id, piece{0, []byte("x")})
		if _, err := s.ReadAt(t.Context(), ref, make([]byte, 1), 0); err != nil {
			t.Fatal(err)
		}
		s.files.checkInvariants(t)
	}
}

// A file system without hard links is refused in a sentence that says so.
func TestFileSystemWithoutLinksIsRefused(t *testing.T) {
	fs := disk.Hooked(disk.OS{}, func(op disk.Op) error {
		if op.Kind == disk.OpLink {
			return unix.EPERM
		}
		return nil
	})
	if _, err := Open(fs, t.TempDir(), Options{}); !errors.Is(err, objstore.ErrUnsupported) {
		t.Errorf("open: %v", err)
	}
}

// Any bytes decode to a block that encodes to them, or to an error.
func FuzzDecodeBlock(f *testing.F) {
	raw, _ := (&block{id: 3, dataBytes: 5, sumRuns: []run{{0, 2}, {5, 1}}, sums: make([]byte, 24)}).encode()
	f.Add(raw)
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, check, err := decode(raw)
		if err != nil {
			if objstore.KindOf(err) == 0 {
				t.Fatalf("unclassified: %v", err)
			}
			return
		}
		if again, sum := b.encode(); !bytes.Equal(again, raw) || sum != check {
			t.Fatalf("%x encodes again as %x", raw, again)
		}
	})
}
