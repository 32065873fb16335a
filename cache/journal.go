package cache

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"os"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/blockhash"
)

// A journal file is empty if its stage has not been changed since it was committed, or is nobody's. Else it is a line of JSON, the head, and records of recordBytes each: kind, 7 zeros, two numbers and the first
// 8 bytes of the hash of those, all little-endian.
const recordBytes = 32

type recordKind byte

const (
	recordData recordKind = 'd' // [a, b) is in the stage's file
	recordZero recordKind = 'z' // [a, b) is zeros
	recordSize recordKind = 's' // the size is a, and the limit b
)

type record struct {
	kind recordKind
	a, b int64
}

// head says whose a stage is and what it began with.
type head struct {
	Owner objstore.Owner
	Base  baseRef
	Size  int64
	Limit int64
}

// journal is the open journal of a changed stage.
type journal struct {
	file *os.File
	end  int64  // where the next record goes
	last record // the one before; kind 0: none
}

// beginJournal begins a journal, in an empty file, with what the stage is so far.
func beginJournal(f *os.File, h head, ranges extents) (*journal, error) {
	text, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	b := bytes.NewBuffer(append(text, '\n'))
	for _, e := range ranges {
		b.Write(e.record().encode())
	}
	if _, err := f.WriteAt(b.Bytes(), 0); err != nil {
		return nil, errors.Join(err, f.Truncate(0))
	}
	return &journal{file: f, end: int64(b.Len())}, nil
}

func (e extent) record() record {
	if e.zero {
		return record{recordZero, e.off, e.end}
	}
	return record{recordData, e.off, e.end}
}

func (r record) encode() []byte {
	b := make([]byte, recordBytes)
	b[0] = byte(r.kind)
	binary.LittleEndian.PutUint64(b[8:], uint64(r.a))
	binary.LittleEndian.PutUint64(b[16:], uint64(r.b))
	sum := blockhash.Of(b[:24])
	copy(b[24:], sum[:])
	return b
}

func decodeRecord(b []byte) (record, bool) {
	r := record{recordKind(b[0]), int64(binary.LittleEndian.Uint64(b[8:])), int64(binary.LittleEndian.Uint64(b[16:]))}
	return r, bytes.Equal(r.encode(), b[:recordBytes]) && r.a >= 0 && r.b >= 0
}

// add appends a record. One that goes on where the last ended is made one with it.
func (j *journal) add(r record) error {
	at := j.end
	if r.kind != recordSize && r.kind == j.last.kind && r.a == j.last.b {
		r.a, at = j.last.a, j.end-recordBytes
	}
	if _, err := j.file.WriteAt(r.encode(), at); err != nil {
		return err
	}
	j.last, j.end = r, at+recordBytes
	return nil
}

// readJournal reads a journal as far as its records are whole; io.EOF if it was not begun.
func readJournal(name string) (h head, records []record, err error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return h, nil, err
	}
	if len(b) == 0 {
		return h, nil, io.EOF
	}
	text, rest, found := bytes.Cut(b, []byte{'\n'})
	if !found {
		return h, nil, problem(objstore.ErrCorrupt, "the journal of a stage has no head")
	}
	if err := json.Unmarshal(text, &h); err != nil {
		return h, nil, &objstore.Error{Kind: objstore.ErrCorrupt, Detail: "the head of a stage's journal", Err: err}
	}
	for len(rest) >= recordBytes {
		r, ok := decodeRecord(rest)
		if !ok {
			break
		}
		records, rest = append(records, r), rest[recordBytes:]
	}
	return h, records, nil
}
