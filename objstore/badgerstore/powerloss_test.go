package badgerstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

// smallSizes make logs rotate and tables merge after a few hundred commits.
func smallSizes() *sizes {
	s := ProfileMount.sizes()
	s.memTableBytes, s.inlineBytes, s.batchBytes = 256<<10, 2<<10, 16<<10
	s.space.ReserveBytes, s.space.BallastBytes = 1<<20, 1<<20
	return &s
}

// lossyDisk remembers what of each file has been synced.
type lossyDisk struct {
	disk.FS
	mu     sync.Mutex
	synced map[string][]byte // GUARDED_BY(mu): content at the last sync, by name
}

func newLossyDisk() *lossyDisk {
	l := &lossyDisk{synced: map[string][]byte{}}
	l.FS = disk.Hooked(disk.OS{}, func(op disk.Op) error {
		if op.Kind != disk.OpSync {
			return nil
		}
		p, err := os.ReadFile(op.Name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		l.mu.Lock()
		defer l.mu.Unlock()
		l.synced[op.Name] = p
		return nil
	})
	return l
}

// isLossy reports whether the file goes through the page cache and is synced by us. Tables
// and the manifest are synced by Badger as it writes them.
func isLossy(name string) bool {
	return strings.HasSuffix(name, ".mem") || strings.Contains(name, "/"+blobsName+"/") || filepath.Base(name) == marksName
}

// image makes a copy of the store as a loss of power may leave it: of each file that is not synced
// as it is, what was synced last, or all of it if keep says so.
func (l *lossyDisk) image(from, to string, keep func(name string) bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := copyStore(from, to); err != nil {
		return err
	}
	return filepath.WalkDir(to, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !isLossy(name) || keep(name) {
			return err
		}
		source := filepath.Join(from, strings.TrimPrefix(name, to))
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		p := make([]byte, info.Size())
		copy(p, l.synced[source])
		return os.WriteFile(name, p, 0o600)
	})
}

// step is one mutation of the workload.
type step struct {
	kind     string // put, delete, rename
	key, dst objstore.Key
	body     []byte
}

// apply does s to a model of the store.
func (s step) apply(model map[objstore.Key]string) {
	switch s.kind {
	case "put":
		model[s.key] = string(s.body)
	case "delete":
		delete(model, s.key)
	case "rename":
		model[s.dst] = model[s.key]
		delete(model, s.key)
	}
}

func (s step) run(ctx context.Context, b *Bucket, d objstore.Durability) error {
	switch s.kind {
	case "put":
		_, err := b.Put(ctx, s.key, bytes.NewReader(s.body), objstore.Unconditional(), objstore.PutOptions{Durability: d})
		return err
	case "delete":
		return b.Delete(ctx, s.key, objstore.IfPresent(), objstore.DeleteOptions{Durability: d})
	default:
		_, err := b.Rename(ctx, objstore.RenameRequest{
			Src: s.key, SrcCond: objstore.IfPresent(), Dst: s.dst, DstCond: objstore.Unconditional(), Durability: d,
		})
		return err
	}
}

// history is what a workload did, in the order in which it became visible.
type history struct {
	steps   []step
	durable int    // of them, those that were acknowledged as durable, or came before one
	number  uint64 // none greater has been given out
	model   map[objstore.Key]string
}

// next is a step that makes sense now.
func (h *history) next(random *rand.Rand) step {
	n := len(h.steps)
	fresh := objstore.Key(fmt.Sprintf("d%d/%05d", n%7, n))
	for key := range h.model { // any of them
		switch random.IntN(8) {
		case 0:
			return step{kind: "delete", key: key}
		case 1:
			return step{kind: "rename", key: key, dst: fresh}
		case 2, 3:
			return step{kind: "put", key: key, body: bodyOf(n)}
		}
		break
	}
	return step{kind: "put", key: fresh, body: bodyOf(n)}
}

// bodyOf is a body no other step has; sizes are spread over inline payloads and blobs.
func bodyOf(n int) []byte {
	word := fmt.Sprintf("%07d ", n)
	return []byte(strings.Repeat(word, 9000))[:[]int{8, 100, 1500, 5000, 70000}[n%5]]
}

