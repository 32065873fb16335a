package posix

import (
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// statx(2) tells what it is asked for of each kind of object, and refuses what it must.
func TestStatxOfEverything(t *testing.T) {
	masks := []flag{
		{"nothing", 0}, {"basic", unix.STATX_BASIC_STATS}, {"type", unix.STATX_TYPE}, {"size", unix.STATX_SIZE}, {"times", unix.STATX_ATIME | unix.STATX_MTIME | unix.STATX_CTIME},
		{"blocks", unix.STATX_BLOCKS}, {"mount id", unix.STATX_MNT_ID}, {"all", unix.STATX_ALL}, {"reserved", 1 << 31}, {"unknown", 1 << 30},
	}
	flags := []flag{
		{"none", 0}, {"nofollow", unix.AT_SYMLINK_NOFOLLOW}, {"force", unix.AT_STATX_FORCE_SYNC}, {"don't", unix.AT_STATX_DONT_SYNC},
		{"both", unix.AT_STATX_FORCE_SYNC | unix.AT_STATX_DONT_SYNC}, {"no automount", unix.AT_NO_AUTOMOUNT}, {"empty path", unix.AT_EMPTY_PATH}, {"unknown", 1 << 20}, {"remove", unix.AT_REMOVEDIR},
	}
	const told = unix.STATX_BASIC_STATS &^ unix.STATX_BLOCKS &^ unix.STATX_ATIME
	compareEach(t, func(t *testing.T, dir string) lines {
		all := make(lines)
		for thing, make := range things() {
			make(t, dir+"/x")
			for _, m := range masks {
				for _, f := range flags {
					for _, path := range []string{"/x", "/x/", "/x/.", ""} {
						var st unix.Statx_t
						err := unix.Statx(unix.AT_FDCWD, dir+path, f.bits, m.bits, &st)
						asked := st.Mask & uint32(m.bits) & told
						all.add(t, sprint("%s %s %s %q", thing, m.name, f.name, path), outcome(err)+sprint(" %x %o %d %x", asked, st.Mode, st.Nlink, st.Attributes&(unix.STATX_ATTR_MOUNT_ROOT|unix.STATX_ATTR_AUTOMOUNT|unix.STATX_ATTR_VERITY|unix.STATX_ATTR_DAX)))
					}
				}
			}
			empty(t, dir)
		}
		return all
	})
}

// faccessat2(2) asks for the real ids, and with AT_EACCESS for the effective ones.
func TestAccessByRealAndByEffectiveIDs(t *testing.T) {
	mounttest.Need(t, "root")
	flags := []flag{{"real", 0}, {"effective", unix.AT_EACCESS}, {"real, no link", unix.AT_SYMLINK_NOFOLLOW}, {"effective, no link", unix.AT_EACCESS | unix.AT_SYMLINK_NOFOLLOW}, {"unknown", 1 << 20}}
	pairs := [][2]int{{0, ownerID}, {ownerID, 0}, {ownerID, otherID}, {otherID, ownerID}, {otherID, otherID}}
	compareEach(t, func(t *testing.T, dir string) lines {
		all := make(lines)
		for _, kind := range []string{"file", "directory", "fifo"} {
			for _, mode := range []uint32{0, 0o400, 0o200, 0o100, 0o004, 0o002, 0o001, 0o077, 0o700, 0o111} {
				of(t, dir+"/x", kind, mode)
				must(t, os.Symlink("x", dir+"/s"))
				for _, f := range flags {
					for _, ids := range pairs {
						text := ""
						for _, path := range []string{"/x", "/s"} {
							for _, ask := range []uint32{unix.F_OK, unix.R_OK, unix.W_OK, unix.X_OK, unix.R_OK | unix.W_OK, 8} {
								text += " " + outcome(asBoth(t, ids[0], ids[1], func() error { return unix.Faccessat2(unix.AT_FDCWD, dir+path, ask, f.bits) }))
							}
						}
						all.add(t, sprint("%s %o %s by %d as %d", kind, mode, f.name, ids[0], ids[1]), text)
					}
				}
				empty(t, dir)
			}
		}
		return all
	})
}

// asBoth calls f with a real and an effective user.
func asBoth(t *testing.T, real, effective int, f func() error) error {
	t.Helper()
	runtime.LockOSThread()
	raw(t, unix.SYS_SETGROUPS, 0, 0, 0)
	raw(t, unix.SYS_SETRESUID, uintptr(real), uintptr(effective), 0)
	err := again(f)
	raw(t, unix.SYS_SETRESUID, 0, 0, 0)
	runtime.UnlockOSThread()
	return err
}

// stickyDeeds are what a sticky directory may forbid, on x in d; y there is the caller's target.
func stickyDeeds() []deed[string] {
	on := func(name string, do func(d string) error) deed[string] {
		return deed[string]{name, func(d string) (string, error) { return silent(do(d)) }}
	}
	rename := func(from, to string, flags uint) func(string) error {
		return func(d string) error { return unix.Renameat2(unix.AT_FDCWD, d+from, unix.AT_FDCWD, d+to, flags) }
	}
	open := func(flags int) func(string) error {
		return func(d string) error {
			fd, err := unix.Open(d+"/d/x", flags|unix.O_CLOEXEC|unix.O_NONBLOCK, 0o600)
			must0(unix.Close(fd))
			return err
		}
	}
	return []deed[string]{
		on("unlink", func(d string) error { return unix.Unlink(d + "/d/x") }), on("rmdir", func(d string) error { return unix.Rmdir(d + "/d/x") }),
		on("rename", rename("/d/x", "/d/z", 0)), on("rename out", rename("/d/x", "/e/z", 0)), on("rename in", rename("/e/x", "/d/z", 0)), on("rename over", rename("/e/x", "/d/x", 0)),
		on("rename onto another", rename("/d/x", "/d/y", 0)), on("exchange", rename("/d/x", "/e/x", unix.RENAME_EXCHANGE)), on("exchange within", rename("/d/x", "/d/y", unix.RENAME_EXCHANGE)),
		on("rename onto no name", rename("/d/x", "/d/y", unix.RENAME_NOREPLACE)),
		on("link", func(d string) error { return unix.Link(d+"/d/x", d+"/e/z") }), on("link within", func(d string) error { return unix.Link(d+"/d/x", d+"/d/z") }),
		on("link in", func(d string) error { return unix.Link(d+"/e/x", d+"/d/z") }),
		on("open to read", open(unix.O_RDONLY)), on("open to create", open(unix.O_WRONLY|unix.O_CREAT)), on("open to make", open(unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL)),
		on("truncate", func(d string) error { return unix.Truncate(d+"/d/x", 1) }), on("chmod", func(d string) error { return unix.Chmod(d+"/d/x", 0o755) }),
		on("chmod of the directory", func(d string) error { return unix.Chmod(d+"/d", 0o777) }), on("rmdir of the directory", func(d string) error { return unix.Rmdir(d + "/d") }),
	}
}

// In sticky directories, and such that are not, each of root, the directory's owner, the file's owner and another may do what a local disk lets him.
func TestStickyDirectoriesWithFourUsers(t *testing.T) {
	mounttest.Need(t, "root")
	const dirOwner = 2004
	users := []user{root(), {"owner of the directory", dirOwner, dirOwner, nil}, owner(), other()}
	modes := []uint32{0o1777, 0o777}
	if long() {
		modes = append(modes, 0o1755, 0o1775)
	}
	compareEach(t, func(t *testing.T, dir string) lines {
		all := make(lines)
		for _, mode := range modes {
			for thing, make := range things() {
				for _, d := range stickyDeeds() {
					prepare := func() {
						empty(t, dir)
						for _, sub := range []string{"/d", "/e"} {
							must(t, os.Mkdir(dir+sub, 0o777))
							make(t, dir+sub+"/x")
							if err := unix.Lchown(dir+sub+"/x", ownerID, ownerID); err != unix.ENOENT {
								must(t, err)
							}
							must(t, unix.Chmod(dir+sub, mode))
							must(t, unix.Chown(dir+sub, dirOwner, dirOwner))
						}
						make(t, dir+"/d/y")
					}
					prepare()
					was := names(t, dir)
					for _, who := range users {
						var text string
						err := as(t, who, func() (err error) { text, err = d.do(dir); return err })
						now := names(t, dir)
						all.add(t, sprint("%o %s %s by %s", mode, thing, d.name, who.name), outcome(err)+text+" "+now)
						if now != was {
							prepare()
						}
					}
				}
			}
		}
		empty(t, dir)
		return all
	})
}

// Times are kept to the nanosecond, before 1970 and as far beyond as ext4 goes, and those that are none are refused.
func TestTimesAtTheirEdges(t *testing.T) {
	seconds := []int64{-1<<31 + 1, -1, 0, 1, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32, 1<<34 - 1<<31 - 2}
	nanoseconds := []int64{0, 1, 999, 1000, 499999999, 999999999, 1000000000, -1, unix.UTIME_NOW + 1, unix.UTIME_OMIT - 1, unix.UTIME_OMIT}
	compareEach(t, func(t *testing.T, dir string) lines {
		all := make(lines)
		for thing, make := range things() {
			if thing == "nothing" {
				continue
			}
			make(t, dir+"/x")
			for _, s := range seconds {
				for _, n := range nanoseconds {
					err := unix.UtimesNanoAt(unix.AT_FDCWD, dir+"/x", []unix.Timespec{{Sec: s, Nsec: n}, {Sec: s, Nsec: n}}, unix.AT_SYMLINK_NOFOLLOW)
					var st unix.Stat_t
					must(t, unix.Lstat(dir+"/x", &st))
					all.add(t, sprint("%s %d.%d", thing, s, n), sprint("%s %d.%d %d.%d", outcome(err), st.Atim.Sec, st.Atim.Nsec, st.Mtim.Sec, st.Mtim.Nsec))
				}
			}
			for _, f := range []flag{{"unknown", 1 << 20}, {"follow", unix.AT_SYMLINK_FOLLOW}, {"empty", unix.AT_EMPTY_PATH}} {
				all.add(t, sprint("%s with %s", thing, f.name), outcome(unix.UtimesNanoAt(unix.AT_FDCWD, dir+"/x", nil, f.bits)))
			}
			empty(t, dir)
		}
		return all
	})
}
