package badgerstore

import (
	"math/bits"
	"strconv"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

// logPart is what a transaction takes of a log.
type logPart struct {
	entries  int
	bytesMax int64 // what Badger may need for it, whatever the entries look like
	bytes    int64 // what Badger 4 writes
}

// newLogPart is that of a transaction without entries, which ends with one of Badger's own: its key, and the version as text.
func newLogPart(ts uint64) logPart {
	const endKey = "!badger!txn"
	return logPart{bytesMax: logEndBytes, bytes: loggedBytes(len(endKey), len(strconv.FormatUint(ts, 10)))}
}

// add counts an entry with a key and a value of so many bytes.
func (p *logPart) add(key, value int) {
	p.entries++
	p.bytesMax += int64(key + value + logEntryBytes)
	p.bytes += loggedBytes(key, value)
}

// loggedBytes is how long an entry is in a log: two bytes of flags, both lengths and a time of expiry, which is 0, as
// varints, the key with its version, the value, and a checksum.
func loggedBytes(key, value int) int64 {
	const flags, expiry, checksum = 2, 1, 4
	key += versionBytes
	return int64(flags + varintBytes(key) + varintBytes(value) + expiry + key + value + checksum)
}

func varintBytes(n int) int { return (bits.Len(uint(n)|1) + 6) / 7 }

// touch lets a disk that takes no more writes refuse the next transaction here, where that is an error. Badger writes to a mapping of
// its log, and dies of what it finds out ([disk.Mapping]). Asking the file system for the log finds out at once about most disks that
// have failed, of which pages that are touched already say nothing, and about a store that was removed.
// What Badger writes when it goes on to the next log, one transaction in thousands, is not touched.
func (b *logBlocks) touch(part logPart) error {
	l := &b.active
	if !l.isSought {
		l.isSought = true
		var err error
		if l.mapping, err = disk.MappingOf(l.file); err != nil || l.mapping.IsZero() {
			b.log.Debug("the mapping of a log is not found: if its disk fails the process may die, and loses nothing", "log", l.number, "error", err)
		}
	}
	const zerosBytes = 22 // Badger zeroes so much behind an entry
	if err := l.mapping.Touch(l.next, part.bytes+zerosBytes); err != nil {
		return disk.Error("write log", err)
	}
	info, err := l.file.Stat()
	if err != nil {
		return disk.Error("look at log", err)
	}
	if info.Links == 0 {
		return problem(objstore.ErrUnavailable, "the files of the store were removed")
	}
	return nil
}
