package blob

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

// Ref names a blob.
type Ref struct {
	ID   uint64
	Bare bool // checksums in a file of their own
}

// String is for messages: the id in hex.
func (r Ref) String() string { return fmt.Sprintf("blob %x", r.ID) }

// Sealed is a complete payload file in a staging directory, checksum block written.
type Sealed struct {
	Ref       Ref
	Path      string // of the content
	SumPath   string // of the checksum block, if bare
	DataBytes int64
	Check     uint64 // checksum of the checksum block: with it and the Ref, Verify knows the blob whole
}

const (
	dirBits   = 12 // of an id choose the file in a directory: 4,096
	sumSuffix = ".sum"
	probeName = "probe"
)

// Options of a Store.
type Options struct {
	OpenMax  int  // descriptors kept open; 0: 512
	ReadOnly bool // make and change nothing
	// CheckedLasts is how long OpenChecked trusts what was verified, or was adopted and has been in memory since; 0: not at all.
	CheckedLasts time.Duration
	Now          func() time.Time // nil: time.Now
}

// Store is the blob tree below one directory.
type Store struct {
	// Constant.
	fs            disk.FS
	dir           string
	trustsWritten bool

	files *files

	syncMu   sync.Mutex
	syncFail error // GUARDED_BY(syncMu): of the first Sync that failed

	mu       sync.Mutex
	dirs     map[string]bool // GUARDED_BY(mu): directories known to be there
	unsynced map[Ref]bool    // GUARDED_BY(mu): adopted since the last Sync began
	syncing  map[Ref]bool    // GUARDED_BY(mu): of the Sync that runs
	dirty    map[string]bool // GUARDED_BY(mu): directories with names not yet synced
	emptied  map[string]bool // GUARDED_BY(mu): directories that lost names since they were synced
}

// Open opens the tree below dir, which it makes if it is absent. The parent of dir must exist.
// A file system that cannot link files is ErrUnsupported.
func Open(fsys disk.FS, dir string, opt Options) (*Store, error) {
	s := &Store{
		fs: fsys, dir: dir, files: newFiles(fsys, opt), trustsWritten: opt.CheckedLasts > 0,
		dirs: make(map[string]bool), unsynced: make(map[Ref]bool), dirty: make(map[string]bool),
		emptied: make(map[string]bool),
	}
	if opt.ReadOnly {
		return s, nil
	}
	if err := s.mkdir(dir); err != nil {
		return nil, disk.Error("open blobs", err)
	}
	return s, s.probe()
}

// probe finds out whether the file system can link.
func (s *Store) probe() error {
	from, to := filepath.Join(s.dir, probeName), filepath.Join(s.dir, probeName+".link")
	f, err := s.fs.OpenRW(from)
	if err != nil {
		return disk.Error("open blobs", err)
	}
	defer f.Close()
	if err = s.fs.Remove(to); errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err == nil {
		if err = s.fs.Link(from, to); err != nil {
			return &objstore.Error{Op: "open blobs", Key: s.dir, Kind: objstore.ErrUnsupported,
				Detail: "the file system of " + s.dir + " has no hard links; put the store on one that has", Err: err}
		}
		err = s.fs.Remove(to)
	}
	return disk.Error("open blobs", errors.Join(err, s.fs.Remove(from)))
}

// Close closes all descriptors. Nothing may be in use.
func (s *Store) Close() error { return s.files.close() }

// Path is the file of a blob.
func (s *Store) Path(ref Ref) string {
	return filepath.Join(s.dir, dirName(ref.ID), strconv.FormatUint(ref.ID, 16))
}

func dirName(id uint64) string { return strconv.FormatUint(id>>dirBits, 16) }

// mkdir makes sure of a directory and of its name being synced.
func (s *Store) mkdir(name string) error {
	s.mu.Lock()
	known := s.dirs[name]
	s.mu.Unlock()
	if known {
		return nil
	}
	err := s.fs.Mkdir(name)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dirs[name] = true
	// Also if it was there: whoever made it may have died before the sync.
	s.dirty[filepath.Dir(name)] = true
	return nil
}

