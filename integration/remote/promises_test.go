package remote

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, body string) {
	t.Helper()
	must(t, os.WriteFile(path, []byte(body), 0o644))
}

func wantContent(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s: %.60q, %v, not %.60q", path, got, err, want)
	}
}

func open(t *testing.T, path string, flags int) int {
	t.Helper()
	fd, err := syscall.Open(path, flags|syscall.O_CLOEXEC, 0o644)
	must(t, err)
	return fd
}

func pwrite(t *testing.T, fd int, body string) {
	t.Helper()
	if n, err := syscall.Pwrite(fd, []byte(body), 0); n != len(body) || err != nil {
		t.Fatalf("write: %d, %v", n, err)
	}
}

// conflicts are the directories of kept copies of a path.
func (m *mount) conflicts(path string) (dirs []string) {
	m.b.t.Helper()
	all, err := filepath.Glob(m.path(".etagfs", "conflicts", "*"))
	must(m.b.t, err)
	for _, dir := range all {
		info, err := os.ReadFile(filepath.Join(dir, "info.json"))
		must(m.b.t, err)
		if strings.Contains(string(info), strconv.Quote(path)) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// TestSecondOfTwoMountsLosesAndIsKept is C1, C3 and C4 between mounts that share nothing but the bucket.
func TestSecondOfTwoMountsLosesAndIsKept(t *testing.T) {
	s := serve(t)
	a, b := s.mount(), s.mount()
	write(t, a.path("f"), "base")
	first, second := open(t, a.path("f"), syscall.O_RDWR), open(t, b.path("f"), syscall.O_RDWR)
	pwrite(t, first, "AAAA")
	pwrite(t, second, "BBBB")
	must(t, syscall.Close(first))
	if err := syscall.Close(second); err != syscall.EBUSY {
		t.Errorf("the second close: %v", err)
	}
	wantContent(t, a.path("f"), "AAAA")
	wantContent(t, b.path("f"), "AAAA")
	kept := b.conflicts("f")
	if len(kept) != 1 || len(a.conflicts("f")) != 0 {
		t.Fatalf("kept %v", kept)
	}
	wantContent(t, filepath.Join(kept[0], "mine"), "BBBB")
	wantContent(t, filepath.Join(kept[0], "base"), "base")
	wantContent(t, filepath.Join(kept[0], "theirs"), "AAAA")
	out, err := s.command("conflicts", "keep-mine", b.dir, filepath.Base(kept[0])).CombinedOutput()
	if err != nil {
		t.Errorf("keep-mine: %v: %s", err, out)
	}
	wantContent(t, a.path("f"), "BBBB")
}

// TestExclusiveCallsHaveOneWinner is C6.
func TestExclusiveCallsHaveOneWinner(t *testing.T) {
	s := serve(t)
	mounts := []*mount{s.mount(), s.mount()}
	for what, call := range map[string]func(path string) error{
		"excl": func(path string) error {
			fd, err := syscall.Open(path, syscall.O_CREAT|syscall.O_EXCL|syscall.O_WRONLY, 0o644)
			if err != nil {
				return err
			}
			return syscall.Close(fd)
		},
		"mkdir":   func(path string) error { return syscall.Mkdir(path, 0o755) },
		"symlink": func(path string) error { return syscall.Symlink("to", path) },
	} {
		for round := range 20 {
			results := make(chan error)
			for i := range 6 {
				go func() { results <- call(mounts[i%2].path(fmt.Sprintf("%s%d", what, round))) }()
			}
			won := 0
			for range 6 {
				switch err := <-results; err {
				case nil:
					won++
				case syscall.EEXIST:
				default:
					t.Errorf("%s: %v", what, err)
				}
			}
			if won != 1 {
				t.Errorf("%s %d: %d winners", what, round, won)
			}
		}
	}
}

// TestReadersArePinnedAcrossMounts is C2: of an object of up to 16 MiB all, of a larger one never a mix.
func TestReadersArePinnedAcrossMounts(t *testing.T) {
	s := serve(t)
	a, b := s.mount("ro"), s.mount()
	small, large := strings.Repeat("s", 3<<20), strings.Repeat("l", 20<<20)
	write(t, b.path("small"), small)
	write(t, b.path("large"), large)
	fds := map[string]int{}
	for _, name := range []string{"small", "large"} {
		fds[name] = open(t, a.path(name), syscall.O_RDONLY)
		write(t, b.path(name), "replaced")
	}
	p := make([]byte, len(small)+1)
	if n, err := readFull(fds["small"], p); err != nil || string(p[:n]) != small {
		t.Errorf("the small one: %d bytes, %v", n, err)
	}
	p = make([]byte, len(large)+1)
	n, err := readFull(fds["large"], p)
	if err != syscall.ESTALE || string(p[:n]) != large[:n] {
		t.Errorf("the large one: %d bytes, %v", n, err)
	}
	for name, fd := range fds {
		must(t, syscall.Close(fd))
		wantContent(t, a.path(name), "replaced")
	}
	if err := os.WriteFile(a.path("small"), nil, 0o644); !errors.Is(err, syscall.EROFS) {
		t.Errorf("a write to the mount that only reads: %v", err)
	}
}

func readFull(fd int, p []byte) (n int, err error) {
	for n < len(p) {
		m, err := syscall.Pread(fd, p[n:min(len(p), n+128<<10)], int64(n))
		if m <= 0 || err != nil {
			return n, err
		}
		n += m
	}
	return n, nil
}

// TestNamesAreFreshOnTheOtherMount is C5.
func TestNamesAreFreshOnTheOtherMount(t *testing.T) {
	s := serve(t)
	a, b := s.mount(), s.mount()
	for i := range 30 {
		name := fmt.Sprintf("n%d", i)
		if _, err := os.Stat(b.path(name)); !os.IsNotExist(err) {
			t.Fatalf("before: %v", err)
		}
		write(t, a.path(name), name)
		wantContent(t, b.path(name), name)
		must(t, os.Chmod(b.path(name), 0o640))
		if info, err := os.Stat(a.path(name)); err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("mode on the other mount: %v, %v", info, err)
		}
		must(t, os.Rename(b.path(name), b.path(name+"-moved")))
		if _, err := os.Stat(a.path(name)); !os.IsNotExist(err) {
			t.Errorf("the old name: %v", err)
		}
		wantContent(t, a.path(name+"-moved"), name)
		must(t, os.Remove(a.path(name+"-moved")))
		if entries, err := os.ReadDir(b.dir); err != nil || len(entries) != 0 {
			t.Errorf("in the end: %v, %v", entries, err)
		}
	}
	must(t, os.Symlink("one", a.path("l")))
	if to, err := os.Readlink(b.path("l")); err != nil || to != "one" {
		t.Errorf("link: %q, %v", to, err)
	}
	must(t, os.Remove(a.path("l")))
	must(t, os.Symlink("two", a.path("l")))
	if to, err := os.Readlink(b.path("l")); err != nil || to != "two" {
		t.Errorf("link made anew: %q, %v", to, err)
	}
}

// TestAnUnlinkDetachesWhateverElsewherePutThere is C9 where it meets C4: who deletes a file by its name deletes it with what its open
// handles have not committed, also if another mount replaced it before or makes it again afterwards. The other's file is never
// what such a handle commits to; who unlinked nothing loses, and is kept.
func TestAnUnlinkDetachesWhateverElsewherePutThere(t *testing.T) {
	s := serve(t)
	a, b := s.mount(), s.mount()
	replace := map[string]func(name string){
		"commits": func(name string) { write(t, b.path(name), "theirs") },
		"renames": func(name string) {
			write(t, b.path("new"), "theirs")
			must(t, os.Rename(b.path("new"), b.path(name)))
		},
		"makes": func(name string) {
			must(t, os.Remove(b.path(name)))
			write(t, b.path(name), "theirs")
		},
	}
	for name, replace := range replace {
		write(t, a.path(name), "base")
		gone := open(t, a.path(name), syscall.O_RDWR)
		pwrite(t, gone, "mine")
		replace(name)
		must(t, os.Remove(a.path(name)))
		if err := syscall.Close(gone); err != nil || len(a.conflicts(name)) > 0 {
			t.Errorf("%s, then unlinked here: close: %v, kept %v", name, err, a.conflicts(name))
		}
		if _, err := os.Stat(b.path(name)); !os.IsNotExist(err) {
			t.Errorf("%s, then unlinked here: stat: %v", name, err)
		}
		write(t, a.path(name), "base")
		again := open(t, a.path(name), syscall.O_RDWR)
		pwrite(t, again, "mine")
		must(t, os.Remove(a.path(name)))
		write(t, b.path(name), "theirs")
		if err := syscall.Close(again); err != nil || len(a.conflicts(name)) > 0 {
			t.Errorf("%s after it was unlinked here: close: %v, kept %v", name, err, a.conflicts(name))
		}
		wantContent(t, a.path(name), "theirs")
		loser := open(t, a.path(name), syscall.O_RDWR)
		pwrite(t, loser, "mine")
		replace(name)
		if err := syscall.Close(loser); err != syscall.EBUSY || len(a.conflicts(name)) != 1 {
			t.Errorf("%s: close: %v, kept %v", name, err, a.conflicts(name))
		}
		wantContent(t, b.path(name), "theirs")
	}
}

// TestAttributesOfAnotherMountAreNoConflict is C9.
func TestAttributesOfAnotherMountAreNoConflict(t *testing.T) {
	s := serve(t)
	a, b := s.mount(), s.mount()
	write(t, a.path("f"), "base")
	fd := open(t, a.path("f"), syscall.O_RDWR)
	pwrite(t, fd, "mine")
	must(t, os.Chmod(b.path("f"), 0o600))
	must(t, os.Chown(b.path("f"), 12, 34))
	if err := syscall.Close(fd); err != nil {
		t.Errorf("close: %v", err)
	}
	wantContent(t, b.path("f"), "mine")
	var st syscall.Stat_t
	must(t, syscall.Stat(a.path("f"), &st))
	if st.Mode&0o7777 != 0o600 || st.Uid != 12 || st.Gid != 34 {
		t.Errorf("attributes: %o %d %d", st.Mode, st.Uid, st.Gid)
	}
}

func TestWhatABucketCannotIsRefused(t *testing.T) {
	a := serve(t).mount()
	write(t, a.path("f"), "x")
	if err := os.Link(a.path("f"), a.path("g")); !errors.Is(err, syscall.EPERM) {
		t.Errorf("link: %v", err)
	}
	if err := syscall.Mkfifo(a.path("p"), 0o644); err != syscall.EPERM {
		t.Errorf("mkfifo: %v", err)
	}
}

const (
	countersPerMount = 4
	rounds           = 25
)

// TestCountersOnTwoMountsLoseNothing: every increment is there once, whoever was told EBUSY.
func TestCountersOnTwoMountsLoseNothing(t *testing.T) {
	s := serve(t)
	mounts := []*mount{s.mount(), s.mount()}
	write(t, mounts[0].path("n"), "0")
	var workers []*exec.Cmd
	for i := range len(mounts) * countersPerMount {
		cmd := exec.Command(os.Args[0], mounts[i%len(mounts)].path("n"))
		cmd.Env, cmd.Stderr = append(os.Environ(), roleVariable+"=count"), os.Stderr
		must(t, cmd.Start())
		workers = append(workers, cmd)
	}
	for _, cmd := range workers {
		if err := cmd.Wait(); err != nil {
			t.Errorf("worker: %v", err)
		}
	}
	for _, m := range mounts {
		wantContent(t, m.path("n"), strconv.Itoa(len(workers)*rounds))
	}
}

// worker is what the test's program does in another process.
func worker(role string, args []string) (code int) {
	if role != "count" || len(args) != 1 {
		return 2
	}
	for done := 0; done < rounds; {
		switch err := increment(args[0]); {
		case err == nil:
			done++
		case !errors.Is(err, syscall.EBUSY):
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return 0
}

func increment(path string) error {
	fd, err := syscall.Open(path, syscall.O_RDWR|syscall.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	p := make([]byte, 20)
	n, err := syscall.Pread(fd, p, 0)
	if err == nil {
		var old int
		if old, err = strconv.Atoi(string(p[:n])); err == nil {
			_, err = syscall.Pwrite(fd, strconv.AppendInt(nil, int64(old+1), 10), 0)
		}
	}
	if closed := syscall.Close(fd); err == nil {
		err = closed
	}
	return err
}

// TestKilledMountKeepsWhatWasWritten: what nobody has closed is a conflict of the next mount, and the server has the old bytes.
func TestKilledMountKeepsWhatWasWritten(t *testing.T) {
	s := serve(t)
	a, b := s.mount(), s.mount()
	write(t, a.path("f"), "old bytes")
	fd := open(t, a.path("f"), syscall.O_RDWR)
	pwrite(t, fd, "new")
	a.kill()
	wantContent(t, b.path("f"), "old bytes")
	if err := syscall.Close(fd); err == nil {
		t.Error("the close was answered by nobody")
	}
	must(t, syscall.Unmount(a.dir, syscall.MNT_DETACH))
	a.start()
	kept := a.conflicts("f")
	if len(kept) != 1 {
		t.Fatalf("kept %v", kept)
	}
	wantContent(t, filepath.Join(kept[0], "mine"), "new bytes")
	wantContent(t, a.path("f"), "old bytes")
}

// TestProgramsWork runs git and tar on one mount and looks from the other.
func TestProgramsWork(t *testing.T) {
	s := serve(t)
	a, b := s.mount(), s.mount()
	src := filepath.Join(t.TempDir(), "src")
	script := `set -e
git init -q "$1"; cd "$1"
for i in $(seq 30); do mkdir -p d$((i%5)); seq $i > d$((i%5))/f$i; done
ln -s d1/f1 link; chmod 750 d2/f2
git add -A; git -c user.name=x -c user.email=x@x commit -qm one
git clone -q "$1" "$2/clone"; git -C "$3/clone" fsck; test -z "$(git -C "$3/clone" status --porcelain)"
tar cf - . | tar xf - -C "$2/out"
diff -r --no-dereference . "$3/out"; test "$(stat -c %a "$3/out/d2/f2")" = 750
mv "$3/out" "$3/moved"; diff -r --no-dereference . "$2/moved"; rm -r "$2/moved"; test ! -e "$3/moved"
sed -i s/1/one/ "$2/clone/d1/f1"; echo more >> "$3/clone/d1/f1"; cat "$2/clone/d1/f1"`
	for _, program := range []string{"git", "tar"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("needs %s", program)
		}
	}
	must(t, os.Mkdir(a.path("out"), 0o755))
	cmd := exec.Command("sh", "-c", script, "sh", src, a.dir, b.dir)
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.HasSuffix(out, []byte("one\nmore\n")) {
		t.Errorf("%v\n%s", err, out)
	}
}
