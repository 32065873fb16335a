package posix

import (
	"os"
	"os/signal"
	"testing"

	"golang.org/x/sys/unix"
)

// limited calls f while no file may be larger than some bytes, and says whether SIGXFSZ came.
func limited(t *testing.T, bytes uint64, f func() (string, error)) (text string) {
	t.Helper()
	came := make(chan os.Signal, 16)
	signal.Notify(came, unix.SIGXFSZ)
	var old unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_FSIZE, &old))
	must(t, unix.Prlimit(0, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: bytes, Max: old.Max}, nil))
	what, err := f()
	must(t, unix.Prlimit(0, unix.RLIMIT_FSIZE, &old, nil))
	signal.Stop(came) // what the calls were sent has been passed on then
	return sprint("%s %s signal %v", outcome(err), what, len(came) > 0)
}

// growths are calls that make a file larger, to an end.
func growths(end int64) []deed[int] {
	const n = 1000
	piece := make([]byte, n)
	return []deed[int]{
		{"pwrite", func(fd int) (string, error) { return counted(unix.Pwrite(fd, piece, end-n)) }},
		{"pwritev", func(fd int) (string, error) {
			return counted(unix.Pwritev(fd, [][]byte{piece[:300], piece[300:]}, end-n))
		}},
		{"pwrite with DSYNC", func(fd int) (string, error) { return counted(unix.Pwritev2(fd, [][]byte{piece}, end-n, 2)) }},
		{"seek and write twice", func(fd int) (string, error) {
			if _, err := unix.Seek(fd, end-n, 0); err != nil {
				return "seek", err
			}
			first, err := unix.Write(fd, piece)
			second, again := unix.Write(fd, piece)
			return sprint("%d, then %d %s", first, second, outcome(again)), err
		}},
		{"ftruncate", func(fd int) (string, error) { return silent(unix.Ftruncate(fd, end)) }},
		{"fallocate", func(fd int) (string, error) { return silent(unix.Fallocate(fd, 0, end-n, n)) }},
		{"fallocate and keep", func(fd int) (string, error) { return silent(unix.Fallocate(fd, unix.FALLOC_FL_KEEP_SIZE, end-n, n)) }},
		{"splice", func(fd int) (string, error) {
			off := end - n
			return piped(n, func(from, _ int) (string, error) { return counted(unix.Splice(from, nil, fd, &off, n, 0)) })
		}},
		{"copy", func(fd int) (string, error) {
			from, to := int64(0), end-n
			return counted(unix.CopyFileRange(fd, &from, fd, &to, n, 0))
		}},
	}
}

// RLIMIT_FSIZE cuts what crosses it short, and refuses what is beyond it with EFBIG.
func TestFilesUpToTheLimitOfTheProcess(t *testing.T) {
	const limit = 20000
	compareEach(t, func(t *testing.T, dir string) lines {
		all := make(lines)
		for _, end := range []int64{limit - 1, limit, limit + 1, limit + 999, limit + 1000, limit + 1001, limit + 100000} {
			for _, d := range growths(end) {
				for _, a := range accesses() {
					p := dir + "/f"
					pattern(t, p)
					text := ""
					opened(t, p, a.bits, func(fd int) {
						text = limited(t, limit, func() (string, error) { return d.do(fd) })
					})
					all.add(t, sprint("%s %s to %d", a.name, d.name, end), text+" "+digest(t, p))
					must(t, os.Remove(p))
				}
			}
			p := dir + "/f"
			pattern(t, p)
			text := limited(t, limit, func() (string, error) { return silent(unix.Truncate(p, end)) })
			all.add(t, sprint("truncate to %d", end), text+" "+digest(t, p))
			must(t, os.Remove(p))
		}
		return all
	})
}
