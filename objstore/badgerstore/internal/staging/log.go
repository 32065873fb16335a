package staging

import (
	"encoding/binary"
	"io"
	"path/filepath"
	"strconv"

	"github.com/zeebo/xxh3"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

const (
	overflowSuffix = ".log"
	slotsHeadBytes = 4096
	slotsMagic     = 0x6574616766735331 // "etagfsS1": the 1 is the format version
)

// writeSlotsHead begins a slot file: sessions of other options must find their way in it.
func writeSlotsHead(f disk.File, slotBytes int64) error {
	var b []byte
	for _, v := range []uint64{slotsMagic, uint64(slotBytes)} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	b = binary.BigEndian.AppendUint64(b, xxh3.Hash(b))
	_, err := f.WriteAt(b, 0)
	return err
}

// readSlotsHead returns the size of a slot; 0 if the process died before it had written the head.
func readSlotsHead(f disk.File) (int64, error) {
	const slotBytesMax = 16 << 20
	b := make([]byte, 24)
	if _, err := f.ReadAt(b, 0); err == io.EOF {
		return 0, nil
	} else if err != nil {
		return 0, disk.Error("sweep staging", err)
	}
	size := binary.BigEndian.Uint64(b[8:])
	if binary.BigEndian.Uint64(b[16:]) != xxh3.Hash(b[:16]) || size == 0 || size > slotBytesMax {
		return 0, &objstore.Error{Op: "sweep staging", Key: f.Name(), Kind: objstore.ErrCorrupt}
	}
	if binary.BigEndian.Uint64(b) != slotsMagic {
		return 0, &objstore.Error{Op: "sweep staging", Key: f.Name(), Kind: objstore.ErrNewerFormat}
	}
	return int64(size), nil
}

// stageLog is the log of one stage. It takes a slot with its first record. It is
// guarded by the stage's mu.
type stageLog struct {
	session *Session
	muted   bool   // of a stage resumed from elsewhere: its log is there
	number  uint64 // of this log; a log that was cleared gets a new one
	slot    int    // valid if used > 0
	used    int64  // bytes of the slot
	more    disk.File
	moreEnd int64
}

// room reports whether a record with n bytes of data fits into the slot, and a few without data after it.
func (l *stageLog) room(n int, owner objstore.Owner) bool {
	const spare = 4 * recordBytes
	used := l.used
	if used == 0 {
		used = 2*recordBytes + int64(len(owner.Path)+len(owner.Base))
	}
	return !l.muted && l.more == nil && used+recordBytes+int64(n)+spare <= l.session.slotBytes
}

// append writes a record, before it the one that opens the log if this is the first.
// Data of a caller is not kept.
func (l *stageLog) append(owner objstore.Owner, baseSize int64, r logRecord) error {
	if l.muted {
		return nil
	}
	buf := l.session.buffers.Get().(*[]byte)
	defer l.session.buffers.Put(buf)
	b := (*buf)[:0]
	if l.used == 0 {
		l.number = l.session.nextNumber()
		b = appendRecord(b, logRecord{kind: recordOpen, a: l.number, b: uint64(baseSize), data: appendOwner(nil, owner)}, 0)
		l.slot = l.session.takeSlot()
	}
	b = appendRecord(b, r, l.number)
	*buf = b
	err := l.write(b)
	if err != nil && l.used == 0 {
		l.session.freeSlot(l.slot)
	}
	return disk.Error("stage", err)
}

func (l *stageLog) write(b []byte) error {
	if l.more == nil && l.used+int64(len(b)) <= l.session.slotBytes {
		if _, err := l.session.slots.WriteAt(b, l.session.slotOffset(l.slot)+l.used); err != nil {
			return err
		}
		l.used += int64(len(b))
		return nil
	}
	if l.more == nil {
		f, err := l.session.fs.Create(overflowName(l.session.dir, l.number))
		if err != nil {
			return err
		}
		l.more = f
	}
	if _, err := l.more.WriteAt(b, l.moreEnd); err != nil {
		return err
	}
	l.moreEnd += int64(len(b))
	return nil
}

func overflowName(dir string, number uint64) string {
	return filepath.Join(dir, strconv.FormatUint(number, 16)+overflowSuffix)
}

// clear forgets the log: nothing is changed any more.
func (l *stageLog) clear() error {
	if l.used == 0 {
		return nil
	}
	// The type of the first record becomes none.
	_, err := l.session.slots.WriteAt(make([]byte, 8), l.session.slotOffset(l.slot))
	if l.more != nil {
		l.more.Close()
		if removeErr := remove(l.session.fs, l.more.Name()); err == nil {
			err = removeErr
		}
	}
	if err == nil {
		l.session.freeSlot(l.slot) // a slot that could not be cleared is not used again
	}
	l.used, l.more, l.moreEnd = 0, nil, 0
	return disk.Error("clear stage", err)
}
