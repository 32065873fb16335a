package badgerstore

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

// featureS3 is in the FORMAT of a store that has uploads, documents, or objects with
// an ETag or parts of their own. Programs that do not know it refuse the store.
const featureS3 = "s3"

// knownFeatures are those this package reads and writes.
func knownFeatures() []string { return []string{featureS3} }

// need makes the store say that it uses a feature, durably, before it does.
func (e *Engine) need(feature string) error {
	e.needs.Lock()
	defer e.needs.Unlock()
	if slices.Contains(e.identity.needs, feature) {
		return nil
	}
	if e.opt.ReadOnly {
		return objstore.ErrReadOnly
	}
	text := strings.TrimRight(e.identity.text, "\n") + "\nneeds " + feature + "\n"
	if err := replaceFormat(e.fs, e.dir, text); err != nil {
		return disk.Error("note a feature", err)
	}
	e.identity.text = text
	e.identity.needs = append(e.identity.needs, feature)
	return nil
}

// needFor is need for what an object with these digests takes.
func (e *Engine) needFor(d objstore.Digests) error {
	if d.ETag == "" {
		return nil
	}
	return e.need(featureS3)
}

// replaceFormat makes text the content of the file FORMAT in one step.
func replaceFormat(fsys disk.FS, dir, text string) error {
	fresh := filepath.Join(dir, formatNewName)
	if err := fsys.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := fsys.Create(fresh)
	if err != nil {
		return err
	}
	if err := errors.Join(writeAll(f, []byte(text)), f.Sync(), f.Close()); err != nil {
		return err
	}
	return errors.Join(fsys.Rename(fresh, filepath.Join(dir, formatName)), fsys.SyncDir(dir))
}
