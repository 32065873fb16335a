package posix

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// timed is a file that is open, perhaps a second time.
type timed struct {
	fds  []int
	path string
}

// Times that are set by path or through an open file are those of the file at once, for who has it open and for who looks by its
// name, and still are when it has been closed; whatever has been done to it before.
func TestTimesOfOpenFiles(t *testing.T) {
	compareEach(t, func(t *testing.T, dir string) lines { return timesOf(t, dir+"/f") })
}

// So they are for who reads the file beside a writer, if a file's handles share what is written.
func TestTimesOfFilesThatAreOpenTwice(t *testing.T) {
	compareIn(t, []string{"mount"}, func(t *testing.T, dir string) lines { return timesOf(t, dir+"/f", unix.O_RDONLY) })
}

func timesOf(t *testing.T, path string, beside ...int) lines {
	t.Helper()
	all := make(lines)
	for _, access := range accesses() {
		for _, before := range doneBefore() {
			for _, set := range timeSetters() {
				for _, pair := range timePairs() {
					name := sprint("%s %s %s %s", access.name, before.name, set.name, pair.name)
					all.add(t, name, afterTimes(t, path, append([]int{access.bits}, beside...), before, set, pair.times))
				}
			}
		}
	}
	return all
}

func afterTimes(t *testing.T, path string, flags []int, before deed[timed], set timeSetter, times []unix.Timespec) string {
	t.Helper()
	pattern(t, path)
	must(t, unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{{Sec: 100, Nsec: 1}, {Sec: 200, Nsec: 2}}, 0))
	f := timed{path: path}
	for _, how := range flags {
		fd, err := unix.Open(path, how|unix.O_CLOEXEC, 0)
		must(t, err)
		f.fds = append(f.fds, fd)
	}
	text := answer(before, f) + "; " + outcome(set.do(f, times))
	for _, fd := range f.fds {
		var st unix.Stat_t
		must(t, unix.Fstat(fd, &st))
		text += sprint("; %s %s", timeText(st.Atim), timeText(st.Mtim))
	}
	text += "; " + namedTimes(path)
	for _, fd := range f.fds {
		must(t, unix.Close(fd))
	}
	text += "; closed " + namedTimes(path)
	os.Remove(path)
	return text
}

// namedTimes are what stat(2) of a path tells.
func namedTimes(path string) string {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return outcome(err)
	}
	return timeText(st.Atim) + " " + timeText(st.Mtim)
}

// doneBefore are what may have happened to an open file.
func doneBefore() []deed[timed] {
	write := func(f timed) error {
		_, err := unix.Pwrite(f.fds[0], []byte("changed"), 5000)
		return err
	}
	return []deed[timed]{
		{"opened", func(timed) (string, error) { return "", nil }},
		{"written", func(f timed) (string, error) { return silent(write(f)) }},
		{"synced", func(f timed) (string, error) {
			if err := write(f); err != nil {
				return "write", err
			}
			return silent(unix.Fsync(f.fds[0]))
		}},
		{"truncated", func(f timed) (string, error) { return silent(unix.Ftruncate(f.fds[0], 100)) }},
		{"truncated by path", func(f timed) (string, error) { return silent(unix.Truncate(f.path, 100)) }},
		{"unlinked", func(f timed) (string, error) { return silent(unix.Unlink(f.path)) }},
		{"set to others", func(f timed) (string, error) {
			return silent(unix.UtimesNanoAt(unix.AT_FDCWD, f.path, []unix.Timespec{{Sec: 7}, {Sec: 8}}, 0))
		}},
	}
}

// timeSetter sets times of an open file.
type timeSetter struct {
	name string
	do   func(f timed, times []unix.Timespec) error
}

func timeSetters() []timeSetter {
	return []timeSetter{
		{"by path", func(f timed, times []unix.Timespec) error { return unix.UtimesNanoAt(unix.AT_FDCWD, f.path, times, 0) }},
		{"through the first", func(f timed, times []unix.Timespec) error { return futimens(f.fds[0], times) }},
		{"through the last", func(f timed, times []unix.Timespec) error { return futimens(f.fds[len(f.fds)-1], times) }},
	}
}

// futimens sets times through a descriptor, as glibc's does.
func futimens(fd int, times []unix.Timespec) error {
	return unix.UtimesNanoAt(unix.AT_FDCWD, sprint("/proc/self/fd/%d", fd), times, 0)
}

// timePair is what utimensat(2) is given.
type timePair struct {
	name  string
	times []unix.Timespec
}

func timePairs() []timePair {
	omit, now := unix.Timespec{Nsec: unix.UTIME_OMIT}, unix.Timespec{Nsec: unix.UTIME_NOW}
	atime, mtime := unix.Timespec{Sec: 300, Nsec: 3}, unix.Timespec{Sec: 400, Nsec: 4}
	return []timePair{
		{"both", []unix.Timespec{atime, mtime}}, {"atime", []unix.Timespec{atime, omit}}, {"mtime", []unix.Timespec{omit, mtime}},
		{"mtime now", []unix.Timespec{atime, now}}, {"neither", []unix.Timespec{omit, omit}},
	}
}
