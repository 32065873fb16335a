package posix

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// shape is a kind of path: what is made in an empty directory, and the path that is passed to a call.
type shape struct {
	name string
	make func(t *testing.T, dir string)
	path func(dir string) string
}

// at is the path of a name.
func at(name string) func(string) string {
	return func(dir string) string { return dir + "/" + name }
}

func nothing(*testing.T, string) {}

func withFile(t *testing.T, dir string) { put(t, dir+"/f") }

func withDirectory(t *testing.T, dir string) { must(t, os.Mkdir(dir+"/d", 0o755)) }

func withTree(t *testing.T, dir string) {
	withDirectory(t, dir)
	put(t, dir+"/d/f")
}

// linkTo makes a symlink s, after what it leads to.
func linkTo(target string, make func(t *testing.T, dir string)) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		make(t, dir)
		must(t, os.Symlink(target, dir+"/s"))
	}
}

func node(mode, device uint32) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) { must(t, unix.Mknod(dir+"/n", mode|0o644, int(device))) }
}

// padded is a path to a name that is exactly as long as asked, without its NUL.
func padded(name string, bytes int) func(string) string {
	return func(dir string) string {
		room := bytes - len(dir) - 1 - len(name)
		return dir + "/" + strings.Repeat("./", room/2) + strings.Repeat("/", room%2) + name
	}
}

func shapes() []shape {
	loop := func(t *testing.T, dir string) {
		must(t, os.Symlink("b", dir+"/a"))
		must(t, os.Symlink("a", dir+"/b"))
	}
	long := strings.Repeat("n", 255)
	return []shape{
		{"absent", nothing, at("x")},
		{"absent with a slash", nothing, at("x/")},
		{"below what is absent", nothing, at("x/y")},
		{"file", withFile, at("f")},
		{"file with a slash", withFile, at("f/")},
		{"below a file", withFile, at("f/x")},
		{"file and a dot", withFile, at("f/.")},
		{"directory", withDirectory, at("d")},
		{"directory with a slash", withDirectory, at("d/")},
		{"full directory", withTree, at("d")},
		{"dot in a directory", withDirectory, at("d/.")},
		{"dot-dot in a directory", withDirectory, at("d/..")},
		{"link to a file", linkTo("f", withFile), at("s")},
		{"link to a file with a slash", linkTo("f", withFile), at("s/")},
		{"link to a directory", linkTo("d", withDirectory), at("s")},
		{"link to a directory with a slash", linkTo("d", withDirectory), at("s/")},
		{"below a link to a directory", linkTo("d", withTree), at("s/f")},
		{"dangling link", linkTo("x", nothing), at("s")},
		{"dangling link with a slash", linkTo("x", nothing), at("s/")},
		{"below a dangling link", linkTo("x", nothing), at("s/y")},
		{"link to itself", linkTo("s", nothing), at("s")},
		{"loop", loop, at("a")},
		{"below a loop", loop, at("a/x")},
		{"fifo", node(unix.S_IFIFO, 0), at("n")},
		{"socket", node(unix.S_IFSOCK, 0), at("n")},
		{"character device", node(unix.S_IFCHR, 0x103), at("n")},
		{"block device", node(unix.S_IFBLK, 0x7f00), at("n")},
		{"below a fifo", node(unix.S_IFIFO, 0), at("n/x")},
		{"absent of 255 bytes", nothing, at(long)},
		{"absent of 256 bytes", nothing, at(long + "n")},
		{"directory of 256 bytes", nothing, at(long + "n/x")},
		{"file by 4095 bytes", withFile, padded("f", 4095)},
		{"file by 4096 bytes", withFile, padded("f", 4096)},
		{"absent by 4095 bytes", nothing, padded("x", 4095)},
		{"nothing", nothing, func(string) string { return "" }},
	}
}

// call is a system call on one path. What it returns beside an error is text.
type call struct {
	name string
	do   func(path string) (string, error)
}

func simple(do func(path string) error) func(string) (string, error) {
	return func(path string) (string, error) { return "", do(path) }
}

