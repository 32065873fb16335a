package posix

import (
	"bytes"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// hold is an open descriptor, and the directory its file is in.
type hold struct {
	fd  int
	dir string
}

// onHold are calls on a descriptor that may be no more than a path.
func onHold() []deed[hold] {
	value := make([]byte, 100)
	fd := func(name string, do func(fd int) error) deed[hold] {
		return deed[hold]{name, func(h hold) (string, error) { return silent(do(h.fd)) }}
	}
	number := func(name string, command, argument int) deed[hold] {
		return deed[hold]{name, func(h hold) (string, error) { return counted(unix.FcntlInt(uintptr(h.fd), command, argument)) }}
	}
	return append([]deed[hold]{
		fd("read", func(fd int) error { _, err := unix.Read(fd, value); return err }),
		fd("write", func(fd int) error { _, err := unix.Write(fd, value[:3]); return err }),
		fd("pread", func(fd int) error { _, err := unix.Pread(fd, value, 0); return err }),
		fd("lseek", func(fd int) error { _, err := unix.Seek(fd, 0, 0); return err }),
		fd("fstatfs", func(fd int) error { return unix.Fstatfs(fd, &unix.Statfs_t{}) }),
		fd("fchmod", func(fd int) error { return unix.Fchmod(fd, 0o700) }),
		fd("fchown", func(fd int) error { return unix.Fchown(fd, 7, 8) }),
		fd("futimens", func(fd int) error {
			times := []unix.Timeval{{Sec: 1}, {Sec: 2}}
			return unix.Futimes(fd, times)
		}),
		fd("ftruncate", func(fd int) error { return unix.Ftruncate(fd, 3) }),
		fd("fallocate", func(fd int) error { return unix.Fallocate(fd, 0, 0, 10) }),
		fd("fsync", unix.Fsync), fd("fdatasync", unix.Fdatasync), fd("syncfs", unix.Syncfs),
		fd("fchdir", func(fd int) error {
			return through(".", unix.O_PATH, func(here int) error { err := unix.Fchdir(fd); must0(unix.Fchdir(here)); return err })
		}),
		fd("getdents", func(fd int) error { _, err := unix.Getdents(fd, make([]byte, 1000)); return err }),
		fd("fgetxattr", func(fd int) error { _, err := unix.Fgetxattr(fd, "user.x", value); return err }),
		fd("fsetxattr", func(fd int) error { return unix.Fsetxattr(fd, "user.x", value[:3], 0) }),
		fd("fremovexattr", func(fd int) error { return unix.Fremovexattr(fd, "user.x") }),
		fd("flistxattr", func(fd int) error { _, err := unix.Flistxattr(fd, value); return err }),
		fd("flock", func(fd int) error { return unix.Flock(fd, unix.LOCK_SH|unix.LOCK_NB) }),
		fd("lock", func(fd int) error {
			return unix.FcntlFlock(uintptr(fd), unix.F_SETLK, &unix.Flock_t{Type: unix.F_RDLCK, Len: 1})
		}),
		fd("readahead", func(fd int) error { return unix.Fadvise(fd, 0, 10, unix.FADV_WILLNEED) }),
		fd("mmap", func(fd int) error {
			m, err := unix.Mmap(fd, 0, 10, unix.PROT_READ, unix.MAP_PRIVATE)
			if err == nil {
				must0(unix.Munmap(m))
			}
			return err
		}),
		fd("dup", func(fd int) error { again, err := unix.Dup(fd); must0(unix.Close(again)); return err }),
		fd("ioctl", func(fd int) error { _, err := unix.IoctlGetInt(fd, 0x7777); return err }),
		number("F_GETFD", unix.F_GETFD, 0), number("F_GETFL access", unix.F_SETFL, unix.O_APPEND),
		number("F_GETOWN", unix.F_GETOWN, 0), number("F_GETSIG", unix.F_GETSIG, 0), number("F_GETLEASE", unix.F_GETLEASE, 0), number("F_GETPIPE_SZ", unix.F_GETPIPE_SZ, 0),
		number("F_NOTIFY", unix.F_NOTIFY, 0),
	}, atHold()...)
}

// must0 is for what cannot fail but by a mistake of the trial.
func must0(err error) {
	if err != nil && err != unix.EBADF {
		panic(err)
	}
}

// atHold are calls that go from a descriptor on, or by its number in /proc.
func atHold() []deed[hold] {
	at := func(name string, do func(h hold) error) deed[hold] {
		return deed[hold]{name, func(h hold) (string, error) { return silent(do(h)) }}
	}
	all := []deed[hold]{
		{"fstat", func(h hold) (string, error) {
			var st unix.Stat_t
			err := unix.Fstat(h.fd, &st)
			return describe(st), err
		}},
		{"fstatat of itself", func(h hold) (string, error) {
			var st unix.Stat_t
			err := unix.Fstatat(h.fd, "", &st, unix.AT_EMPTY_PATH)
			return describe(st), err
		}},
		{"readlinkat of itself", func(h hold) (string, error) {
			buf := make([]byte, 100)
			n, err := unix.Readlinkat(h.fd, "", buf)
			return string(buf[:max(n, 0)]), err
		}},
		at("fchmodat of itself", func(h hold) error { return unix.Fchmodat(h.fd, "", 0o711, unix.AT_EMPTY_PATH) }),
		at("fchownat of itself", func(h hold) error { return unix.Fchownat(h.fd, "", 9, 10, unix.AT_EMPTY_PATH) }),
		at("faccessat2 of itself", func(h hold) error { return unix.Faccessat2(h.fd, "", unix.R_OK, unix.AT_EMPTY_PATH) }),
		at("utimensat of itself", func(h hold) error {
			return unix.UtimesNanoAt(h.fd, "", []unix.Timespec{{Sec: 3}, {Sec: 4}}, unix.AT_EMPTY_PATH)
		}),
		at("linkat of itself", func(h hold) error { return unix.Linkat(h.fd, "", unix.AT_FDCWD, h.dir+"/linked", unix.AT_EMPTY_PATH) }),
		at("linkat of itself, followed", func(h hold) error {
			return unix.Linkat(h.fd, "", unix.AT_FDCWD, h.dir+"/linked", unix.AT_EMPTY_PATH|unix.AT_SYMLINK_FOLLOW)
		}),
		at("linkat through proc", func(h hold) error {
			return unix.Linkat(unix.AT_FDCWD, sprint("/proc/self/fd/%d", h.fd), unix.AT_FDCWD, h.dir+"/linked", unix.AT_SYMLINK_FOLLOW)
		}),
		at("unlinkat of itself", func(h hold) error { return unix.Unlinkat(h.fd, "", 0) }),
		at("openat of itself", func(h hold) error { _, err := unix.Openat(h.fd, "", unix.O_RDONLY, 0); return err }),
		at("mkdirat below", func(h hold) error { return unix.Mkdirat(h.fd, "below", 0o755) }),
		at("symlinkat below", func(h hold) error { return unix.Symlinkat("x", h.fd, "below") }),
		at("truncate through proc", func(h hold) error { return unix.Truncate(sprint("/proc/self/fd/%d", h.fd), 2) }),
		at("chmod through proc", func(h hold) error { return unix.Chmod(sprint("/proc/self/fd/%d", h.fd), 0o704) }),
		at("setxattr through proc", func(h hold) error {
			return unix.Setxattr(sprint("/proc/self/fd/%d", h.fd), "user.y", []byte("1"), 0)
		}),
	}
	for _, f := range []flag{{"read", unix.O_RDONLY}, {"write", unix.O_WRONLY}, {"both", unix.O_RDWR}, {"truncate", unix.O_WRONLY | unix.O_TRUNC}, {"directory", unix.O_DIRECTORY}, {"nofollow", unix.O_NOFOLLOW}, {"create", unix.O_CREAT | unix.O_RDWR}, {"make", unix.O_CREAT | unix.O_EXCL}} {
		all = append(all, at("open through proc to "+f.name, func(h hold) error {
			return through(sprint("/proc/self/fd/%d", h.fd), f.bits, func(int) error { return nil })
		}))
	}
	for _, below := range []string{"f", "f/", "nothing", ".", "..", "./", "d/.."} {
		all = append(all, at("openat of "+below, func(h hold) error {
			fd, err := unix.Openat(h.fd, below, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
			must0(unix.Close(fd))
			return err
		}))
	}
	return all
}

// What is open, as a path alone or otherwise, answers each call as on a local disk: those that a path does not have with EBADF.
func TestCallsOnPathsThatAreOpen(t *testing.T) {
	makes := things()
	makes["tree"] = func(t *testing.T, p string) { must(t, os.MkdirAll(p+"/d", 0o755)); put(t, p+"/f") }
	makes["link to a directory"] = func(t *testing.T, p string) { must(t, os.Mkdir(p+".d", 0o755)); must(t, os.Symlink("x.d", p)) }
	makes["socket"] = func(t *testing.T, p string) { must(t, unix.Mknod(p, unix.S_IFSOCK|0o644, 0)) }
	ways := []flag{{"path", unix.O_PATH}, {"path, no link", unix.O_PATH | unix.O_NOFOLLOW}, {"path of a directory", unix.O_PATH | unix.O_DIRECTORY}, {"read", unix.O_RDONLY}}
	compareEach(t, func(t *testing.T, dir string) lines {
		all := make(lines)
		for thing, make := range makes {
			for _, way := range ways {
				for _, d := range onHold() {
					make(t, dir+"/x")
					fd, err := unix.Open(dir+"/x", way.bits|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
					title, text := sprint("%s by %s: %s", thing, way.name, d.name), outcome(err)
					if err == nil {
						text = answer(d, hold{fd, dir})
						must(t, unix.Close(fd))
					}
					all.add(t, title, text+" "+names(t, dir))
					empty(t, dir)
					if err != nil {
						break
					}
				}
			}
		}
		return all
	})
}

// resolutions are the ways openat2(2) can walk, alone and in pairs. RESOLVE_CACHED has a test of its own: what is cached is a filesystem's own.
func resolutions() (all []flag) {
	single := []flag{{"none", 0}, {"NO_XDEV", 1}, {"NO_MAGICLINKS", 2}, {"NO_SYMLINKS", 4}, {"BENEATH", 8}, {"IN_ROOT", 16}, {"unknown", 64}}
	for i, a := range single {
		for _, b := range single[i:] {
			all = append(all, flag{a.name + "|" + b.name, a.bits | b.bits})
		}
	}
	return all
}

// openat2(2) goes and does not go where each of its resolutions says, and refuses what openat(2) ignores.
func TestResolutionsOfOpenat2(t *testing.T) {
	paths := []string{"f", "f/", "f/.", "d", "d/", "d/.", "d/..", "d/../f", "..", "../w", ".", "./", "", "/f", "/", "s", "s/", "s/..", "up", "up/f", "root", "absolute", "magic", "loop", "d/f", "s/f", "x", "x/", "n", "d/deep/../../f"}
	hows := []unix.OpenHow{
		{Flags: unix.O_RDONLY}, {Flags: unix.O_PATH}, {Flags: unix.O_PATH | unix.O_NOFOLLOW}, {Flags: unix.O_CREAT | unix.O_RDWR, Mode: 0o600}, {Flags: unix.O_RDONLY, Mode: 0o600},
		{Flags: unix.O_CREAT | unix.O_RDWR, Mode: 1 << 20}, {Flags: unix.O_DIRECTORY}, {Flags: unix.O_PATH | unix.O_RDWR}, {Flags: 1 << 40}, {Flags: unix.O_TMPFILE | unix.O_RDWR, Mode: 0o600},
		{Flags: unix.O_DIRECTORY | unix.O_CREAT, Mode: 0o600},
	}
	compareEach(t, func(t *testing.T, dir string) lines {
		all := make(lines)
		dir += "/w"
		must(t, os.Mkdir(dir, 0o755))
		remake := func() {
			empty(t, dir)
			must(t, os.MkdirAll(dir+"/d/deep", 0o755))
			put(t, dir+"/f")
			put(t, dir+"/d/f")
			must(t, unix.Mkfifo(dir+"/n", 0o644))
			for name, target := range map[string]string{"s": "d", "up": "../w", "root": "/", "absolute": dir + "/f", "magic": "/proc/self/cwd", "loop": "loop"} {
				must(t, os.Symlink(target, dir+"/"+name))
			}
		}
		remake()
		opened(t, dir, unix.O_PATH|unix.O_DIRECTORY, func(at int) {
			for _, r := range resolutions() {
				for _, p := range paths {
					for i, how := range hows {
						if i > 3 && r.name != "none|none" && r.name != "BENEATH|BENEATH" {
							continue
						}
						if p == "/f" && how.Flags&unix.O_CREAT != 0 && r.bits&(unix.RESOLVE_IN_ROOT|unix.RESOLVE_BENEATH) == 0 {
							continue // it would make that in the root directory of the machine
						}
						how.Resolve, how.Flags = uint64(r.bits), how.Flags|unix.O_CLOEXEC
						if how.Flags&unix.O_PATH == 0 {
							how.Flags |= unix.O_NONBLOCK
						}
						fd, err := unix.Openat2(at, p, &how)
						for err == unix.EAGAIN { // something was renamed or mounted somewhere while it went up
							fd, err = unix.Openat2(at, p, &how)
						}
						text := outcome(err)
						if err == nil {
							var st unix.Stat_t
							must(t, unix.Fstat(fd, &st))
							must(t, unix.Close(fd))
							text += " " + kindOf(st.Mode)
							if how.Flags&unix.O_CREAT != 0 {
								entries, err := os.ReadDir(dir)
								must(t, err)
								text += sprint(" %v", entries)
								remake()
							}
						}
						all.add(t, sprint("%s %q %d", r.name, p, i), text)
					}
				}
			}
		})
		return all
	})
}

// readlink(2) cuts at the room there is, and getdents(2) says EINVAL where not one name has room, and loses none otherwise.
func TestAnswersThatHaveLittleRoom(t *testing.T) {
	compareEach(t, func(t *testing.T, dir string) lines {
		all := make(lines)
		for _, n := range []int{1, 59, 60, 61, 255, 256, 1000, 4094, 4095, 4096} {
			p := sprint("%s/link%d", dir, n)
			err := unix.Symlink(string(bytes.Repeat([]byte("t"), n)), p)
			text := outcome(err)
			for _, room := range []int{0, 1, 5, n - 1, n, n + 1, 5000} {
				got, err := unix.Readlink(p, make([]byte, room))
				text += sprint(" %d of %d %s", got, room, outcome(err))
			}
			all.add(t, sprint("link of %d", n), text)
		}
		empty(t, dir)
		wanted := []string{"a", "bb", "a name of some length", sprint("%0255d", 7)}
		for _, name := range wanted {
			put(t, dir+"/"+name)
		}
		for _, room := range []int{0, 1, 8, 23, 24, 32, 48, 100, 279, 280, 288, 1000} {
			all.add(t, sprint("getdents of %d", room), listedBy(t, dir, room))
		}
		return all
	})
}

// listedBy is how many names a walk finds with so much room for each call, or the error of the call that had too little: which that is
// depends on the order.
func listedBy(t *testing.T, dir string, room int) (text string) {
	opened(t, dir, unix.O_RDONLY|unix.O_DIRECTORY, func(fd int) {
		found := 0
		for {
			buf := make([]byte, room)
			n, err := unix.Getdents(fd, buf)
			if err != nil || n == 0 {
				text = outcome(err)
				if err == nil {
					text += sprint(" %d names", found)
				}
				return
			}
			_, _, names := unix.ParseDirent(buf[:n], -1, nil)
			found += len(names)
		}
	})
	return text
}
