package badgerstore

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

// expectedLasts is how long the clients of an earlier process are expected at all. Those who only open the store for a
// moment never hear of them, and garbage has to go at last.
const expectedLasts = time.Hour

// clients are processes that read versions through this one and outlive it. A file of the store says that there are some, so
// that the next process knows that they may come back for what they read. It says no more: they know themselves.
type clients struct {
	// Constant once they are expected.
	since    string          // they are, as the file has it
	trusting <-chan struct{} // closed once those of an earlier process answer from nothing they remember; nil: they do not

	opened atomic.Bool // the store is: what is changed is acknowledged to somebody

	mu       sync.Mutex
	count    int  // GUARDED_BY(mu)
	expected bool // GUARDED_BY(mu): an earlier process had some, and it is not over yet
}

// forgottenMark ends the file if what they remember has run out too.
const forgottenMark = " forgotten"

// ClientCame notes that a process begins to read versions through this one, until ClientWent. Those it reads stay readable
// by [Bucket.Reopen] in the next process that has the store, if this one ends before.
func (e *Engine) ClientCame() {
	c := &e.clients
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count++
	if c.count == 1 && !e.opt.ReadOnly {
		e.noteClients(e.writeClients(""))
	}
}

// ClientWent is the end of ClientCame. It is not called because the store is about to be closed.
func (e *Engine) ClientWent() {
	c := &e.clients
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count--
	if c.count == 0 && !c.expected && !e.opt.ReadOnly {
		e.noteClients(e.removeClients())
	}
}

// ClientsExpected reports whether an earlier process had clients that may come back. Until ForgetClients nothing is removed
// that they may be reading.
func (e *Engine) ClientsExpected() bool {
	e.clients.mu.Lock()
	defer e.clients.mu.Unlock()
	return e.clients.expected
}

// ForgetClients ends the time in which clients of an earlier process may come back.
func (e *Engine) ForgetClients() {
	c := &e.clients
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.expected {
		return
	}
	c.expected = false
	if c.count == 0 {
		e.noteClients(e.removeClients())
	}
	e.pins.expect(false)
	e.collector.wake()
}

// Retain has nothing removed any more that was replaced: the process is about to end, and gives up what it reads for
// clients that will go on elsewhere.
func (e *Engine) Retain() { e.pins.retain() }

// Reopen is Open of a version that was replaced, or whose object was removed, since it was opened through a process that had
// the store before. It is there until [Engine.ForgetClients], and ErrPrecondition if not. Its Info is that of a content.
func (b *Bucket) Reopen(ctx context.Context, id objstore.ID, version objstore.Version) (objstore.Reader, error) {
	r, err := b.Open(ctx, id, version)
	if err == nil || version == "" || !objstore.IsLostCondition(err) && objstore.KindOf(err) != objstore.ErrNotFound {
		return r, err
	}
	var old *reader
	failed := b.read(ctx, "reopen", idText(id), func(v *view) (err error) {
		old, err = v.reopen(id, version)
		return err
	})
	switch {
	case failed != nil:
		return nil, failed
	case old == nil:
		return nil, err
	}
	return old, nil
}

// reopen pins a version that was replaced; nil if that is gone.
func (v *view) reopen(id objstore.ID, version objstore.Version) (*reader, error) {
	number, ok := version.Number()
	if !ok || !v.e.pins.addExpected(uint64(id), number) {
		return nil, nil
	}
	defer v.e.pins.remove(uint64(id), number)
	c, err := v.contentOf(uint64(id), number)
	if err != nil || c == nil {
		return nil, err
	}
	x, err := extentsOf(*c)
	if err != nil {
		return nil, err
	}
	if there, err := v.isThere(x); err != nil || !there {
		return nil, err
	}
	p, err := v.pin(uint64(id), number, *c)
	if err != nil {
		return nil, err
	}
	return &reader{content: p, info: objstore.Info{
		ID: id, Type: objstore.TypeFile, Size: c.Size, Allocated: c.Allocated, Version: version, ETag: objstore.MakeETag(c.Hash, version),
	}}, nil
}

// expectClients finds out whether an earlier process had clients.
func (e *Engine) expectClients(context.Context) error {
	if e.opt.ReadOnly {
		return nil
	}
	text, err := readFile(e.fs, e.path(clientsName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return disk.Error("open store", err)
	}
	now, c := e.clock(), &e.clients
	var forgotten bool
	c.since, forgotten = strings.CutSuffix(string(text), forgottenMark)
	since, err := time.Parse(time.RFC3339, c.since)
	switch {
	case err != nil || since.After(now): // this is the first to find it
		c.since, forgotten = now.UTC().Format(time.RFC3339), false
		err = e.writeClients(c.since)
	case now.Sub(since) > expectedLasts:
		return e.removeClients()
	}
	c.expected = true
	e.pins.expect(true)
	if !forgotten && e.opt.TrustLasts > 0 {
		trusting := make(chan struct{})
		c.trusting = trusting
		e.after(e.opt.TrustLasts, func() { close(trusting) })
	}
	return err
}

// awaitForgotten returns once a change may be acknowledged: nobody was told of it who may still trust what the process before
// has said. The time counts from when that was gone.
func (e *Engine) awaitForgotten() {
	if c := &e.clients; c.trusting != nil && c.opened.Load() {
		<-c.trusting
	}
}

// noteForgotten has the next process not wait for that again. This one is about to end.
func (e *Engine) noteForgotten() {
	c := &e.clients
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.expected || c.count > 0 || c.trusting == nil {
		return
	}
	select {
	case <-c.trusting:
		e.noteClients(e.writeClients(c.since + forgottenMark))
	default:
	}
}

// noteClients says what clients may miss because of an error.
func (e *Engine) noteClients(err error) {
	if err != nil {
		e.log.Warn("whether there are clients cannot be noted for the process that has the store next", "error", err)
	}
}

// writeClients says that there are clients: since when, if they are gone, and whether they have forgotten. It need not survive a loss of power.
func (e *Engine) writeClients(since string) error {
	f, err := e.fs.OpenRW(e.path(clientsName))
	if err != nil {
		return disk.Error("note clients", err)
	}
	return errors.Join(f.Truncate(0), writeAll(f, []byte(since)), f.Close())
}

func (e *Engine) removeClients() error {
	err := e.fs.Remove(e.path(clientsName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
