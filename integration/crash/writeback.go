package crash

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"

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

// commitJournal makes all changes of names and sizes durable by syncing a file of its own.
func commitJournal(root string) error {
	file, err := os.CreateTemp(root, "journal-")
	if err != nil {
		return err
	}
	_, err = file.WriteString("x")
	return errors.Join(err, file.Sync(), file.Close(), os.Remove(file.Name()))
}
