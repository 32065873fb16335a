package mounts

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// namesIn lists a directory.
func namesIn(t *testing.T, dir string) []string {
	t.Helper()
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	names, err := f.Readdirnames(0)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	return names
}

// C5: a directory whose listing the kernel keeps shows what has just been done to its names, by the mount itself and by others, through
// an open from now and one from before that is rewound.
func TestC5KeptListingsAreFresh(t *testing.T) {
	forEachWay(t, 2, func(t *testing.T, m []*mounttest.Mount) {
		made := func(name string) error { return os.WriteFile(name, []byte("x"), 0o644) }
		put(t, m[0].Path("stays"), "x")
		want := []string{"stays"}
		change := func(by *mounttest.Mount, i int) (err error) {
			name, moved := fmt.Sprint("f", i), fmt.Sprint("moved", i)
			switch i % 4 {
			case 0:
				want, err = append(want, name), made(by.Path(name))
			case 1:
				name = fmt.Sprint("f", i-1)
				want[slices.Index(want, name)], err = moved, os.Rename(by.Path(name), by.Path(moved))
			case 2:
				want, err = append(want, name), os.Mkdir(by.Path(name), 0o755)
			default:
				moved, name = fmt.Sprint("moved", i-2), fmt.Sprint("f", i-1)
				want = slices.DeleteFunc(want, func(n string) bool { return n == name || n == moved })
				if err = os.Remove(by.Path(moved)); err == nil {
					err = os.Remove(by.Path(name))
				}
			}
			slices.Sort(want)
			return err
		}
		for i := range rounds(200, 5000) {
			var before []*os.File
			for _, at := range m {
				for range i % 3 {
					namesIn(t, at.Dir) // kept
				}
				f := open(t, at.Dir, os.O_RDONLY)
				if _, err := f.Readdirnames(0); err != nil {
					t.Fatal(err)
				}
				before = append(before, f)
			}
			if err := change(m[i/4%2], i); err != nil {
				t.Fatal(err)
			}
			for j, at := range m {
				if got := namesIn(t, at.Dir); !slices.Equal(got, want) {
					t.Fatalf("round %d: mount %d lists %v, want %v", i, j, got, want)
				}
				if _, err := before[j].Seek(0, 0); err != nil {
					t.Fatal(err)
				}
				got, err := before[j].Readdirnames(0)
				if slices.Sort(got); err != nil || !slices.Equal(got, want) {
					t.Fatalf("round %d: rewound, mount %d lists %v (%v), want %v", i, j, got, err, want)
				}
				before[j].Close()
			}
		}
	})
}

// Beside writers that make, commit, rename and remove names in two mounts, every listing has each name that stays once, and none twice.
func TestListingsBesideWritersAreWhole(t *testing.T) {
	for _, way := range ways() {
		t.Run(way, func(t *testing.T) {
			m := together(t, way, 2)
			const stay = 1500 // some calls to list
			for i := range stay {
				put(t, m[0].Path(fmt.Sprintf("stays-%060d", i)), "")
			}
			var done atomic.Bool
			var writers, readers sync.WaitGroup
			for i := range 4 {
				writers.Go(func() { writeNames(t, m[i%2], i, rounds(120, 1500)) })
			}
			for i := range 4 {
				readers.Go(func() {
					for !done.Load() && !t.Failed() {
						checkWhole(t, m[i%2].Dir, stay)
					}
				})
			}
			writers.Wait()
			done.Store(true)
			readers.Wait()
			checkWhole(t, m[0].Dir, stay)
		})
	}
}

// writeNames makes files, each seen by others before it is committed, and renames and removes them.
func writeNames(t *testing.T, m *mounttest.Mount, writer, rounds int) {
	for i := range rounds {
		if t.Failed() {
			return
		}
		name, moved := m.Path(fmt.Sprintf("w%d-%d", writer, i%7)), m.Path(fmt.Sprintf("a%d-%d", writer, i%7))
		f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o644)
		if err != nil {
			t.Error(err)
			return
		}
		_, err = f.WriteString("x")
		if err == nil && i%3 == 0 {
			err = f.Sync()
		}
		if err == nil && i%5 == 0 {
			err = os.Rename(name, moved)
		}
		if closed := f.Close(); err == nil {
			err = closed
		}
		if err == nil && i%5 != 0 && i%2 == 0 {
			err = os.Remove(name)
		}
		if err != nil {
			t.Error(err)
			return
		}
	}
}

// checkWhole lists a directory by reading it in parts.
func checkWhole(t *testing.T, dir string, stay int) {
	f, err := os.Open(dir)
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	seen, stays := make(map[string]bool), 0
	names, err := f.Readdirnames(0)
	if err != nil {
		t.Error(err)
		return
	}
	for _, name := range names {
		if seen[name] {
			t.Errorf("%s is listed twice", name)
		}
		seen[name] = true
		if strings.HasPrefix(name, "stays-") {
			stays++
		}
	}
	if stays != stay {
		t.Errorf("%d names are listed that stay, want %d", stays, stay)
	}
}
