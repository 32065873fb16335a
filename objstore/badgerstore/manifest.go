package badgerstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/table"

	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

// manifestEntryBytes is what an entry begins with: its length and checksum.
const manifestEntryBytes = 8

// readManifest is the manifest of the tables in dir, looked at before Badger does: that takes an entry which goes
// beyond the end for one a crash cut off, and removes the tables that are in it. damage says what is wrong.
// A store that was closed has no such entry.
func readManifest(dir string, opt badger.Options, closed bool) (manifest badger.Manifest, damage string, err error) {
	name := filepath.Join(dir, badger.ManifestFilename)
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return manifest, missingManifest(dir), nil
	}
	if err != nil {
		return manifest, "", disk.Error("read manifest", err)
	}
	defer f.Close()
	const is = badgerName + "/" + badger.ManifestFilename + " is damaged: "
	manifest, end, why := badger.ReplayManifestFile(f, 0, opt)
	if why != nil {
		return manifest, is + blockText(why), nil
	}
	p, err := os.ReadFile(name)
	if err != nil {
		return manifest, "", disk.Error("read manifest", err)
	}
	switch {
	case hasWrongLength(p[min(int(end), len(p)):]):
		return manifest, is + "an entry has a wrong length", nil
	case closed && int64(len(p)) != end:
		return manifest, is + "its last entry is cut off", nil
	}
	if lost := lostTable(dir, manifest, opt); lost != "" {
		return manifest, is + lost + " is not in it", nil
	}
	return manifest, "", nil
}

// missingManifest says so if there are tables.
func missingManifest(dir string) string {
	if tables, _ := filepath.Glob(filepath.Join(dir, "*"+tableSuffix)); len(tables) > 0 {
		return badgerName + "/" + badger.ManifestFilename + " is missing"
	}
	return ""
}

// hasWrongLength reports whether the checksum of a cut-off entry is that of what follows up to some length: then
// the entry is whole, and it is the length in it that is not right.
func hasWrongLength(tail []byte) bool {
	if len(tail) <= manifestEntryBytes {
		return false
	}
	want := binary.BigEndian.Uint32(tail[4:])
	sum, castagnoli := uint32(0), crc32.MakeTable(crc32.Castagnoli)
	for i := manifestEntryBytes; i < len(tail); i++ {
		if sum = crc32.Update(sum, castagnoli, tail[i:i+1]); sum == want {
			return true
		}
	}
	return false
}

// lostTable is the name of a table that the manifest should have and has not. Badger removes those it has not: a
// crash leaves tables that were made of a log or of other tables, and these are there. Of a lost table they are not.
func lostTable(dir string, manifest badger.Manifest, opt badger.Options) string {
	names, _ := filepath.Glob(filepath.Join(dir, "*"+tableSuffix))
	for _, name := range names {
		id, isTable := table.ParseFileID(name)
		if _, known := manifest.Tables[id]; known || !isTable {
			continue
		}
		keys := endsOf(dir, id, opt)
		if len(keys) > 0 && !inLogs(dir, keys) && !inTables(dir, manifest, opt, keys) {
			return tableName(id)
		}
	}
	return ""
}

// endsOf are the first and the last key of a table; none if it is not whole.
func endsOf(dir string, id uint64, opt badger.Options) (keys [][]byte) {
	data, err := mapFile(table.NewFilename(id, dir))
	if err != nil {
		return nil
	}
	defer func() { _ = unmap(data) }()
	t, err := openTable(data, id, opt)
	if err != nil {
		return nil
	}
	return [][]byte{bytes.Clone(t.Smallest()), bytes.Clone(t.Biggest())}
}

// inLogs reports whether a log has all the keys.
func inLogs(dir string, keys [][]byte) bool {
	names, _ := filepath.Glob(filepath.Join(dir, "*"+logSuffix))
	return slices.ContainsFunc(names, func(name string) bool {
		data, err := mapFile(name)
		defer func() { _ = unmap(data) }()
		return err == nil && !slices.ContainsFunc(keys, func(key []byte) bool { return !bytes.Contains(data, key) })
	})
}

// inTables reports whether each of the keys is in a table of the manifest.
func inTables(dir string, manifest badger.Manifest, opt badger.Options, keys [][]byte) bool {
	for _, id := range sortedTables(manifest) {
		data, err := mapFile(table.NewFilename(id, dir))
		if err != nil {
			continue
		}
		keys = slices.DeleteFunc(keys, func(key []byte) bool { return hasTableKey(data, id, opt, key) })
		_ = unmap(data)
	}
	return len(keys) == 0
}

func hasTableKey(data []byte, id uint64, opt badger.Options, key []byte) (has bool) {
	t, err := openTable(data, id, opt)
	if err != nil {
		return false
	}
	defer caught(debug.SetPanicOnFault(true), &err)
	it := t.NewIterator(0)
	defer it.Close()
	it.Seek(key)
	return it.Valid() && bytes.Equal(it.Key(), key)
}
