package crash

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/unix"
)

// writeBack writes back some dirty pages of some files below dir, as the
// kernel may at any moment and in any order, and commits the journal of the
// filesystem half of the time. Files keep their bytes.
func writeBack(rng *rand.Rand, dir string) error {
	share := rng.Float64()
	err := filepath.WalkDir(dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() || rng.Float64() >= share {
			return err
		}
		return writeBackFile(rng, name)
	})
	if err != nil || rng.IntN(2) == 0 {
		return err
	}
	return commitJournal(filepath.Dir(dir))
}

func writeBackFile(rng *rand.Rand, name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || info.Size() == 0 {
		return err
	}
	off := rng.Int64N(info.Size())
	length := rng.Int64N(info.Size() - off + 1) // 0: to the end
	const flags = unix.SYNC_FILE_RANGE_WAIT_BEFORE | unix.SYNC_FILE_RANGE_WRITE | unix.SYNC_FILE_RANGE_WAIT_AFTER
	return unix.SyncFileRange(int(file.Fd()), off, length, flags)
}

// commitJournal makes all changes of names and sizes durable by syncing a file of its own; on btrfs, which logs no
// more than that file then, by committing the transaction.
func commitJournal(root string) error {
	file, err := os.CreateTemp(root, "journal-")
	if err != nil {
		return err
	}
	_, err = file.WriteString("x")
	return errors.Join(err, file.Sync(), commitTransaction(file), file.Close(), os.Remove(file.Name()))
}

// commitTransaction commits the transaction of file's filesystem if that is a btrfs, without writing back data of files.
func commitTransaction(file *os.File) error {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(int(file.Fd()), &fs); err != nil || fs.Type != unix.BTRFS_SUPER_MAGIC {
		return err
	}
	const startSync, waitSync = 0x80089418, 0x40089416 // BTRFS_IOC_START_SYNC, BTRFS_IOC_WAIT_SYNC
	var transaction uint64
	for _, request := range []uintptr{startSync, waitSync} {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, file.Fd(), request, uintptr(unsafe.Pointer(&transaction)))
		if errno != 0 {
			return fmt.Errorf("commit the transaction of %s: %w", file.Name(), errno)
		}
	}
	return nil
}
