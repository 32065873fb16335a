package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/etagfs/etagfs/cache"
	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/remote"
)

// sharedStore is a store that others use as well, and what is kept of it on this machine.
type sharedStore struct {
	*remote.Store
	area *cache.Area
}

// openShared has what is written to store staged below dir. What an earlier mount was writing when it died is kept.
func openShared(ctx context.Context, store *remote.Store, dir string, logger *slog.Logger) (*sharedStore, error) {
	area, err := openArea(dir, store.Capabilities().ObjectBytesMax, logger)
	if err != nil {
		return nil, err
	}
	from := versionsOf{store}
	store.StageIn(func(ctx context.Context, spec objstore.StageSpec) (objstore.Stage, error) {
		return area.NewStage(ctx, spec, from)
	})
	sweepArea(ctx, area, from, logger)
	return &sharedStore{store, area}, nil
}

func openArea(dir string, objectBytesMax int64, logger *slog.Logger) (*cache.Area, error) {
	return cache.OpenArea(dir, cache.Options{ObjectBytesMax: objectBytesMax, Logger: logger})
}

func sweepArea(ctx context.Context, area *cache.Area, from cache.Committer, logger *slog.Logger) {
	if err := area.Sweep(ctx, from); err != nil {
		logger.Warn("what earlier mounts were writing is still to be kept", "error", err)
	}
}

// areaThere is the area of a store that other mounts on this machine have used through another process; nil
// if none has.
func areaThere(dir string, objectBytesMax int64, logger *slog.Logger) (*cache.Area, error) {
	if _, err := os.Stat(filepath.Join(dir, "kept")); errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return openArea(dir, objectBytesMax, logger)
}

// GiveBack does nothing.
func (*sharedStore) GiveBack() {}

// Close ends both.
func (s *sharedStore) Close() error { return errors.Join(s.area.Close(), s.Store.Close()) }

// versionsOf finds versions of contents in a namespace, to complete what is kept of them.
type versionsOf struct{ objstore.Namespace }

// CommitContent refuses: what is staged is committed otherwise.
func (v versionsOf) CommitContent(_ context.Context, req objstore.CommitRequest, _ objstore.Reader) (objstore.CommitResult, error) {
	return objstore.CommitResult{}, &objstore.Error{Op: "commit", Key: req.Target.Name, Kind: objstore.ErrUnsupported}
}

// OpenVersion implements [cache.Committer].
func (v versionsOf) OpenVersion(ctx context.Context, object objstore.ID, path string, want objstore.Version) (objstore.Reader, error) {
	if object == 0 {
		object = v.Root()
		for name := range strings.SplitSeq(path, "/") {
			info, err := v.Lookup(ctx, object, name)
			if err != nil {
				return nil, err
			}
			object = info.ID
		}
	}
	return v.Open(ctx, object, want)
}

// keptHere is a namespace whose kept copies are also those of an area on this machine.
type keptHere struct {
	objstore.Namespace
	area *cache.Area
	log  *slog.Logger
}

// ListConflicts implements [objstore.Conflicts]. Without the store, those of this machine are listed.
func (k keptHere) ListConflicts(ctx context.Context) ([]objstore.Conflict, error) {
	here, err := k.area.ListConflicts(ctx)
	if err != nil {
		return nil, err
	}
	there, err := k.Namespace.ListConflicts(ctx)
	if err != nil && (len(here) == 0 || objstore.KindOf(err) != objstore.ErrUnavailable) {
		return nil, err
	}
	if err != nil {
		k.log.Warn("only the kept copies of this machine can be listed", "error", err)
	}
	there = slices.DeleteFunc(there, func(c objstore.Conflict) bool { // which the store has an older state of
		return slices.ContainsFunc(here, func(h objstore.Conflict) bool { return h.ID == c.ID })
	})
	return merged(there, here), nil
}

// merged are two lists in one, each in its own order: clocks of other machines may be wrong.
func merged(there, here []objstore.Conflict) (all []objstore.Conflict) {
	for len(there) > 0 && len(here) > 0 {
		if here[0].Time.Before(there[0].Time) {
			all, here = append(all, here[0]), here[1:]
		} else {
			all, there = append(all, there[0]), there[1:]
		}
	}
	return append(append(all, there...), here...)
}

// Conflict implements [objstore.Conflicts].
func (k keptHere) Conflict(ctx context.Context, id objstore.ConflictID) (objstore.Conflict, error) {
	c, err := k.area.Conflict(ctx, id)
	if objstore.KindOf(err) == objstore.ErrNotFound {
		return k.Namespace.Conflict(ctx, id)
	}
	return c, err
}

// OpenConflict implements [objstore.Conflicts].
func (k keptHere) OpenConflict(ctx context.Context, id objstore.ConflictID, side objstore.ConflictSide) (objstore.Reader, error) {
	if k.has(ctx, id) {
		return k.area.OpenConflict(ctx, id, side)
	}
	return k.Namespace.OpenConflict(ctx, id, side)
}

// DropConflict implements [objstore.Conflicts].
func (k keptHere) DropConflict(ctx context.Context, id objstore.ConflictID) error {
	if !k.has(ctx, id) {
		return k.Namespace.DropConflict(ctx, id)
	}
	if err := k.area.DropConflict(ctx, id); err != nil {
		return err
	}
	// The store may have it too, if it was kept here because a reply of the store was lost.
	if err := k.Namespace.DropConflict(ctx, id); err != nil && objstore.KindOf(err) != objstore.ErrNotFound {
		k.log.Warn("the store may still have a copy of what was dropped here", "conflict", string(id), "error", err)
	}
	return nil
}

func (k keptHere) has(ctx context.Context, id objstore.ConflictID) bool {
	_, err := k.area.Conflict(ctx, id)
	return err == nil
}

// owned is a store of this process's own, with what mounts through other processes have kept of it on this machine.
type owned struct {
	engine
	area *cache.Area
}

// Close ends both.
func (o owned) Close() error { return errors.Join(o.area.Close(), o.engine.Close()) }

// keptBeside is what mounts through other processes have kept of a bucket on this machine, and what they were writing
// when they died; nil if there was none.
func (d daemon) keptBeside(ctx context.Context, ns objstore.Namespace, store, bucket string, logger *slog.Logger) *cache.Area {
	name, err := d.localName(bucket, store, bucket)
	if err != nil {
		return nil // nobody has kept anything where there is no place for it
	}
	area, err := areaThere(name, ns.Capabilities().ObjectBytesMax, logger)
	if err != nil {
		logger.Warn("what mounts through other processes have kept cannot be looked at", "error", err)
		return nil
	}
	if area != nil {
		sweepArea(ctx, area, versionsOf{ns}, logger)
	}
	return area
}

// keptOf is what mounts of the user have kept of a store below a directory, empty for the default; nil if nothing.
func keptOf(ctx context.Context, ns objstore.Namespace, store, bucket, below string) *cache.Area {
	dir, err := filepath.Abs(store)
	if err != nil {
		return nil
	}
	return daemon{cache: below}.keptBeside(ctx, ns, dir, bucket, slog.New(slog.DiscardHandler))
}
