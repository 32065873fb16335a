package posix

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// copy_file_range(2) between files: what is copied as a whole is shared and the rest is read and written, which nobody may notice.
func TestCopiesBetweenFiles(t *testing.T) {
	type span struct {
		from, to int64
		n        int
	}
	steps := map[string][]span{
		"all":              {{0, 0, 1 << 30}},
		"all in pieces":    {{0, 0, 10000}, {10000, 10000, 70000}, {80000, 80000, 1 << 20}, {200000, 200000, 1}},
		"the end":          {{100000, 0, 1 << 20}},
		"the beginning":    {{0, 0, 4097}},
		"behind a hole":    {{0, 12288, 1 << 20}},
		"twice":            {{0, 0, 1 << 20}, {0, 0, 1 << 20}},
		"behind itself":    {{0, 0, 1 << 20}, {0, 200000, 1 << 20}},
		"in pieces, moved": {{0, 0, 8192}, {16384, 8192, 1 << 20}},
		"beyond the end":   {{300000, 0, 10}},
	}
	compare(t, func(t *testing.T, dir string) lines {
		all := make(lines)
		source, target := filepath.Join(dir, "source"), filepath.Join(dir, "target")
		for _, size := range []int{0, 5, 200000} {
			must(t, os.WriteFile(source, bytes.Repeat([]byte("copied "), size/7+1)[:size], 0o644))
			for _, old := range []int{-1, 0, 9, 250000} {
				for _, flags := range []flag{{"", 0}, {"emptied ", unix.O_TRUNC}, {"read and written ", unix.O_RDWR}, {"appended to ", unix.O_APPEND}} {
					for name, spans := range steps {
						if old >= 0 {
							must(t, os.WriteFile(target, bytes.Repeat([]byte{'o'}, old), 0o6755))
						}
						from, err := unix.Open(source, unix.O_RDONLY|unix.O_CLOEXEC, 0)
						must(t, err)
						to, err := unix.Open(target, max(flags.bits&unix.O_ACCMODE, unix.O_WRONLY)|flags.bits|unix.O_CREAT|unix.O_CLOEXEC, 0o644)
						must(t, err)
						text := ""
						for _, s := range spans {
							n, err := copyAll(from, &s.from, to, &s.to, s.n)
							text += sprint("%d %s, to %d and %d; ", n, outcome(err), s.from, s.to)
						}
						var st unix.Stat_t
						must(t, unix.Fstat(to, &st))
						text += describe(st) + " closed " + outcome(unix.Close(to)) + " " + digest(t, target)
						must(t, unix.Close(from))
						all.add(t, sprint("%s of %d to %s%d", name, size, flags.name, old), text)
						must(t, os.Remove(target))
					}
				}
			}
		}
		return all
	})
}

// copyAll goes on where a call stopped short, as any may.
func copyAll(from int, fromAt *int64, to int, toAt *int64, n int) (copied int, err error) {
	for copied < n && err == nil {
		part := 0
		if part, err = unix.CopyFileRange(from, fromAt, to, toAt, n-copied, 0); part <= 0 {
			break
		}
		copied += part
	}
	return copied, err
}
