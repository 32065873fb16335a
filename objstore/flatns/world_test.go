package flatns_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/flatns"
)

// world is a bucket that several mounts see.
type world struct {
	t     *testing.T
	store objstore.Store // as everybody has it
}

func newWorld(t *testing.T, without func(*objstore.Capabilities), wrap func(objstore.Store) objstore.Store) *world {
	store, _, err := memory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	store = flat{store, without}
	if wrap != nil {
		store = wrap(store)
	}
	return &world{t, store}
}

// mount is a namespace of its own over the store, or over what wrap makes of it.
func (w *world) mount(wrap ...func(objstore.Store) objstore.Store) *mounted {
	store := w.store
	for _, f := range wrap {
		store = f(store)
	}
	ns, area, err := over(store, w.t.TempDir())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := area.Close(); err != nil {
			w.t.Error(err)
		}
	})
	return &mounted{ns, ns.Root()}
}

func (w *world) put(ctx context.Context, key objstore.Key, body string, meta map[string]string) error {
	_, err := w.store.Put(ctx, key, strings.NewReader(body), objstore.Unconditional(), objstore.PutOptions{UserMeta: meta})
	return err
}

func (w *world) get(ctx context.Context, key objstore.Key) (string, error) {
	r, err := w.store.Get(ctx, key, objstore.Unconditional())
	if err != nil {
		return "", err
	}
	defer r.Close()
	body, err := io.ReadAll(r.Stream(ctx, 0, -1))
	return string(body), err
}

// mounted is a namespace with short ways to use it.
type mounted struct {
	*flatns.Namespace
	root objstore.ID
}

// writer is a stage on what a file was when it was opened, and the version that is.
type writer struct {
	objstore.Stage
	m    *mounted
	id   objstore.ID
	base objstore.Version
}

func (m *mounted) open(ctx context.Context, name string) (*writer, error) {
	info, err := m.Lookup(ctx, m.root, name)
	if err != nil {
		return nil, err
	}
	r, err := m.Open(ctx, info.ID, "")
	if err != nil {
		return nil, err
	}
	defer r.Close()
	s, err := m.NewStage(ctx, objstore.StageSpec{Base: r, Owner: objstore.Owner{Path: name, Object: info.ID, Base: r.Info().Version}})
	return &writer{s, m, info.ID, r.Info().Version}, err
}

// close commits body as the new content, as close(2) of a file opened before does.
func (w *writer) close(ctx context.Context, body string) (objstore.Info, error) {
	defer w.Close()
	if err := w.Truncate(ctx, 0); err != nil {
		return objstore.Info{}, err
	}
	if _, err := w.WriteAt(ctx, []byte(body), 0); err != nil {
		return objstore.Info{}, err
	}
	res, err := w.Commit(ctx, objstore.CommitRequest{Target: objstore.Target{ID: w.id}, Cond: objstore.IfVersion(w.base)})
	return res.Info, err
}

// create makes a file that must not exist.
func (m *mounted) create(ctx context.Context, parent objstore.ID, name, body string) (objstore.Info, error) {
	id, err := m.NewID(ctx)
	if err != nil {
		return objstore.Info{}, err
	}
	s, err := m.NewStage(ctx, objstore.StageSpec{Owner: objstore.Owner{Path: name, Object: id}})
	if err != nil {
		return objstore.Info{}, err
	}
	defer s.Close()
	if _, err := s.WriteAt(ctx, []byte(body), 0); err != nil {
		return objstore.Info{}, err
	}
	res, err := s.Commit(ctx, objstore.CommitRequest{
		Target: objstore.Target{ID: id, Parent: parent, Name: name, Attr: objstore.NewAttr{Mode: 0o640, UID: 7, GID: 8}},
		Cond:   objstore.IfAbsent(),
	})
	return res.Info, err
}

func (m *mounted) mkdir(ctx context.Context, parent objstore.ID, name string) (objstore.Info, error) {
	return m.Make(ctx, objstore.MakeRequest{Parent: parent, Name: name, Type: objstore.TypeDir, Attr: objstore.NewAttr{Mode: 0o755}})
}

