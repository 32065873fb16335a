package badgerstore

import (
	"bytes"
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
	"github.com/dgraph-io/badger/v4/y"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

const (
	tableSuffix = ".sst"
	// verifiedBytesMax bounds what is read of the tables when a store is opened.
	verifiedBytesMax = 64 << 20
)

// checkTables refuses tables whose ends make no sense, and before writing also, up to a bound, those that cannot be
// walked: a compaction would panic over one where nobody can catch that. A damaged block does not refuse the store if
// the damage is in a record: it has a checksum of its own, so who reads it finds out, in a compacted table too. If all
// its records are right the damage is in what Badger has beside them, and nobody can tell what that hides. Badger checks what its tables end with by a checksum, but panics over the lengths that say
// where that and the index are. Tables that are not in the manifest are what a crash left, and Badger removes them.
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

// isTableWhole reports whether a table can be opened and, before writing, walked. It says so
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
	if opt.ReadOnly || t.VerifyChecksum() == nil {
		return nil // nothing compacts it, or nothing is wrong with it
	}
	return walkTable(t)
}

// walkTable goes through a table as a compaction would: keys in order, and to the end.
func walkTable(t *table.Table) error {
	it := t.NewIterator(0)
	defer it.Close()
	var last []byte
	n, bad := 0, 0
	for it.Rewind(); it.Valid(); it.Next() {
		key := it.Key()
		if len(key) < versionBytes || n > 0 && y.CompareKeys(last, key) >= 0 {
			return damaged("the keys of a table are in no order")
		}
		v := it.Value()
		switch {
		case v.Meta&valueElsewhere != 0:
			return damaged("a value of a table is not in it")
		case v.Meta&valueDeleted == 0 && !isRecord(y.ParseKey(key), v.Value):
			bad++
		}
		last = append(last[:0], key...)
		n++
	}
	if n != int(t.KeyCount()) || bad == 0 {
		return damaged("a table has %d of %d keys, and %d damaged records", n, t.KeyCount(), bad)
	}
	return nil
}

// isRecord reports whether a record is whole. Badger's own are not looked at.
func isRecord(key, p []byte) bool {
	if bytes.HasPrefix(key, []byte("!badger!")) {
		return true
	}
	if len(key) == 0 || len(key) < record.KeyBytesMin(key[0]) {
		return false
	}
	value, err := decode(key, p)
	if err == nil {
		_, err = decodeRaw(key, value)
	}
	return err == nil
}

// versionBytes is what a key of Badger ends with. The others are bits it has beside a value.
const (
	versionBytes   = 8
	valueDeleted   = 1 << 0
	valueElsewhere = 1 << 1 // in the value log, where nothing is ever
)

// damagedTable, deferred, makes an error of a panic: Badger panics over what the blocks of a damaged table say.
func damagedTable(err *error) {
	if cause := recover(); cause != nil {
		first, _, _ := strings.Cut(fmt.Sprint(cause), "\n")
		*err = damaged("a table of the key-value files cannot be read: %s", first)
	}
}
