package posix

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// isolations are those of the option of that name.
func isolations() []string { return []string{"handle", "mount"} }

// compareEach runs trials on the native filesystem, and on a mount of each isolation.
func compareEach(t *testing.T, trials func(t *testing.T, dir string) lines) {
	t.Helper()
	compareIn(t, isolations(), trials)
}

// compareIn runs trials on the native filesystem, and on a mount of each of those isolations.
func compareIn(t *testing.T, isolations []string, trials func(t *testing.T, dir string) lines) {
	t.Helper()
	want := trials(t, native(t))
	for _, isolation := range isolations {
		t.Run(isolation, func(t *testing.T) {
			m := mounttest.Start(t, mounttest.Options{Mount: "isolation=" + isolation})
			t.Cleanup(m.ExpectNothingLeft)
			dir := m.Path("w")
			must(t, os.Mkdir(dir, 0o777))
			judge(t, want, trials(t, reachable(t, dir)))
		})
	}
}

// deed is a call, or a few, by name; what it returns beside an error is text.
type deed[T any] struct {
	name string
	do   func(T) (string, error)
}

// counted is what a call that moves bytes returns.
func counted[N int | int64](n N, err error) (string, error) { return sprint("%d", n), err }

// silent is what a call that returns nothing returns.
func silent(err error) (string, error) { return "", err }

// answer is what came of a deed, in words.
func answer[T any](d deed[T], on T) string {
	var text string
	err := again(func() (err error) {
		text, err = d.do(on)
		return err
	})
	return outcome(err) + " " + text
}

// patternBytes is the size of the files of most trials: some pages, and a part of one.
const patternBytes = 3*4096 + 1000

// pattern makes a file in which no byte is like its neighbours, and none is zero.
func pattern(t *testing.T, path string) {
	t.Helper()
	content := make([]byte, patternBytes)
	for i := range content {
		content[i] = byte(i%251) + 1
	}
	must(t, os.WriteFile(path, content, 0o644))
}

// opened opens what is there, for the time of f.
func opened(t *testing.T, path string, flags int, f func(fd int)) {
	t.Helper()
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC|unix.O_NONBLOCK, 0o644)
	must(t, err)
	defer unix.Close(fd)
	f(fd)
}

// accesses are the ways to open a file.
func accesses() []flag {
	return []flag{
		{"RDONLY", unix.O_RDONLY}, {"WRONLY", unix.O_WRONLY}, {"RDWR", unix.O_RDWR}, {"APPEND", unix.O_RDWR | unix.O_APPEND},
		{"DSYNC", unix.O_WRONLY | unix.O_DSYNC}, {"PATH", unix.O_PATH},
	}
}

// onPatterns does each deed on a file of its own, opened in each way.
func onPatterns(t *testing.T, dir string, deeds []deed[int]) lines {
	all := make(lines)
	for _, d := range deeds {
		for _, a := range accesses() {
			p := dir + "/f"
			pattern(t, p)
			text := ""
			opened(t, p, a.bits, func(fd int) {
				text = answer(d, fd)
				at, err := unix.Seek(fd, 0, 1)
				text += sprint(" at %d %s", at, outcome(err))
			})
			all.add(t, a.name+" "+d.name, text+" "+digest(t, p))
			must(t, os.Remove(p))
		}
	}
	return all
}
