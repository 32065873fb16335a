package badgerstore

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

// TestSharedPayloadsSurviveTheirFirstOwners: many at a time edit, copy, link, rename, keep and delete files whose
// contents share payloads and pages, and hold readers open meanwhile. (1) Every reader has the bytes of its
// version to the end; (2) so has every file; (3) no page or payload is lost or left over, then and after
// all is deleted. C1, C2
func TestSharedPayloadsSurviveTheirFirstOwners(t *testing.T) { surviveSharing(t, smallSizes()) }

// The same while all files that are in two pieces, or more, are merged over and over, whether they are open or not.
func TestSharedPayloadsSurviveMerges(t *testing.T) { surviveSharing(t, mergingSizes()) }

func surviveSharing(t *testing.T, sizes *sizes) {
	const workers, rounds = 6, 120
	seed := testSeed(t)
	dir := filepath.Join(testDir(t), "store")
	parts := testParts(t)
	parts.sizes = sizes
	e, err := Open(t.Context(), dir, Options{Create: true}, parts)
	must(t, err)
	b := mainBucket(t, e)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			m := &mixer{t: t, b: b, random: rand.New(rand.NewPCG(seed, uint64(w))), name: fmt.Sprintf("w%d", w), files: map[objstore.Key][]byte{}}
			for i := range rounds {
				m.round(i)
			}
			m.finish()
		})
	}
	end := make(chan struct{})
	var merges sync.WaitGroup
	if sizes.mergeQuiet == 0 {
		merges.Go(func() { mergeUntil(t, e, end) })
	}
	wg.Wait()
	close(end)
	merges.Wait()
	must(t, e.checkInvariants())
	must(t, e.Close())
	if e, err = Open(t.Context(), dir, Options{}, parts); err != nil {
		t.Fatal(err)
	}
	must(t, e.checkInvariants())
	b = mainBucket(t, e)
	left, err := readAll(t.Context(), b)
	must(t, err)
	for key := range left {
		must(t, b.Delete(t.Context(), key, objstore.IfPresent(), objstore.DeleteOptions{}))
	}
	all, err := b.ListConflicts(t.Context())
	must(t, err)
	for _, c := range all {
		must(t, b.DropConflict(t.Context(), c.ID))
	}
	drain(t, e)
	must(t, e.checkInvariants())
	v := e.view()
	for _, prefix := range "PQRG" {
		if n := countOf(t, v, []byte{byte(prefix)}); n != 0 {
			t.Errorf("%d keys under %c are left (seed %d)", n, prefix, seed)
		}
	}
	v.close()
	must(t, e.Close())
}

// mergeUntil merges all that can be merged over and over.
func mergeUntil(t *testing.T, e *Engine, end <-chan struct{}) {
	var sum Merged
	for {
		m, err := e.Merge(t.Context(), nil)
		if err != nil || m.Failed > 0 {
			t.Errorf("%+v, %v", m, err)
		}
		sum.Files, sum.Blocks = sum.Files+m.Files, sum.Blocks+m.Blocks
		select {
		case <-end:
			t.Logf("%+v", sum)
			return
		default:
		}
	}
}

// drain waits until there is no garbage.
func drain(t *testing.T, e *Engine) {
	t.Helper()
	for range 10000 {
		must(t, e.Sync(t.Context()))
		must(t, e.marks.Sync())
		e.syncer.marked.Store(e.marks.Get().Durable)
		e.collector.collect()
		e.collector.working.Lock() // what the background has taken is not in the queue
		e.collector.mu.Lock()
		n := len(e.collector.queue) + len(e.collector.removed)
		e.collector.mu.Unlock()
		e.collector.working.Unlock()
		if n == 0 {
			return
		}
	}
	t.Fatal("garbage does not go")
}

// mixer is one worker and the files it alone changes.
type mixer struct {
	t       *testing.T
	b       *Bucket
	random  *rand.Rand
	name    string
	n       int
	files   map[objstore.Key][]byte
	readers []heldReader
}

type heldReader struct {
	r    objstore.Reader
	want []byte
}

func (m *mixer) check(err error) {
	if err != nil {
		m.t.Errorf("%s after %d files: %v", m.name, m.n, err)
	}
}

func (m *mixer) fresh() objstore.Key {
	m.n++
	return objstore.Key(fmt.Sprintf("%s/%d", m.name, m.n))
}

// any is one of the files; empty if there is none.
func (m *mixer) any() objstore.Key {
	for key := range m.files {
		return key
	}
	return ""
}

