package mounts

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// C6: of any number of racers exactly one succeeds; the others hear that it exists.
func TestExclusiveCallsHaveOneWinner(t *testing.T) {
	m := start(t)
	put(t, m.Path("source"), "x")
	calls := map[string]func(path string, racer int) error{
		"open": func(path string, _ int) error {
			f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
			if err != nil {
				return err
			}
			return f.Close()
		},
		"mkdir":   func(path string, _ int) error { return os.Mkdir(path, 0o755) },
		"symlink": func(path string, _ int) error { return os.Symlink("target", path) },
		"link":    func(path string, _ int) error { return os.Link(m.Path("source"), path) },
		"rename": func(path string, racer int) error {
			from := fmt.Sprintf("%s.%d", path, racer)
			if err := os.WriteFile(from, nil, 0o644); err != nil {
				return err
			}
			return unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, path, unix.RENAME_NOREPLACE)
		},
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			for round := range 20 {
				path := m.Path(fmt.Sprint(name, round))
				var won atomic.Int32
				var racers sync.WaitGroup
				for racer := range 8 {
					racers.Go(func() {
						err := call(path, racer)
						if err == nil {
							won.Add(1)
						} else if !errors.Is(err, syscall.EEXIST) {
							t.Errorf("a loser hears %v", err)
						}
					})
				}
				racers.Wait()
				if won.Load() != 1 {
					t.Fatalf("%d succeeded", won.Load())
				}
			}
		})
	}
}

// C6: between processes.
func TestExclusiveCreateByProcesses(t *testing.T) {
	m := start(t)
	commands := times(t, 12, "exist", m.Path("f"))
	won := 0
	for _, c := range commands {
		c.Stderr = nil
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range commands {
		if c.Wait() == nil {
			won++
		}
	}
	if won != 1 {
		t.Errorf("%d of 12 processes made the file", won)
	}
}

// C7: at every moment a file has its old or its new name, and one content.
func TestRenameIsAtomic(t *testing.T) {
	m := start(t)
	path := m.Path("f")
	put(t, path, "0")
	done := make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				if got, err := os.ReadFile(path); err != nil || len(got) == 0 {
					t.Errorf("read %q (%v)", got, err)
					return
				}
			}
		}
	})
	for i := range 300 {
		put(t, m.Path("new"), fmt.Sprint(i))
		if err := os.Rename(m.Path("new"), path); err != nil {
			t.Fatal(err)
		}
	}
	close(done)
	reader.Wait()
}

// C7: a directory moves with everything in it, open files and working directories too.
func TestDirectoryMovesWithItsContents(t *testing.T) {
	m := start(t)
	out := shell(t, m, `mkdir -p a/b/c; echo x > a/b/c/f; exec 3>> a/b/c/f; cd a/b/c
mv "$OLDPWD/a" "$OLDPWD/z"; echo y >&3; exec 3>&-; cat f; cd ../../..; find . -type f; ls`)
	if out != "x\ny\n./z/b/c/f\nz\n" {
		t.Errorf("%q", out)
	}
	shell(t, m, `mkdir full empty; touch full/f; ! mv -T z full 2>/dev/null; mv -T z empty; test -f empty/b/c/f`)
}

func TestNamesTooLongAndPathsThroughFiles(t *testing.T) {
	shortIsParallel(t)
	m := start(t)
	put(t, m.Path("f"), "")
	long := make([]byte, 256)
	for i := range long {
		long[i] = 'n'
	}
	wants(t, "256 bytes", os.WriteFile(m.Path(string(long)), nil, 0o644), syscall.ENAMETOOLONG)
	wants(t, "255 bytes", os.WriteFile(m.Path(string(long[1:])), nil, 0o644), 0)
	wants(t, "mkdir", os.Mkdir(m.Path("d"), 0o755), 0)
	_, err := os.Stat(m.Path("f", "below"))
	wants(t, "a path through a file", err, syscall.ENOTDIR)
	wants(t, "rmdir of a file", unix.Rmdir(m.Path("f")), syscall.ENOTDIR)
	wants(t, "unlink of a directory", unix.Unlink(m.Path("d")), syscall.EISDIR)
	wants(t, "open of a directory to write", os.WriteFile(m.Dir, nil, 0o644), syscall.EISDIR)
}

func TestExchange(t *testing.T) {
	m := start(t)
	put(t, m.Path("a"), "A")
	put(t, m.Path("b"), "B")
	if err := unix.Renameat2(unix.AT_FDCWD, m.Path("a"), unix.AT_FDCWD, m.Path("b"), unix.RENAME_EXCHANGE); err != nil {
		t.Fatal(err)
	}
	check(t, m.Path("a"), "B")
	check(t, m.Path("b"), "A")
	put(t, m.Path("a"), "again")
	if info, err := os.Stat(m.Path("a")); err != nil || info.Size() != 5 {
		t.Errorf("stat after a commit to an exchanged name: %v (%v)", info.Size(), err)
	}
}
