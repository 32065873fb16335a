package fs

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// The control directory is a read-only tree of this package's own:
//
//	.etagfs/conflicts/<id>/{mine,base,theirs,info.json}
//	.etagfs/NAME                                        of each [ControlFile]
//
// The root never lists it. An entry of that name that comes to the store while it is mounted, by another mount with
// another control=NAME or by a client of S3, is hidden by it, and goes on to exist.
//
// A conflict is seen by the user who lost and by root. Removing its directory (rmdir)
// drops it; setting user.etagfs.resolve on it to "keep-mine" or "keep-theirs" decides it. Both
// answer with the outcome, and the kernel checks that the caller may write to it.

// controlBit marks the object ids of the control directory, which no store gives out. Below it are the
// number of the conflict and, in the lowest bits, which of its entries.
const (
	controlBit      = objstore.ID(1) << 63
	controlRoot     = controlBit | 1
	controlArea     = controlBit | 2
	controlSideBits = 3
	controlFirst    = 4 // number of the first conflict; what is below has ids of its own
)

// controlEntry is which part of a conflict an id means.
type controlEntry uint8

const (
	entryDir controlEntry = iota
	entryMine
	entryBase
	entryTheirs
	entryInfo
)

// conflictEntries are the names in a conflict's directory.
var conflictEntries = []struct {
	name  string
	entry controlEntry
}{{"mine", entryMine}, {"base", entryBase}, {"theirs", entryTheirs}, {"info.json", entryInfo}}

const areaName = "conflicts"

// keptArea numbers the conflicts the control directory has shown.
type keptArea struct {
	wake    chan struct{} // a conflict was added: prune
	pruning sync.Mutex    // held while pruning, over store calls

	mu      sync.Mutex
	numbers map[objstore.ConflictID]uint64 // guarded by mu
	ids     []objstore.ConflictID          // guarded by mu; the inverse, from controlFirst
}

func newKeptArea() *keptArea {
	return &keptArea{wake: make(chan struct{}, 1), numbers: make(map[objstore.ConflictID]uint64)}
}

// added asks for pruning in the background.
func (a *keptArea) added() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// object is the object id of a part of a conflict.
func (a *keptArea) object(id objstore.ConflictID, entry controlEntry) objstore.ID {
	a.mu.Lock()
	defer a.mu.Unlock()
	n, ok := a.numbers[id]
	if !ok {
		a.ids = append(a.ids, id)
		n = uint64(len(a.ids)-1) + controlFirst
		a.numbers[id] = n
	}
	return controlBit | objstore.ID(n<<controlSideBits) | objstore.ID(entry)
}

// parse is the inverse of object.
func (a *keptArea) parse(object objstore.ID) (objstore.ConflictID, controlEntry, bool) {
	n := uint64(object&^controlBit) >> controlSideBits
	entry := controlEntry(object & (1<<controlSideBits - 1))
	a.mu.Lock()
	defer a.mu.Unlock()
	if n < controlFirst || n-controlFirst >= uint64(len(a.ids)) {
		return "", 0, false
	}
	return a.ids[n-controlFirst], entry, true
}

func isControl(id objstore.ID) bool { return id&controlBit != 0 }

// inControl reports whether a name leads into the control directory.
func (fs *FS) inControl(dir objstore.ID, name string) bool {
	return isControl(dir) || name == fs.options.Control && dir == fs.ns.Root()
}

// mayResolve reports whether a conflict is the caller's business.
func mayResolve(c Caller, conflict objstore.Conflict) bool {
	return c.UID == 0 || c.UID == conflict.UID
}

func notInControl(name string) error {
	return &objstore.Error{Op: "lookup", Key: name, Kind: objstore.ErrNotFound}
}

func (fs *FS) lookupControl(ctx context.Context, c Caller, dir objstore.ID, name string) (Entry, error) {
	object := objstore.ID(0)
	switch {
	case !isControl(dir):
		object = controlRoot
	case dir == controlRoot && name == areaName:
		object = controlArea
	case dir == controlRoot:
		object = fs.textNamed(name)
	case dir == controlArea:
		if _, err := fs.visibleConflict(ctx, c, objstore.ConflictID(name)); err != nil {
			return Entry{}, err
		}
		object = fs.kept.object(objstore.ConflictID(name), entryDir)
	default:
		id, part, ok := fs.kept.parse(dir)
		if !ok || part != entryDir {
			return Entry{}, notInControl(name)
		}
		for _, e := range conflictEntries {
			if e.name == name {
				object = fs.kept.object(id, e.entry)
			}
		}
	}
	if object == 0 {
		return Entry{}, notInControl(name)
	}
	attr, err := fs.statControl(ctx, c, object)
	return Entry{View: View{Object: object}, Attr: attr}, err
}