func opens(flags int) func(string) (string, error) {
	return func(path string) (string, error) {
		fd, err := unix.Open(path, flags|unix.O_NONBLOCK|unix.O_CLOEXEC, 0o640)
		if err != nil {
			return "", err
		}
		var st unix.Stat_t
		err = unix.Fstat(fd, &st)
		if err := unix.Close(fd); err != nil {
			return "close", err
		}
		return kindOf(st.Mode), err
	}
}

func stats(flags int) func(string) (string, error) {
	return func(path string) (string, error) {
		var st unix.Stat_t
		err := unix.Fstatat(unix.AT_FDCWD, path, &st, flags)
		if err != nil {
			return "", err
		}
		return describe(st), nil
	}
}

// beside is a name in the directory of a path's trial.
func beside(path, name string) string {
	cut := strings.Index(path, "/trial")
	if cut < 0 {
		return name
	}
	end := strings.IndexByte(path[cut+1:], '/')
	return path[:cut+1+end] + "/" + name
}

func calls() []call {
	old := []unix.Timespec{{Sec: 1e9, Nsec: 123456789}, {Sec: 1e9 + 1, Nsec: 987654321}}
	return append(pairCalls(), []call{
		{"open to read", opens(unix.O_RDONLY)},
		{"open to write", opens(unix.O_WRONLY)},
		{"open to truncate", opens(unix.O_RDWR | unix.O_TRUNC)},
		{"open to create", opens(unix.O_WRONLY | unix.O_CREAT)},
		{"open to create or read", opens(unix.O_RDONLY | unix.O_CREAT)},
		{"open to make", opens(unix.O_WRONLY | unix.O_CREAT | unix.O_EXCL)},
		{"open a directory", opens(unix.O_RDONLY | unix.O_DIRECTORY)},
		{"open no link", opens(unix.O_RDONLY | unix.O_NOFOLLOW)},
		{"open a path", opens(unix.O_PATH)},
		{"open a path, no link", opens(unix.O_PATH | unix.O_NOFOLLOW)},
		{"mkdir", simple(func(p string) error { return unix.Mkdir(p, 0o1750) })},
		{"rmdir", simple(unix.Rmdir)},
		{"unlink", simple(unix.Unlink)},
		{"mkfifo", simple(func(p string) error { return unix.Mkfifo(p, 0o640) })},
		{"mknod file", simple(func(p string) error { return unix.Mknod(p, unix.S_IFREG|0o640, 0) })},
		{"mknod socket", simple(func(p string) error { return unix.Mknod(p, unix.S_IFSOCK|0o640, 0) })},
		{"mknod device", simple(func(p string) error { return unix.Mknod(p, unix.S_IFBLK|0o640, int(unix.Mkdev(300, 70000))) })},
		{"mknod directory", simple(func(p string) error { return unix.Mknod(p, unix.S_IFDIR|0o640, 0) })},
		{"chmod", simple(func(p string) error { return unix.Chmod(p, 0o7511) })},
		{"chown", simple(func(p string) error { return unix.Chown(p, 70000, 70001) })},
		{"chown of nothing", simple(func(p string) error { return unix.Chown(p, -1, -1) })},
		{"lchown", simple(func(p string) error { return unix.Lchown(p, 70000, -1) })},
		{"truncate to less", simple(func(p string) error { return unix.Truncate(p, 2) })},
		{"truncate to the same", simple(func(p string) error { return unix.Truncate(p, 5) })},
		{"truncate to more", simple(func(p string) error { return unix.Truncate(p, 100000) })},
		{"truncate to what is negative", simple(func(p string) error { return unix.Truncate(p, -1) })},
		{"utimensat", simple(func(p string) error { return unix.UtimesNanoAt(unix.AT_FDCWD, p, old, 0) })},
		{"utimensat of a link", simple(func(p string) error { return unix.UtimesNanoAt(unix.AT_FDCWD, p, old, unix.AT_SYMLINK_NOFOLLOW) })},
		{"access to read", simple(func(p string) error { return unix.Access(p, unix.R_OK) })},
		{"access to run", simple(func(p string) error { return unix.Access(p, unix.X_OK) })},
		{"stat", stats(0)},
		{"lstat", stats(unix.AT_SYMLINK_NOFOLLOW)},
		{"statfs", simple(func(p string) error { return unix.Statfs(p, &unix.Statfs_t{}) })},
		{"readlink", func(p string) (string, error) {
			buf := make([]byte, 100)
			n, err := unix.Readlink(p, buf)
			return string(buf[:max(n, 0)]), err
		}},
		{"chdir", simple(changeTo)},
	}...)
}