func (m *mixer) round(i int) {
	key := m.any()
	action := m.random.IntN(10)
	if key == "" || len(m.files) < 3 {
		action = 0
	}
	switch action {
	case 0:
		key = m.fresh()
		m.files[key] = m.bytes([]int{100, 3000, 100_000, 5 << 20}[m.random.IntN(4)])
		_, err := m.b.Put(m.t.Context(), key, bytes.NewReader(m.files[key]), objstore.IfAbsent(), objstore.PutOptions{Durability: objstore.Visible})
		m.check(err)
	case 1, 2, 3, 4:
		m.edit(key, action == 4)
	case 5, 6:
		dst := m.fresh()
		_, err := m.b.Copy(m.t.Context(), objstore.CopyRequest{
			Src: key, SrcCond: objstore.IfPresent(), Dst: dst, DstCond: objstore.IfAbsent(),
			Put: objstore.PutOptions{Durability: objstore.Visible},
		})
		m.check(err)
		m.files[dst] = m.files[key]
	case 7:
		dst := m.fresh()
		_, err := m.b.Rename(m.t.Context(), objstore.RenameRequest{
			Src: key, SrcCond: objstore.IfPresent(), Dst: dst, DstCond: objstore.IfAbsent(), Durability: objstore.Durability(i % 2),
		})
		m.check(err)
		m.files[dst] = m.files[key]
		delete(m.files, key)
	case 8:
		m.check(m.b.Delete(m.t.Context(), key, objstore.IfPresent(), objstore.DeleteOptions{Durability: objstore.Durability(i % 2)}))
		delete(m.files, key)
	case 9:
		r, err := m.b.Get(m.t.Context(), key, objstore.Unconditional())
		m.check(err)
		if err == nil {
			m.readers = append(m.readers, heldReader{r, m.files[key]})
		}
	}
	if len(m.readers) > 4 {
		m.readers[0].check(m)
		m.readers = m.readers[1:]
	}
}

func (m *mixer) bytes(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(m.random.Uint32() >> 20)
	}
	return p
}

// edit changes a few places of a file through a stage; or keeps the change as a conflict.
func (m *mixer) edit(key objstore.Key, keep bool) {
	ctx := m.t.Context()
	r, err := m.b.Get(ctx, key, objstore.Unconditional())
	m.check(err)
	if err != nil {
		return
	}
	defer r.Close()
	id := r.Info().ID
	s, err := m.b.NewStage(ctx, objstore.StageSpec{Base: r, Owner: objstore.Owner{Path: string(key), Object: id, Base: r.Info().Version}})
	m.check(err)
	defer s.Close()
	want := bytes.Clone(m.files[key])
	version := r.Info().Version
	for range 1 + m.random.IntN(3) {
		for range 1 + m.random.IntN(3) {
			p := m.bytes(1 + m.random.IntN(6000))
			off := m.random.IntN(len(want) + 1)
			want = append(want, make([]byte, max(0, off+len(p)-len(want)))...)
			copy(want[off:], p)
			_, err := s.WriteAt(ctx, p, int64(off))
			m.check(err)
		}
		if keep {
			_, err := s.Keep(ctx, objstore.Conflict{
				Reason: objstore.ReasonLost, Path: string(key), Object: id, Theirs: objstore.ContentRef{Version: version},
			})
			m.check(err)
			continue
		}
		res, err := s.Commit(ctx, objstore.CommitRequest{
			Target: objstore.Target{ID: id}, Cond: objstore.IfVersion(version), Durability: objstore.Visible,
		})
		m.check(err)
		version = res.Info.Version
		m.files[key] = bytes.Clone(want)
	}
}

func (h heldReader) check(m *mixer) {
	got := make([]byte, len(h.want))
	if n, err := h.r.ReadAt(m.t.Context(), got, 0); n != len(got) || !bytes.Equal(got, h.want) {
		m.check(fmt.Errorf("a reader of version %s has other bytes: %w", h.r.Info().Version, err))
	}
	m.check(h.r.Close())
}

func (m *mixer) finish() {
	for _, h := range m.readers {
		h.check(m)
	}
	for key, want := range m.files {
		got, err := getAll(m.t.Context(), m.b, key)
		if m.check(err); err == nil && !bytes.Equal(got, want) {
			m.check(fmt.Errorf("%s has other bytes", key))
		}
	}
}

// testSeed is 1 or what OBJSTORETEST_SEED says, which runs a failure again.
func testSeed(t *testing.T) uint64 {
	seed, err := strconv.ParseUint(os.Getenv("OBJSTORETEST_SEED"), 10, 64)
	if err != nil {
		seed = 1
	}
	t.Logf("OBJSTORETEST_SEED=%d", seed)
	return seed
}
