package badgerstore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
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

// closeToOthers takes the right to write from everybody but the owner of a directory that becomes a store: who can make names in it
// can put others in their place. It cannot be taken from a directory of somebody else's, unless by root.
func closeToOthers(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	info, err := d.Stat()
	if err != nil || info.Mode().Perm()&0o022 == 0 {
		return err
	}
	err = d.Chmod(info.Mode() &^ 0o022)
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return err
}

// refusePlanted refuses a directory of the store in which another user has put a symbolic link, since what it names would be written to,
// or anybody a pipe, at which opens wait. The links of root and of the user who opens the store are theirs to make. Hard links are for
// the kernel to refuse (fs.protected_hardlinks).
func refusePlanted(dir string) error {
	d, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil // there is nothing, or nothing can be done with it
	}
	if err != nil {
		return disk.Error("open store", err)
	}
	defer d.Close()
	entries, err := d.ReadDir(-1)
	if err != nil {
		return disk.Error("open store", err)
	}
	for _, entry := range entries {
		name := filepath.Join(dir, entry.Name())
		switch entry.Type() {
		case fs.ModeNamedPipe:
			return problem(objstore.ErrInvalid, "%s is a pipe, and was not made by this program: remove it", name)
		case fs.ModeSymlink:
			if owner, known := ownerOf(name); known && owner != 0 && owner != uint32(os.Geteuid()) {
				return problem(objstore.ErrPermission, "%s is a symbolic link of user %d: look what it is for, and remove it", name, owner)
			}
		}
	}
	return nil
}

// ownerOf is the user whose a name is, be it a link.
func ownerOf(name string) (user uint32, known bool) {
	info, err := os.Lstat(name)
	if err != nil {
		return 0, false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	return stat.Uid, true
}

// denied says whose a file is, and what to do about it.
func denied(name string, err error) error {
	if !errors.Is(err, fs.ErrPermission) {
		return &objstore.Error{Op: "open store", Kind: objstore.ErrUnavailable, Err: err}
	}
	owner, _ := ownerOf(name)
	return problem(objstore.ErrPermission,
		"%s belongs to user %d: give all of the store to the user who uses it (chown -R), or be that user", name, owner)
}
