package main

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

const (
	rowRenameLarge = "rename large directory"
	rowRenameSmall = "rename small directory"
	rowListFirst   = "ls -l large directory, first time"
	rowListAgain   = "ls -l large directory, again"
	rowUntar       = "untar"
)

// directoryRenames is how often a directory is renamed; even, so that it ends where it was.
const directoryRenames = 100

func directories() scenario {
	return scenario{
		name:  "directories",
		about: "large: 10,000 files, small: 100 (500 and 20 with -quick); ls -l of the large one by ls(1), just made, or listed before",
		begin: func(ctx context.Context, s *site) error {
			if err := s.fill(ctx, "large", s.sizes.entries); err != nil {
				return err
			}
			return s.fill(ctx, "small", s.sizes.few)
		},
		steps: []step{
			{row: row{name: rowListFirst}, run: listFirst},
			{row: row{name: rowListAgain}, run: listAgain},
			{row: row{name: rowRenameLarge}, local: true, run: renameDirectory("large")},
			{row: row{name: rowRenameSmall}, local: true, run: renameDirectory("small")},
		},
	}
}

func (s *site) fill(ctx context.Context, dir string, entries int) error {
	if err := os.Mkdir(s.path(dir), 0o755); err != nil {
		return err
	}
	c := newContent(s.rand, 128)
	return each(ctx, entries, func(i int) error {
		return writeWhole(s.path(dir, "entry-"+strconv.Itoa(i)), c.next())
	})
}

// listFirst is the first listing of what has just been made: FUSE filesystems are asked for the ACL of each file then.
func listFirst(ctx context.Context, s *site) (measurement, error) {
	return s.time(ctx, 1, func() error { return s.listLong(ctx) })
}

func listAgain(ctx context.Context, s *site) (measurement, error) {
	const times = 3
	list := func() error { return s.listLong(ctx) }
	return s.timeAfter(ctx, times, list, func() error {
		return each(ctx, times, func(int) error { return list() })
	})
}

func (s *site) listLong(ctx context.Context) error { return program(ctx, "ls", "-l", s.path("large")) }

func renameDirectory(name string) func(context.Context, *site) (measurement, error) {
	return func(ctx context.Context, s *site) (measurement, error) {
		from, to := s.path(name), s.path(name+"-renamed")
		return s.time(ctx, directoryRenames, func() error {
			return each(ctx, directoryRenames, func(int) error {
				from, to = to, from
				return os.Rename(to, from)
			})
		})
	}
}

func trees() scenario {
	return scenario{
		name:  "trees",
		about: "an archive of 2,000 files in 100 directories, 10 KiB on average, unpacked by tar(1); time of the whole",
		begin: func(_ context.Context, s *site) error { return s.makeArchive() },
		steps: []step{{row: row{name: rowUntar}, run: unpack}},
	}
}

func (s *site) archive() string { return filepath.Join(s.shared, "tree.tar") }

// makeArchive writes the archive if an earlier round has not.
func (s *site) makeArchive() error {
	if _, err := os.Stat(s.archive()); err == nil {
		return nil
	}
	f, err := os.Create(s.archive())
	if err != nil {
		return err
	}
	err = writeArchive(f, s.sizes.archive)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	return err
}

// writeArchive writes a tree of files whose sizes spread as those of sources do:
// many small ones, a few large ones.
func writeArchive(w io.Writer, files int) error {
	const averageBytes = 10 << 10
	random := newRand(0)
	archive := tar.NewWriter(w)
	mtime := time.Unix(1_700_000_000, 0)
	for i := range files {
		dir := fmt.Sprintf("tree/%02d", i%100)
		if i < 100 {
			header := &tar.Header{Typeflag: tar.TypeDir, Name: dir + "/", Mode: 0o755, ModTime: mtime, Uid: os.Getuid(), Gid: os.Getgid()}
			if err := archive.WriteHeader(header); err != nil {
				return err
			}
		}
		body := newContent(random, 64+int(random.ExpFloat64()*averageBytes)).next()
		header := &tar.Header{Name: fmt.Sprintf("%s/file%04d", dir, i), Mode: 0o644, ModTime: mtime, Size: int64(len(body)), Uid: os.Getuid(), Gid: os.Getgid()}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		if _, err := archive.Write(body); err != nil {
			return err
		}
	}
	return archive.Close()
}

func unpack(ctx context.Context, s *site) (measurement, error) {
	return s.time(ctx, 1, func() error { return program(ctx, "tar", "-xf", s.archive(), "-C", s.dir) })
}

// program runs a program of the system, its output dropped; what it complains of is the error.
func program(ctx context.Context, name string, args ...string) error {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	complaints := &tail{}
	cmd.Stderr = complaints
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, complaints)
	}
	return nil
}

// tail keeps the end of what is written to it.
type tail struct{ text []byte }

// Write never fails.
func (t *tail) Write(p []byte) (int, error) {
	const kept = 500
	t.text = append(t.text, p...)
	t.text = t.text[max(0, len(t.text)-kept):]
	return len(p), nil
}

// String is the end.
func (t *tail) String() string { return string(t.text) }
