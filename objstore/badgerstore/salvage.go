package badgerstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/dgraph-io/badger/v4"

	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/sst"
)

// salvage writes those tables of a manifest anew that do not match their checksums, with what can be read of them. The damaged
// table is set aside, and what is lost is told, before that is done. It can be interrupted at any point: a table is the old one or the new one.
func (e *Engine) salvage(manifest badger.Manifest) error {
	for _, id := range sortedTables(manifest) {
		why, err := e.tableDamage(id)
		if err == nil && why != "" {
			err = e.salvageTable(id, why)
		}
		if err != nil {
			return classified("salvage "+tableName(id), err)
		}
	}
	return nil
}

// tableRemedy is what becomes of a damaged table.
const tableRemedy = "what can be read of it is kept, and the table is set aside in " + repairName + "/"

// tableDamage is what is wrong with a table; empty: nothing.
func (e *Engine) tableDamage(id uint64) (string, error) {
	r, err := inspectTable(e.path(badgerName), id, e.badgerOptions(nil), true)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return tableName(id) + " is missing", nil
	case err != nil || r.unusable == "":
		return r.damaged, err
	}
	return r.unusable, nil
}

// salvageTable replaces a table by what can be read of it.
func (e *Engine) salvageTable(id uint64, why string) error {
	name := e.path(tableName(id))
	data, err := readDamaged(e.fs, name)
	isMissing := errors.Is(err, fs.ErrNotExist)
	if !isMissing {
		err = errors.Join(err, e.linkAside(tableName(id)))
	} else {
		err = nil
	}
	if err != nil {
		return err
	}
	entries, losses := sst.Read(data, e.marks.Get().Durable, isRecord)
	err = e.salvaged(Finding{Kind: FindingTable, Text: why, Remedy: tableRemedy})
	for _, l := range losses {
		err = errors.Join(err, e.salvaged(Finding{Kind: FindingTable, Text: lossText(id, l)}))
	}
	switch {
	case err != nil:
		return err
	case len(entries) > 0:
		return e.replaceTable(id, sst.Write(entries, e.badgerOptions(nil)))
	}
	// Badger takes no table without a key. In this order: one that the manifest names must be there.
	err = e.forgetTable(id)
	if err == nil && !isMissing {
		err = e.fs.Remove(name)
	}
	return err
}

// lossText says what was in a part of a table.
func lossText(id uint64, l sst.Loss) string {
	between := func(key []byte, none string) string {
		if len(key) == 0 {
			return none
		}
		return keyText(key)
	}
	return fmt.Sprintf("bytes %d to %d of %s are damaged: %d records in them can be read, what else there was between %s and %s is lost, and what it had replaced or removed may be there again",
		l.Begin, l.End, tableName(id), l.Read, between(l.Before, "the first"), between(l.After, "the last"))
}

// readDamaged reads a file, with zeros for what the disk does not give.
func readDamaged(files disk.FS, name string) ([]byte, error) {
	f, err := files.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	p := make([]byte, info.Size)
	if _, err := f.ReadAt(p, 0); err == nil || errors.Is(err, io.EOF) {
		return p, nil
	}
	const pageBytes = 4 << 10
	for off := 0; off < len(p); off += pageBytes {
		page := p[off:min(off+pageBytes, len(p))]
		if _, err := f.ReadAt(page, int64(off)); err != nil && !errors.Is(err, io.EOF) {
			clear(page)
		}
	}
	return p, nil
}

// linkAside keeps a file under another name among what is set aside.
func (e *Engine) linkAside(name string) error {
	to, err := e.asideName(name)
	if err != nil {
		return err
	}
	return errors.Join(e.fs.Link(e.path(name), to), e.fs.SyncDir(filepath.Dir(to)))
}

// replaceTable puts a table in the place of another, which was set aside.
func (e *Engine) replaceTable(id uint64, p []byte) error {
	const newName = repairName + "/table.new"
	f, err := e.fs.OpenRW(e.path(newName))
	if err != nil {
		return err
	}
	err = f.Truncate(0)
	if err == nil {
		_, err = f.WriteAt(p, 0)
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return errors.Join(e.fs.Rename(e.path(newName), e.path(tableName(id))), e.fs.SyncDir(e.path(badgerName)), e.fs.SyncDir(e.path(repairName)))
}

// forgetTable takes a table out of the manifest.
func (e *Engine) forgetTable(id uint64) error {
	const (
		changeTag, idTag, operationTag = 0x0a, 0x08, 0x10 // of the fields of an entry, and of a change in it
		deletes                        = 1
	)
	change := append(binary.AppendUvarint([]byte{idTag}, id), operationTag, deletes)
	body := append([]byte{changeTag, byte(len(change))}, change...)
	entry := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	entry = append(binary.BigEndian.AppendUint32(entry, checksum(body)), body...)
	f, err := e.fs.Reopen(e.path(filepath.Join(badgerName, badger.ManifestFilename)))
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil {
		_, err = f.WriteAt(entry, info.Size)
	}
	return errors.Join(err, f.Sync(), f.Close())
}