// visibleConflict is a conflict that is the caller's business; to others it does not exist.
func (fs *FS) visibleConflict(ctx context.Context, c Caller, id objstore.ConflictID) (objstore.Conflict, error) {
	conflict, err := fs.ns.Conflict(ctx, id)
	if err == nil && !mayResolve(c, conflict) {
		err = notInControl(string(id))
	}
	return conflict, err
}

func (fs *FS) statControl(ctx context.Context, c Caller, object objstore.ID) (Attr, error) {
	if object == controlRoot || object == controlArea {
		// Sticky and open to all: the kernel lets a user remove only what is the user's own.
		a := Attr{Object: object, Type: objstore.TypeDir, Mode: 0o1777, Nlink: 2, Atime: fs.began, Mtime: fs.began, Ctime: fs.began}
		if object == controlRoot {
			a.Mode = 0o555
		}
		return a, nil
	}
	if f := fs.text(object); f != nil {
		return fs.attrOf(ctx, object, f), nil
	}
	id, part, ok := fs.kept.parse(object)
	if !ok {
		return Attr{}, notInControl("")
	}
	conflict, err := fs.visibleConflict(ctx, c, id)
	if err != nil {
		return Attr{}, err
	}
	a := Attr{
		Object: object, Type: objstore.TypeFile, Mode: conflict.Mode & 0o444, UID: conflict.UID, GID: conflict.GID, Nlink: 1,
		Atime: conflict.Time, Mtime: conflict.Time, Ctime: conflict.Time,
	}
	switch part {
	case entryDir:
		a.Type, a.Mode, a.Nlink = objstore.TypeDir, 0o700, 2
	case entryInfo:
		a.Mode = 0o400
		a.Size = int64(len(ConflictInfo(conflict)))
	default:
		size, held := sideSize(conflict, part)
		if !held {
			return Attr{}, notInControl(string(id))
		}
		a.Size, a.Allocated = size, size
		a.Mode |= 0o400
	}
	return a, nil
}

// sideSize is the size of a side, and whether its bytes are there.
func sideSize(c objstore.Conflict, part controlEntry) (size int64, held bool) {
	switch part {
	case entryMine:
		return c.Bytes, true
	case entryBase:
		return c.Base.Size, c.Base.Held
	default:
		return c.Theirs.Size, c.Theirs.Held
	}
}

// readControl lists a control directory; conflicts are those of the caller.
func (d *Dir) readControl(ctx context.Context, c Caller, cookie uint64, yield func(DirEntry, uint64) bool) error {
	names, err := d.fs.controlNames(ctx, c, d.id)
	if err != nil {
		return notFoundIsEnd(err)
	}
	after := ""
	if cookie >= firstCookie {
		after = d.cookies.at(int(cookie - firstCookie))
	}
	for _, name := range names {
		if name <= after {
			continue
		}
		entry, err := d.fs.lookupControl(ctx, c, d.id, name)
		if errors.Is(err, objstore.ErrNotFound) {
			continue
		}
		if err != nil || !yield(DirEntry{name, entry}, d.cookie(DirEntry{name, entry})) {
			return err
		}
	}
	return nil
}

// controlNames are the names in a control directory, in order.
func (fs *FS) controlNames(ctx context.Context, c Caller, dir objstore.ID) ([]string, error) {
	switch dir {
	case controlRoot:
		names := []string{areaName}
		for _, f := range fs.texts {
			names = append(names, f.Name)
		}
		return sorted(names), nil
	case controlArea:
		all, err := fs.ns.ListConflicts(ctx)
		var names []string
		for _, conflict := range all {
			if mayResolve(c, conflict) {
				names = append(names, string(conflict.ID))
			}
		}
		return sorted(names), err
	default:
		var names []string
		for _, e := range conflictEntries {
			names = append(names, e.name)
		}
		return sorted(names), nil
	}
}

func (fs *FS) controlParent(dir objstore.ID) objstore.ID {
	switch dir {
	case controlRoot:
		return fs.ns.Root()
	case controlArea:
		return controlRoot
	default:
		return controlArea
	}
}

// dropControl is rmdir of a conflict's directory.
func (fs *FS) dropControl(ctx context.Context, c Caller, dir objstore.ID, name string) error {
	if dir != controlArea {
		return &Error{Op: "rmdir", Path: name, Kind: ErrNotPermitted}
	}
	if _, err := fs.visibleConflict(ctx, c, objstore.ConflictID(name)); err != nil {
		return err
	}
	return fs.ns.DropConflict(ctx, objstore.ConflictID(name))
}

// resolveControl decides a conflict. Commits it makes are told to the kernel as those of a stranger.
func (fs *FS) resolveControl(ctx context.Context, c Caller, object objstore.ID, verb string) error {
	id, part, ok := fs.kept.parse(object)
	if !ok || part != entryDir {
		return &Error{Op: "resolve", Kind: ErrNotPermitted}
	}
	if _, err := fs.visibleConflict(ctx, c, id); err != nil {
		return err
	}
	if err := fs.writable("resolve"); err != nil {
		return err
	}
	ctx, cancel := fs.commitContext(ctx)
	defer cancel()
	switch verb {
	case "keep-mine":
		_, err := KeepMine(ctx, fs.ns, id)
		fs.notices.drain(ctx)
		return err
	case "keep-theirs":
		return KeepTheirs(ctx, fs.ns, id)
	default:
		return &objstore.Error{Op: "resolve", Key: verb, Kind: objstore.ErrInvalid}
	}
}

