package remote

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/wire"
)

// idsAtOnce is how many ids are reserved in one request.
const idsAtOnce = 64

// NewID implements [objstore.Namespace].
func (s *Store) NewID(ctx context.Context) (objstore.ID, error) {
	s.mu.Lock()
	if len(s.ids) > 0 {
		id := s.ids[0]
		s.ids = s.ids[1:]
		s.mu.Unlock()
		return id, nil
	}
	s.mu.Unlock()
	var m wire.Release
	if err := s.ask(ctx, request{op: "new id", method: wire.MethodNewIDs, message: &wire.Count{Count: idsAtOnce}}, &m); err != nil {
		return 0, err
	}
	if len(m.Handles) == 0 {
		return 0, &objstore.Error{Op: "new id", Kind: objstore.ErrUnavailable}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range m.Handles[1:] {
		s.ids = append(s.ids, objstore.ID(id))
	}
	return objstore.ID(m.Handles[0]), nil
}

func idText(id objstore.ID) string { return "id " + strconv.FormatUint(uint64(id), 10) }

// infoOf asks for one.
func (s *Store) infoOf(ctx context.Context, q request) (objstore.Info, error) {
	var m wire.Info
	if err := s.ask(ctx, q, &m); err != nil {
		return objstore.Info{}, err
	}
	return m.Info, nil
}

// Lookup implements [objstore.Namespace].
func (s *Store) Lookup(ctx context.Context, parent objstore.ID, name string) (objstore.Info, error) {
	e := entry{parent, name}
	if info, err, ok := s.remembered(e); ok {
		return info, err
	}
	asked := s.records.now()
	info, err := s.infoOf(ctx, request{op: "lookup", key: name, method: wire.MethodLookup, message: &wire.Name{Parent: parent, Name: name}})
	if err == nil || errors.Is(err, objstore.ErrNotFound) {
		s.records.learn(asked, e, info)
	}
	return info, err
}

// Stat implements [objstore.Namespace].
func (s *Store) Stat(ctx context.Context, id objstore.ID) (objstore.Info, error) {
	if s.Trust() > 0 {
		if info, ok := s.records.stat(id); ok {
			return info, nil
		}
	}
	asked := s.records.now()
	info, err := s.infoOf(ctx, request{op: "stat", key: idText(id), method: wire.MethodStat, message: &wire.Object{ID: id}})
	if err == nil {
		s.records.learnAttributes(asked, info)
	}
	return info, err
}

// Parent implements [objstore.Namespace].
func (s *Store) Parent(ctx context.Context, id objstore.ID) (objstore.ID, error) {
	var m wire.Object
	if err := s.ask(ctx, request{op: "parent", key: idText(id), method: wire.MethodParent, message: &wire.Object{ID: id}}, &m); err != nil {
		return 0, err
	}
	return m.ID, nil
}

// Path implements [objstore.Namespace].
func (s *Store) Path(ctx context.Context, id objstore.ID) (string, error) {
	if s.Trust() > 0 {
		if path, ok := s.records.path(id); ok {
			return path, nil
		}
	}
	asked := s.records.now()
	path, err := s.textOf(ctx, request{op: "path", key: idText(id), method: wire.MethodPath, message: &wire.Object{ID: id}})
	if err == nil {
		s.records.learnPath(asked, id, path)
	}
	return path, err
}

// Readlink implements [objstore.Namespace].
func (s *Store) Readlink(ctx context.Context, id objstore.ID) (string, error) {
	return s.textOf(ctx, request{op: "readlink", key: idText(id), method: wire.MethodReadlink, message: &wire.Object{ID: id}})
}

func (s *Store) textOf(ctx context.Context, q request) (string, error) {
	var m wire.Text
	if err := s.ask(ctx, q, &m); err != nil {
		return "", err
	}
	return m.Text, nil
}

// wholeMost is up to how many entries a listing is begun with, however few are wanted: a directory that has no more can be remembered as
// a whole, and with it which names it does not have.
const wholeMost = 256

// ReadDir implements [objstore.Namespace]. All infos come in the same reply.
func (s *Store) ReadDir(ctx context.Context, dir objstore.ID, after string, wanted int) ([]objstore.DirEntry, bool, error) {
	var m wire.Entries
	asked, most := s.records.now(), wanted
	if after == "" {
		most = max(most, wholeMost)
	}
	err := s.ask(ctx, request{
		op: "readdir", key: idText(dir), method: wire.MethodReadDir, message: &wire.ReadDir{Dir: dir, After: after, Max: most},
	}, &m)
	if err != nil {
		return nil, false, err
	}
	for _, e := range m.Entries {
		s.records.learn(asked, entry{dir, e.Name}, e.Info)
	}
	if after == "" && !m.More {
		s.records.learnWhole(asked, dir, m.Entries)
	}
	if len(m.Entries) > wanted {
		return m.Entries[:wanted], true, nil
	}
	return m.Entries, m.More, nil
}

// Open implements [objstore.Namespace].
func (s *Store) Open(ctx context.Context, id objstore.ID, want objstore.Version) (objstore.Reader, error) {
	r, err := s.opening(ctx, request{
		op: "open", key: idText(id), method: wire.MethodOpen, message: &wire.Open{ID: id, Want: want, Prefetch: PrefetchBytes},
	})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// Make implements [objstore.Namespace].
func (s *Store) Make(ctx context.Context, req objstore.MakeRequest) (objstore.Info, error) {
	return s.infoOf(ctx, request{op: "make", key: req.Name, method: wire.MethodMake, message: &wire.Make{Request: req}})
}

// Link implements [objstore.Namespace].
func (s *Store) Link(ctx context.Context, id, parent objstore.ID, name string, d objstore.Durability) (objstore.Info, error) {
	return s.infoOf(ctx, request{
		op: "link", key: name, method: wire.MethodLink, message: &wire.Link{ID: id, Parent: parent, Name: name, Durability: d},
	})
}

// Unlink implements [objstore.Namespace].
func (s *Store) Unlink(ctx context.Context, parent objstore.ID, name string, cond objstore.Cond, d objstore.Durability) (objstore.RemoveResult, error) {
	return s.remove(ctx, request{
		op: "unlink", key: name, method: wire.MethodUnlink, message: &wire.Name{Parent: parent, Name: name, Cond: cond, Durability: d},
	})
}

// Rmdir implements [objstore.Namespace].
func (s *Store) Rmdir(ctx context.Context, parent objstore.ID, name string, d objstore.Durability) (objstore.RemoveResult, error) {
	return s.remove(ctx, request{
		op: "rmdir", key: name, method: wire.MethodRmdir, message: &wire.Name{Parent: parent, Name: name, Durability: d},
	})
}

func (s *Store) remove(ctx context.Context, q request) (objstore.RemoveResult, error) {
	var m wire.Removed
	if err := s.ask(ctx, q, &m); err != nil {
		return objstore.RemoveResult{}, err
	}
	return m.Result, nil
}

// Move implements [objstore.Namespace].
func (s *Store) Move(ctx context.Context, req objstore.MoveRequest) (objstore.MoveResult, error) {
	var m wire.Moved
	if err := s.ask(ctx, request{op: "move", key: req.Name, method: wire.MethodMove, message: &wire.Move{Request: req}}, &m); err != nil {
		return objstore.MoveResult{}, err
	}
	return m.Result, nil
}

// SetAttr implements [objstore.Namespace].
func (s *Store) SetAttr(ctx context.Context, id objstore.ID, change objstore.AttrChange, d objstore.Durability) (objstore.Info, error) {
	return s.infoOf(ctx, request{
		op: "set attributes", key: idText(id), method: wire.MethodSetAttr, message: &wire.SetAttr{ID: id, Change: change, Durability: d},
	})
}

// Usage implements [objstore.Namespace].
func (s *Store) Usage(ctx context.Context) (objstore.Usage, error) {
	var m wire.Usage
	if err := s.ask(ctx, request{op: "usage", method: wire.MethodUsage, message: &wire.None{}}, &m); err != nil {
		return objstore.Usage{}, err
	}
	return m.Usage, nil
}

// Sync implements [objstore.Store].
func (s *Store) Sync(ctx context.Context) error {
	return s.ask(ctx, request{op: "sync", method: wire.MethodSync, message: &wire.None{}}, &wire.None{})
}

// ListConflicts implements [objstore.Conflicts].
func (s *Store) ListConflicts(ctx context.Context) ([]objstore.Conflict, error) {
	var m wire.Conflicts
	if err := s.ask(ctx, request{op: "list conflicts", method: wire.MethodListConflicts, message: &wire.None{}}, &m); err != nil {
		return nil, err
	}
	return slices.Clip(m.Conflicts), nil
}

// Conflict implements [objstore.Conflicts].
func (s *Store) Conflict(ctx context.Context, id objstore.ConflictID) (objstore.Conflict, error) {
	var m wire.Conflict
	if err := s.ask(ctx, request{op: "conflict", key: string(id), method: wire.MethodConflict, message: named(id, 0)}, &m); err != nil {
		return objstore.Conflict{}, err
	}
	return m.Conflict, nil
}

func named(id objstore.ConflictID, side objstore.ConflictSide) *wire.Conflict {
	return &wire.Conflict{Conflict: objstore.Conflict{ID: id}, Side: side}
}

// OpenConflict implements [objstore.Conflicts].
func (s *Store) OpenConflict(ctx context.Context, id objstore.ConflictID, side objstore.ConflictSide) (objstore.Reader, error) {
	r, err := s.opening(ctx, request{op: "open conflict", key: string(id), method: wire.MethodOpenConflict, message: named(id, side)})
	if err != nil {
		return nil, err
	}
	return r, nil
}

// DropConflict implements [objstore.Conflicts].
func (s *Store) DropConflict(ctx context.Context, id objstore.ConflictID) error {
	return s.ask(ctx, request{op: "drop conflict", key: string(id), method: wire.MethodDropConflict, message: named(id, 0)}, &wire.None{})
}
