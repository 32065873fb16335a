package badgerstore

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/formatfile"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/space"
)

// The names in a store's directory. FORMAT.md says what they hold.
const (
	formatName    = "FORMAT"
	formatNewName = "FORMAT.new"
	linkProbeName = "link.probe"
	lockName      = "lock"
	marksName     = "marks"
	badgerName    = "badger"
	blobsName     = "blobs"
	stagingName   = "staging"
	clientsName   = "clients"
)

// formatVersion is the layout this package reads and writes.
const formatVersion = 1

// identity is what the file FORMAT says.
type identity struct {
	version int
	uuid    string
	needs   []string // features that a program must know
	text    string   // the whole file
}

func (id identity) String() string {
	return fmt.Sprintf("etagfs store\nformat %d\nuuid %s\n", id.version, id.uuid)
}

func newIdentity() (identity, error) {
	var p [16]byte
	if _, err := rand.Read(p[:]); err != nil {
		return identity{}, err
	}
	p[6], p[8] = p[6]&0x0f|0x40, p[8]&0x3f|0x80 // a random uuid, by RFC 9562
	id := identity{version: formatVersion, uuid: fmt.Sprintf("%x-%x-%x-%x-%x", p[:4], p[4:6], p[6:8], p[8:10], p[10:])}
	id.text = id.String()
	return id, nil
}

// parseIdentity reads a FORMAT file. Lines it does not know may follow, but for
// such as say what a reader needs to know.
func parseIdentity(dir string, p []byte) (id identity, err error) {
	text := string(p)
	id.text = text
	var ok bool
	if id.version, ok = formatfile.Version(text, "etagfs store"); !ok {
		return id, &objstore.Error{Op: "open store", Key: dir, Kind: objstore.ErrCorrupt,
			Detail: "the file FORMAT is damaged: restore a copy of the store"}
	}
	if id.version > formatVersion {
		return id, &objstore.Error{Op: "open store", Key: dir, Kind: objstore.ErrNewerFormat,
			Detail: fmt.Sprintf("the store has format %d and this program knows formats up to %d: use a newer one",
				id.version, formatVersion)}
	}
	for line := range strings.Lines(text) {
		if uuid, ok := strings.CutPrefix(line, "uuid "); ok {
			id.uuid = strings.TrimSpace(uuid)
		}
		feature, ok := strings.CutPrefix(strings.TrimSpace(line), "needs ")
		if ok && slices.Contains(knownFeatures(), feature) {
			id.needs = append(id.needs, feature)
		} else if ok {
			return id, &objstore.Error{Op: "open store", Key: dir, Kind: objstore.ErrNewerFormat,
				Detail: fmt.Sprintf("the store needs %q, which this program does not know: use a newer one",
					feature)}
		}
	}
	return id, nil
}

// identify reads whose store dir is. absent is set if dir is missing or
// holds nothing but what an interrupted creation may have left.
func identify(fsys disk.FS, dir string) (id identity, absent bool, err error) {
	p, err := readFile(fsys, filepath.Join(dir, formatName))
	if err == nil {
		id, err = parseIdentity(dir, p)
		return id, false, err
	}
	if errors.Is(err, syscall.ENOTDIR) {
		return id, false, &objstore.Error{Op: "open store", Key: dir, Kind: objstore.ErrInvalid,
			Detail: "it is a file, or below one, and a store is a directory: name one"}
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return id, false, disk.Error("open store", err)
	}
	names, err := fsys.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return id, true, nil
	}
	if err != nil {
		return id, false, disk.Error("open store", err)
	}
	for _, name := range names {
		switch name {
		case lockName, formatNewName, linkProbeName, space.BallastName, "lost+found":
		default:
			return id, false, &objstore.Error{Op: "open store", Key: dir, Kind: objstore.ErrInvalid,
				Detail: "the directory is not empty and not a store: name another one"}
		}
	}
	return id, true, nil
}

// writeIdentity makes dir a store. It is the first step of creation: everything
// else is made when it is missing and nothing was ever committed.
func writeIdentity(fsys disk.FS, dir string) (id identity, err error) {
	if id, err = newIdentity(); err != nil {
		return id, err
	}
	fresh, name := filepath.Join(dir, formatNewName), filepath.Join(dir, formatName)
	if err := fsys.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return id, err
	}
	f, err := fsys.Create(fresh)
	if err != nil {
		return id, err
	}
	if err = errors.Join(writeAll(f, []byte(id.String())), f.Sync(), f.Close()); err != nil {
		return id, err
	}
	if err := needLinks(fsys, dir, fresh); err != nil {
		return id, err
	}
	return id, errors.Join(fsys.Rename(fresh, name), fsys.SyncDir(dir), fsys.SyncDir(filepath.Dir(dir)))
}

// needLinks tries a hard link, which commits are made of.
func needLinks(fsys disk.FS, dir, file string) error {
	probe := filepath.Join(dir, linkProbeName)
	if err := fsys.Remove(probe); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := fsys.Link(file, probe); err != nil {
		return &objstore.Error{Op: "create store", Key: dir, Kind: objstore.ErrUnsupported,
			Detail: "the file system of the directory has no hard links: use another one", Err: err}
	}
	return fsys.Remove(probe)
}
