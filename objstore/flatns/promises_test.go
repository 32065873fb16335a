package flatns_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

// promise is a claim about a namespace over any flat store, and a store for which it cannot be kept: that the claim
// fails there shows that it can fail.
type promise struct {
	name   string
	keep   func(context.Context, *world) error
	breaks func(objstore.Store) objstore.Store
}

func promises() []promise {
	blindPut := func(s objstore.Store) objstore.Store {
		return hooked{Store: s, put: func(objstore.Key, objstore.Cond) (objstore.Cond, error) { return objstore.Unconditional(), nil }}
	}
	blindDelete := func(s objstore.Store) objstore.Store {
		return hooked{Store: s, delete: func(objstore.Key, objstore.Cond) (objstore.Cond, error) { return objstore.Unconditional(), nil }}
	}
	return []promise{
		{"C3FirstOfTwoMountsWins", firstWins, blindPut},
		{"C6OneOfManyCreatesWins", oneCreateWins, blindPut},
		{"C6OneOfManyMkdirsWins", oneMkdirWins, blindPut},
		{"C9AttributesOfOthersAreNoConflict", attributesAreNoConflict, withoutMeta},
		{"C9RenameByThisMountIsNoConflict", renameIsNoConflict, nil},
		{"C3MetadataThatIsKeptDoesNotHideAConflict", keptMetadataHidesNothing, nil},
		{"CounterIsExact", counterIsExact, blindPut},
		{"UnlinkTakesNoNewerVersion", unlinkTakesNothingNewer, blindDelete},
		{"RenameTakesNewerBytesAlong", renameTakesNewerBytes, blindDelete},
		{"ManyUnlinksHaveOneWinner", oneUnlinkWins, blindDelete},
	}
}

// withoutMeta is a store that forgets user metadata.
func withoutMeta(s objstore.Store) objstore.Store {
	return hooked{Store: s, copy: func(req *objstore.CopyRequest) error {
		req.Put.UserMeta = nil
		return nil
	}}
}