// Adopt links a sealed file into the tree: no bytes move. The staged name stays
// until the stage is closed. Adopting the same twice is no error.
func (s *Store) Adopt(sealed Sealed) error {
	path := s.Path(sealed.Ref)
	if err := s.mkdir(filepath.Dir(path)); err != nil {
		return disk.Error("adopt blob", err)
	}
	// The checksums first: a content without them cannot be read.
	if sealed.Ref.Bare {
		if err := s.link(sealed.SumPath, path+sumSuffix); err != nil {
			return err
		}
	}
	if err := s.link(sealed.Path, path); err != nil {
		return err
	}
	if sealed.Ref.Bare && s.trustsWritten {
		if info, err := s.fs.Stat(path); err == nil {
			s.files.noteWritten(sealed.Ref, info.Modified)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unsynced[sealed.Ref] = true
	s.dirty[filepath.Dir(path)] = true
	return nil
}

func (s *Store) link(from, to string) error {
	err := s.fs.Link(from, to)
	if errors.Is(err, fs.ErrExist) { // ids are never reused: it is this one
		return nil
	}
	return disk.Error("adopt blob", err)
}

// Remove removes a blob, which nobody may be reading. Removing what is not there is no error. After a loss
// of power it may be back, unless SyncRemovals has returned.
func (s *Store) Remove(ref Ref) error {
	s.mu.Lock()
	delete(s.unsynced, ref)
	delete(s.syncing, ref)
	s.mu.Unlock()
	s.files.forget(ref)
	path := s.Path(ref)
	err := s.remove(path)
	if ref.Bare {
		err = errors.Join(err, s.remove(path+sumSuffix))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.emptied[filepath.Dir(path)] = true
	return disk.Error("remove blob", err)
}

func (s *Store) remove(path string) error {
	err := s.fs.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Prune removes the empty ones of the directories that only have room for blobs below low. It is for opening: nobody may
// be putting blobs there.
func (s *Store) Prune(low uint64) error {
	dirs, err := s.fs.ReadDir(s.dir)
	if err != nil {
		return disk.Error("scan blobs", err)
	}
	for _, name := range dirs {
		n, err := strconv.ParseUint(name, 16, 64-dirBits)
		if err != nil || n >= low>>dirBits {
			continue
		}
		path := filepath.Join(s.dir, name)
		info, err := s.fs.Stat(path)
		if err == nil && info.Dir {
			err = s.fs.Remove(path)
		}
		if err != nil && !errors.Is(err, fs.ErrExist) { // which is what not being empty is
			return disk.Error("remove empty directory", err)
		}
	}
	return nil
}

// Orphans yields every blob with an id >= low, always in the same order, so that the caller can remove those
// nothing refers to. A half (checksums without content or the reverse) is yielded too.
func (s *Store) Orphans(low uint64, yield func(Ref) error) error {
	dirs, err := s.fs.ReadDir(s.dir)
	if err != nil {
		return disk.Error("scan blobs", err)
	}
	for _, name := range dirs {
		n, err := strconv.ParseUint(name, 16, 64-dirBits)
		if err != nil || n < low>>dirBits {
			continue
		}
		if err := s.orphansIn(filepath.Join(s.dir, name), low, yield); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) orphansIn(dir string, low uint64, yield func(Ref) error) error {
	names, err := s.fs.ReadDir(dir)
	if err != nil {
		return disk.Error("scan blobs", err)
	}
	found := make(map[uint64]bool) // id -> bare
	for _, name := range names {
		base, bare := strings.CutSuffix(name, sumSuffix)
		id, err := strconv.ParseUint(base, 16, 64)
		if err != nil || id < low {
			continue
		}
		found[id] = found[id] || bare
	}
	for _, id := range slices.Sorted(maps.Keys(found)) {
		if err := yield(Ref{ID: id, Bare: found[id]}); err != nil {
			return err
		}
	}
	return nil
}

// Strays yields the files in the tree that are neither blobs nor their checksums.
func (s *Store) Strays(yield func(path string) error) error {
	dirs, err := s.fs.ReadDir(s.dir)
	if err != nil {
		return disk.Error("scan blobs", err)
	}
	for _, dir := range dirs {
		if dir == probeName || dir == probeName+".link" {
			continue
		}
		path := filepath.Join(s.dir, dir)
		if _, err := strconv.ParseUint(dir, 16, 64-dirBits); err != nil {
			if err := yield(path); err != nil {
				return err
			}
			continue
		}
		if err := s.straysIn(dir, yield); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) straysIn(dir string, yield func(path string) error) error {
	names, err := s.fs.ReadDir(filepath.Join(s.dir, dir))
	if err != nil {
		return disk.Error("scan blobs", err)
	}
	for _, name := range names {
		path := filepath.Join(s.dir, dir, name)
		id, err := strconv.ParseUint(strings.TrimSuffix(name, sumSuffix), 16, 64)
		if err == nil && s.Path(Ref{ID: id}) == strings.TrimSuffix(path, sumSuffix) {
			continue
		}
		if err := yield(path); err != nil {
			return err
		}
	}
	return nil
}

// Exists reports whether any file of a blob is there.
func (s *Store) Exists(ref Ref) (bool, error) {
	for _, name := range []string{s.Path(ref), s.Path(ref) + sumSuffix} {
		_, err := s.fs.Stat(name)
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return false, disk.Error("look for blob", err)
		}
	}
	return false, nil
}
