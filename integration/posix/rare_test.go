package posix

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// resolveCached is RESOLVE_CACHED.
const resolveCached = 0x20

// openat2(2) with RESOLVE_CACHED opens what it opens without, or says EAGAIN and has done nothing; what may change something is EAGAIN.
func TestCachedResolutionsOfOpenat2(t *testing.T) {
	hows := []unix.OpenHow{
		{Flags: unix.O_RDONLY}, {Flags: unix.O_RDWR}, {Flags: unix.O_PATH}, {Flags: unix.O_PATH | unix.O_NOFOLLOW}, {Flags: unix.O_DIRECTORY}, {Flags: unix.O_RDONLY, Mode: 0o600},
		{Flags: unix.O_CREAT | unix.O_RDWR, Mode: 0o600}, {Flags: unix.O_TRUNC | unix.O_RDWR}, {Flags: unix.O_TMPFILE | unix.O_RDWR, Mode: 0o600},
	}
	compareEach(t, func(t *testing.T, dir string) lines {
		must(t, os.Mkdir(dir+"/d", 0o755))
		put(t, dir+"/f")
		put(t, dir+"/d/f")
		must(t, os.Symlink("d", dir+"/s"))
		must(t, os.Symlink("loop", dir+"/loop"))
		all := make(lines)
		opened(t, dir, unix.O_PATH|unix.O_DIRECTORY, func(at int) {
			for _, path := range []string{"f", "f/", "d", "d/f", "s/f", "s", "loop", "nothing", "d/nothing", ".", "d/../f", ""} {
				for i, how := range hows {
					how.Flags |= unix.O_CLOEXEC | unix.O_NONBLOCK
					if how.Flags&unix.O_PATH != 0 {
						how.Flags &^= unix.O_NONBLOCK
					}
					changes := how.Flags&(unix.O_CREAT|unix.O_TRUNC|unix.O_TMPFILE&^unix.O_DIRECTORY) != 0
					plain := "EAGAIN"
					if !changes {
						plain = openedAs(t, at, path, how)
					}
					how.Resolve = resolveCached
					text := openedAs(t, at, path, how)
					if text == plain || text == "EAGAIN" {
						text = "as without, or not now"
					}
					all.add(t, sprint("%q %d", path, i), text+" "+names(t, dir))
				}
			}
		})
		return all
	})
}

