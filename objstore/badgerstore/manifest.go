package badgerstore

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"

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
