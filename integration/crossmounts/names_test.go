package crossmounts

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// long reports whether there is time.
func long() bool { return os.Getenv("ETAGFS_LONG") != "" }

// rounds is n, or more if there is time.
func rounds(n, more int) int {
	if long() {
		return more
	}
	return n
}

// namesThatWereAbsent is C5 to the letter: a mount that has just seen that a name is absent sees the file another
// makes there at once.
func namesThatWereAbsent(t *testing.T, p pair) {
	for i := range rounds(50, 10_000) {
		a, b, name := i%2, (i+1)%2, "f"+strconv.Itoa(i%7)
		absent(t, p.on(b, name))
		put(t, p.on(a, name), strconv.Itoa(i))
		check(t, p.on(b, name), strconv.Itoa(i))
		wants(t, "remove", os.Remove(p.on(b, name)), 0)
		absent(t, p.on(a, name))
		if t.Failed() {
			t.Fatalf("round %d", i)
		}
	}
}

// namesSizesAndListings is C5 of stat, of listings and of everything that has a name.
func namesSizesAndListings(t *testing.T, p pair) {
	for i := range rounds(10, 300) {
		a, b, names := i%2, (i+1)%2, []string{"dir", "file", "link"}
		put(t, p.on(a, "file"), fmt.Sprint("content ", i))
		wants(t, "mkdir", os.Mkdir(p.on(a, "dir"), 0o755), 0)
		wants(t, "symlink", os.Symlink(strconv.Itoa(i), p.on(a, "link")), 0)
		listed(t, p.on(b), names...)
		info, err := os.Stat(p.on(b, "file"))
		if err != nil || info.Size() != int64(len(fmt.Sprint("content ", i))) {
			t.Fatalf("round %d: %v, %v", i, info, err)
		}
		if to, err := os.Readlink(p.on(b, "link")); err != nil || to != strconv.Itoa(i) {
			t.Fatalf("round %d: link to %q, %v", i, to, err)
		}
		wants(t, "chmod", os.Chmod(p.on(b, "file"), os.FileMode(0o600+i%64)), 0)
		if info, err := os.Stat(p.on(a, "file")); err != nil || info.Mode().Perm() != os.FileMode(0o600+i%64) {
			t.Fatalf("round %d: %v, %v", i, info, err)
		}
		for _, name := range names {
			wants(t, "remove", os.Remove(p.on(b, name)), 0)
		}
		listed(t, p.on(a))
	}
}

func listed(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if err != nil || !slices.Equal(got, want) {
		t.Fatalf("%s lists %q (%v), want %q", dir, got, err, want)
	}
}

// renamedParents is C5: paths through a directory that another mount has renamed.
func renamedParents(t *testing.T, p pair) {
	wants(t, "mkdir", os.MkdirAll(p.a("d0", "sub"), 0o755), 0)
	put(t, p.a("d0", "sub", "f"), "content")
	for i := range rounds(20, 10_000) {
		a, b := i%2, (i+1)%2
		from, to := "d"+strconv.Itoa(i), "d"+strconv.Itoa(i+1)
		absent(t, p.on(b, to, "sub", "f"))
		wants(t, "rename", os.Rename(p.on(a, from), p.on(a, to)), 0)
		check(t, p.on(b, to, "sub", "f"), "content")
		absent(t, p.on(b, from, "sub", "f"))
		absent(t, p.on(b, from))
		if t.Failed() {
			t.Fatalf("round %d", i)
		}
	}
}

// oneRacer is C6: of racers on both mounts exactly one makes a name; the others hear that it exists.
func oneRacer(ways ...string) func(t *testing.T, p pair) {
	return func(t *testing.T, p pair) {
		put(t, p.a("source"), "x")
		for _, way := range ways {
			for round := range rounds(8, 200) {
				var won atomic.Int32
				var racers sync.WaitGroup
				for racer := range 6 {
					racers.Go(func() {
						err := makeName(p, way, racer, fmt.Sprint(way, round))
						if err == nil {
							won.Add(1)
						} else if !errors.Is(err, syscall.EEXIST) {
							t.Errorf("%s: a loser hears %v", way, err)
						}
					})
				}
				racers.Wait()
				if won.Load() != 1 {
					t.Fatalf("%s, round %d: %d succeeded", way, round, won.Load())
				}
			}
		}
	}
}