// pairCalls are calls on a path and a name beside it.
func pairCalls() []call {
	rename := func(flags uint) func(string) (string, error) {
		return simple(func(p string) error { return unix.Renameat2(unix.AT_FDCWD, p, unix.AT_FDCWD, beside(p, "new"), flags) })
	}
	return []call{
		{"symlink", simple(func(p string) error { return unix.Symlink("target", p) })},
		{"link", simple(func(p string) error { return unix.Link(p, beside(p, "new")) })},
		{"link of what it leads to", simple(func(p string) error {
			return unix.Linkat(unix.AT_FDCWD, p, unix.AT_FDCWD, beside(p, "new"), unix.AT_SYMLINK_FOLLOW)
		})},
		{"rename", rename(0)},
		{"rename without replacing", rename(unix.RENAME_NOREPLACE)},
		{"rename of itself", simple(func(p string) error { return unix.Rename(p, p) })},
		{"rename below itself", simple(func(p string) error { return unix.Rename(p, p+"/below") })},
		{"rename onto", simple(func(p string) error { return unix.Rename(beside(p, "spare"), p) })},
		{"link onto", simple(func(p string) error { return unix.Link(beside(p, "spare"), p) })},
		{"exchange with", simple(func(p string) error {
			return unix.Renameat2(unix.AT_FDCWD, beside(p, "spare"), unix.AT_FDCWD, p, unix.RENAME_EXCHANGE)
		})},
	}
}

// changeTo enters a directory and comes back.
func changeTo(path string) error {
	here, err := unix.Open(".", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(here)
	if err := unix.Chdir(path); err != nil {
		return err
	}
	return unix.Fchdir(here)
}

// Each call answers each kind of path as a local disk does, and changes what a local disk changes: names, modes, owners, link counts, sizes, and times of
// the objects and of their directories.
func TestCallsOnEveryKindOfPath(t *testing.T) {
	mounttest.Need(t, "root")
	compare(t, func(t *testing.T, dir string) lines {
		all := make(lines)
		made := make(map[string]state)
		for _, c := range calls() {
			prepare(t, dir, made)
			tick(t)
			for i, s := range shapes() {
				trial := filepath.Join(dir, sprint("trial%d", i))
				all.add(t, c.name+": "+s.name, tryOn(t, c, s, trial, made))
			}
		}
		return all
	})
}

// prepare makes the directories that a call has changed, or all: one tick is then enough.
func prepare(t *testing.T, dir string, made map[string]state) {
	for i, s := range shapes() {
		trial := filepath.Join(dir, sprint("trial%d", i))
		if made[trial] != nil {
			continue
		}
		must(t, os.RemoveAll(trial))
		must(t, os.Mkdir(trial, 0o755))
		s.make(t, trial)
		put(t, trial+"/spare")
		made[trial] = stateOf(t, trial)
	}
}

// tryOn makes a call on a kind of path.
func tryOn(t *testing.T, c call, s shape, trial string, made map[string]state) string {
	var text string
	err := again(func() (err error) {
		text, err = c.do(s.path(trial))
		return err
	})
	before, after := made[trial], stateOf(t, trial)
	came := after.since(before)
	if came != before.since(before) {
		delete(made, trial)
	}
	return outcome(err) + " " + text + ": " + came
}
