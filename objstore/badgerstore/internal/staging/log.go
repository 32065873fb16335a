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
	slotHeadBytes  = 8                  // of a slot: zeros if it is free
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
	muted   bool   // of a found stage: its log is elsewhere
	number  uint64 // of this log; a log that was cleared gets a new one
	slot    int    // valid if used > 0
	used    int64  // bytes of the slot
	hidden  bool   // its first bytes are not in the slot yet, but in head: no sweep sees it
	head    [slotHeadBytes]byte
	more    disk.File
	moreEnd int64
}

// room reports whether a record with n bytes of data fits into the slot, and a few without data after it.
func (l *stageLog) room(n int, owner objstore.Owner, base Base) bool {
	if l.muted || l.more != nil {
		return false
	}
	const spare = 4 * recordBytes
	used := l.used
	if used == 0 {
		buf := l.session.buffers.Get().(*[]byte)
		defer l.session.buffers.Put(buf)
		*buf = l.open((*buf)[:0], owner, base)
		used = int64(len(*buf))
	}
	return used+recordBytes+int64(n)+spare <= l.session.slotBytes
}

// open appends the record that opens a log. It has to be in the slot, with another record behind it: a base
// that an engine of other options made too large for that is found by its version or not at all.
func (l *stageLog) open(b []byte, owner objstore.Owner, base Base) []byte {
	data := appendOwner(make([]byte, 0, recordBytes+len(owner.Path)+len(owner.Host)), owner)
	size := int64(0)
	if base != nil {
		size = base.Size()
		bare := len(data)
		if data = base.Describe(data); 4*recordBytes+int64(len(data)) > l.session.slotBytes {
			data = data[:bare]
		}
	}
	return appendRecord(b, logRecord{kind: recordOpen, a: l.number, b: uint64(size), d: hosted, data: data}, 0)
}

// append writes a record, before it the one that opens the log if this is the first.
// Data of a caller is not kept.
func (l *stageLog) append(owner objstore.Owner, base Base, r logRecord) error {
	if l.muted {
		return nil
	}
	buf := l.session.buffers.Get().(*[]byte)
	defer l.session.buffers.Put(buf)
	b := (*buf)[:0]
	if l.used == 0 {
		l.number = l.session.nextNumber()
		b = l.open(b, owner, base)
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
		at := l.used
		if l.hidden && at == 0 {
			at = int64(copy(l.head[:], b))
		}
		if _, err := l.session.slots.WriteAt(b[at-l.used:], l.session.slotOffset(l.slot)+at); err != nil {
			return err
		}
		l.used += int64(len(b))
		return nil
	}
	if l.more == nil {
		f, err := l.session.files.Create(overflowName(l.session.dir, l.number))
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

// reveal lets a sweep see a hidden log, all of it.
func (l *stageLog) reveal() error {
	if l.used == 0 {
		return nil
	}
	_, err := l.session.slots.WriteAt(l.head[:], l.session.slotOffset(l.slot))
	l.hidden = err != nil
	return disk.Error("stage", err)
}

func overflowName(dir string, number uint64) string {
	return filepath.Join(dir, strconv.FormatUint(number, 16)+overflowSuffix)
}

// clearSlot makes a slot free: the type of its first record becomes none.
func clearSlot(slots disk.File, offset int64) error {
	_, err := slots.WriteAt(make([]byte, slotHeadBytes), offset)
	return err
}

// leave closes the log and changes nothing of it.
func (l *stageLog) leave() error {
	if l.more == nil {
		return nil
	}
	err := l.more.Close()
	l.more = nil
	return err
}

// clear forgets the log: nothing is changed any more.
func (l *stageLog) clear() error {
	if l.used == 0 {
		return nil
	}
	err := clearSlot(l.session.slots, l.session.slotOffset(l.slot))
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