func (m *mounted) chmod(ctx context.Context, name string, mode uint32) error {
	info, err := m.Lookup(ctx, m.root, name)
	if err == nil {
		_, err = m.SetAttr(ctx, info.ID, objstore.AttrChange{Mode: &mode}, objstore.Visible)
	}
	return err
}

func (m *mounted) rename(ctx context.Context, from, to string) error {
	_, err := m.Move(ctx, objstore.MoveRequest{
		Parent: m.root, Name: from, Cond: objstore.Unconditional(), NewParent: m.root, NewName: to, NewCond: objstore.Unconditional(),
	})
	return err
}

// hooked is a store whose calls can be watched and replaced; hooks that are nil change nothing.
type hooked struct {
	objstore.Store
	put    func(objstore.Key, objstore.Cond) (objstore.Cond, error)
	copy   func(*objstore.CopyRequest) error
	delete func(objstore.Key, objstore.Cond) (objstore.Cond, error)
	head   func(objstore.Key) error
	list   func(objstore.ListOptions) error
}

func (h hooked) Put(ctx context.Context, key objstore.Key, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	if h.put != nil {
		var err error
		if cond, err = h.put(key, cond); err != nil {
			return objstore.Info{}, err
		}
	}
	return h.Store.Put(ctx, key, body, cond, opt)
}

func (h hooked) Copy(ctx context.Context, req objstore.CopyRequest) (objstore.Info, error) {
	if h.copy != nil {
		if err := h.copy(&req); err != nil {
			return objstore.Info{}, err
		}
	}
	return h.Store.Copy(ctx, req)
}

func (h hooked) Delete(ctx context.Context, key objstore.Key, cond objstore.Cond, opt objstore.DeleteOptions) error {
	if h.delete != nil {
		var err error
		if cond, err = h.delete(key, cond); err != nil {
			return err
		}
	}
	return h.Store.Delete(ctx, key, cond, opt)
}

func (h hooked) Head(ctx context.Context, key objstore.Key) (objstore.Info, error) {
	if h.head != nil {
		if err := h.head(key); err != nil {
			return objstore.Info{}, err
		}
	}
	return h.Store.Head(ctx, key)
}

func (h hooked) List(ctx context.Context, opt objstore.ListOptions) (objstore.ListPage, error) {
	if h.list != nil {
		if err := h.list(opt); err != nil {
			return objstore.ListPage{}, err
		}
	}
	return h.Store.List(ctx, opt)
}

// unpinned is a store whose readers read whatever version they were opened on, or fail: S3 has no pins.
type unpinned struct{ objstore.Store }

func (u unpinned) Get(ctx context.Context, key objstore.Key, cond objstore.Cond) (objstore.Reader, error) {
	r, err := u.Store.Get(ctx, key, cond)
	if err != nil {
		return nil, err
	}
	return unpinnedReader{r, u.Store, key}, nil
}

type unpinnedReader struct {
	objstore.Reader
	store objstore.Store
	key   objstore.Key
}

func (r unpinnedReader) check(ctx context.Context) error {
	info, err := r.store.Head(ctx, r.key)
	if err == nil && info.Version != r.Info().Version {
		err = &objstore.Error{Op: "read", Kind: objstore.ErrPrecondition}
	}
	return err
}

func (r unpinnedReader) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	if err := r.check(ctx); err != nil {
		return 0, err
	}
	return r.Reader.ReadAt(ctx, p, off)
}

func (r unpinnedReader) Stream(ctx context.Context, off, length int64) io.ReadCloser {
	if err := r.check(ctx); err != nil {
		return io.NopCloser(failing{err})
	}
	return r.Reader.Stream(ctx, off, length)
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// racers runs f n times at once and returns how often it succeeded, and the first error that is not of the kind.
func racers(n int, kind objstore.Kind, f func(i int) error) (won int, err error) {
	var mu sync.Mutex
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			got := f(i)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case got == nil:
				won++
			case objstore.KindOf(got) != kind && err == nil:
				err = fmt.Errorf("a loser got: %w", got)
			}
		})
	}
	all.Wait()
	return won, err
}
