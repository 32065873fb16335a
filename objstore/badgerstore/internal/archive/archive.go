package archive

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/formatfile"
)

const (
	formatName  = "FORMAT"
	formatText  = "etagfs backup\nformat 1\n"
	lockName    = "lock"
	piecesName  = "pieces"
	backupsName = "backups"
	draftName   = "draft"
)

// Digest is the SHA-256 of a piece.
type Digest [sha256.Size]byte

// String is the digest in hex.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// ParseDigest reads what String writes.
func ParseDigest(text string) (d Digest, err error) {
	p, err := hex.DecodeString(text)
	if err != nil || len(p) != len(d) {
		return d, fmt.Errorf("%q is no digest", text)
	}
	return Digest(p), nil
}

// Piece names a file of the archive.
type Piece struct {
	Digest Digest
	Bytes  int64
}

// Archive is an open directory of backups. It is used by one goroutine.
type Archive struct {
	// Constant.
	fs   disk.FS
	dir  string
	lock disk.File // nil: to be read only

	dirty map[string]bool // directories with names that are not synced
}

// Open opens an archive to be read; ErrNotFound if there is none.
func Open(fsys disk.FS, dir string) (*Archive, error) {
	text, err := readFile(fsys, filepath.Join(dir, formatName))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &objstore.Error{Op: "open backups", Key: dir, Kind: objstore.ErrNotFound, Detail: "there are no backups: name the directory that etagfs backup was given"}
	case err != nil:
		return nil, disk.Error("open backups", err)
	case string(text) == formatText:
		return &Archive{fs: fsys, dir: dir, dirty: map[string]bool{}}, nil
	}
	if version, ok := formatfile.Version(string(text), "etagfs backup"); ok && version > 1 {
		return nil, &objstore.Error{Op: "open backups", Key: dir, Kind: objstore.ErrNewerFormat,
			Detail: fmt.Sprintf("the backups have format %d and this program knows format 1: use a newer one", version)}
	}
	return nil, corrupt("the file %s is damaged", filepath.Join(dir, formatName))
}

// Create opens an archive to be written to, and makes it if dir is absent or empty.
func Create(fsys disk.FS, dir string) (*Archive, error) {
	if err := fsys.Mkdir(dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, disk.Error("create backups", err)
	}
	names, err := fsys.ReadDir(dir)
	if err != nil {
		return nil, disk.Error("create backups", err)
	}
	if !slices.Contains(names, formatName) && !isUnfinished(names) {
		return nil, &objstore.Error{Op: "create backups", Key: dir, Kind: objstore.ErrInvalid,
			Detail: "the directory is not empty and has no backups: name another one"}
	}
	lock, err := fsys.Lock(filepath.Join(dir, lockName))
	if errors.Is(err, disk.ErrLocked) {
		return nil, &objstore.Error{Op: "open backups", Key: dir, Kind: objstore.ErrInUse, Detail: "another backup is being made there"}
	}
	if err != nil {
		return nil, disk.Error("open backups", err)
	}
	a, err := begin(fsys, dir, slices.Contains(names, formatName))
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	a.lock = lock
	return a, nil
}

// isUnfinished reports whether an interrupted Create left no more than that.
func isUnfinished(names []string) bool {
	return !slices.ContainsFunc(names, func(name string) bool {
		return !slices.Contains([]string{lockName, piecesName, backupsName, draftName, formatName + ".new", "lost+found"}, name)
	})
}

// begin makes what is not there. FORMAT comes last.
func begin(fsys disk.FS, dir string, exists bool) (*Archive, error) {
	a := &Archive{fs: fsys, dir: dir, dirty: map[string]bool{}}
	if exists {
		if _, err := Open(fsys, dir); err != nil {
			return nil, err
		}
	}
	for _, name := range []string{piecesName, backupsName} {
		if err := a.mkdir(filepath.Join(dir, name)); err != nil {
			return nil, err
		}
	}
	if exists {
		return a, nil
	}
	a.dirty[filepath.Dir(dir)] = true
	if err := a.write(filepath.Join(dir, formatName), []byte(formatText)); err != nil {
		return nil, err
	}
	return a, a.sync()
}

// Close gives up the lock.
func (a *Archive) Close() error {
	if a.lock == nil {
		return nil
	}
	return a.lock.Close()
}

func (a *Archive) mkdir(dir string) error {
	err := a.fs.Mkdir(dir)
	if err == nil {
		a.dirty[filepath.Dir(dir)] = true
	} else if errors.Is(err, fs.ErrExist) {
		err = nil
	}
	return disk.Error("write backup", err)
}

// write makes a whole file under its name at once.
func (a *Archive) write(name string, p []byte) error {
	d, err := a.Begin()
	if err != nil {
		return err
	}
	if _, err := d.Write(p); err != nil {
		return errors.Join(err, d.Abort())
	}
	return d.name(name)
}

// sync makes names durable.
func (a *Archive) sync() error {
	for dir := range a.dirty {
		if err := a.fs.SyncDir(dir); err != nil {
			return disk.Error("write backup", err)
		}
	}
	clear(a.dirty)
	return nil
}

