package badgerstore

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/archive"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/blob"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/marks"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/space"
)

// restoringName is in a directory that is to become a store, for as long as it is none.
const restoringName = "restoring"

// numbersPerSecondBits says how many numbers a second no store gives out, over its life: see [firstNumber].
const numbersPerSecondBits = 20

// Backups lists the backups in a directory, oldest first. A damaged manifest is ErrCorrupt and names the file.
func Backups(dir string, parts Parts) (all []Backup, err error) {
	a, err := archive.Open(parts.withDefaults().Disk, dir)
	if err != nil {
		return nil, err
	}
	ids, err := a.IDs()
	if err != nil {
		return nil, err
	}
	var damage []error
	for _, id := range ids {
		m, err := a.Manifest(id)
		if err != nil {
			damage = append(damage, err)
			continue
		}
		all = append(all, backupOf(m))
	}
	return all, errors.Join(damage...)
}

func backupOf(m *archive.Manifest) Backup {
	b := Backup{ID: m.ID, Store: m.Store, Taken: m.Taken, Commit: m.Commit, Objects: m.Objects, Blobs: m.Blobs, BlobBytes: m.BlobBytes}
	for _, p := range m.Records {
		b.RecordBytes += p.Bytes
	}
	return b
}

// restoring is one backup being read.
type restoring struct {
	ctx      context.Context // of the one call this lives for
	a        *archive.Archive
	m        *archive.Manifest
	progress Progress
	done     int64
	total    int64
}

// openBackup finds a backup, the newest if id is empty. It is refused if a newer one, which may have been meant, is damaged.
func openBackup(ctx context.Context, dir, id string, progress Progress, parts Parts) (*restoring, error) {
	a, err := archive.Open(parts.Disk, dir)
	if err != nil {
		return nil, err
	}
	r := &restoring{ctx: ctx, a: a, progress: progress}
	if id != "" {
		r.m, err = a.Manifest(id)
	} else {
		var damaged []string
		r.m, damaged, err = a.Newest()
		switch {
		case err != nil:
		case len(damaged) > 0:
			err = problem(objstore.ErrCorrupt, "the newest backup, %s, is damaged: name the one to restore", damaged[0])
		case r.m == nil:
			err = problem(objstore.ErrNotFound, "no backup was completed")
		}
	}
	if err != nil {
		return nil, err
	}
	for _, need := range r.m.Needs {
		if !slices.Contains(knownFeatures(), need) {
			return nil, problem(objstore.ErrNewerFormat, "the backup needs %q, which this program does not know: use a newer one", need)
		}
	}
	r.total = int64(r.m.BlobBytes)
	for _, p := range slices.Concat(r.m.Records, r.m.BlobList) {
		r.total += p.Bytes
	}
	return r, nil
}

func (r *restoring) tell(n int64) {
	r.done += n
	if r.progress != nil {
		r.progress(r.done, max(r.total, r.done))
	}
}

// VerifyBackup reads all of a backup, the newest if id is empty, and compares it with its digests. ErrCorrupt names the first file
// that is damaged.
func VerifyBackup(ctx context.Context, src, id string, progress Progress, parts Parts) (Backup, error) {
	r, err := openBackup(ctx, src, id, progress, parts.withDefaults())
	if err != nil {
		return Backup{}, named("verify backup", src, err)
	}
	err = r.a.EachRecord(r.m.Records, func(key, value []byte) error {
		r.tell(int64(len(key) + len(value)))
		return cancelled(ctx)
	})
	if err != nil {
		return Backup{}, named("verify backup", src, err)
	}
	for b, err := range r.a.EachBlob(r.m.BlobList) {
		if err == nil {
			err = errors.Join(r.a.Verify(b.Piece), cancelled(ctx))
		}
		if err != nil {
			return Backup{}, named("verify backup", src, err)
		}
		r.tell(b.Piece.Bytes)
	}
	return backupOf(r.m), nil
}

// Restore makes a store of a backup, the newest if id is empty, in a directory that is absent or empty, or where an earlier Restore was
// interrupted. Every byte is compared with its digest. The directory is a store once all of it is there, and on the disk.
//
// The store has a UUID of its own, and numbers, of which versions are, that were not given out since the backup: not by the store it was made of,
// should that have gone on, and not by one that was restored before. That is by the clock, which must not be before the
// time of the backup.
func Restore(ctx context.Context, src, id, dir string, progress Progress, parts Parts) (Backup, error) {
	parts = parts.withDefaults()
	if err := outside(dir, src); err != nil {
		return Backup{}, named("restore", dir, err)
	}
	r, err := openBackup(ctx, src, id, progress, parts)
	if err != nil {
		return Backup{}, named("restore", src, err)
	}
	return backupOf(r.m), named("restore", dir, r.restore(dir, parts))
}

