package posix

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// things can have a name and be renamed onto each other.
func things() map[string]func(t *testing.T, path string) {
	return map[string]func(t *testing.T, path string){
		"nothing":        func(*testing.T, string) {},
		"file":           put,
		"directory":      func(t *testing.T, path string) { must(t, os.Mkdir(path, 0o755)) },
		"full directory": func(t *testing.T, path string) { must(t, os.Mkdir(path, 0o755)); put(t, path+"/f") },
		"link":           func(t *testing.T, path string) { must(t, os.Symlink("nowhere", path)) },
		"fifo":           func(t *testing.T, path string) { must(t, unix.Mkfifo(path, 0o644)) },
		"two names":      func(t *testing.T, path string) { put(t, path); must(t, os.Link(path, path+".other")) },
	}
}

// Everything is renamed onto everything with all flags, within a directory and between two.
func TestRenameOfEverythingOntoEverything(t *testing.T) {
	compare(t, func(t *testing.T, dir string) lines {
		all := make(lines)
		for _, flags := range []uint{0, unix.RENAME_NOREPLACE, unix.RENAME_EXCHANGE, unix.RENAME_NOREPLACE | unix.RENAME_EXCHANGE, unix.RENAME_WHITEOUT, 5, 6, 7, 8, 64} {
			before, tried := make(map[string]state), make(map[string]string)
			for from, makeFrom := range things() {
				if flags > unix.RENAME_EXCHANGE && from != "file" {
					continue // they are invalid, or refused on the mount, whatever is renamed
				}
				for to, makeTo := range things() {
					for _, where := range []string{"a", "b"} {
						trial := filepath.Join(dir, sprint("%s onto %s in %s", from, to, where))
						must(t, os.MkdirAll(trial+"/a", 0o755))
						must(t, os.Mkdir(trial+"/b", 0o755))
						makeFrom(t, trial+"/a/from")
						makeTo(t, trial+"/"+where+"/to")
						before[trial], tried[trial] = stateOf(t, trial), where
					}
				}
			}
			tick(t)
			for trial, where := range tried {
				err := unix.Renameat2(unix.AT_FDCWD, trial+"/a/from", unix.AT_FDCWD, trial+"/"+where+"/to", flags)
				all.add(t, sprint("%d %s", flags, filepath.Base(trial)), outcome(err)+" "+stateOf(t, trial).since(before[trial]))
				must(t, os.RemoveAll(trial))
			}
		}
		return all
	})
}

// Names that end in slashes and dots are renamed, exchanged, linked, made and removed as a local disk does it.
func TestNamesThatEndInSlashesAndDots(t *testing.T) {
	ends := []string{"", "/", "//", "/.", "/..", "/./"}
	calls := []struct {
		name string
		do   func(from, to string) error
	}{
		{"rename", unix.Rename}, {"link", unix.Link}, {"symlink", func(_, to string) error { return unix.Symlink("t", to) }},
		{"exchange", func(from, to string) error {
			return unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_EXCHANGE)
		}},
		{"rename onto no name", func(from, to string) error {
			return unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
		}},
		{"followed link", func(from, to string) error {
			return unix.Linkat(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.AT_SYMLINK_FOLLOW)
		}},
	}
	compareEach(t, func(t *testing.T, dir string) lines {
		all := make(lines)
		var before state
		for from, makeFrom := range things() {
			for to, makeTo := range things() {
				before = nil
				for _, c := range calls {
					for _, fromEnd := range ends {
						for _, toEnd := range ends {
							if before == nil {
								empty(t, dir)
								must(t, os.Mkdir(dir+"/a", 0o755))
								must(t, os.Mkdir(dir+"/b", 0o755))
								makeFrom(t, dir+"/a/from")
								makeTo(t, dir+"/b/to")
								before = stateOf(t, dir)
							}
							err := again(func() error { return c.do(dir+"/a/from"+fromEnd, dir+"/b/to"+toEnd) })
							text := outcome(err)
							if err == nil {
								text += " " + untimed(stateOf(t, dir), before)
								before = nil
							}
							all.add(t, sprint("%s %s%q onto %s%q", c.name, from, fromEnd, to, toEnd), text)
						}
					}
				}
			}
		}
		return all
	})
}

