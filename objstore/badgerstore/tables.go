package badgerstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/badger/v4/y"
	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/marks"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/record"
)

const (
	tableSuffix = ".sst"
	// verifiedBytesMax bounds what is read of the tables when a store is opened.
	verifiedBytesMax = 64 << 20
)

// tableReport is what is wrong with a table; no sentences: nothing.
type tableReport struct {
	unopened string // it cannot be opened
	unusable string // it cannot be opened or, if that was tried, walked to its end
	damaged  string // a block of it does not match its checksum
}

// checkTables looks at the tables a manifest names, before Badger does: it panics, in goroutines of its own, over ends that
// make no sense and over blocks it cannot walk, and a compaction loses the keys behind such a block. All of them are
// opened; blocks are verified up to a number of bytes, and the tables for which that did not do are returned.
//
// A block that does not match its checksum makes no table unusable if the damage is in a record: that has a checksum of its own,
// so who reads it finds out, in a compacted table too. If all its records are right the damage is in what Badger has
// beside them, and nobody can tell what that hides.
func checkTables(dir string, ids []uint64, opt badger.Options, bytesMax int64) (unverified []uint64, worst tableReport, err error) {
	for _, id := range ids {
		if err := fetchTable(table.NewFilename(id, dir)); err != nil {
			return nil, worst, disk.Error("look at table", err)
		}
	}
	for _, id := range ids {
		info, err := os.Stat(table.NewFilename(id, dir))
		if errors.Is(err, fs.ErrNotExist) {
			return nil, tableReport{unopened: tableName(id) + " is missing"}, nil
		}
		if err != nil {
			return nil, worst, disk.Error("look at table", err)
		}
		bytesMax -= info.Size()
		r, err := inspectTable(dir, id, opt, bytesMax >= 0)
		switch {
		case err != nil || r.unopened != "":
			return nil, r, err
		case r.unusable != "":
			worst = r
		case bytesMax < 0:
			unverified = append(unverified, id)
		}
	}
	return unverified, worst, nil
}

// fetchTable begins to read what a table is opened with, so that the disk has all of that to do at once.
func fetchTable(name string) error {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // who opens it says so
	}
	if err != nil {
		return err
	}
	const beginBytes, endBytes = 16 << 10, 128 << 10
	info, err := f.Stat()
	if err == nil {
		end := max(0, info.Size()-endBytes)
		err = errors.Join(unix.Fadvise(int(f.Fd()), 0, beginBytes, unix.FADV_WILLNEED),
			unix.Fadvise(int(f.Fd()), end, endBytes, unix.FADV_WILLNEED))
	}
	return errors.Join(err, f.Close())
}

// verifiedBytes is how many bytes of tables are verified when a store is opened. Another process repaired what is opened
// read-only, or will.
func verifiedBytes(mark marks.Marks, readOnly bool) int64 {
	switch {
	case mark.Suspect:
		return math.MaxInt64
	case mark.Clean && readOnly:
		return 0
	}
	return verifiedBytesMax
}

// tableName is the name of a table in the store's directory.
func tableName(id uint64) string {
	return filepath.Join(badgerName, table.IDToFilename(id))
}

// inspectTable opens a table and, if that is asked, verifies all its blocks.
func inspectTable(dir string, id uint64, opt badger.Options, blocks bool) (r tableReport, err error) {
	data, err := mapFile(table.NewFilename(id, dir))
	if err != nil {
		return r, disk.Error("read table", err)
	}
	defer func() { err = errors.Join(err, unmap(data)) }()
	t, why := openTable(data, id, opt)
	if why != nil {
		r.unopened = tableName(id) + " is damaged: " + blockText(why)
		r.unusable = r.unopened
		return r, nil
	}
	if !blocks {
		return r, nil
	}
	if why = verifyTable(t); why == nil {
		return r, nil
	}
	r.damaged = tableName(id) + ": " + blockText(why)
	if why = walkTable(t); why != nil {
		r.unusable = tableName(id) + " is damaged: " + blockText(why)
	}
	return r, nil
}

// blockText is what Badger finds wrong with a table, in short.
func blockText(err error) string {
	text := reason(err)
	var block, off int
	if i := strings.Index(text, "block: "); i >= 0 {
		if n, _ := fmt.Sscanf(text[i:], "block: %d, offset:%d", &block, &off); n == 2 {
			return fmt.Sprintf("the block at %d does not match its checksum", off)
		}
	}
	first, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return first
}

