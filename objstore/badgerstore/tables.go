package badgerstore

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

const tableSuffix = ".sst"

// checkTables refuses tables whose ends make no sense. Badger checks what its tables end with by a
// checksum, but panics over the lengths that say where that and the index are.
func checkTables(fsys disk.FS, dir string) error {
	names, err := fsys.ReadDir(dir)
	if err != nil {
		return disk.Error("list tables", err)
	}
	for _, name := range names {
		if filepath.Ext(name) != tableSuffix {
			continue
		}
		whole, err := hasTableEnd(fsys, filepath.Join(dir, name))
		if err != nil {
			return disk.Error("read table", err)
		}
		if !whole {
			return problem(objstore.ErrCorrupt, "the end of %s is damaged", filepath.Join(badgerName, name))
		}
	}
	return nil
}

// hasTableEnd reports whether the index and the checksum of a table have lengths that fit. From the end:
// the length of the checksum, that, the length of the index, that.
func hasTableEnd(fsys disk.FS, name string) (bool, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return false, err
	}
	end := info.Size
	for range 2 {
		const lengthBytes = 4
		var length [lengthBytes]byte
		if end -= lengthBytes; end < 0 {
			return false, nil
		}
		if _, err := f.ReadAt(length[:], end); err != nil {
			return false, err
		}
		end -= int64(binary.BigEndian.Uint32(length[:]))
	}
	return end >= 0, nil
}

// damagedTable, deferred, makes an error of a panic: Badger panics over what the blocks of a damaged table say.
func damagedTable(err *error) {
	if cause := recover(); cause != nil {
		first, _, _ := strings.Cut(fmt.Sprint(cause), "\n")
		*err = damaged("a table of the key-value files cannot be read: %s", first)
	}
}