// Path is the file of a piece.
func (a *Archive) Path(d Digest) string {
	text := d.String()
	return filepath.Join(a.dir, piecesName, text[:2], text)
}

// Has reports whether a piece is there, whole as far as its size tells.
func (a *Archive) Has(p Piece) (bool, error) {
	info, err := a.fs.Stat(a.Path(p.Digest))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && info.Size == p.Bytes, disk.Error("look at backup", err)
}

// Draft is a piece that is being written.
type Draft struct {
	a    *Archive
	f    disk.File
	sum  hash.Hash
	size int64
}

// Begin begins a piece. One is written at a time.
func (a *Archive) Begin() (*Draft, error) {
	name := filepath.Join(a.dir, draftName)
	if err := a.fs.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, disk.Error("write backup", err)
	}
	f, err := a.fs.Create(name)
	if err != nil {
		return nil, disk.Error("write backup", err)
	}
	return &Draft{a: a, f: f, sum: sha256.New()}, nil
}

// Write implements [io.Writer].
func (d *Draft) Write(p []byte) (int, error) {
	n, err := d.f.WriteAt(p, d.size)
	d.sum.Write(p[:n])
	d.size += int64(n)
	return n, disk.Error("write backup", err)
}

// Abort forgets the piece.
func (d *Draft) Abort() error {
	return disk.Error("write backup", errors.Join(d.f.Close(), d.a.fs.Remove(d.f.Name())))
}

// Commit ends the piece. added is false if it was there.
func (d *Draft) Commit() (p Piece, added bool, err error) {
	p = Piece{Digest(d.sum.Sum(nil)), d.size}
	has, err := d.a.Has(p)
	if err != nil || has {
		return p, false, errors.Join(err, d.Abort())
	}
	name := d.a.Path(p.Digest)
	if err := d.a.mkdir(filepath.Dir(name)); err != nil {
		return p, false, errors.Join(err, d.Abort())
	}
	return p, true, d.name(name)
}

// name gives the file its name once its bytes are on the disk.
func (d *Draft) name(name string) error {
	if err := errors.Join(d.f.Sync(), d.f.Close()); err != nil {
		return disk.Error("write backup", err)
	}
	d.a.dirty[filepath.Dir(name)] = true
	return disk.Error("write backup", d.a.fs.Rename(d.f.Name(), name))
}

// put writes a piece that is in memory, unless it is there.
func (a *Archive) put(bytes []byte) (p Piece, added bool, err error) {
	p = Piece{sha256.Sum256(bytes), int64(len(bytes))}
	if has, err := a.Has(p); err != nil || has {
		return p, false, err
	}
	d, err := a.Begin()
	if err != nil {
		return p, false, err
	}
	if _, err := d.Write(bytes); err != nil {
		return p, false, errors.Join(err, d.Abort())
	}
	return d.Commit()
}

// Open opens the file of a piece, which has the right size. The caller compares its bytes.
func (a *Archive) Open(p Piece) (disk.File, error) {
	f, err := a.fs.Open(a.Path(p.Digest))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, corrupt("%s is missing", a.Path(p.Digest))
	}
	if err != nil {
		return nil, disk.Error("read backup", err)
	}
	info, err := f.Stat()
	switch {
	case err != nil:
		err = disk.Error("read backup", err)
	case info.Size != p.Bytes:
		err = corrupt("%s has %d bytes and should have %d", f.Name(), info.Size, p.Bytes)
	default:
		return f, nil
	}
	return nil, errors.Join(err, f.Close())
}

// Compare is the error for a piece whose bytes have another digest, or nil.
func (a *Archive) Compare(p Piece, sum hash.Hash) error {
	if Digest(sum.Sum(nil)) != p.Digest {
		return corrupt("%s is damaged: its bytes do not have the digest it is named by", a.Path(p.Digest))
	}
	return nil
}

// Verify reads a whole piece.
func (a *Archive) Verify(p Piece) error {
	f, err := a.Open(p)
	if err != nil {
		return err
	}
	defer f.Close() // it was only read
	sum := sha256.New()
	if _, err := io.Copy(sum, io.NewSectionReader(f, 0, p.Bytes)); err != nil {
		return disk.Error("read backup", err)
	}
	return a.Compare(p, sum)
}

// read is the bytes of a piece of items.
func (a *Archive) read(p Piece) ([]byte, error) {
	f, err := a.Open(p)
	if err != nil {
		return nil, err
	}
	defer f.Close() // it was only read
	bytes := make([]byte, p.Bytes)
	if n, err := f.ReadAt(bytes, 0); n < len(bytes) {
		return nil, disk.Error("read backup", err)
	}
	sum := sha256.New()
	sum.Write(bytes)
	return bytes, a.Compare(p, sum)
}

func readFile(fsys disk.FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() // it was only read
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	p := make([]byte, info.Size)
	if n, err := f.ReadAt(p, 0); n < len(p) {
		return nil, err
	}
	return p, nil
}

func corrupt(format string, args ...any) error {
	return &objstore.Error{Op: "read backup", Kind: objstore.ErrCorrupt, Detail: strings.TrimSpace(fmt.Sprintf(format, args...))}
}
