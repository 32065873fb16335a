package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	iofs "io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/cas"
)

// swapPlace says which object etagfs update and lock work on: FILE in a mounted directory, or STORE KEY.
type swapPlace struct {
	location
	control string
}

func (p *swapPlace) flags(c *cobra.Command) {
	p.location.flags(c)
	c.Flags().StringVar(&p.control, "control", controlDefault, "name of the mount's control directory")
}

// splitCommand divides arguments into those before "--" and the command after it.
func splitCommand(c *cobra.Command, args []string) (before, command []string, err error) {
	n := c.ArgsLenAtDash()
	if n < 1 || n > 2 || len(args) == n {
		return nil, nil, usageErrorf("wrong number of arguments; usage: %s", c.UseLine())
	}
	return args[:n], args[n:], nil
}

// with calls f with the store of an object and its key.
func (p *swapPlace) with(ctx context.Context, args []string, f func(s cas.Store, key objstore.Key) error) error {
	if len(args) == 1 {
		return p.withFile(args[0], f)
	}
	key, err := newKey(args[1])
	if err != nil {
		return err
	}
	if isRemote(args[0]) {
		return p.location.with(ctx, args[0], func(bucket objstore.Store) error { return f(bucket, key) })
	}
	return opened(f(&perCall{p.location, args[0]}, key))
}

// withFile is with for a file of a mount; its key is its path.
func (p *swapPlace) withFile(file string, f func(s cas.Store, key objstore.Key) error) error {
	path, err := filepath.Abs(file)
	switch {
	case err != nil || file == "":
		return usageErrorf("the name of the file is empty")
	case isRemote(file):
		return usageErrorf("%s is a store: name a key in it, too", file)
	}
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		return cmp.Or(unanswering(path, err), err)
	}
	root, found := mountRoot(filepath.Dir(path), p.control)
	if !found {
		if _, err := findMounted(path, p.control); err != nil && !errors.Is(err, iofs.ErrNotExist) {
			return err
		}
		return usageErrorf("%s is not in a mounted directory: name a file of a mount, or STORE KEY", file)
	}
	return f(mountFiles{filepath.Join(root, p.control)}, objstore.Key(path))
}

// mountRoot is the directory above dir where a mount of this program shows its control directory.
func mountRoot(dir, control string) (root string, found bool) {
	place := conflictPlace{control: control}
	for {
		var where unix.Statfs_t
		if _, found := place.areaIn(dir); found && unix.Statfs(dir, &where) == nil && where.Type == unix.FUSE_SUPER_MAGIC {
			return dir, true
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", false
		}
		dir = parent
	}
}

// perCall is a bucket of a store in a directory, which is opened for each call: others use it meanwhile.
type perCall struct {
	at    location
	store string
}

// unopened is why a store could not be opened. It hides its cause: that there is no store does not mean that there is
// no object.
type unopened struct{ cause error }

// Error is the cause in words.
func (u *unopened) Error() string { return u.cause.Error() }

// opened shows the cause.
func opened(err error) error {
	var u *unopened
	if errors.As(err, &u) {
		return u.cause
	}
	return err
}

func (p *perCall) with(ctx context.Context, f func(bucket objstore.Store) error) error {
	open := false
	err := p.at.with(ctx, p.store, func(bucket objstore.Store) error {
		open = true
		return f(bucket)
	})
	if err != nil && !open && objstore.KindOf(err) != objstore.ErrInUse {
		return &unopened{err}
	}
	return err
}

// Capabilities claims nothing that goes beyond one call.
func (p *perCall) Capabilities() objstore.Capabilities {
	return objstore.Capabilities{UniqueVersions: true, PinnedReaders: true, Headers: true, Tags: true, Answers: true}
}

// Get implements [cas.Store]. The content is copied to a file without a name.
func (p *perCall) Get(ctx context.Context, key objstore.Key, cond objstore.Cond) (objstore.Reader, error) {
	f, err := os.CreateTemp("", "etagfs-")
	if err != nil {
		return nil, err
	}
	err = os.Remove(f.Name())
	copied := fileReader{f: f}
	if err == nil {
		err = p.with(ctx, func(bucket objstore.Store) error {
			reader, err := bucket.Get(ctx, key, cond)
			if err != nil {
				return err
			}
			copied.info = reader.Info()
			return errors.Join(copyContent(ctx, reader, f), reader.Close())
		})
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return copied, nil
}

// Put implements [cas.Store].
func (p *perCall) Put(ctx context.Context, key objstore.Key, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (info objstore.Info, err error) {
	err = p.with(ctx, func(bucket objstore.Store) (err error) {
		info, err = bucket.Put(ctx, key, body, cond, opt)
		return err
	})
	return info, err
}

// fileReader is an [objstore.Reader] of an open file.
type fileReader struct {
	f    *os.File
	info objstore.Info
}

// Info implements [objstore.Reader].
func (r fileReader) Info() objstore.Info { return r.info }

// ReadAt implements [objstore.Reader].
func (r fileReader) ReadAt(_ context.Context, p []byte, off int64) (int, error) {
	return r.f.ReadAt(p, off)
}

// Stream implements [objstore.Reader].
func (r fileReader) Stream(_ context.Context, off, length int64) io.ReadCloser {
	if length < 0 {
		length = r.info.Size - off
	}
	return io.NopCloser(io.NewSectionReader(r.f, off, length))
}

// Close implements [objstore.Reader].
func (r fileReader) Close() error { return r.f.Close() }