func TestPromisesAreKept(t *testing.T) {
	for _, p := range promises() {
		t.Run(p.name, func(t *testing.T) {
			if err := p.keep(t.Context(), newWorld(t, plain, nil)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestPromisesAreKeptWhereOnlyPutsAreConditional(t *testing.T) {
	for _, p := range promises() {
		switch p.name {
		case "UnlinkTakesNoNewerVersion", "RenameTakesNewerBytesAlong", "ManyUnlinksHaveOneWinner":
			continue // needs a conditional delete
		}
		t.Run(p.name, func(t *testing.T) {
			if err := p.keep(t.Context(), newWorld(t, poor, nil)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestPromisesCanBeBroken(t *testing.T) {
	for _, p := range promises() {
		if p.breaks == nil {
			continue
		}
		t.Run(p.name, func(t *testing.T) {
			if p.keep(t.Context(), newWorld(t, plain, p.breaks)) == nil {
				t.Error("a store that breaks the promise is not noticed")
			}
		})
	}
}

func firstWins(ctx context.Context, w *world) error {
	a, b := w.mount(), w.mount()
	if err := w.put(ctx, "f", "base", nil); err != nil {
		return err
	}
	first, err := a.open(ctx, "f")
	if err != nil {
		return err
	}
	second, err := b.open(ctx, "f")
	if err != nil {
		return err
	}
	if _, err := first.close(ctx, "first"); err != nil {
		return err
	}
	_, err = second.close(ctx, "second")
	if objstore.KindOf(err) != objstore.ErrPrecondition {
		return fmt.Errorf("the second got: %v", err)
	}
	return w.is(ctx, "f", "first")
}

func (w *world) is(ctx context.Context, key objstore.Key, want string) error {
	got, err := w.get(ctx, key)
	if err != nil || got != want {
		return fmt.Errorf("%s is %q instead of %q: %w", key, got, want, errors.Join(err, errors.New("content")))
	}
	return nil
}

func oneCreateWins(ctx context.Context, w *world) error {
	err := w.beatenTo(ctx, func(m *mounted, name string) error {
		_, err := m.create(ctx, m.root, name, "x")
		return err
	})
	if err != nil {
		return err
	}
	var mounts []*mounted
	for range 8 {
		mounts = append(mounts, w.mount())
	}
	for round := range 20 {
		won, err := racers(len(mounts), objstore.ErrPrecondition, func(i int) error {
			_, err := mounts[i].create(ctx, mounts[i].root, fmt.Sprintf("f%d", round), fmt.Sprint(i))
			return err
		})
		if won != 1 || err != nil {
			return fmt.Errorf("%d winners: %w", won, err)
		}
	}
	return nil
}

func oneMkdirWins(ctx context.Context, w *world) error {
	return w.beatenTo(ctx, func(m *mounted, name string) error {
		_, err := m.mkdir(ctx, m.root, name)
		return err
	})
}

// beatenTo lets another mount make a name between the look and the put of this one.
func (w *world) beatenTo(ctx context.Context, mk func(m *mounted, name string) error) error {
	a := w.mount()
	for round := range 5 {
		name, raced := fmt.Sprintf("beaten%d", round), false
		b := w.mount(func(s objstore.Store) objstore.Store {
			return hooked{Store: s, put: func(_ objstore.Key, c objstore.Cond) (objstore.Cond, error) {
				if raced {
					return c, nil
				}
				raced = true
				return c, mk(a, name)
			}}
		})
		if err := mk(b, name); !raced || objstore.KindOf(err) != objstore.ErrPrecondition {
			return fmt.Errorf("the second got: %v", err)
		}
	}
	return nil
}

func attributesAreNoConflict(ctx context.Context, w *world) error {
	a, b := w.mount(), w.mount()
	if _, err := a.create(ctx, a.root, "f", "base"); err != nil {
		return err
	}
	writer, err := a.open(ctx, "f")
	if err != nil {
		return err
	}
	for _, mode := range []uint32{0o600, 0o711} {
		if err := b.chmod(ctx, "f", mode); err != nil {
			return err
		}
	}
	info, err := writer.close(ctx, "new")
	if err != nil {
		return err
	}
	if info.Attr.Mode != 0o711 || info.Attr.UID != 7 {
		return fmt.Errorf("attributes after the commit: %+v", info.Attr)
	}
	return w.is(ctx, "f", "new")
}

func renameIsNoConflict(ctx context.Context, w *world) error {
	a := w.mount()
	if _, err := a.create(ctx, a.root, "f", "base"); err != nil {
		return err
	}
	writer, err := a.open(ctx, "f")
	if err != nil {
		return err
	}
	if err := a.rename(ctx, "f", "g"); err != nil {
		return err
	}
	if _, err := writer.close(ctx, "new"); err != nil {
		return err
	}
	if _, err := w.store.Head(ctx, "f"); !errors.Is(err, objstore.ErrNotFound) {
		return fmt.Errorf("the old name: %v", err)
	}
	return w.is(ctx, "g", "new")
}

// keptMetadataHidesNothing: a program that writes other bytes with the metadata it found says that they are the old ones.
func keptMetadataHidesNothing(ctx context.Context, w *world) error {
	a := w.mount()
	if _, err := a.create(ctx, a.root, "f", "base"); err != nil {
		return err
	}
	writer, err := a.open(ctx, "f")
	if err != nil {
		return err
	}
	if err := w.mount().chmod(ctx, "f", 0o600); err != nil {
		return err
	}
	info, err := w.store.Head(ctx, "f")
	if err != nil {
		return err
	}
	if err := w.put(ctx, "f", "other", info.UserMeta); err != nil {
		return err
	}
	if _, err := writer.close(ctx, "mine"); objstore.KindOf(err) != objstore.ErrPrecondition {
		return fmt.Errorf("the commit got: %v", err)
	}
	return w.is(ctx, "f", "other")
}

func counterIsExact(ctx context.Context, w *world) error {
	const workers, rounds = 6, 15
	if err := w.put(ctx, "n", "", nil); err != nil {
		return err
	}
	var mounts []*mounted
	for range workers {
		mounts = append(mounts, w.mount())
	}
	_, err := racers(workers, 0, func(i int) error {
		for done := 0; done < rounds; {
			wr, err := mounts[i].open(ctx, "n")
			if err != nil {
				return err
			}
			old := make([]byte, wr.Size())
			if _, err := wr.ReadAt(ctx, old, 0); len(old) > 0 && err != nil {
				return err
			}
			switch _, err = wr.close(ctx, string(old)+"+"); objstore.KindOf(err) {
			case 0:
				done++
			case objstore.ErrPrecondition:
			default:
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return w.is(ctx, "n", strings.Repeat("+", workers*rounds))
}

// unlinkTakesNothingNewer: what was committed after the unlink has looked is looked at again.
func unlinkTakesNothingNewer(ctx context.Context, w *world) error {
	if err := w.put(ctx, "f", "old", nil); err != nil {
		return err
	}
	raced := false
	m := w.mount(func(s objstore.Store) objstore.Store {
		return hooked{Store: s, delete: func(_ objstore.Key, c objstore.Cond) (objstore.Cond, error) {
			if raced {
				return c, nil
			}
			raced = true
			return c, w.put(ctx, "f", "new", nil)
		}}
	})
	info, err := m.Lookup(ctx, m.root, "f")
	if err != nil {
		return err
	}
	_, err = m.Unlink(ctx, m.root, "f", objstore.IfVersion(info.Version), objstore.Visible)
	if objstore.KindOf(err) != objstore.ErrPrecondition {
		return fmt.Errorf("unlink got: %v", err)
	}
	return w.is(ctx, "f", "new")
}

// renameTakesNewerBytes: what is committed between the copy and the delete of a rename goes with it.
func renameTakesNewerBytes(ctx context.Context, w *world) error {
	if err := w.put(ctx, "f", "old", nil); err != nil {
		return err
	}
	raced := false
	m := w.mount(func(s objstore.Store) objstore.Store {
		return hooked{Store: s, delete: func(_ objstore.Key, c objstore.Cond) (objstore.Cond, error) {
			if raced {
				return c, nil
			}
			raced = true
			return c, w.put(ctx, "f", "new", nil)
		}}
	})
	if err := m.rename(ctx, "f", "g"); err != nil {
		return err
	}
	return w.is(ctx, "g", "new")
}

func oneUnlinkWins(ctx context.Context, w *world) error {
	a := w.mount()
	for round := range 20 {
		key := fmt.Sprintf("f%d", round)
		if err := w.put(ctx, objstore.Key(key), "x", nil); err != nil {
			return err
		}
		b := w.mount(func(s objstore.Store) objstore.Store { // another unlinks while this one is about to
			return hooked{Store: s, delete: func(_ objstore.Key, c objstore.Cond) (objstore.Cond, error) {
				_, err := a.Unlink(ctx, a.root, key, objstore.Unconditional(), objstore.Visible)
				return c, err
			}}
		})
		_, err := b.Unlink(ctx, b.root, key, objstore.Unconditional(), objstore.Visible)
		if objstore.KindOf(err) != objstore.ErrNotFound {
			return fmt.Errorf("the second unlink got: %v", err)
		}
	}
	return nil
}
