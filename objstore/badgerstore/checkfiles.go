package badgerstore

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dgraph-io/badger/v4"

	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/extent"
)

// tables verifies the blocks of Badger's tables, as it does not when it reads them. One that goes meanwhile was compacted.
func (c *checker) tables() error {
	for _, t := range c.e.db.Tables() {
		if err := c.going(); err != nil {
			return err
		}
		r, err := inspectTable(c.e.path(badgerName), t.ID, c.e.badgerOptions(nil), true)
		c.advance.add(int64(t.OnDiskSize))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		text := r.unusable
		if text == "" {
			text = r.damaged
		}
		if err == nil && text != "" && c.hasTable(t.ID) {
			err = c.curable(cure{remedy: tableRemedy}, FindingTable, "%s", text)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// hasTable reports whether a table is still in use: Badger truncates one before it removes it.
func (c *checker) hasTable(id uint64) bool {
	return slices.ContainsFunc(c.e.db.Tables(), func(t badger.TableInfo) bool { return t.ID == id })
}

// blobFiles reports the files below blobs/ that nothing refers to. Those that should be
// there were looked for with the contents that have bytes in them.
func (c *checker) blobFiles() error {
	if err := c.e.blobs.Orphans(0, c.blobFile); err != nil {
		return absentIsEmpty(err)
	}
	return c.e.blobs.Strays(func(path string) error {
		return c.curable(cureFile(c.relative(path)), FindingStray, "%s is no payload file", c.relative(path))
	})
}

// absentIsEmpty is nil for a directory that has not been made yet.
func absentIsEmpty(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

func (c *checker) relative(path string) string {
	return strings.TrimPrefix(path, c.e.dir+string(filepath.Separator))
}

// blobFile wants a reason for a blob that is on the disk. One that a stage has put there stays in
// inFlight until its commit is published or its files are gone, and what a commit has refers
// to it for as long as garbage waits: so the questions are asked in this order.
func (c *checker) blobFile(ref blobRef) error {
	if err := c.going(); err != nil {
		return err
	}
	counted, err := c.isCounted(c.tree, ref.ID)
	if err != nil || counted || c.unlink[ref.ID] || c.e.inFlight.has(ref.ID) {
		return err
	}
	now := c.e.view()
	defer now.close()
	if counted, err = c.isCounted(tree{uncached{now}}, ref.ID); err != nil || counted {
		return err
	}
	if there, err := c.e.blobs.Exists(ref); err != nil || !there {
		return err
	}
	return c.curable(cureOrphan(ref), FindingOrphan, "%s is on the disk, in %s, and no record refers to it", ref, c.relative(c.e.blobs.Path(ref)))
}

// has reports whether the blob is in flight.
func (f *inFlight) has(id uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ids[id]
}

// isCounted reports whether there are references to the blob of a number, bare or not.
func (c *checker) isCounted(t tree, id uint64) (bool, error) {
	for _, kind := range []extent.RefKind{extent.RefBlob, extent.RefBare} {
		refs, err := t.refs(extent.Ref{Kind: kind, ID: id})
		if readable(err) != nil {
			return false, err
		}
		if err != nil || refs.Count > 0 { // a damaged record was reported, and is no reason to call a blob an orphan
			return true, nil
		}
	}
	return false, nil
}

// sessions reports what is in staging/ but for this process's session. There is no other that
// lives: the store is locked.
func (c *checker) sessions() error {
	dir := c.e.path(stagingName)
	names, err := c.e.fs.ReadDir(dir)
	if err != nil {
		return absentIsEmpty(disk.Error("check staging", err))
	}
	const lockSuffix = ".lock"
	own := ""
	if c.e.session != nil {
		own = c.e.session.Name()
	}
	for _, name := range names {
		session := strings.TrimSuffix(name, lockSuffix)
		info, err := c.e.fs.Stat(filepath.Join(dir, name))
		switch {
		case errors.Is(err, fs.ErrNotExist), session == own:
		case err != nil:
			return disk.Error("check staging", err)
		case info.Dir:
			err = c.curable(cureSession(), FindingSession, "%s/%s is of a process that is gone and was not swept", stagingName, name)
		case session == name || !slices.Contains(names, session):
			err = c.curable(cureFile(stagingName+"/"+name), FindingStray, "%s/%s belongs to no session", stagingName, name)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
