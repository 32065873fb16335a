package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore"
)

// heirInterval is how often an heir looks whether a store is free or has an owner again.
const heirInterval = 100 * time.Millisecond

// heir makes the process of a mount through an owner the owner, when that is gone. The mount goes on as it did:
// through the socket, which is that of its own process then.
type heir struct {
	// Constant.
	dir    string
	point  string
	logger *slog.Logger
	missed chan struct{} // capacity 1: nobody listens
	ctx    context.Context
	stop   context.CancelFunc
	ended  chan struct{}

	mu     sync.Mutex
	engine *badgerstore.Engine   // guarded by mu; nil: another has the store
	after  badgerstore.LockOwner // guarded by mu: the owner that was reached last

	offer  *offer  // beside engine
	socket *socket // beside engine
}

func newHeir(dir, point string, logger *slog.Logger) *heir {
	h := &heir{dir: dir, point: point, logger: logger, missed: make(chan struct{}, 1), ended: make(chan struct{})}
	h.ctx, h.stop = context.WithCancel(context.Background())
	return h
}

// dial connects to the owner.
func (h *heir) dial(ctx context.Context) (net.Conn, error) {
	conn, err := h.reach(ctx)
	if err != nil && ctx.Err() == nil {
		h.again()
	}
	return conn, err
}

// reach is dial, and remembers who the owner is. The lock file says later who had the store last, which may be a command that had it
// for a moment and that nobody was attached to. If it says something else by now, whose the connection is cannot be told.
func (h *heir) reach(ctx context.Context) (net.Conn, error) {
	owner, unknown := badgerstore.LastOwner(h.dir)
	conn, err := dialBeside(ctx, h.dir)
	if err != nil || unknown != nil {
		return conn, err
	}
	if now, unknown := badgerstore.LastOwner(h.dir); unknown == nil && now == owner {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.after = owner
	}
	return conn, nil
}

// run is the goroutine. It ends when the process has the store.
func (h *heir) run() {
	defer close(h.ended)
	ticker := time.NewTicker(heirInterval)
	defer ticker.Stop()
	for !h.succeeds() {
		select {
		case <-h.missed:
		case <-h.ctx.Done():
			return
		}
		select {
		case <-ticker.C:
		case <-h.ctx.Done():
			return
		}
	}
}

// succeeds takes the store over if it can be had and nobody listens. An owner that begins listens within moments, and
// one that ends holds the store until it has.
func (h *heir) succeeds() bool {
	if conn, err := h.reach(h.ctx); err == nil {
		if err := conn.Close(); err != nil {
			h.logger.Warn("close", "error", err)
		}
		return false
	}
	if !h.mayInherit() {
		return false
	}
	engine, err := badgerstore.Open(h.ctx, h.dir, storeOptions(badgerstore.Options{MountPoint: h.point}), badgerstore.Parts{Logger: h.logger})
	if err != nil {
		if !errors.Is(err, objstore.ErrInUse) && h.ctx.Err() == nil {
			h.logger.Warn("the store has no owner and cannot be taken over", "error", err)
		}
		h.again()
		return false
	}
	offer := offering(engine)
	socket, err := listenBeside(h.dir, offer, nil, h.logger)
	if err != nil {
		h.logger.Error("the store was taken over and nobody can use it", "error", errors.Join(err, engine.Close()))
		return false
	}
	offer.begins(reclaimTime)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.engine, h.offer, h.socket = engine, offer, socket
	h.logger.Info("took the store over from its owner", "store", h.dir)
	return true
}

// again has succeeds called again.
func (h *heir) again() {
	select {
	case h.missed <- struct{}{}:
	default:
	}
}

// mayInherit reports whether the owner that is gone was a mount: a server is begun anew, and must find the store free. Commands that
// had the store since do not count. And a store stays with whom its files belong to.
func (h *heir) mayInherit() bool {
	h.mu.Lock()
	after := h.after
	h.mu.Unlock()
	if after.MountPoint == "" {
		return false
	}
	info, err := os.Stat(h.dir)
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) == os.Geteuid()
}

// GiveBack returns memory.
func (h *heir) GiveBack() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.engine != nil {
		h.engine.GiveBack()
	}
}

// Close leaves the store to the next one.
func (h *heir) Close() error {
	h.stop()
	<-h.ended
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.engine == nil {
		return nil
	}
	h.offer.end()
	return errors.Join(h.socket.Close(context.Background()), h.engine.Close())
}

// inheriting is what is behind a mount with an heir.
type inheriting struct {
	engine
	heir *heir
}

// GiveBack returns memory.
func (i inheriting) GiveBack() {
	i.engine.GiveBack()
	i.heir.GiveBack()
}

// Close ends the mount's use of the store first.
func (i inheriting) Close() error { return errors.Join(i.engine.Close(), i.heir.Close()) }
