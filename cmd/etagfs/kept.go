package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/fs"
	"github.com/etagfs/etagfs/mount"
	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore"
)

// controlDefault is the control directory of a mount without -o control.
const controlDefault = ".etagfs"

const (
	conflictsName = "conflicts"
	infoName      = "info.json"
	resolveXattr  = "user.etagfs.resolve"
)

// with calls f with the conflicts of a mount or a store. A store that is mounted is reached
// through its mount.
func (p *conflictPlace) with(ctx context.Context, dirOrStore string, f func(keptCopies) error) error {
	if dirOrStore == "" {
		return noStore()
	}
	if isRemote(dirOrStore) {
		return usageErrorf("%s is a URL, and what lost in a mount of it is on the machine of the mount: name the mount point, there, and mount it again if it is not mounted", dirOrStore)
	}
	tree, notMounted := findMounted(dirOrStore, p.control)
	if silent := (*silentError)(nil); errors.As(notMounted, &silent) {
		return notMounted
	}
	if area, found := p.areaIn(dirOrStore); found {
		return f(keptInMount{area})
	}
	_, err := os.Lstat(filepath.Join(dirOrStore, p.control, conflictsName))
	if mount.ConnectionEnded(err) {
		return fmt.Errorf("%s is a mount whose daemon is gone: mount it again, or etagfs unmount %s and name the store", dirOrStore, dirOrStore)
	}
	if why := unanswering(dirOrStore, err); why != nil {
		return why
	}
	if notMounted == nil {
		return usageErrorf("%s is in a mount: name its mount point, %s", dirOrStore, tree.root)
	}
	store, err := storeDir(dirOrStore)
	if err != nil {
		return err
	}
	if owner, held, err := badgerstore.Owner(store); err == nil && held && owner.MountPoint != "" {
		if area, found := p.areaIn(owner.MountPoint); found {
			return f(keptInMount{area})
		}
	}
	return p.location.with(ctx, dirOrStore, func(bucket objstore.Store) error {
		ns, ok := bucket.(objstore.Namespace)
		if !ok {
			return &objstore.Error{Op: "conflicts", Key: dirOrStore, Kind: objstore.ErrUnsupported}
		}
		area := keptOf(ctx, ns, store, p.bucket, p.cache)
		if area == nil {
			return f(keptInStore{ns})
		}
		return errors.Join(f(keptInStore{keptHere{ns, area, slog.New(slog.DiscardHandler)}}), area.Close())
	})
}

// areaIn is where a mount at dir shows its conflicts.
func (p *conflictPlace) areaIn(dir string) (area string, found bool) {
	area = filepath.Join(dir, p.control, conflictsName)
	_, err := os.Stat(area)
	return area, err == nil
}

// keptInStore are the conflicts of a store this process has open.
type keptInStore struct{ ns objstore.Namespace }

func (k keptInStore) list(ctx context.Context) (infos [][]byte, err error) {
	conflicts, err := k.ns.ListConflicts(ctx)
	for _, c := range conflicts {
		infos = append(infos, fs.ConflictInfo(c))
	}
	return infos, err
}

func (k keptInStore) info(ctx context.Context, id objstore.ConflictID) ([]byte, error) {
	c, err := k.ns.Conflict(ctx, id)
	if err != nil {
		return nil, noSuchConflict(id, err)
	}
	return fs.ConflictInfo(c), nil
}

func (k keptInStore) copySide(ctx context.Context, id objstore.ConflictID, side string, w io.Writer) error {
	var which objstore.ConflictSide
	switch side {
	case "mine":
		which = objstore.SideMine
	case "base":
		which = objstore.SideBase
	case "theirs":
		which = objstore.SideTheirs
	default:
		return noSuchSide(side)
	}
	if _, err := k.info(ctx, id); err != nil {
		return err
	}
	reader, err := k.ns.OpenConflict(ctx, id, which)
	if err != nil {
		return err
	}
	return errors.Join(copyContent(ctx, reader, w), reader.Close())
}

func (k keptInStore) keepMine(ctx context.Context, id objstore.ConflictID) error {
	if _, err := k.info(ctx, id); err != nil {
		return err
	}
	_, err := fs.KeepMine(ctx, k.ns, id)
	return err
}

func (k keptInStore) drop(ctx context.Context, id objstore.ConflictID) error {
	if _, err := k.info(ctx, id); err != nil {
		return err
	}
	return fs.KeepTheirs(ctx, k.ns, id)
}

func (k keptInStore) current(ctx context.Context, info keptInfo) (objstore.Reader, error) {
	return fs.OpenPath(ctx, k.ns, info.Path)
}

func (k keptInStore) keepMerged(ctx context.Context, info keptInfo, want objstore.Version, body io.Reader) error {
	_, err := fs.KeepMerged(ctx, k.ns, info.ID, want, body)
	return err
}

