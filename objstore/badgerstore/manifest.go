package badgerstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"

	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/marks"
)

const (
	// manifestHeadBytes is what a manifest begins with. Its first entry follows at once: Badger
	// gives the file its name when it has one.
	manifestHeadBytes = 8
	// manifestEntryBytes is what an entry begins with: its length and checksum.
	manifestEntryBytes = 8
)

// readManifest is the manifest of the tables in dir, looked at before Badger does: that takes an entry which goes
// beyond the end for one a crash cut off, and zeros for entries that say nothing, and removes the tables that were in it.
// damage says what is wrong. What the mark says was synced must be there; and a store that was closed has no entry
// that is cut off.
func readManifest(dir string, opt badger.Options, mark marks.Marks) (manifest badger.Manifest, damage string, err error) {
	name := filepath.Join(dir, badger.ManifestFilename)
	p, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return manifest, missingManifest(dir), nil
	}
	if torn := tornInManifest(p, mark); err == nil && torn < len(p) {
		if opt.ReadOnly {
			return manifest, "", errNotClosed
		}
		p, err = p[:torn], os.Truncate(name, int64(torn))
	}
	if err != nil {
		return manifest, "", disk.Error("read manifest", err)
	}
	f, err := os.Open(name)
	if err != nil {
		return manifest, "", disk.Error("read manifest", err)
	}
	defer f.Close()
	const is = badgerName + "/" + badger.ManifestFilename + " is damaged: "
	manifest, end, why := badger.ReplayManifestFile(f, 0, opt)
	if why != nil {
		return manifest, is + blockText(why), nil
	}
	if why := manifestLoss(p, int(end), mark); why != "" {
		return manifest, is + why, nil
	}
	return manifest, "", nil
}

// tornInManifest is where the last entry begins if a loss of power left zeros in place of its end, or else where the
// manifest ends. No such entry was synced, so Badger had not yet acted on it.
func tornInManifest(p []byte, mark marks.Marks) int {
	synced := syncedInManifest(p, mark)
	for off := manifestHeadBytes; off+manifestEntryBytes < len(p); {
		next := nextInManifest(p, off)
		if next > len(p) || mark.Clean {
			break
		}
		sum := binary.BigEndian.Uint32(p[off+4:])
		isWhole := next > off+manifestEntryBytes && checksum(p[off+manifestEntryBytes:next]) == sum
		if off > manifestHeadBytes && off >= synced && !isWhole && len(bytes.TrimRight(p, "\x00")) < next {
			return off
		}
		off = next
	}
	return len(p)
}

// manifestLoss is what is missing in a manifest whose last whole entry ends at end; empty: nothing.
func manifestLoss(p []byte, end int, mark marks.Marks) string {
	if end < manifestHeadBytes+manifestEntryBytes {
		return "its first entry is cut off"
	}
	end = min(end, len(p))
	if synced := syncedInManifest(p, mark); end < synced {
		return fmt.Sprintf("it ends at %d, and was %d bytes long", end, synced)
	}
	if zeros := zerosInManifest(p, end); zeros < end {
		return fmt.Sprintf("there are zeros at %d", zeros)
	}
	switch {
	case hasWrongLength(p[end:]):
		return "an entry has a wrong length"
	case mark.Clean && len(p) != end:
		return "its last entry is cut off"
	}
	return ""
}

// syncedInManifest is how long a manifest must be. One that was rewritten since the mark begins with another entry,
// which is not empty: once a store has a table it always has one, as its directories never go. Its checksum may be any number, and
// so also what the mark says of an entry that was empty.
func syncedInManifest(p []byte, mark marks.Marks) int {
	if len(p) >= manifestHeadBytes+manifestEntryBytes {
		isEmpty := binary.BigEndian.Uint32(p[manifestHeadBytes:]) == 0
		if begin := manifestBegin(p); !isEmpty && (begin != mark.ManifestBegin || begin == 0) {
			return 0
		}
	}
	return int(mark.ManifestBytes)
}

// manifestBegin is the checksum of the first entry of a manifest, 0 if that is empty: until it is rewritten.
func manifestBegin(p []byte) uint32 { return binary.BigEndian.Uint32(p[manifestHeadBytes+4:]) }

// nextInManifest is where the entry at off ends.
func nextInManifest(p []byte, off int) int {
	return off + manifestEntryBytes + int(binary.BigEndian.Uint32(p[off:]))
}

// zerosInManifest is where the first empty entry begins, or else the end: but for the first Badger writes none.
func zerosInManifest(p []byte, end int) int {
	off := nextInManifest(p, manifestHeadBytes)
	for off < end && binary.BigEndian.Uint32(p[off:]) > 0 {
		off = nextInManifest(p, off)
	}
	return off
}

// manifestWatch syncs the manifest, so that it can be said how long it must be. Badger syncs each entry too, but
// not before it can be seen.
type manifestWatch struct {
	fs   disk.FS
	dir  string
	size int64 // when it was last synced
}

// sync returns how long the manifest is for good. changed is false if that was told before.
func (w *manifestWatch) sync() (begin, bytes uint32, changed bool, err error) {
	name := filepath.Join(w.dir, badger.ManifestFilename)
	info, err := w.fs.Stat(name)
	if err != nil || info.Size == w.size {
		return 0, 0, false, disk.Error("look at manifest", err)
	}
	f, err := w.fs.Open(name)
	if err != nil {
		return 0, 0, false, disk.Error("open manifest", err)
	}
	p := make([]byte, info.Size)
	n, err := f.ReadAt(p, 0)
	if err == nil || errors.Is(err, io.EOF) {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, 0, false, disk.Error("sync manifest", err)
	}
	end := wholeManifest(p[:n])
	if end == 0 {
		return 0, 0, false, nil // it is replaced at this moment
	}
	w.size = info.Size
	return manifestBegin(p), uint32(end), true, nil
}

// wholeManifest is where the last entry ends that is there to its end.
func wholeManifest(p []byte) (end int) {
	for off := manifestHeadBytes; off+manifestEntryBytes <= len(p); {
		if off = nextInManifest(p, off); off <= len(p) {
			end = off
		}
	}
	return end
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

// checksum is that of an entry of the manifest.
func checksum(p []byte) uint32 { return crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli)) }
