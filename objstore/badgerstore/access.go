package badgerstore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/objstore"
)

// checkAccess refuses a directory of files of which one is another user's: somebody else, or root, has had the
// store open meanwhile. Badger would take what it may not open for damage.
func checkAccess(dir string, readOnly bool) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return denied(dir, err)
	}
	mode := uint32(unix.R_OK)
	if !readOnly {
		mode |= unix.W_OK
	}
	for _, entry := range entries {
		name := filepath.Join(dir, entry.Name())
		if err := unix.Access(name, mode); errors.Is(err, unix.EACCES) {
			return denied(name, err)
		}
	}
	return nil
}

// denied says whose a file is, and what to do about it.
func denied(name string, err error) error {
	if !errors.Is(err, fs.ErrPermission) {
		return &objstore.Error{Op: "open store", Kind: objstore.ErrUnavailable, Err: err}
	}
	owner := uint32(0)
	if info, statErr := os.Lstat(name); statErr == nil {
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			owner = stat.Uid
		}
	}
	return problem(objstore.ErrPermission,
		"%s belongs to user %d: give all of the store to the user who uses it (chown -R), or be that user", name, owner)
}