// makeName makes a name in one of the ways that are exclusive.
func makeName(p pair, way string, racer int, name string) error {
	path := p.on(racer%2, name)
	switch way {
	case "mkdir":
		return os.Mkdir(path, 0o755)
	case "symlink":
		return os.Symlink("target", path)
	case "link":
		return os.Link(p.on(racer%2, "source"), path)
	case "rename":
		from := fmt.Sprintf("%s.%d", path, racer)
		if err := os.WriteFile(from, nil, 0o644); err != nil {
			return err
		}
		return unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, path, unix.RENAME_NOREPLACE)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	return f.Close()
}

// watch calls look on and on while change runs.
func watch(look func() bool, change func()) {
	done := make(chan struct{})
	var watcher sync.WaitGroup
	watcher.Go(func() {
		for look() {
			select {
			case <-done:
				return
			default:
			}
		}
	})
	change()
	close(done)
	watcher.Wait()
}

// replacedNameIsNeverAbsent is C7: a name that files are renamed over always has one of them.
func replacedNameIsNeverAbsent(t *testing.T, p pair) {
	put(t, p.a("f"), "0")
	look := func() bool {
		got, err := os.ReadFile(p.b("f"))
		if err != nil || len(got) == 0 {
			t.Errorf("read %q (%v)", got, err)
		}
		return !t.Failed()
	}
	watch(look, func() {
		for i := range rounds(30, 1000) {
			put(t, p.a("new"), fmt.Sprint(i))
			wants(t, "rename", os.Rename(p.a("new"), p.a("f")), 0)
		}
	})
}

// movingNameIsAtOnePlace is C7: whoever finds the old name gone finds the new one, and whoever finds the new one finds
// the old one gone. Either mount moves it once.
func movingNameIsAtOnePlace(t *testing.T, p pair) {
	for mover := range 2 {
		isAtOnePlace(t, p, mover)
	}
}

func isAtOnePlace(t *testing.T, p pair, mover int) {
	path := func(mount int, i int64) string { return p.on(mount, fmt.Sprintf("of-%d-%d", mover, i)) }
	var moving atomic.Int64 // the number of the old name
	is := func(i int64) bool {
		_, err := os.Lstat(path(1-mover, i))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Error(err)
		}
		return err == nil
	}
	put(t, path(mover, 0), "content")
	var looks atomic.Int64
	look := func() bool {
		i := moving.Load()
		none := !is(i) && !is(i+1)
		both := is(i+1) && is(i)
		if moving.Load() != i {
			return true
		}
		if none || both {
			t.Errorf("move %d by mount %d: at no place %v, at both %v", i, mover, none, both)
		}
		looks.Add(1)
		return !t.Failed()
	}
	watch(look, func() {
		enough := int64(rounds(20, 1000))
		for i := int64(0); looks.Load() < enough && !t.Failed(); i++ {
			moving.Store(i)
			wants(t, "rename", os.Rename(path(mover, i), path(mover, i+1)), 0)
		}
	})
}

// oldOrNewName is C7 for a mount that remembers that the new name was absent, and nothing of the old one.
func oldOrNewName(t *testing.T, p pair) {
	random := rand.New(rand.NewPCG(seedOf(t), 0))
	for i := range rounds(100, 5000) {
		mover, looker := i%2, (i+1)%2
		from, to := fmt.Sprint("from-", i), fmt.Sprint("to-", i)
		put(t, p.on(mover, from), "content")
		absent(t, p.on(looker, to))
		var moved sync.WaitGroup
		moved.Go(func() { wants(t, "rename", os.Rename(p.on(mover, from), p.on(mover, to)), 0) })
		for range random.IntN(2000) {
			runtime.Gosched()
		}
		if _, err := os.Lstat(p.on(looker, from)); errors.Is(err, os.ErrNotExist) {
			if _, err := os.Lstat(p.on(looker, to)); err != nil {
				t.Errorf("round %d: the old name is gone, the new one: %v", i, err)
			}
		}
		moved.Wait()
		if t.Failed() {
			return
		}
	}
}

// renameCommits is C7: a rename of an open file commits what was written, in one step for the other mount.
func renameCommits(t *testing.T, p pair) {
	f := open(t, p.a("pending"), os.O_RDWR|os.O_CREATE)
	write(t, f, "content")
	absent(t, p.b("pending"))
	wants(t, "rename", os.Rename(p.a("pending"), p.a("final")), 0)
	check(t, p.b("final"), "content")
	absent(t, p.b("pending"))
	wants(t, "close", f.Close(), 0)
	check(t, p.b("final"), "content")
}
