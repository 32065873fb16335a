package posix

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// A file without a name is written, read and described, gets its first name with all that was done to it, goes on, and otherwise goes.
func TestFilesWithoutANameGetOne(t *testing.T) {
	compare(t, func(t *testing.T, dir string) lines {
		all := make(lines)
		put(t, dir+"/taken")
		for _, f := range []flag{{"WRONLY", unix.O_WRONLY}, {"RDWR", unix.O_RDWR}, {"APPEND", unix.O_RDWR | unix.O_APPEND}, {"EXCL", unix.O_RDWR | unix.O_EXCL}, {"SYNC", unix.O_RDWR | unix.O_SYNC}} {
			fd, err := unix.Open(dir, f.bits|unix.O_TMPFILE|unix.O_CLOEXEC, 0o6666)
			must(t, err)
			n := 0
			note := func(what string, err error) {
				n++
				var st unix.Stat_t
				must(t, unix.Fstat(fd, &st))
				all.add(t, sprint("%s %d %s", f.name, n, what), outcome(err)+" "+describe(st)+" "+timeText(st.Mtim)+": "+names(t, dir))
			}
			note("open", nil)
			note("write", writeOne(fd))
			note("chmod", unix.Fchmod(fd, 0o4751))
			note("chown", unix.Fchown(fd, ownerID, groupID))
			note("setxattr", unix.Fsetxattr(fd, "user.a", []byte("1"), 0))
			note("utimes", unix.UtimesNanoAt(fd, "", []unix.Timespec{{Sec: 1}, {Sec: 2, Nsec: 3}}, unix.AT_EMPTY_PATH))
			note("fsync", unix.Fsync(fd))
			self := sprint("/proc/self/fd/%d", fd)
			link := func(from int, path, to string, flags int) error {
				return unix.Linkat(from, path, unix.AT_FDCWD, dir+to, flags)
			}
			note("link over", link(unix.AT_FDCWD, self, "/taken", unix.AT_SYMLINK_FOLLOW))
			note("link", link(unix.AT_FDCWD, self, "/new", unix.AT_SYMLINK_FOLLOW))
			note("link again", link(fd, "", "/second", unix.AT_EMPTY_PATH))
			note("xattrs "+xattrs(dir+"/new"), nil)
			note("write on", writeOne(fd))
			must(t, unix.Close(fd))
			content, err := os.ReadFile(dir + "/new")
			all.add(t, f.name+" closed", string(content)+outcome(err)+names(t, dir))
			empty(t, dir)
			put(t, dir+"/taken")
		}
		return all
	})
}