// openedAs is what openat2(2) opens, in words.
func openedAs(t *testing.T, at int, path string, how unix.OpenHow) string {
	t.Helper()
	fd, err := unix.Openat2(at, path, &how)
	if err != nil {
		return outcome(err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	must(t, unix.Fstat(fd, &st))
	return sprint("%s %d", kindOf(st.Mode), st.Ino)
}

// onUnchanged runs trials, which must not change it, on a file on a mount of each isolation.
func onUnchanged(t *testing.T, trials func(t *testing.T, p string)) {
	for _, isolation := range isolations() {
		t.Run(isolation, func(t *testing.T) {
			m := mounttest.Start(t, mounttest.Options{Mount: "isolation=" + isolation})
			t.Cleanup(m.ExpectNothingLeft)
			p := m.Path("f")
			pattern(t, p)
			was := digest(t, p)
			trials(t, p)
			if now := digest(t, p); now != was {
				t.Errorf("the file has changed: %s", now)
			}
		})
	}
}

// RWF_NOWAIT is refused as such, and nothing is read or written: the kernel has it for no file of FUSE. A descriptor that may not be read
// or written is told that first.
func TestNoWaitIsRefused(t *testing.T) {
	const noWait = 8
	onUnchanged(t, func(t *testing.T, p string) {
		for _, a := range accesses() {
			opened(t, p, a.bits, func(fd int) {
				mode := a.bits & unix.O_ACCMODE
				for name, call := range map[string]func() (int, error){
					"read":  func() (int, error) { return unix.Preadv2(fd, [][]byte{make([]byte, 10)}, 5, noWait) },
					"write": func() (int, error) { return unix.Pwritev2(fd, [][]byte{[]byte("no")}, 5, noWait) },
				} {
					want := error(unix.EOPNOTSUPP)
					if a.bits&unix.O_PATH != 0 || name == "read" && mode == unix.O_WRONLY || name == "write" && mode == unix.O_RDONLY {
						want = unix.EBADF
					}
					if _, err := call(); !errors.Is(err, want) {
						t.Errorf("%s %s: %v, want %v", a.name, name, err, want)
					}
				}
			})
		}
	})
}

// Ranges are neither collapsed nor inserted nor unshared: that is EOPNOTSUPP and changes nothing, but where it is an error of another kind
// on any filesystem.
func TestRangesThatCannotBeMoved(t *testing.T) {
	modes := []flag{{"collapse", unix.FALLOC_FL_COLLAPSE_RANGE}, {"insert", unix.FALLOC_FL_INSERT_RANGE}, {"unshare", unix.FALLOC_FL_UNSHARE_RANGE}}
	onUnchanged(t, func(t *testing.T, p string) {
		for _, mode := range modes {
			for _, a := range accesses() {
				for _, r := range [][2]int64{{0, page}, {page, page}, {1, 7}, {0, 0}, {-1, page}} {
					opened(t, p, a.bits, func(fd int) {
						want := []error{unix.EOPNOTSUPP}
						switch {
						case a.bits&unix.O_PATH != 0 || a.bits&unix.O_ACCMODE == unix.O_RDONLY:
							want = []error{unix.EBADF, unix.EINVAL}
						case r[0] < 0 || r[1] == 0:
							want = append(want, unix.EINVAL)
						case a.bits&unix.O_APPEND != 0:
							want = append(want, unix.EPERM)
						}
						err := again(func() error { return unix.Fallocate(fd, uint32(mode.bits), r[0], r[1]) })
						if !matches(err, want) {
							t.Errorf("%s %s of %v: %v, want %v", a.name, mode.name, r, err, want)
						}
					})
				}
			}
		}
	})
}

func matches(err error, any []error) bool {
	for _, want := range any {
		if errors.Is(err, want) {
			return true
		}
	}
	return false
}

// O_DIRECT can be set and taken back by fcntl(2), and what is aligned is read and written either way.
func TestDirectIsSetByFcntl(t *testing.T) {
	deeds := []deed[int]{
		{"set", func(fd int) (string, error) { return direct(fd, true) }},
		{"set and taken back", func(fd int) (string, error) {
			first, err := direct(fd, true)
			second, err2 := direct(fd, false)
			return first + " " + second, errors.Join(err, err2)
		}},
		{"set and read", func(fd int) (string, error) {
			text, err := direct(fd, true)
			if err != nil {
				return text, err
			}
			p := aligned(page)
			defer func() { must0(unix.Munmap(p)) }()
			n, err := unix.Pread(fd, p, page)
			return sprint("%s %d %x", text, n, bytes.Count(p, []byte{7})), err
		}},
		{"set and written", func(fd int) (string, error) {
			if err := unix.Ftruncate(fd, 3*page); err != nil { // where it appends is aligned, too
				return "cut", err
			}
			text, err := direct(fd, true)
			if err != nil {
				return text, err
			}
			p := aligned(page)
			defer func() { must0(unix.Munmap(p)) }()
			n, err := unix.Pwrite(fd, p, page)
			return sprint("%s %d", text, n), err
		}},
		{"written, then set and read", func(fd int) (string, error) {
			if n, err := unix.Pwrite(fd, []byte("before"), page); err != nil {
				return sprint("%d", n), err
			}
			text, err := direct(fd, true)
			p := aligned(page)
			defer func() { must0(unix.Munmap(p)) }()
			n, err2 := unix.Pread(fd, p, page)
			return sprint("%s %d %q", text, n, p[:6]), errors.Join(err, err2)
		}},
	}
	compareEach(t, func(t *testing.T, dir string) lines { return onPatterns(t, dir, deeds) })
}

// direct sets O_DIRECT or takes it back, and tells whether it is set then.
func direct(fd int, on bool) (string, error) {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return "", err
	}
	flags &^= unix.O_DIRECT
	if on {
		flags |= unix.O_DIRECT
	}
	_, err = unix.FcntlInt(uintptr(fd), unix.F_SETFL, flags)
	now, err2 := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	return sprint("direct: %t", now&unix.O_DIRECT != 0), errors.Join(err, err2)
}

// aligned is memory that direct I/O can use.
func aligned(n int) []byte {
	p, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	must0(err)
	return p
}