func noSuchSide(side string) error {
	return usageErrorf("%q is none of mine, base and theirs", side)
}

// keptInMount are the conflicts below the control directory of a mount.
type keptInMount struct{ area string }

func (k keptInMount) list(context.Context) ([][]byte, error) {
	names, err := os.ReadDir(k.area)
	if err != nil {
		return nil, err
	}
	var infos []datedInfo
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(k.area, name.Name(), infoName))
		if errors.Is(err, iofs.ErrNotExist) {
			continue // decided meanwhile
		}
		if err != nil {
			return nil, err
		}
		info, err := parseKept(text)
		if err != nil {
			return nil, err
		}
		infos = append(infos, datedInfo{info.Time, text})
	}
	slices.SortStableFunc(infos, func(a, b datedInfo) int { return a.time.Compare(b.time) })
	texts := make([][]byte, len(infos))
	for i := range infos {
		texts[i] = infos[i].text
	}
	return texts, nil
}

// datedInfo is an info.json and when its conflict happened: ids sort by seconds only.
type datedInfo struct {
	time time.Time
	text []byte
}

// dir is where a conflict is.
func (k keptInMount) dir(id objstore.ConflictID) (string, error) {
	dir := filepath.Join(k.area, string(id))
	if filepath.Dir(dir) != filepath.Clean(k.area) || strings.HasPrefix(string(id), ".") {
		return "", noSuchConflict(id, objstore.ErrNotFound)
	}
	if _, err := os.Stat(dir); err != nil {
		return "", noSuchConflict(id, err)
	}
	return dir, nil
}

// noSuchConflict is err, in words that say where to look if it is that there is no such conflict.
func noSuchConflict(id objstore.ConflictID, err error) error {
	if errors.Is(err, iofs.ErrNotExist) || errors.Is(err, objstore.ErrNotFound) {
		return &objstore.Error{
			Op: "conflict", Key: string(id), Kind: objstore.ErrNotFound,
			Detail: "there is no such conflict: etagfs conflicts list lists those there are",
		}
	}
	return fmt.Errorf("conflict %s: %w", id, err)
}

func (k keptInMount) info(_ context.Context, id objstore.ConflictID) ([]byte, error) {
	dir, err := k.dir(id)
	if err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(dir, infoName))
}

func (k keptInMount) copySide(_ context.Context, id objstore.ConflictID, side string, w io.Writer) error {
	if side != "mine" && side != "base" && side != "theirs" {
		return noSuchSide(side)
	}
	dir, err := k.dir(id)
	if err != nil {
		return err
	}
	f, err := os.Open(filepath.Join(dir, side))
	if err != nil {
		return fmt.Errorf("%s of conflict %s: %w", side, id, err)
	}
	_, err = io.Copy(w, f)
	return errors.Join(err, f.Close())
}

// keepMine has the daemon decide: only there is the condition checked at the commit.
func (k keptInMount) keepMine(_ context.Context, id objstore.ConflictID) error {
	dir, err := k.dir(id)
	if err != nil {
		return err
	}
	err = unix.Setxattr(dir, resolveXattr, []byte("keep-mine"), 0)
	if errors.Is(err, unix.EBUSY) {
		return fmt.Errorf("keep-mine %s: the file is not what won any more; look again, the bytes are still kept: %w", id, err)
	}
	if errors.Is(err, unix.ENOTSUP) {
		return fmt.Errorf("keep-mine %s: zeros stand in the copy for bytes that could not be had, which its info.json names: "+
			"take from it what is wanted, and drop it: %w", id, err)
	}
	if err != nil {
		return fmt.Errorf("keep-mine %s: %w", id, err)
	}
	return nil
}

func (k keptInMount) drop(_ context.Context, id objstore.ConflictID) error {
	dir, err := k.dir(id)
	if err != nil {
		return err
	}
	if err := unix.Rmdir(dir); err != nil {
		return fmt.Errorf("drop %s: %w", id, err)
	}
	return nil
}

// files are those of the mount.
func (k keptInMount) files() mountFiles { return mountFiles{filepath.Dir(k.area)} }

func (k keptInMount) path(info keptInfo) objstore.Key {
	return objstore.Key(filepath.Join(filepath.Dir(filepath.Dir(k.area)), info.Path))
}

func (k keptInMount) current(ctx context.Context, info keptInfo) (objstore.Reader, error) {
	return k.files().Get(ctx, k.path(info), objstore.Unconditional())
}

func (k keptInMount) keepMerged(ctx context.Context, info keptInfo, want objstore.Version, body io.Reader) error {
	_, err := k.files().Put(ctx, k.path(info), body, objstore.IfVersion(want), objstore.PutOptions{})
	if err != nil {
		return err
	}
	return k.drop(ctx, info.ID)
}
