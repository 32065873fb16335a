package marks

import (
	"encoding/binary"
	"errors"
	"io"
	"sync"

	"github.com/zeebo/xxh3"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

const (
	magic     = 0x6574616766736d6b // "etagfsmk"
	version   = 1
	slotBytes = 64
	slotStep  = 4096
	slots     = 2

	flagClean   = 1 << 0
	flagSuspect = 1 << 1
)

// Marks are the numbers.
type Marks struct {
	Durable uint64 // commits up to this timestamp are synced
	Lease   uint64 // numbers below this may have been given out
	LowBlob uint64 // blobs with lower numbers are committed or gone
	Clean   bool   // the store was closed in order after this
	Suspect bool   // a table could not be read

	// The manifest of the key-value engine, which names its tables, was synced up to here. It may be rewritten: then
	// it begins with something else. 0 bytes: nobody knows.
	ManifestBytes uint32
	ManifestBegin uint32 // checksum of its first entry
}

// File is an open marks file.
type File struct {
	f disk.File

	mu         sync.Mutex
	current    Marks  // GUARDED_BY(mu): as last written
	generation uint64 // GUARDED_BY(mu): of the last write
	synced     int    // GUARDED_BY(mu): slot of the last synced write
	dirty      bool   // GUARDED_BY(mu): written since
	failed     error  // GUARDED_BY(mu): of a sync; final, as nobody knows what reached the disk
}

// Create makes a marks file, durable but for its name. A file of another name,
// name + ".new", may stay behind if it is interrupted.
func Create(fsys disk.FS, name string, m Marks) (*File, error) {
	fresh := name + ".new"
	f, err := fsys.OpenRW(fresh)
	if err != nil {
		return nil, disk.Error("create marks", err)
	}
	file := &File{f: f, synced: 1}
	err = errors.Join(file.Update(true, func(to *Marks) { *to = m }), f.Close())
	if err == nil {
		err = disk.Error("create marks", fsys.Rename(fresh, name))
	}
	if err != nil {
		return nil, err
	}
	return Open(fsys, name)
}

// Open reads the newest good slot.
func Open(fsys disk.FS, name string) (*File, error) {
	f, err := fsys.OpenRW(name)
	file, err := read(f, err)
	if err != nil {
		return nil, err
	}
	if err := f.Sync(); err != nil { // what was read may be in the page cache only
		return nil, errors.Join(disk.Error("sync marks", err), f.Close())
	}
	return file, nil
}

// OpenToRead is Open for who does not update the marks, on a file system that may be read-only.
func OpenToRead(fsys disk.FS, name string) (*File, error) { return read(fsys.Open(name)) }

func read(f disk.File, err error) (*File, error) {
	if err != nil {
		return nil, disk.Error("open marks", err)
	}
	file := &File{f: f}
	if err := file.load(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return file, nil
}

func (f *File) load() error {
	found := false
	for slot := range slots {
		var p [slotBytes]byte
		if _, err := f.f.ReadAt(p[:], int64(slot)*slotStep); err != nil && !errors.Is(err, io.EOF) {
			return disk.Error("read marks", err)
		}
		m, generation, err := decode(p[:])
		if objstore.KindOf(err) == objstore.ErrNewerFormat {
			return err
		}
		if err == nil && (!found || generation > f.generation) {
			f.current, f.generation, f.synced, found = m, generation, slot, true
		}
	}
	if !found {
		return &objstore.Error{Op: "open marks", Key: f.f.Name(), Kind: objstore.ErrCorrupt,
			Detail: "both copies of the marks are damaged: restore a copy of the store"}
	}
	return nil
}

// Get returns the marks as last written.
func (f *File) Get() Marks {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.current
}

// Update changes the marks and writes them; with sync set they are durable when it returns.
func (f *File) Update(sync bool, change func(*Marks)) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failed != nil {
		return f.failed
	}
	next := f.current
	change(&next)
	target := 1 - f.synced
	if _, err := f.f.WriteAt(encode(next, f.generation+1), int64(target)*slotStep); err != nil {
		return disk.Error("write marks", err)
	}
	f.current, f.dirty = next, true
	f.generation++
	if !sync {
		return nil
	}
	return f.syncLocked(target)
}

// Dirty reports whether something was written since the last sync.
func (f *File) Dirty() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.dirty
}

// Sync makes what was last written durable.
func (f *File) Sync() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.failed != nil || !f.dirty {
		return f.failed
	}
	return f.syncLocked(1 - f.synced)
}

func (f *File) syncLocked(target int) error {
	if err := f.f.Sync(); err != nil {
		f.failed = disk.Error("sync marks", err)
		return f.failed
	}
	f.synced, f.dirty = target, false
	return nil
}

// Close closes the file without syncing it.
func (f *File) Close() error { return disk.Error("close marks", f.f.Close()) }

func encode(m Marks, generation uint64) []byte {
	p := make([]byte, 0, slotBytes)
	p = binary.BigEndian.AppendUint64(p, magic)
	p = binary.BigEndian.AppendUint32(p, version)
	var flags uint32
	if m.Clean {
		flags |= flagClean
	}
	if m.Suspect {
		flags |= flagSuspect
	}
	p = binary.BigEndian.AppendUint32(p, flags)
	manifest := uint64(m.ManifestBegin)<<32 | uint64(m.ManifestBytes)
	for _, v := range [...]uint64{generation, m.Durable, m.Lease, m.LowBlob, manifest} {
		p = binary.BigEndian.AppendUint64(p, v)
	}
	return binary.BigEndian.AppendUint64(p, xxh3.Hash(p))
}

func decode(p []byte) (m Marks, generation uint64, err error) {
	body := p[:slotBytes-8]
	if binary.BigEndian.Uint64(body) != magic || binary.BigEndian.Uint64(p[len(body):]) != xxh3.Hash(body) {
		return m, 0, objstore.ErrCorrupt
	}
	if binary.BigEndian.Uint32(body[8:]) != version {
		return m, 0, &objstore.Error{Op: "open marks", Kind: objstore.ErrNewerFormat,
			Detail: "the marks were written by a newer version of this program"}
	}
	flags := binary.BigEndian.Uint32(body[12:])
	m.Clean, m.Suspect = flags&flagClean != 0, flags&flagSuspect != 0
	generation = binary.BigEndian.Uint64(body[16:])
	m.Durable = binary.BigEndian.Uint64(body[24:])
	m.Lease = binary.BigEndian.Uint64(body[32:])
	m.LowBlob = binary.BigEndian.Uint64(body[40:])
	m.ManifestBegin, m.ManifestBytes = binary.BigEndian.Uint32(body[48:]), binary.BigEndian.Uint32(body[52:])
	return m, generation, nil
}
