package flatns_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

// tree is every path below a directory with its type and content, read in pages.
func tree(ctx context.Context, ns objstore.Namespace, dir objstore.ID, path string, page int) ([]string, error) {
	var all []string
	for after, more := "", true; more; {
		var entries []objstore.DirEntry
		var err error
		if entries, more, err = ns.ReadDir(ctx, dir, after, page); err != nil {
			return nil, err
		}
		if more && len(entries) == 0 {
			return nil, fmt.Errorf("%s: an empty page and more to come", path)
		}
		for _, e := range entries {
			after = e.Name
			found, err := ns.Lookup(ctx, dir, e.Name)
			if err != nil || found.ID != e.Info.ID {
				return nil, fmt.Errorf("%s%s: listed as %d, looked up %d: %w", path, e.Name, e.Info.ID, found.ID, err)
			}
			below := []string{path + e.Name + " " + content(ctx, ns, e.Info)}
			if e.Info.Type == objstore.TypeDir {
				if below, err = tree(ctx, ns, e.Info.ID, path+e.Name+"/", page); err != nil {
					return nil, err
				}
				below = append(below, path+e.Name+"/")
			}
			all = append(all, below...)
		}
	}
	return all, nil
}

func content(ctx context.Context, ns objstore.Namespace, info objstore.Info) string {
	if info.Type != objstore.TypeFile {
		return ""
	}
	r, err := ns.Open(ctx, info.ID, info.Version)
	if err != nil {
		return err.Error()
	}
	defer r.Close()
	body, err := io.ReadAll(r.Stream(ctx, 0, -1))
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%q", body)
}

// randomKey prefers what sorts around "/".
func randomKey(rng *rand.Rand) objstore.Key {
	parts := []string{"a", "b", "a-b", "a.b", "a!", "-", ".", "..", "", "a0", "%etagfs:file:a", "%etagfs:dot", strings.Repeat("n", 260), "b~", " "}
	var key []string
	for range 1 + rng.IntN(3) {
		key = append(key, parts[rng.IntN(len(parts))])
	}
	return objstore.Key(strings.Join(key, "/"))
}

// TestListingsMatchANamespace compares with the namespace that a store has by itself.
func TestListingsMatchANamespace(t *testing.T) {
	ctx := t.Context()
	seed := uint64(1)
	if n, err := strconv.ParseUint(os.Getenv("FLATNS_SEED"), 10, 64); err == nil {
		seed = n
	}
	for run := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, run))
		w := newWorld(t, nil, nil)
		for range 1 + rng.IntN(25) {
			if key := randomKey(rng); key != "" {
				must(t, w.put(ctx, key, string(key), nil))
			}
		}
		own := w.store.(flat).Store.(objstore.Namespace)
		want, err := tree(ctx, own, own.Root(), "", 1000)
		must(t, err)
		m := w.mount()
		got, err := tree(ctx, m, m.root, "", 1+rng.IntN(4))
		if err != nil {
			t.Fatalf("run %d: %v (run again with FLATNS_SEED=%d)", run, err, seed)
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Fatalf("run %d: the listing is\n%q\ninstead of\n%q\n(run again with FLATNS_SEED=%d)", run, got, want, seed)
		}
	}
}

// TestListingGoesOnWherePagesVanish: between the list and the look everything of a page is removed.
func TestListingGoesOnWherePagesVanish(t *testing.T) {
	ctx := t.Context()
	w := newWorld(t, nil, nil)
	for i := range 9 {
		must(t, w.put(ctx, objstore.Key(fmt.Sprintf("f%d", i)), "", nil))
	}
	var removed atomic.Int64
	m := w.mount(func(s objstore.Store) objstore.Store {
		return hooked{Store: s, list: func(objstore.ListOptions) error { return nil }, head: func(key objstore.Key) error {
			if key < "f4" {
				removed.Add(1)
				return &objstore.Error{Op: "head", Kind: objstore.ErrNotFound}
			}
			return nil
		}}
	})
	entries, _, err := m.ReadDir(ctx, m.root, "", 2)
	must(t, err)
	if len(entries) == 0 || entries[0].Name != "f4" || removed.Load() != 4 {
		t.Errorf("%d entries were gone, then came %+v", removed.Load(), entries)
	}
}

// Where a store lists names alone, the first of many are told after a bounded number of requests, and all of them with one
// for each, and not many more.
func TestFirstNamesDoNotWaitForTheLast(t *testing.T) {
	ctx := t.Context()
	w := newWorld(t, nil, nil)
	const names = 1500
	for i := range names {
		must(t, w.put(ctx, objstore.Key(fmt.Sprintf("f%04d", i)), "", nil))
	}
	var heads, lists, listed atomic.Int64
	m := w.mount(func(s objstore.Store) objstore.Store {
		return hooked{Store: s,
			list: func(o objstore.ListOptions) error {
				lists.Add(1)
				listed.Add(int64(o.Max))
				return nil
			},
			head: func(objstore.Key) error {
				heads.Add(1)
				return nil
			},
		}
	})
	var all []string
	for after, more := "", true; more; after = all[len(all)-1] {
		before := heads.Load()
		var entries []objstore.DirEntry
		var err error
		entries, more, err = m.ReadDir(ctx, m.root, after, 1000)
		must(t, err)
		const batch = 128
		if asked := heads.Load() - before; asked > batch || len(entries) == 0 {
			t.Fatalf("%d names behind %q took %d requests", len(entries), after, asked)
		}
		for _, e := range entries {
			all = append(all, e.Name)
		}
	}
	if len(all) != names || !slices.IsSorted(all) {
		t.Errorf("%d names, in order: %v", len(all), slices.IsSorted(all))
	}
	if h, l, k := heads.Load(), lists.Load(), listed.Load(); h != names || l > names/100 || k > 2*names+1000 {
		t.Errorf("%d names took %d descriptions and %d listings of %d names together", names, h, l, k)
	}
}
