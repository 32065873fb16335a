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

const (
	tableSuffix = ".sst"
	// verifiedBytesMax bounds what is read of the tables when a store is opened.
	verifiedBytesMax = 64 << 20
)

// checkTables refuses tables whose ends make no sense, and before writing also, up to a bound, those with a damaged
// block: a compaction would panic over it where nobody can catch that, or give it a fresh checksum. Badger checks what its tables end with by a
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
	budget := int64(verifiedBytesMax)
	for _, id := range slices.Sorted(maps.Keys(manifest.Tables)) {
		name := table.NewFilename(id, dir)
		whole, err := hasTableEnd(fsys, name)
		if err == nil && whole {
			whole, err = isTableWhole(fsys, name, id, opt, &budget)
		}
		if errors.Is(err, fs.ErrNotExist) {
			continue // Badger says so
		}
		if err != nil {
			return disk.Error("read table", err)
		}
		if !whole {
			return problem(objstore.ErrCorrupt, "%s is damaged: see what is left by a check, or restore a copy of the store", filepath.Join(badgerName, filepath.Base(name)))
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

// isTableWhole reports whether a table can be opened and, before writing, the checksums of its blocks are right. It says so
// without having looked once the budget of bytes is used up.
func isTableWhole(fsys disk.FS, name string, id uint64, opt badger.Options, budget *int64) (bool, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return false, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size > *budget {
		return err == nil, err
	}
	*budget -= info.Size
	data := make([]byte, info.Size)
	if _, err := f.ReadAt(data, 0); err != nil {
		return false, err
	}
	return verifyTable(data, id, opt) == nil, nil
}

// verifyTable is what Badger finds wrong with a table, whether it says so or panics.
func verifyTable(data []byte, id uint64, opt badger.Options) (err error) {
	defer damagedTable(&err)
	t, err := table.OpenInMemoryTable(data, id, &table.Options{
		ReadOnly: true, BlockSize: opt.BlockSize, Compression: opt.Compression, ChkMode: opt.ChecksumVerificationMode,
	})
	if err != nil {
		return err
	}
	if opt.ReadOnly {
		return nil // nothing compacts it
	}
	return t.VerifyChecksum()
}

// damagedTable, deferred, makes an error of a panic: Badger panics over what the blocks of a damaged table say.
func damagedTable(err *error) {
	if cause := recover(); cause != nil {
		first, _, _ := strings.Cut(fmt.Sprint(cause), "\n")
		*err = damaged("a table of the key-value files cannot be read: %s", first)
	}
}
