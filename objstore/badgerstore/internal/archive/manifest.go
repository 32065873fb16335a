package archive

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

// Manifest is one backup of a store.
type Manifest struct {
	ID        string // its name: the time it was begun, in UTC
	Store     string // the store's UUID
	Taken     time.Time
	Commit    uint64   // what it has is what was there after this commit
	Lease     uint64   // numbers below may have been given out by then
	Needs     []string // features that a program must know
	Objects   uint64   // files and directories
	Blobs     uint64
	BlobBytes uint64

	Records  []Piece // of records, in the order of keys
	BlobList []Piece // of blobs, in the order of kinds and numbers
}

// idLayout sorts as time does.
const idLayout = "20060102T150405.000Z"

const (
	manifestHead = "etagfs backup 1"
	manifestEnd  = "end "
)

func (m *Manifest) encode() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\nstore %s\ntaken %s\ncommit %d\nlease %d\nobjects %d\nblobs %d\nblobbytes %d\n", manifestHead,
		m.Store, m.Taken.UTC().Format(time.RFC3339Nano), m.Commit, m.Lease, m.Objects, m.Blobs, m.BlobBytes)
	for _, need := range m.Needs {
		fmt.Fprintf(&b, "needs %s\n", need)
	}
	for _, p := range m.Records {
		fmt.Fprintf(&b, "records %v %d\n", p.Digest, p.Bytes)
	}
	for _, p := range m.BlobList {
		fmt.Fprintf(&b, "bloblist %v %d\n", p.Digest, p.Bytes)
	}
	fmt.Fprintf(&b, "%s%v\n", manifestEnd, Digest(sha256.Sum256(b.Bytes())))
	return b.Bytes()
}

func decodeManifest(p []byte) (m *Manifest, err error) {
	at := bytes.LastIndex(p, []byte("\n"+manifestEnd)) + 1
	want := manifestEnd + Digest(sha256.Sum256(p[:at])).String() + "\n"
	if at == 0 || string(p[at:]) != want {
		return nil, errors.New("its last line does not have the digest of the others")
	}
	lines := strings.Split(strings.TrimSuffix(string(p[:at]), "\n"), "\n")
	if lines[0] != manifestHead {
		return nil, fmt.Errorf("it begins with %q", lines[0])
	}
	m = &Manifest{}
	for _, line := range lines[1:] {
		word, rest, _ := strings.Cut(line, " ")
		if err := m.field(word, rest); err != nil {
			return nil, fmt.Errorf("its line %q: %w", line, err)
		}
	}
	return m, nil
}

func (m *Manifest) field(word, rest string) (err error) {
	number := func(to *uint64) { *to, err = strconv.ParseUint(rest, 10, 64) }
	piece := func(to *[]Piece) {
		var p Piece
		p, err = parsePiece(rest)
		*to = append(*to, p)
	}
	switch word {
	case "store":
		m.Store = rest
	case "taken":
		m.Taken, err = time.Parse(time.RFC3339Nano, rest)
	case "needs":
		m.Needs = append(m.Needs, rest)
	case "commit":
		number(&m.Commit)
	case "lease":
		number(&m.Lease)
	case "objects":
		number(&m.Objects)
	case "blobs":
		number(&m.Blobs)
	case "blobbytes":
		number(&m.BlobBytes)
	case "records":
		piece(&m.Records)
	case "bloblist":
		piece(&m.BlobList)
	default:
		err = errors.New("it is not known")
	}
	return err
}

func parsePiece(text string) (p Piece, err error) {
	digest, size, _ := strings.Cut(text, " ")
	if p.Digest, err = ParseDigest(digest); err == nil {
		p.Bytes, err = strconv.ParseInt(size, 10, 64)
	}
	return p, err
}

// IDs are the backups there are, oldest first.
func (a *Archive) IDs() ([]string, error) {
	names, err := a.fs.ReadDir(filepath.Join(a.dir, backupsName))
	if err != nil {
		return nil, disk.Error("list backups", err)
	}
	return names, nil
}

// Manifest reads a backup; ErrNotFound if there is none with that id.
func (a *Archive) Manifest(id string) (*Manifest, error) {
	if id == "" || filepath.Base(id) != id {
		return nil, &objstore.Error{Op: "read backup", Key: id, Kind: objstore.ErrInvalid, Detail: "this is no name of a backup"}
	}
	name := filepath.Join(a.dir, backupsName, id)
	p, err := readFile(a.fs, name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &objstore.Error{Op: "read backup", Key: id, Kind: objstore.ErrNotFound, Detail: "there is no such backup"}
	}
	if err != nil {
		return nil, disk.Error("read backup", err)
	}
	m, err := decodeManifest(p)
	if err != nil {
		return nil, corrupt("%s is damaged: %v", name, err)
	}
	m.ID = id
	return m, nil
}

// Newest is the newest backup whose manifest is whole; nil if there is none. The names of damaged ones that are newer
// come with it.
func (a *Archive) Newest() (newest *Manifest, damaged []string, err error) {
	ids, err := a.IDs()
	if err != nil {
		return nil, nil, err
	}
	for _, id := range slices.Backward(ids) {
		m, err := a.Manifest(id)
		switch {
		case objstore.KindOf(err) == objstore.ErrCorrupt:
			damaged = append(damaged, id)
		case err != nil:
			return nil, nil, err
		default:
			return m, damaged, nil
		}
	}
	return nil, damaged, nil
}

// Finish makes a backup that can be restored. It gets its ID here, a later one than any before.
func (a *Archive) Finish(m *Manifest) error {
	if err := a.sync(); err != nil {
		return err
	}
	ids, err := a.IDs()
	if err != nil {
		return err
	}
	at := m.Taken.UTC()
	for m.ID = at.Format(idLayout); len(ids) > 0 && cmp.Compare(m.ID, ids[len(ids)-1]) <= 0; m.ID = at.Format(idLayout) {
		last, err := time.Parse(idLayout, ids[len(ids)-1])
		if err != nil {
			return corrupt("%s is no backup", filepath.Join(a.dir, backupsName, ids[len(ids)-1]))
		}
		at = last.Add(time.Millisecond)
	}
	if err := a.write(filepath.Join(a.dir, backupsName, m.ID), m.encode()); err != nil {
		return err
	}
	return a.sync()
}