// TestPowerLossLeavesAPrefixWithAllThatIsDurable: (1) whatever is not synced is lost, in any
// combination; (2) what is left is the state after some step of the order in which steps became visible,
// renames, overwrites and deletes included; (3) no step acknowledged as durable is missing; (4) no version comes
// back. C8
func TestPowerLossLeavesAPrefixWithAllThatIsDurable(t *testing.T) {
	for seed := range uint64(10) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			if err := powerLoss(t, seed, nil); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestPowerLossTestCatchesMutants: a store that leaves out a sync it needs fails the test above.
func TestPowerLossTestCatchesMutants(t *testing.T) {
	for name, skip := range map[string]disk.Hook{
		"logs are not synced": func(op disk.Op) error {
			if op.Kind == disk.OpSync && strings.HasSuffix(op.Name, logSuffix) {
				return disk.ErrSkipped
			}
			return nil
		},
		"blobs are not synced": func(op disk.Op) error {
			if op.Kind == disk.OpSync && strings.Contains(op.Name, "/"+blobsName+"/") {
				return disk.ErrSkipped
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(10) {
				if err := powerLoss(t, seed, skip); err != nil {
					t.Logf("caught with seed %d: %v", seed, err)
					return
				}
			}
			t.Fatal("not caught")
		})
	}
}

func powerLoss(t *testing.T, seed uint64, mutant disk.Hook) error {
	random := rand.New(rand.NewPCG(seed, 1))
	dir := filepath.Join(testDir(t), "store")
	lossy := newLossyDisk()
	parts := testParts(t)
	parts.Disk, parts.sizes = lossy, smallSizes()
	if mutant != nil {
		parts.Disk = disk.Hooked(lossy, mutant)
	}
	e, err := Open(t.Context(), dir, Options{Create: true}, parts)
	if err != nil {
		return err
	}
	defer e.Close()
	b := mainBucket(t, e)
	h := history{model: map[objstore.Key]string{}}
	const steps = 900
	for i := range steps {
		s := h.next(random)
		d := objstore.Visible
		if random.IntN(60) == 0 {
			d = objstore.Durable
		}
		if err := s.run(t.Context(), b, d); err != nil {
			return err
		}
		s.apply(h.model)
		h.steps = append(h.steps, s)
		h.number = e.numbers.last.Load()
		if d == objstore.Durable {
			h.durable = len(h.steps)
		}
		if random.IntN(steps/4) != 0 && i != steps-1 {
			continue
		}
		image := fmt.Sprintf("%s-%d", dir, i)
		share := random.IntN(4)
		if err := lossy.image(dir, image, func(string) bool { return random.IntN(4) < share }); err != nil {
			return err
		}
		if err := h.check(t, image); err != nil {
			return fmt.Errorf("after %d steps: %w", len(h.steps), err)
		}
	}
	return nil
}

// check opens an image and compares it with the history.
func (h *history) check(t *testing.T, image string) (err error) {
	parts := testParts(t)
	parts.sizes = smallSizes()
	e, err := Open(t.Context(), image, Options{}, parts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close(), os.RemoveAll(image)) }()
	b := mainBucket(t, e)
	found, err := readAll(t.Context(), b)
	if err != nil {
		return err
	}
	model := map[objstore.Key]string{}
	match := -1
	for i := 0; i <= len(h.steps); i++ {
		if i >= h.durable && maps.Equal(model, found) {
			match = i
			break
		}
		if i < len(h.steps) {
			h.steps[i].apply(model)
		}
	}
	if match < 0 {
		return fmt.Errorf("the %d keys that are left are the state after no step from %d to %d", len(found), h.durable, len(h.steps))
	}
	t.Logf("the state after step %d of %d; %d were durable", match, len(h.steps), h.durable)
	if err := e.checkInvariants(); err != nil {
		return err
	}
	info, err := b.Put(t.Context(), "after", strings.NewReader("x"), objstore.IfAbsent(), objstore.PutOptions{})
	if version, _ := info.Version.Number(); err == nil && version <= h.number {
		err = fmt.Errorf("version %d was given out before the power went, and perhaps again now", version)
	}
	return err
}

// readAll is every key with its bytes.
func readAll(ctx context.Context, b *Bucket) (map[objstore.Key]string, error) {
	all := map[objstore.Key]string{}
	after := objstore.Key("")
	for {
		page, err := b.List(ctx, objstore.ListOptions{StartAfter: after})
		if err != nil {
			return nil, err
		}
		for _, entry := range page.Entries {
			p, err := getAll(ctx, b, entry.Key)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", entry.Key, err)
			}
			all[entry.Key], after = string(p), entry.Key
		}
		if !page.More {
			return all, nil
		}
	}
}

func getAll(ctx context.Context, b *Bucket, key objstore.Key) ([]byte, error) {
	r, err := b.Get(ctx, key, objstore.Unconditional())
	if err != nil {
		return nil, err
	}
	defer r.Close()
	body := r.Stream(ctx, 0, -1)
	defer body.Close()
	return io.ReadAll(body)
}