// mapFile maps a file to be read, as Badger maps its tables.
func mapFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return nil, err
	}
	return syscall.Mmap(int(f.Fd()), 0, int(info.Size()), syscall.PROT_READ, syscall.MAP_SHARED)
}

func unmap(data []byte) error {
	if len(data) == 0 {
		return nil
	}
	return syscall.Munmap(data)
}

// openTable opens a table as Badger will.
func openTable(data []byte, id uint64, opt badger.Options) (t *table.Table, err error) {
	defer caught(debug.SetPanicOnFault(true), &err)
	if !hasTableEnd(data) {
		return nil, damaged("its end makes no sense")
	}
	return table.OpenInMemoryTable(data, id, &table.Options{
		ReadOnly: true, BlockSize: opt.BlockSize, Compression: opt.Compression, ChkMode: opt.ChecksumVerificationMode,
	})
}

// hasTableEnd reports whether the index and the checksum of a table have lengths that fit: Badger ends the process
// over such that do not. From the end: the length of the checksum, that, the length of the index, that.
func hasTableEnd(data []byte) bool {
	end := int64(len(data))
	for range 2 {
		const lengthBytes = 4
		if end -= lengthBytes; end < 0 {
			return false
		}
		end -= int64(binary.BigEndian.Uint32(data[end:]))
	}
	return end >= 0
}

// verifyTable is what the checksums of its blocks say, or that they cannot be found.
func verifyTable(t *table.Table) (err error) {
	defer caught(debug.SetPanicOnFault(true), &err)
	return t.VerifyChecksum()
}

// walkTable goes through a table as a compaction would: keys in order, and to the end.
func walkTable(t *table.Table) (err error) {
	defer caught(debug.SetPanicOnFault(true), &err)
	it := t.NewIterator(0)
	defer it.Close()
	var last []byte
	n, bad := 0, 0
	for it.Rewind(); it.Valid(); it.Next() {
		key := it.Key()
		if len(key) < versionBytes || n > 0 && y.CompareKeys(last, key) >= 0 {
			return damaged("its keys are in no order")
		}
		v := it.Value()
		switch {
		case v.Meta&valueElsewhere != 0:
			return damaged("a value of it is elsewhere")
		case v.Meta&valueDeleted == 0 && !isRecord(y.ParseKey(key), v.Value):
			bad++
		}
		last = append(last[:0], key...)
		n++
	}
	if n != int(t.KeyCount()) || bad == 0 {
		return damaged("%d of its %d keys are left, with %d damaged records", n, t.KeyCount(), bad)
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

// caught, deferred with what [debug.SetPanicOnFault] said, makes an error of a panic: Badger panics over what
// the blocks of a damaged table say, and a table that became shorter, or that the disk cannot read, is a fault.
func caught(onFault bool, err *error) {
	if cause := recovered(onFault, recover()); cause != nil {
		*err = cause
	}
}

// recovered is the error for what was recovered; nil: nothing.
func recovered(onFault bool, cause any) error {
	debug.SetPanicOnFault(onFault)
	if cause == nil {
		return nil
	}
	return damagedTable(cause)
}

// damagedTable is the error for a panic of Badger's. One that comes from a block names table and block.
func damagedTable(cause any) error {
	text := fmt.Sprint(cause)
	var id uint64
	var block int
	if i := strings.Index(text, "Table ID: "); i >= 0 {
		if n, _ := fmt.Sscanf(text[i:], "Table ID: %d\nBlock ID: %d", &id, &block); n == 2 {
			return damaged("%s is damaged: its block %d cannot be read", tableName(id), block)
		}
	}
	if strings.Contains(text, "initIndex") {
		return damaged("its index or last block cannot be read")
	}
	first, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return damaged("a table of the key-value files cannot be read: %s", first)
}

// sortedTables are the tables of a manifest, those first that are compacted first.
func sortedTables(manifest badger.Manifest) []uint64 {
	var ids []uint64
	for id := range manifest.Tables {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b uint64) int {
		if la, lb := manifest.Tables[a].Level, manifest.Tables[b].Level; la != lb {
			return int(la) - int(lb)
		}
		return int(a) - int(b)
	})
	return ids
}