func (r *restoring) restore(dir string, parts Parts) (err error) {
	first, err := firstNumber(r.m, parts.Clock())
	if err != nil {
		return err
	}
	fsys := parts.Disk
	if err := claim(fsys, dir); err != nil {
		return err
	}
	lock, err := lockStore(fsys, dir, Options{}.owner(parts.Clock()), false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err := clearRestored(fsys, dir); err != nil {
		return disk.Error("clear "+dir, err)
	}
	if err := r.records(fsys, dir, parts); err != nil {
		return err
	}
	if err := r.blobs(fsys, dir); err != nil {
		return err
	}
	return r.complete(fsys, dir, first)
}

// firstNumber is the first number a restored store gives out. None gives out more than 2^20 a second over
// its life, so that all that was given out until now is below the seconds since 1970 times that.
func firstNumber(m *archive.Manifest, now time.Time) (uint64, error) {
	if now.Before(m.Taken) {
		return 0, problem(objstore.ErrInvalid, "the clock says %s, and the backup was made at %s: set it right, numbers of versions depend on it",
			now.UTC().Format(time.RFC3339), m.Taken.UTC().Format(time.RFC3339))
	}
	first := uint64(now.Unix()) << numbersPerSecondBits
	if first <= m.Lease {
		return 0, problem(objstore.ErrInvalid, "numbers up to %d were given out when the backup was made, and the clock allows for %d", m.Lease, first)
	}
	return first, nil
}

// claim makes a directory one that is to become a store.
func claim(fsys disk.FS, dir string) error {
	if err := fsys.Mkdir(dir); err != nil && !errors.Is(err, fs.ErrExist) {
		if errors.Is(err, fs.ErrNotExist) {
			return problem(objstore.ErrNotFound, "the directory it is to be in does not exist: create that first")
		}
		return disk.Error("create store", err)
	}
	names, err := fsys.ReadDir(dir)
	if err != nil {
		return disk.Error("create store", err)
	}
	if slices.Contains(names, formatName) {
		return problem(objstore.ErrInvalid, "there is a store already: restore to another directory, and put it in its place once you have seen it")
	}
	if !slices.Contains(names, restoringName) {
		for _, name := range names {
			if !slices.Contains([]string{lockName, "lost+found"}, name) {
				return problem(objstore.ErrInvalid, "the directory is not empty: name another one")
			}
		}
		f, err := fsys.Create(filepath.Join(dir, restoringName))
		if err != nil {
			return disk.Error("create store", err)
		}
		if err := errors.Join(f.Sync(), f.Close(), fsys.SyncDir(dir)); err != nil {
			return disk.Error("create store", err)
		}
	}
	return nil
}

// clearRestored removes what an interrupted Restore left.
func clearRestored(fsys disk.FS, dir string) error {
	for _, name := range []string{badgerName, blobsName, marksName, marksName + ".new", formatNewName, linkProbeName} {
		if err := removeAll(fsys, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}

func removeAll(fsys disk.FS, name string) error {
	info, err := fsys.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && info.Dir {
		var names []string
		names, err = fsys.ReadDir(name)
		for _, below := range names {
			err = errors.Join(err, removeAll(fsys, filepath.Join(name, below)))
		}
	}
	if err == nil {
		err = fsys.Remove(name)
	}
	return err
}

// records makes the key-value files: all records at the one commit.
func (r *restoring) records(fsys disk.FS, dir string, parts Parts) (err error) {
	path := filepath.Join(dir, badgerName)
	if err := fsys.Mkdir(path); err != nil {
		return disk.Error("restore", err)
	}
	sizes := ProfileMount.sizes()
	if err := r.room(fsys, dir, sizes, r.total); err != nil {
		return err
	}
	db, err := badger.OpenManaged(badgerOptions(path, sizes, false, &badgerLogger{log: parts.Logger}))
	if err != nil {
		return problemOf("the key-value files cannot be made", err)
	}
	err = r.fill(db, func() error { return r.room(fsys, dir, sizes, 0) })
	if closed := db.Close(); err == nil && closed != nil {
		err = problemOf("the key-value files cannot be completed", closed)
	}
	if err != nil {
		return err
	}
	return syncFiles(fsys, path)
}

// room refuses a disk that has no room for so many bytes, or on which Badger could find no block for a page it touches: it
// dies of that.
func (r *restoring) room(fsys disk.FS, dir string, s sizes, bytes int64) error {
	free, err := fsys.Space(dir)
	if err != nil {
		return disk.Error("restore", err)
	}
	if need := bytes + int64(s.memTables+s.compactors+2)*2*s.memTableBytes + space.Mount().BallastBytes; free.BytesFree < need {
		return problem(objstore.ErrNoSpace, "the file system has %d bytes left and going on takes %d: free some first", free.BytesFree, need)
	}
	return nil
}

func (r *restoring) fill(db *badger.DB, room func() error) error {
	batch := db.NewWriteBatchAt(r.m.Commit)
	defer batch.Cancel()
	const roomEveryBytes = 4 << 20
	since := 0
	err := r.a.EachRecord(r.m.Records, func(key, value []byte) error {
		if err := cancelled(r.ctx); err != nil {
			return err
		}
		n := len(key) + len(value)
		if since += n; since > roomEveryBytes {
			since = 0
			if err := room(); err != nil {
				return err
			}
		}
		r.tell(int64(n))
		if err := batch.Set(slices.Clone(key), slices.Clone(value)); err != nil {
			return problemOf("records cannot be written", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := batch.Flush(); err != nil {
		return problemOf("records cannot be written", err)
	}
	return nil
}

// syncFiles makes the files of a directory durable, and their names.
func syncFiles(fsys disk.FS, dir string) error {
	names, err := fsys.ReadDir(dir)
	if err != nil {
		return disk.Error("restore", err)
	}
	for _, name := range names {
		f, err := fsys.Open(filepath.Join(dir, name))
		if err == nil {
			err = errors.Join(f.Sync(), f.Close())
		}
		if err != nil {
			return disk.Error("restore", err)
		}
	}
	return disk.Error("restore", fsys.SyncDir(dir))
}

// blobs copies the blobs.
func (r *restoring) blobs(fsys disk.FS, dir string) (err error) {
	store, err := blob.Open(fsys, filepath.Join(dir, blobsName), blob.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	const syncEvery = 1024
	n := 0
	for b, err := range r.a.EachBlob(r.m.BlobList) {
		if err == nil {
			err = r.blob(store, b)
		}
		if n++; err == nil && n%syncEvery == 0 {
			err = store.Sync()
		}
		if err != nil {
			return err
		}
	}
	if uint64(n) != r.m.Blobs {
		return problem(objstore.ErrCorrupt, "the backup has a list of %d blobs and should have %d", n, r.m.Blobs)
	}
	return store.Sync()
}

func (r *restoring) blob(store *blob.Store, b archive.Blob) error {
	f, err := r.a.Open(b.Piece)
	if err != nil {
		return err
	}
	defer f.Close() // it was only read
	sum := sha256.New()
	err = store.Import(r.ctx, blob.Ref{ID: b.ID, Bare: b.Bare}, f, b.Piece.Bytes, func(p []byte) {
		sum.Write(p)
		r.tell(int64(len(p)))
	})
	if objstore.KindOf(err) == objstore.ErrCorrupt {
		return problem(objstore.ErrCorrupt, "%s is damaged: %s", r.a.Path(b.Piece.Digest), reason(err))
	}
	if err != nil {
		return err
	}
	return r.a.Compare(b.Piece, sum)
}

// complete makes the directory a store.
func (r *restoring) complete(fsys disk.FS, dir string, first uint64) error {
	watch := manifestWatch{fs: fsys, dir: filepath.Join(dir, badgerName)}
	begin, bytes, _, err := watch.sync()
	if err != nil {
		return err
	}
	file, err := marks.Create(fsys, filepath.Join(dir, marksName), marks.Marks{
		Durable: r.m.Commit, Lease: first, LowBlob: first, Clean: true, ManifestBegin: begin, ManifestBytes: bytes,
	})
	if err != nil {
		return err
	}
	id, err := newIdentity()
	if err = errors.Join(err, file.Close(), fsys.SyncDir(dir)); err != nil {
		return disk.Error("restore", err)
	}
	var text strings.Builder
	text.WriteString(id.String())
	for _, need := range r.m.Needs {
		fmt.Fprintf(&text, "needs %s\n", need)
	}
	fmt.Fprintf(&text, "restored %s of %s\n", r.m.ID, r.m.Store)
	err = replaceFormat(fsys, dir, text.String())
	if err == nil {
		err = errors.Join(fsys.Remove(filepath.Join(dir, restoringName)), fsys.SyncDir(dir), fsys.SyncDir(filepath.Dir(dir)))
	}
	return disk.Error("restore", err)
}
