package cas

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/etagfs/etagfs/objstore"
)

// UpdateFile is [Update] for programs that work on files, such as databases: change finds the content of key in the file
// called name, empty if there is no object, and leaves the next content there, or removes the file to leave the object as
// it is. The file is alone in a temporary directory below dir (os.TempDir if empty), which is removed with whatever else
// the program left in it: a database must be closed, so that all of it is in its file.
func UpdateFile(ctx context.Context, s Store, key objstore.Key, dir string, change func(ctx context.Context, name string, now objstore.Info) error, opt Options) (info objstore.Info, err error) {
	dir, err = os.MkdirTemp(dir, "etagfs-update-")
	if err != nil {
		return objstore.Info{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	name := filepath.Join(dir, "content")
	return update(ctx, s, key, opt, func(ctx context.Context, reader objstore.Reader) (func() (io.ReadCloser, error), error) {
		if err := empty(dir); err != nil {
			return nil, err
		}
		var now objstore.Info
		if reader != nil {
			now = reader.Info()
		}
		if err := writeFile(ctx, name, reader); err != nil {
			return nil, &readError{err}
		}
		if err := change(ctx, name, now); err != nil {
			return nil, err
		}
		if _, err := os.Lstat(name); errors.Is(err, os.ErrNotExist) {
			return nil, nil
		}
		return func() (io.ReadCloser, error) { return os.Open(name) }, nil
	})
}

// empty removes what is left of the last attempt: a journal would be taken for one of the next content.
func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
	return err
}

// writeFile makes a file of what reader reads; nil reads nothing.
func writeFile(ctx context.Context, name string, reader objstore.Reader) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if reader != nil {
		body := reader.Stream(ctx, 0, -1)
		_, err = io.Copy(f, body)
		err = errors.Join(err, body.Close())
	}
	return errors.Join(err, f.Close())
}
