package badgerstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

// crasher copies the store before operations on the disk, as a process that died there
// would leave it, and checks the copies.
type crasher struct {
	t   *testing.T
	dir string

	mu       sync.Mutex
	armed    bool
	ops      int
	history  history // GUARDED_BY(mu)
	problems []error
}

// TestCrashBeforeAnyDiskOperationLosesNothing: a process dies before any one of its operations
// on the disk. (1) The store opens again; (2) every step that was acknowledged is there, and of the
// one in progress all or nothing; (3) nothing is left over that is not accounted for.
func TestCrashBeforeAnyDiskOperationLosesNothing(t *testing.T) {
	c := &crasher{t: t, dir: filepath.Join(testDir(t), "store")}
	c.history.model = map[objstore.Key]string{}
	parts := testParts(t)
	parts.sizes = smallSizes()
	parts.Disk = disk.Hooked(disk.OS{}, c.before)
	e, err := Open(t.Context(), c.dir, Options{Create: true}, parts)
	if err != nil {
		t.Fatal(err)
	}
	b := mainBucket(t, e)
	c.arm(true)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 40 {
		c.mu.Lock()
		s := c.history.next(random)
		c.mu.Unlock()
		d := objstore.Durability(i % 2)
		if s.kind == "put" && i%3 == 0 && c.history.model[s.key] != "" {
			err = stagedPut(t.Context(), b, s, d)
		} else {
			err = s.run(t.Context(), b, d)
		}
		if err != nil {
			t.Fatal(err)
		}
		c.mu.Lock()
		s.apply(c.history.model)
		c.history.steps = append(c.history.steps, s)
		c.mu.Unlock()
	}
	c.arm(false)
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	if len(c.problems) > 0 {
		t.Fatalf("%d of %d crashes went wrong, the first: %v", len(c.problems), c.ops, c.problems[0])
	}
	t.Logf("%d crashes", c.ops)
}

// stagedPut replaces the content of an object through a stage that starts from it.
func stagedPut(ctx context.Context, b *Bucket, s step, d objstore.Durability) error {
	r, err := b.Get(ctx, s.key, objstore.Unconditional())
	if err != nil {
		return err
	}
	defer r.Close()
	id := r.Info().ID
	st, err := b.NewStage(ctx, objstore.StageSpec{Base: r, Owner: objstore.Owner{Object: id, Path: string(s.key), Base: r.Info().Version}})
	if err != nil {
		return err
	}
	defer st.Close()
	if _, err := st.WriteAt(ctx, s.body, 0); err != nil {
		return err
	}
	if err := st.Truncate(ctx, int64(len(s.body))); err != nil {
		return err
	}
	_, err = st.Commit(ctx, objstore.CommitRequest{
		Target: objstore.Target{ID: id}, Cond: objstore.IfVersion(r.Info().Version), Durability: d,
	})
	return err
}

func (c *crasher) arm(on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.armed = on
}

// before is the hook.
func (c *crasher) before(op disk.Op) error {
	if op.Kind == disk.OpOpen || op.Kind == disk.OpSpace || op.Kind == disk.OpWriteback {
		return nil // changes nothing
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.armed {
		return nil
	}
	c.ops++
	image := fmt.Sprintf("%s-%d", c.dir, c.ops)
	if err := errors.Join(c.check(image), os.RemoveAll(image)); err != nil {
		c.problems = append(c.problems, fmt.Errorf("before %v: %w", op, err))
	}
	return nil
}

// check makes an image and looks into it. It holds c.mu, so no step is acknowledged meanwhile.
func (c *crasher) check(image string) (err error) {
	if err := copyStore(c.dir, image); err != nil {
		return err
	}
	parts := testParts(c.t)
	parts.sizes = smallSizes()
	e, err := Open(context.Background(), image, Options{}, parts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	found, err := readAll(context.Background(), mainBucket(c.t, e))
	if err != nil {
		return err
	}
	if err := e.checkInvariants(); err != nil {
		return err
	}
	if maps.Equal(found, c.history.model) {
		return nil
	}
	for key, body := range c.history.model {
		if got, ok := found[key]; ok && got == body {
			continue
		}
		// The one step in progress may have changed one key.
		delete(found, key)
		model := maps.Clone(c.history.model)
		delete(model, key)
		for extra := range found {
			if _, ok := model[extra]; !ok {
				delete(found, extra) // where a rename went
				break
			}
		}
		if maps.Equal(found, model) {
			return nil
		}
		return fmt.Errorf("%s is not what was acknowledged", key)
	}
	if len(found) <= len(c.history.model)+1 {
		return nil // a key that is being put
	}
	return fmt.Errorf("%d keys where %d were acknowledged", len(found), len(c.history.model))
}
