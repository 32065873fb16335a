package objstoretest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"

	"github.com/etagfs/etagfs/objstore"
)

// Env is what a case works with: the subject and short ways to use it. Its methods end
// the case where something fails that must not.
type Env struct {
	*Subject
	cfg Config
}

// Failf ends the case.
func (e *Env) Failf(format string, args ...any) {
	panic(failure{fmt.Errorf(format, args...)})
}

// ok ends the case unless err is nil.
func (e *Env) ok(err error, what string) {
	if err != nil {
		e.Failf("%s: %w", what, err)
	}
}

// want ends the case unless err is a well-formed error of the given kind; 0 wants success.
func (e *Env) want(err error, kind objstore.Kind, what string) {
	if kind == 0 {
		e.ok(err, what)
		return
	}
	if err == nil {
		e.Failf("%s succeeded instead of: %w", what, kind)
	}
	var full *objstore.Error
	if !errors.As(err, &full) || full.Op == "" {
		e.Failf("%s: not an *objstore.Error that names its operation: %T: %w", what, err, err)
	}
	if objstore.KindOf(err) != kind || !errors.Is(err, kind) {
		e.Failf("%s: kind %q instead of %q: %w", what, objstore.KindOf(err).Error(), kind.Error(), err)
	}
}

// equal ends the case unless got is want.
func equal[T comparable](e *Env, got, want T, what string) {
	if got != want {
		e.Failf("%s: %v instead of %v", what, got, want)
	}
}

// parallel runs f(0..n-1) at the same time and ends the case with the first failure.
func (e *Env) parallel(n int, f func(i int)) {
	errs := make([]error, n)
	var start, done sync.WaitGroup
	start.Add(n)
	for i := range n {
		done.Go(func() {
			start.Done()
			start.Wait()
			errs[i] = guarded(func() { f(i) })
		})
	}
	done.Wait()
	if err := errors.Join(errs...); err != nil {
		panic(failure{err})
	}
}

// times is how often a case does what it repeats: by default, in the long form, in the short one.
func (e *Env) times(normal, long, short int) int {
	switch {
	case e.cfg.Long:
		return long
	case e.cfg.Short:
		return short
	default:
		return normal
	}
}

// random is a source of random numbers; streams of one case differ by id.
func (e *Env) random(id uint64) *rand.Rand { return rand.New(rand.NewPCG(e.cfg.Seed, id)) }

// rerun is the sentence with which a random case ends its failures.
func (e *Env) rerun() string {
	return fmt.Sprintf("run again with OBJSTORETEST_SEED=%d", e.cfg.Seed)
}

// pattern is size bytes that depend on seed, none of its blocks like another.
func pattern(seed uint64, size int64) []byte {
	p := make([]byte, size)
	var key [32]byte
	key[0], key[1], key[2] = byte(seed), byte(seed>>8), byte(seed>>16)
	rand.NewChaCha8(key).Read(p) // never fails
	return p
}

// put writes an object that must be accepted.
func (e *Env) put(ctx context.Context, key objstore.Key, body string) objstore.Info {
	return e.putIf(ctx, key, body, objstore.Unconditional())
}

func (e *Env) putIf(ctx context.Context, key objstore.Key, body string, cond objstore.Cond) objstore.Info {
	info, err := e.tryPut(ctx, key, body, cond)
	e.ok(err, fmt.Sprintf("put %q %v", key, cond))
	return info
}

func (e *Env) tryPut(ctx context.Context, key objstore.Key, body string, cond objstore.Cond) (objstore.Info, error) {
	return e.Store.Put(ctx, key, strings.NewReader(body), cond, objstore.PutOptions{Durability: objstore.Visible})
}

// delete removes an object without condition.
func (e *Env) delete(ctx context.Context, key objstore.Key) {
	err := e.Store.Delete(ctx, key, objstore.Unconditional(), objstore.DeleteOptions{Durability: objstore.Visible})
	e.ok(err, fmt.Sprintf("delete %q", key))
}