// The two names of one object, a directory and what is below it, and what is above it are renamed onto each other.
func TestRenameAmongRelatives(t *testing.T) {
	relatives := []string{"d", "d/e", "d/e/g", "d/f", "twin", "d/.", "d/..", "d/e/..", ".", ""}
	compare(t, func(t *testing.T, dir string) lines {
		all := make(lines)
		var before state
		for _, flags := range []uint{0, unix.RENAME_NOREPLACE, unix.RENAME_EXCHANGE} {
			for _, from := range relatives {
				for _, to := range append(relatives, "d/e/new", "new/", "d/f/", "d/e/g/") {
					if before == nil {
						empty(t, dir)
						before = makeRelatives(t, dir)
					}
					err := unix.Renameat2(unix.AT_FDCWD, dir+"/"+from, unix.AT_FDCWD, dir+"/"+to, flags)
					came := untimed(stateOf(t, dir), before)
					all.add(t, sprint("%d %q onto %q", flags, from, to), outcome(err)+" "+came)
					if came != before.since(before) {
						before = nil
					}
				}
			}
		}
		return all
	})
}

func makeRelatives(t *testing.T, dir string) state {
	must(t, os.MkdirAll(dir+"/d/e/g", 0o755))
	put(t, dir+"/d/f")
	must(t, os.Link(dir+"/d/f", dir+"/twin"))
	return stateOf(t, dir)
}

// untimed is since without the times, which nobody waited for.
func untimed(s, before state) string {
	for name, st := range s {
		for _, old := range before {
			if old.Ino == st.Ino {
				st.Mtim, st.Ctim = old.Mtim, old.Ctim
			}
		}
		s[name] = st
	}
	return s.since(before)
}

// What is open, or a process's directory, goes on without its name.
func TestWhatIsOpenGoesOnWithoutAName(t *testing.T) {
	mounttest.Need(t, "root")
	removals := map[string]func(path string) error{
		"unlink":      func(p string) error { return unix.Unlink(p) },
		"rmdir":       func(p string) error { return unix.Rmdir(p) },
		"rename over": func(p string) error { return unix.Rename(p+".spare", p) },
		"rename":      func(p string) error { return unix.Rename(p, p+".new") },
	}
	compare(t, func(t *testing.T, dir string) lines {
		all := make(lines)
		for thing, make := range things() {
			for removal, remove := range removals {
				for _, flags := range []flag{{"read", unix.O_RDONLY}, {"write", unix.O_RDWR}, {"path", unix.O_PATH | unix.O_NOFOLLOW}} {
					p := filepath.Join(dir, "x")
					make(t, p)
					make(t, p+".spare")
					fd, err := unix.Open(p, flags.bits|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
					title := sprint("%s %s %s", thing, removal, flags.name)
					if err == nil {
						text := outcome(remove(p)) + " " + without(fd)
						if flags.bits == unix.O_RDWR { // the kernel forgets the name of who takes long, which is listed
							text = strings.Replace(text, " (deleted)", "", 1)
						}
						all.add(t, title, text)
						unix.Close(fd)
					}
					empty(t, dir)
				}
			}
		}
		return all
	})
}

// without is what calls on a descriptor answer.
func without(fd int) string {
	var st unix.Stat_t
	text := outcome(unix.Fstat(fd, &st)) + " " + describe(st)
	text += " fchmod " + outcome(unix.Fchmod(fd, 0o600))
	text += " fchown " + outcome(unix.Fchown(fd, 7, 7))
	text += " futimens " + outcome(unix.UtimesNanoAt(fd, "", []unix.Timespec{{Sec: 1}, {Sec: 2}}, unix.AT_EMPTY_PATH))
	text += " fsync " + outcome(unix.Fsync(fd))
	self := sprint("/proc/self/fd/%d", fd)
	text += " chmod " + outcome(unix.Chmod(self, 0o640))
	shown, err := os.Readlink(self)
	text += " readlink " + filepath.Base(shown) + " " + outcome(err)
	must := unix.Fstat(fd, &st)
	text += " " + outcome(must) + " " + describe(st)
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		_, err := unix.Getdents(fd, make([]byte, 1000))
		text += " getdents " + outcome(err) + " mkdirat " + outcome(unix.Mkdirat(fd, "below", 0o755))
		err = unix.Fstatat(fd, ".", &st, 0)
		text += " . " + outcome(err) + " " + describe(st)
		again, err := unix.Openat(fd, ".", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		text += " open . " + outcome(err) + " close " + outcome(unix.Close(again))
		err = unix.Fstatat(fd, "nothing", &st, 0)
		text += " below " + outcome(err)
	}
	return text
}
