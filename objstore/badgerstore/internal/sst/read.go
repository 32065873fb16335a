package sst

import (
	"encoding/binary"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/badger/v4/y"
)

// metaDeleted is the bit Badger has beside a value that is a mark of deletion.
const metaDeleted = 1 << 0

// Entry is a key, which ends with its version, and a value, with what Badger has beside it.
type Entry struct {
	Key   []byte
	Value y.ValueStruct
}

// IsDeleted reports whether it is a mark of deletion.
func (e Entry) IsDeleted() bool { return e.Value.Meta&metaDeleted != 0 }

// Loss is a part of a table that does not match its checksum.
type Loss struct {
	Begin, End    int    // bytes of the table
	Read          int    // entries that could be read in it
	Before, After []byte // the keys beside it, without versions; nil: there is none
}

// Read is what can be read of a table, in order, and what could not be. isWhole says of a key, without its version, and a value whether
// the value is the one that was written; the version is in no checksum but its block's, so that none is believed that is later than newest and all
// that blocks have which match theirs. What is returned shares memory with data.
func Read(data []byte, newest uint64, isWhole func(key, value []byte) bool) (entries []Entry, lost []Loss) {
	all, isAll := bounds(data)
	parts := make([]part, len(all)-1)
	for i := range parts {
		parts[i] = newPart(data, all[i], all[i+1])
		newest = max(newest, parts[i].newest())
	}
	for i, p := range parts {
		var before, after []byte
		if len(entries) > 0 {
			before = entries[len(entries)-1].Key
		}
		if p.whole && (before == nil || y.CompareKeys(p.entries[0].Key, before) > 0) {
			entries = append(entries, p.entries...)
			continue
		}
		loss := Loss{Begin: p.begin, End: p.end}
		if before != nil {
			loss.Before = y.ParseKey(before)
		}
		for _, next := range parts[i+1:] {
			if next.whole {
				after = next.entries[0].Key
				loss.After = y.ParseKey(after)
				break
			}
		}
		kept := readable(p.entries, before, after, newest, isWhole)
		loss.Read = len(kept)
		entries = append(entries, kept...)
		if len(lost) > 0 && lost[len(lost)-1].End == loss.Begin && loss.Read == 0 && lost[len(lost)-1].Read == 0 {
			lost[len(lost)-1].End = loss.End
			continue
		}
		lost = append(lost, loss)
	}
	if end := len(data); !isAll && (len(lost) == 0 || lost[len(lost)-1].End < end) {
		loss := Loss{Begin: end, End: end}
		if len(entries) > 0 {
			loss.Before = y.ParseKey(entries[len(entries)-1].Key)
		}
		lost = append(lost, loss)
	}
	return entries, lost
}

// part is a block, or what is between blocks.
type part struct {
	begin, end int
	whole      bool    // it matches its checksum
	entries    []Entry // as far as there is one to be seen
}

func newPart(data []byte, begin, end int) part {
	p := part{begin: begin, end: end}
	b, whole := body(data[begin:end])
	all, stop := offsets(b)
	for i, off := range all {
		entryEnd := stop
		if i+1 < len(all) {
			entryEnd = all[i+1]
		}
		entry, ok := decode(b[:stop], off, entryEnd)
		if ok {
			p.entries = append(p.entries, entry)
		}
		whole = whole && ok
	}
	p.whole = whole && len(p.entries) > 0
	return p
}

// newest is the latest version in a block that matches its checksum; 0: it does not.
func (p part) newest() (version uint64) {
	if p.whole {
		for _, e := range p.entries {
			version = max(version, y.ParseTs(e.Key))
		}
	}
	return version
}

// decode is the entry of a block from off to end. The first entry has its whole key, which others begin with some of.
func decode(b []byte, off, end int) (e Entry, ok bool) {
	first := binary.LittleEndian.Uint16(b[2:])
	shared, own := int(binary.LittleEndian.Uint16(b[off:])), int(binary.LittleEndian.Uint16(b[off+2:]))
	at := off + headerBytes
	const valueBytesMin = 3 // what Badger has beside a value
	if shared > int(first) || headerBytes+shared > len(b) || shared+own <= versionBytes || at+own+valueBytesMin > end {
		return e, false
	}
	e.Key = append(append(make([]byte, 0, shared+own), b[headerBytes:headerBytes+shared]...), b[at:at+own]...)
	value := b[at+own : end]
	if _, n := binary.Uvarint(value[2:]); n <= 0 {
		return e, false
	}
	e.Value.Decode(value)
	return e, true
}

// readable are those of the entries of a damaged block that are between two keys, in order, of no version later than newest, and can be
// believed, or show what the damage is.
func readable(entries []Entry, before, after []byte, newest uint64, isWhole func(key, value []byte) bool) (kept []Entry) {
	explained := false
	for _, e := range entries {
		if y.ParseTs(e.Key) > newest {
			explained = true
			continue
		}
		if before != nil && y.CompareKeys(e.Key, before) <= 0 || after != nil && y.CompareKeys(e.Key, after) >= 0 {
			continue
		}
		explained = explained || !e.IsDeleted() && !isWhole(y.ParseKey(e.Key), e.Value.Value)
		kept, before = append(kept, e), e.Key
	}
	if explained {
		return kept
	}
	n := 0
	for _, e := range kept {
		if !e.IsDeleted() {
			kept[n] = e
			n++
		}
	}
	return kept[:n]
}

// Write is a table of entries, which are in order and at least one.
func Write(entries []Entry, opt badger.Options) []byte {
	b := table.NewTableBuilder(table.Options{
		TableSize: uint64(opt.BaseTableSize), BlockSize: opt.BlockSize, BloomFalsePositive: opt.BloomFalsePositive,
		Compression: opt.Compression,
	})
	defer b.Close()
	for _, e := range entries {
		b.Add(e.Key, e.Value, 0)
	}
	return b.Finish()
}
