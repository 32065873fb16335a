package badgerstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/table"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

const tableSuffix = ".sst"

// checkTables refuses tables whose ends make no sense. Badger checks what its tables end with by a
// checksum, but panics over the lengths that say where that and the index are. Tables that are not in the manifest
// are what a crash left, and Badger removes them.
func checkTables(fsys disk.FS, dir string, opt badger.Options) error {
	file, err := os.Open(filepath.Join(dir, badger.ManifestFilename))
	if err != nil {
		return nil // a new store, or Badger says what is wrong
	}
	defer file.Close()
	manifest, _, err := badger.ReplayManifestFile(file, 0, opt)
	if err != nil {
		return nil // Badger says what is wrong
	}
	for _, id := range slices.Sorted(maps.Keys(manifest.Tables)) {
		name := table.NewFilename(id, dir)
		whole, err := hasTableEnd(fsys, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // Badger says so
		}
		if err != nil {
			return disk.Error("read table", err)
		}
		if !whole {
			return problem(objstore.ErrCorrupt, "the end of %s is damaged", filepath.Join(badgerName, filepath.Base(name)))
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
