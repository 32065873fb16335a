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

// lossyDisk remembers what of each file and directory has been synced.
type lossyDisk struct {
	disk.FS
	dir string // of the store

	mu      sync.Mutex
	synced  map[string][]byte          // GUARDED_BY(mu): content at the last sync, by name
	named   map[string]map[string]bool // GUARDED_BY(mu): by directory, the names at its last sync
	removed map[string]string          // GUARDED_BY(mu): names taken away since, and another link to each
	links   int                        // GUARDED_BY(mu): made so far
}

func newLossyDisk(dir string) *lossyDisk {
	l := &lossyDisk{dir: dir, synced: map[string][]byte{}, named: map[string]map[string]bool{}, removed: map[string]string{}}
	l.FS = disk.Hooked(disk.OS{}, l.before)
	return l
}

func (l *lossyDisk) before(op disk.Op) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch op.Kind {
	case disk.OpSync:
		p, err := os.ReadFile(op.Name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		l.synced[op.Name] = p
	case disk.OpSyncDir:
		return l.syncNames(op.Name)
	case disk.OpRemove:
		if l.named[filepath.Dir(op.Name)][filepath.Base(op.Name)] {
			l.links++
			link := fmt.Sprintf("%s.removed-%d", l.dir, l.links)
			l.removed[op.Name] = link
			return os.Link(op.Name, link)
		}
	}
	return nil
}

// syncNames makes the names in a directory those that survive; mu is held.
func (l *lossyDisk) syncNames(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	l.named[dir] = map[string]bool{}
	for _, entry := range entries {
		l.named[dir][entry.Name()] = true
	}
	for name := range l.removed {
		if filepath.Dir(name) == dir {
			delete(l.removed, name)
		}
	}
	return nil
}

// isLossy reports whether the file goes through the page cache and is synced by us. Tables
// and the manifest are synced by Badger as it writes them.
func isLossy(name string) bool {
	return strings.HasSuffix(name, ".mem") || strings.Contains(name, "/"+blobsName+"/") || filepath.Base(name) == marksName
}

// image makes a copy of the store as a loss of power may leave it: of each file that is not synced
// as it is, what was synced last, or all of it if keep says so; of each directory, the names as they were
// when it was synced last, but for those changes that keep lets be.
func (l *lossyDisk) image(to string, keep func() bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := copyStore(l.dir, to); err != nil {
		return err
	}
	for name, link := range l.removed {
		if !keep() {
			back := filepath.Join(to, strings.TrimPrefix(name, l.dir))
			if err := os.Link(link, back); err != nil && !errors.Is(err, fs.ErrExist) { // about to be removed
				return err
			}
		}
	}
	return filepath.WalkDir(to, func(name string, d fs.DirEntry, err error) error {
		if err != nil || name == to {
			return err
		}
		source := filepath.Join(l.dir, strings.TrimPrefix(name, to))
		if !l.named[filepath.Dir(source)][filepath.Base(source)] && !isNamedByBadger(source) && !keep() {
			if err := os.RemoveAll(name); err != nil || !d.IsDir() {
				return err
			}
			return fs.SkipDir
		}
		if d.IsDir() || !isLossy(name) || keep() {
			return nil
		}
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		p := make([]byte, info.Size())
		copy(p, l.synced[source])
		return os.WriteFile(name, p, 0o600)
	})
}

// isNamedByBadger reports whether Badger sees to the name of a file itself. It does so for all but its logs.
func isNamedByBadger(name string) bool {
	return filepath.Base(filepath.Dir(name)) == badgerName && !strings.HasSuffix(name, logSuffix)
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
	case "put", "upload":
		model[s.key] = string(s.body)
	case "append":
		model[s.key] += string(s.body)
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
	case "upload":
		return s.upload(ctx, b, d)
	case "append":
		info, err := b.Head(ctx, s.key)
		if err == nil {
			_, err = b.Append(ctx, s.key, info.Size, bytes.NewReader(s.body), objstore.IfVersion(info.Version), objstore.PutOptions{Durability: d})
		}
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

// upload puts the body in parts. Only the last step of that can be seen.
func (s step) upload(ctx context.Context, b *Bucket, d objstore.Durability) error {
	u, err := b.CreateUpload(ctx, s.key, objstore.UploadOptions{Durability: objstore.Visible})
	if err != nil {
		return err
	}
	req := objstore.CompleteRequest{Key: s.key, ID: u.ID, Cond: objstore.Unconditional(), Durability: d}
	for i, body := range [][]byte{s.body[:len(s.body)/3], s.body[len(s.body)/3:]} {
		p, err := b.PutPart(ctx, s.key, u.ID, i+1, bytes.NewReader(body), objstore.PartOptions{Durability: objstore.Visible})
		if err != nil {
			return err
		}
		req.Parts = append(req.Parts, objstore.CompletedPart{Number: i + 1, ETag: p.ETag})
	}
	_, err = b.CompleteUpload(ctx, req)
	return err
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
		switch random.IntN(10) {
		case 0:
			return step{kind: "delete", key: key}
		case 1:
			return step{kind: "rename", key: key, dst: fresh}
		case 2, 3:
			return step{kind: "put", key: key, body: bodyOf(n)}
		case 4:
			return step{kind: "upload", key: key, body: bodyOf(n)}
		case 5:
			return step{kind: "append", key: key, body: bodyOf(n)}
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

// TestPowerLossTestCatchesMutants: on a disk that forgets names that are not synced, too, as ext4 and xfs do not, a store that leaves out a sync it needs fails the test above.
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
		"the directories of blobs are not synced": skipDir(func(dir string) bool { return strings.Contains(dir, "/"+blobsName) }),
		"the directory of logs is not synced":     skipDir(func(dir string) bool { return strings.HasSuffix(dir, "/"+badgerName) }),
		"the store's own directory is not synced": skipDir(func(dir string) bool { return strings.HasSuffix(dir, "/store") }),
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

// skipDir leaves out the syncs of some directories.
func skipDir(which func(dir string) bool) disk.Hook {
	return func(op disk.Op) error {
		if op.Kind == disk.OpSyncDir && which(op.Name) {
			return disk.ErrSkipped
		}
		return nil
	}
}

func powerLoss(t *testing.T, seed uint64, mutant disk.Hook) error {
	random := rand.New(rand.NewPCG(seed, 1))
	dir := filepath.Join(testDir(t), "store")
	lossy := newLossyDisk(dir)
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
		if err := lossy.image(image, func() bool { return random.IntN(4) < share }); err != nil {
			return err
		}
		if err := h.check(t, image); err != nil {
			return fmt.Errorf("after %d steps: %w", len(h.steps), err)
		}
	}
	return nil
}

// C8: blobs that were removed are not back after a loss of power, when nothing knows of them any more.
func TestRemovedBlobsDoNotComeBack(t *testing.T) {
	dir := filepath.Join(testDir(t), "store")
	lossy := newLossyDisk(dir)
	parts := testParts(t)
	parts.Disk = lossy
	e, err := Open(t.Context(), dir, Options{Create: true}, parts)
	must(t, err)
	defer e.Close()
	b := mainBucket(t, e)
	mustPut(t, b, "f", make([]byte, 100<<10))
	must(t, b.Delete(t.Context(), "f", objstore.IfPresent(), objstore.DeleteOptions{}))
	drain(t, e)
	if names := blobNames(t, e); len(names) > 0 {
		t.Fatalf("%q are left", names)
	}
	must(t, e.Sync(t.Context()))
	image := dir + "-after"
	must(t, lossy.image(image, func() bool { return false }))
	after := openTest(t, image, Options{})
	must(t, after.checkInvariants())
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