func (e *Env) head(ctx context.Context, key objstore.Key) objstore.Info {
	info, err := e.Store.Head(ctx, key)
	e.ok(err, fmt.Sprintf("head %q", key))
	return info
}

// open pins key.
func (e *Env) open(ctx context.Context, key objstore.Key) objstore.Reader {
	r, err := e.Store.Get(ctx, key, objstore.IfPresent())
	e.ok(err, fmt.Sprintf("get %q", key))
	return r
}

// readAll is everything r reads, read in two ways that must agree.
func (e *Env) readAll(ctx context.Context, r objstore.Reader) string {
	size := r.Info().Size
	s := r.Stream(ctx, 0, -1)
	var body bytes.Buffer
	body.Grow(int(size) + bytes.MinRead) // contents are large: it shall not grow on the way
	_, err := body.ReadFrom(s)
	e.ok(err, "read stream")
	e.ok(s.Close(), "close stream")
	equal(e, int64(body.Len()), size, "bytes read against the size")
	again := make([]byte, size)
	if n, err := r.ReadAt(ctx, again, 0); n != len(again) || err != nil && err != io.EOF {
		e.Failf("read at 0: %d of %d bytes: %w", n, len(again), err)
	}
	if !bytes.Equal(body.Bytes(), again) {
		e.Failf("stream and read at differ")
	}
	return body.String()
}

// get is the content of key.
func (e *Env) get(ctx context.Context, key objstore.Key) string {
	r := e.open(ctx, key)
	defer r.Close()
	return e.readAll(ctx, r)
}

func (e *Env) wantContent(ctx context.Context, key objstore.Key, want string) {
	e.wantBytes(e.get(ctx, key), want, fmt.Sprintf("content of %q", key))
}

// wantBytes is equal for contents, which may be long.
func (e *Env) wantBytes(got, want, what string) {
	if got == want {
		return
	}
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	e.Failf("%s: %d bytes instead of %d, the first difference at %d: %.32q instead of %.32q",
		what, len(got), len(want), at, got[at:], want[at:])
}

// wantAbsent ends the case unless no operation finds key.
func (e *Env) wantAbsent(ctx context.Context, key objstore.Key) {
	_, err := e.Store.Head(ctx, key)
	e.want(err, objstore.ErrNotFound, fmt.Sprintf("head %q", key))
	_, err = e.Store.Get(ctx, key, objstore.Unconditional())
	e.want(err, objstore.ErrNotFound, fmt.Sprintf("get %q", key))
	for _, listed := range e.keys(ctx, objstore.ListOptions{Prefix: key, Max: 1}) {
		if listed == key {
			e.Failf("%q is listed but cannot be read", key)
		}
	}
}

// keys is one page of keys and prefixes.
func (e *Env) keys(ctx context.Context, opt objstore.ListOptions) []objstore.Key {
	page, err := e.Store.List(ctx, opt)
	e.ok(err, fmt.Sprintf("list %+v", opt))
	keys := make([]objstore.Key, 0, len(page.Entries))
	for _, entry := range page.Entries {
		keys = append(keys, entry.Key)
	}
	return keys
}

// snapshot is the state of a key: what a failed mutation must leave as it was.
type snapshot struct {
	exists bool
	etag   objstore.ETag
	meta   uint64
	body   string
}

// String is for failures.
func (s snapshot) String() string {
	if !s.exists {
		return "absent"
	}
	return fmt.Sprintf("etag %s, metadata version %d, %d bytes: %.20q", s.etag, s.meta, len(s.body), s.body)
}

func (e *Env) snapshot(ctx context.Context, key objstore.Key) snapshot {
	r, err := e.Store.Get(ctx, key, objstore.Unconditional())
	if objstore.KindOf(err) == objstore.ErrNotFound {
		e.wantAbsent(ctx, key)
		return snapshot{}
	}
	e.ok(err, fmt.Sprintf("get %q", key))
	defer r.Close()
	info := e.head(ctx, key)
	return snapshot{true, info.ETag, info.MetaVersion, e.readAll(ctx, r)}
}