// controlFile is an open file of the control directory.
type controlFile struct {
	id     objstore.ID
	attr   Attr
	size   int64
	reader objstore.Reader // of a content
	source *ControlFile    // of a text that may be another later

	mu    sync.Mutex
	text  []byte // info.json, or what source said; guarded by mu
	ended bool   // the last read was told that it ends; guarded by mu
}

func (fs *FS) openControl(ctx context.Context, c Caller, v View, mode OpenMode) (*Handle, Entry, error) {
	attr, err := fs.statControl(ctx, c, v.Object)
	if err != nil {
		return nil, Entry{}, err
	}
	if mode.Write || mode.Truncate || attr.Type != objstore.TypeFile {
		return nil, Entry{}, &Error{Op: "open", Kind: ErrNotPermitted}
	}
	id, part, _ := fs.kept.parse(v.Object)
	file := &controlFile{id: v.Object, attr: attr, size: attr.Size}
	if file.source = fs.text(v.Object); file.source != nil {
		file.text = file.source.Text(ctx)
	} else if part == entryInfo {
		conflict, err := fs.visibleConflict(ctx, c, id)
		if err != nil {
			return nil, Entry{}, err
		}
		file.text = ConflictInfo(conflict)
	} else {
		sides := map[controlEntry]objstore.ConflictSide{entryMine: objstore.SideMine, entryBase: objstore.SideBase, entryTheirs: objstore.SideTheirs}
		if file.reader, err = fs.ns.OpenConflict(ctx, id, sides[part]); err != nil {
			return nil, Entry{}, err
		}
	}
	return &Handle{fs: fs, mode: mode, control: file}, Entry{View: v, Attr: attr}, nil
}

func (f *controlFile) read(ctx context.Context, p []byte, off int64) (n int, err error) {
	switch {
	case f.reader != nil:
		n, err = f.reader.ReadAt(ctx, p, off)
	default:
		n = f.textAt(ctx, p, off)
	}
	if err == io.EOF {
		err = nil
	}
	return n, err
}

func (f *controlFile) close() {
	if f.reader != nil {
		f.reader.Close()
	}
}

// KeptInfo is info.json of a conflict. Fields are only ever added.
type KeptInfo struct {
	ID           objstore.ConflictID `json:"id"`
	Reason       string              `json:"reason"`
	Path         string              `json:"path"`
	PathBytes    []byte              `json:"path_base64,omitempty"` // if Path could not say it
	Object       objstore.ID         `json:"object"`
	UID          uint32              `json:"uid"`
	PID          uint32              `json:"pid"`
	Host         string              `json:"host"`
	Time         time.Time           `json:"time"`
	Operation    string              `json:"operation"`
	Base         objstore.ETag       `json:"base"`
	Theirs       objstore.ETag       `json:"theirs"`
	Bytes        int64               `json:"bytes"`
	Detail       string              `json:"detail"`
	Gaps         bool                `json:"gaps"`
	NotAvailable []string            `json:"not_available"`
}

// ConflictInfo is info.json of a conflict: one line of JSON.
func ConflictInfo(c objstore.Conflict) []byte {
	info := KeptInfo{
		ID: c.ID, Reason: ReasonText(c.Reason), Path: c.Path, PathBytes: PathBytes(c.Path), Object: c.Object, UID: c.UID, PID: c.PID, Host: c.Host,
		Time: c.Time.UTC(), Operation: c.Operation, Base: c.Base.ETag, Theirs: c.Theirs.ETag, Bytes: c.Bytes, Detail: c.Detail,
		Gaps:         c.Gaps,
		NotAvailable: []string{},
	}
	if !c.Base.Held {
		info.NotAvailable = append(info.NotAvailable, missing("base", c.Base))
	}
	if !c.Theirs.Held {
		info.NotAvailable = append(info.NotAvailable, missing("theirs", c.Theirs))
	}
	text, err := json.Marshal(info)
	if err != nil {
		return []byte(strconv.Quote(err.Error())) // no field of info can fail
	}
	return append(text, '\n')
}

// missing says why a side is not there.
func missing(side string, ref objstore.ContentRef) string {
	if !ref.Exists {
		return side + ": there was no file"
	}
	return side + ": its bytes were not held"
}

// ReasonText is a reason as info.json has it.
func ReasonText(r objstore.ConflictReason) string {
	switch r {
	case objstore.ReasonLost:
		return "lost"
	case objstore.ReasonFailed:
		return "failed"
	case objstore.ReasonUnknown:
		return "unknown"
	default:
		return "crash"
	}
}
