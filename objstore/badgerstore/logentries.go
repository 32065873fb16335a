package badgerstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"runtime/debug"

	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

// logValueBytesMax is more than any value in a log has: larger ones would go to the value log.
const logValueBytesMax = 1<<20 + 1

// boundLogs looks at the lengths of the entries in the logs before Badger does, which makes room for what a length says
// before it knows that it is right: a flipped bit is gigabytes. A log ends, as it does for Badger, before the first entry
// that cannot be; zeros are written there. It returns where that was, for who finds commits missing; empty: nowhere.
func boundLogs(fsys disk.FS, dir string, readOnly bool) (cut string, err error) {
	names, err := fsys.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", disk.Error("list logs", err)
	}
	for _, n := range logNumbers(names) {
		off, err := wrongLengthIn(filepath.Join(dir, logName(n)))
		switch {
		case err != nil:
			return "", disk.Error("read log", err)
		case off == 0:
		case readOnly:
			return "", errNotClosed
		default:
			cut = fmt.Sprintf("%s is damaged at %d", filepath.Join(badgerName, logName(n)), off)
			if err := endLog(fsys, filepath.Join(dir, logName(n)), off); err != nil {
				return "", err
			}
		}
	}
	return cut, nil
}

// wrongLengthIn is where the first entry of a log is whose lengths cannot be right; 0: there is none.
func wrongLengthIn(name string) (off int64, err error) {
	p, err := mapFile(name)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, unmap(p)) }()
	defer caught(debug.SetPanicOnFault(true), &err)
	for off := logHeaderBytes; off < len(p); {
		n, ok := logEntryLength(p[off:])
		if !ok {
			return int64(off), nil
		}
		if n == 0 {
			break
		}
		off += n
	}
	return 0, nil
}

// logEntryLength is how long the entry is that p begins with. ok is false if it cannot be; 0: there is none, and Badger
// comes to the same without making room for anything.
//
// An entry is: two bytes of flags; as uvarints the lengths of key and value, and a time; key; value; checksum.
func logEntryLength(p []byte) (n int, ok bool) {
	const flagBytes, checksumBytes, keyBytesMax = 2, 4, 1 << 16
	var fields [3]uint64
	off := flagBytes
	for i := range fields {
		if off >= len(p) {
			return 0, true
		}
		v, n := binary.Uvarint(p[off:])
		if n <= 0 {
			return 0, true
		}
		fields[i] = v
		off += n
	}
	key, value := uint32(fields[0]), uint32(fields[1]) // Badger cuts them off too
	if key > keyBytesMax {
		return 0, true
	}
	n = off + int(key) + int(value) + checksumBytes
	switch {
	case value > logValueBytesMax:
		return 0, false
	case key == 0 || n > len(p):
		return 0, true
	}
	return n, true
}

// endLog makes a log end at off.
func endLog(fsys disk.FS, name string, off int64) error {
	f, err := fsys.OpenRW(name)
	if err != nil {
		return disk.Error("open log", err)
	}
	info, err := f.Stat()
	if err == nil {
		_, err = f.WriteAt(make([]byte, min(logEntryBytes, info.Size-off)), off)
	}
	return disk.Error("write log", errors.Join(err, f.Close()))
}
