package rotate

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func open(t *testing.T, path string, bytesMax int64, kept int) *File {
	f, err := Open(path, bytesMax, kept, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() }) // twice, in tests that close it themselves
	return f
}

func write(t *testing.T, f *File, text string) {
	if n, err := f.Write([]byte(text)); err != nil || n != len(text) {
		t.Fatalf("write %q: %d, %v", text, n, err)
	}
}

func wantFile(t *testing.T, path, want string) {
	got, err := os.ReadFile(path)
	if want == "" {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s exists: %q", path, got)
		}
		return
	}
	if err != nil || string(got) != want {
		t.Errorf("%s has %q, %v; want %q", path, got, err, want)
	}
}

func TestWritesAreKeptWholeInTheNewestFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	f := open(t, path, 8, 2)
	for _, line := range []string{"one\n", "two\n", "three\n", "longer than a file\n", "five\n"} {
		write(t, f, line)
	}
	wantFile(t, path, "five\n")
	wantFile(t, path+".1", "longer than a file\n")
	wantFile(t, path+".2", "three\n")
	wantFile(t, path+".3", "")
}

func TestAReopenedLogGoesOn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	f := open(t, path, 8, 1)
	write(t, f, "one\n")
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f = open(t, path, 8, 1)
	write(t, f, "two\n")
	write(t, f, "three\n")
	wantFile(t, path, "three\n")
	wantFile(t, path+".1", "one\ntwo\n")
}

func TestTheLogIsPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	f := open(t, path, 1, 1)
	write(t, f, "one\n")
	write(t, f, "two\n")
	for _, p := range []string{path, path + ".1"} {
		info, err := os.Stat(p)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", p, info, err)
		}
	}
}

func TestWithoutOlderFilesTheLogStartsAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	f := open(t, path, 4, 0)
	write(t, f, "one\n")
	write(t, f, "two\n")
	wantFile(t, path, "two\n")
	wantFile(t, path+".1", "")
}

// A rotation that cannot be done costs no line.
func TestAFailedRotationLosesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	f := open(t, path, 4, 1)
	write(t, f, "one\n")
	if err := os.MkdirAll(filepath.Join(path+".1", "in the way"), 0o777); err != nil {
		t.Fatal(err)
	}
	if n, err := f.Write([]byte("two\n")); err == nil || n != 4 {
		t.Errorf("wrote %d, %v; want 4 and what is in the way", n, err)
	}
	wantFile(t, path, "one\ntwo\n")
}

func TestEveryNewFileIsShown(t *testing.T) {
	var shown []string
	f, err := Open(filepath.Join(t.TempDir(), "log"), 1, 1, func(f *os.File) error {
		shown = append(shown, filepath.Base(f.Name()))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	write(t, f, "one\n")
	write(t, f, "two\n")
	if err := f.Close(); err != nil || len(shown) != 2 {
		t.Errorf("shown %q, %v", shown, err)
	}
}
