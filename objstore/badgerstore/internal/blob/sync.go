package blob

import (
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"sync"

	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

// syncParallel is how many files are synced at once: disks merge them.
const syncParallel = 8

// Sync makes every blob adopted before the call durable. An error is final: it is not known
// what reached the disk, so every later call returns it too.
func (s *Store) Sync() error {
	s.syncMu.Lock()
	defer s.syncMu.Unlock()
	if s.syncFail == nil {
		s.syncFail = disk.Error("sync blobs", s.syncAll())
	}
	return s.syncFail
}

// SyncRemovals makes the removals before the call durable, and syncs no blob. It fails as Sync does.
func (s *Store) SyncRemovals() error {
	s.syncMu.Lock()
	defer s.syncMu.Unlock()
	s.mu.Lock()
	dirs := slices.Collect(maps.Keys(s.emptied))
	s.emptied = make(map[string]bool)
	s.mu.Unlock()
	for _, dir := range dirs {
		if s.syncFail == nil {
			s.syncFail = disk.Error("sync blobs", s.syncDir(dir))
		}
	}
	return s.syncFail
}

// Found notes a blob that an earlier process may have left unsynced: the next Sync makes it durable.
func (s *Store) Found(ref Ref) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unsynced[ref] = true
	s.dirty[filepath.Dir(s.Path(ref))] = true
	s.dirty[s.dir] = true
}

// syncAll syncs the files, then the directories from the deepest up: a name
// that survives then has its bytes.
func (s *Store) syncAll() error {
	refs, dirs := s.takeUnsynced()
	if err := s.syncFiles(refs); err != nil {
		return err
	}
	for _, dir := range dirs {
		if err := s.syncDir(dir); err != nil {
			return err
		}
	}
	return nil
}

// syncDir syncs the names in a directory. One that is not there has none to be lost or to come back.
func (s *Store) syncDir(dir string) error {
	err := s.fs.SyncDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// takeUnsynced moves what is unsynced to syncing.
func (s *Store) takeUnsynced() (refs []Ref, dirs []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ref := range s.unsynced {
		refs = append(refs, ref)
	}
	maps.Copy(s.dirty, s.emptied)
	for dir := range s.dirty {
		dirs = append(dirs, dir)
	}
	slices.SortFunc(dirs, func(a, b string) int { return len(b) - len(a) })
	s.syncing, s.unsynced = s.unsynced, make(map[Ref]bool)
	s.dirty, s.emptied = make(map[string]bool), make(map[string]bool)
	return refs, dirs
}

// syncFiles syncs blobs and the checksums beside them.
func (s *Store) syncFiles(refs []Ref) error {
	var files []func() error
	for _, ref := range refs {
		path := s.Path(ref)
		files = append(files, func() error { return s.syncFile(ref, path) })
		if ref.Bare {
			files = append(files, func() error { return s.syncFile(ref, path+sumSuffix) })
		}
	}
	if len(files) == 1 {
		return files[0]()
	}
	var (
		wait sync.WaitGroup
		mu   sync.Mutex
		all  error
	)
	work := make(chan func() error)
	for range min(syncParallel, len(files)) {
		wait.Go(func() {
			for sync := range work {
				if err := sync(); err != nil {
					mu.Lock()
					all = errors.Join(all, err)
					mu.Unlock()
				}
			}
		})
	}
	for _, sync := range files {
		work <- sync
	}
	close(work)
	wait.Wait()
	return all
}

// syncFile syncs a file of a blob. One that is gone is none if the blob was removed meanwhile.
func (s *Store) syncFile(ref Ref, path string) error {
	err := s.syncPath(path)
	if errors.Is(err, fs.ErrNotExist) && !s.stillSyncing(ref) {
		return nil
	}
	return err
}

func (s *Store) stillSyncing(ref Ref) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.syncing[ref]
}

func (s *Store) syncPath(path string) error {
	f, err := s.fs.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
