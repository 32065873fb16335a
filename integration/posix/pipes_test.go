package posix

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// piped calls f with a pipe in which there are some bytes.
func piped(held int, f func(from, to int) (string, error)) (string, error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		return "", err
	}
	defer unix.Close(p[0])
	defer unix.Close(p[1])
	if held > 0 {
		if _, err := unix.Write(p[1], make([]byte, held)); err != nil {
			return "", err
		}
	}
	return f(p[0], p[1])
}

// drained is what a call returned and left in a pipe.
func drained(from int, n int64, err error) (string, error) {
	buf := make([]byte, 1<<16)
	left, readErr := unix.Read(from, buf)
	sum := 0
	for i := range max(left, 0) {
		sum = sum*31 + int(buf[i])
	}
	return sprint("%d, %d in the pipe %s %x", n, left, outcome(readErr), sum), err
}

// splices are splice(2), tee(2), vmsplice(2) and sendfile(2) from and to a file, at a place in it.
func splices(place string, off *int64) []deed[int] {
	at := func() *int64 {
		if off == nil {
			return nil
		}
		o := *off
		return &o
	}
	return []deed[int]{
		{"splice out at " + place, func(fd int) (string, error) {
			return piped(0, func(from, to int) (string, error) {
				n, err := unix.Splice(fd, at(), to, nil, 6000, unix.SPLICE_F_NONBLOCK)
				return drained(from, n, err)
			})
		}},
		{"splice in at " + place, func(fd int) (string, error) {
			return piped(6000, func(from, _ int) (string, error) {
				return counted(unix.Splice(from, nil, fd, at(), 5000, unix.SPLICE_F_MOVE))
			})
		}},
		{"splice of nothing at " + place, func(fd int) (string, error) {
			return piped(6000, func(from, _ int) (string, error) { return counted(unix.Splice(from, nil, fd, at(), 0, 0)) })
		}},
		{"splice from an empty pipe at " + place, func(fd int) (string, error) {
			return piped(0, func(from, _ int) (string, error) {
				return counted(unix.Splice(from, nil, fd, at(), 10, unix.SPLICE_F_NONBLOCK))
			})
		}},
		{"splice with an unknown flag at " + place, func(fd int) (string, error) {
			return piped(10, func(from, _ int) (string, error) { return counted(unix.Splice(from, nil, fd, at(), 10, 0x100)) })
		}},
		{"splice onto itself at " + place, func(fd int) (string, error) { return counted(unix.Splice(fd, at(), fd, at(), 10, 0)) }},
		{"sendfile to a pipe at " + place, func(fd int) (string, error) {
			return piped(0, func(from, to int) (string, error) {
				n, err := unix.Sendfile(to, fd, at(), 6000)
				return drained(from, int64(n), err)
			})
		}},
		{"sendfile onto itself at " + place, func(fd int) (string, error) { return counted(unix.Sendfile(fd, fd, at(), 100)) }},
	}
}

// tees are calls that want a pipe.
func tees() []deed[int] {
	iov := make([]byte, 10)
	one := []unix.Iovec{{Base: &iov[0], Len: 10}}
	return []deed[int]{
		{"tee in", func(fd int) (string, error) {
			return piped(10, func(from, _ int) (string, error) { return counted(unix.Tee(from, fd, 10, 0)) })
		}},
		{"tee out", func(fd int) (string, error) {
			return piped(0, func(_, to int) (string, error) { return counted(unix.Tee(fd, to, 10, 0)) })
		}},
		{"vmsplice", func(fd int) (string, error) { return counted(unix.Vmsplice(fd, one, 0)) }},
		{"vmsplice to a pipe and on", func(fd int) (string, error) {
			return piped(0, func(from, to int) (string, error) {
				if _, err := unix.Vmsplice(to, one, 0); err != nil {
					return "vmsplice", err
				}
				return counted(unix.Splice(from, nil, fd, nil, 10, unix.SPLICE_F_MOVE))
			})
		}},
	}
}

// Bytes go through pipes into files and out of them as on a local disk: as many, from where, to where, and with the same errors.
func TestPipesToAndFromFiles(t *testing.T) {
	deeds := tees()
	places := map[string]int64{"start": 0, "middle": 5000, "across the end": patternBytes - 100, "end": patternBytes, "beyond": patternBytes + 5000, "negative": -1}
	for place, off := range places {
		deeds = append(deeds, splices(place, &off)...)
	}
	deeds = append(deeds, splices("where it is", nil)...)
	compareEach(t, func(t *testing.T, dir string) lines { return onPatterns(t, dir, deeds) })
}

// sendfile(2) and copy_file_range(2) go between two files opened in all ways.
func TestBytesBetweenTwoFilesOpenedInAllWays(t *testing.T) {
	compareEach(t, func(t *testing.T, dir string) lines {
		all := make(lines)
		for _, from := range accesses() {
			for _, to := range accesses() {
				pattern(t, dir+"/a")
				put(t, dir+"/b")
				text := ""
				opened(t, dir+"/a", from.bits, func(a int) {
					opened(t, dir+"/b", to.bits, func(b int) {
						off := int64(10)
						n, err := unix.Sendfile(b, a, &off, 5000)
						text = sprint("sendfile %d %d %s", n, off, outcome(err))
						n, err = unix.CopyFileRange(a, nil, b, nil, 5000, 0)
						text += sprint(" copy %d %s", n, outcome(err))
						n, err = unix.CopyFileRange(a, nil, b, nil, 5000, 1)
						text += sprint(" copy with a flag %d %s", n, outcome(err))
					})
				})
				all.add(t, from.name+" to "+to.name, text+" "+digest(t, dir+"/a")+" "+digest(t, dir+"/b"))
				must(t, os.Remove(dir+"/a"))
				must(t, os.Remove(dir+"/b"))
			}
		}
		return all
	})
}
