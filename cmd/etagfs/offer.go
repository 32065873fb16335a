package main

import (
	"context"
	"sync"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore"
	"github.com/etagfs/etagfs/objstore/locks"
	"github.com/etagfs/etagfs/objstore/s3server"
)

// reclaimTime is how long clients of the owner before may take to come back to a new one: the lease of their file locks.
const reclaimTime = s3server.LockLeaseDefault

// offer is a store that this process has open and lets others use, with the file locks of all its users.
type offer struct {
	// Constant.
	buckets objstore.Buckets
	tables  *locks.Buckets
	engine  *badgerstore.Engine // what buckets is; nil: another store

	mu    sync.Mutex
	ended bool        // guarded by mu
	timer *time.Timer // guarded by mu; nil: nobody is expected
}

// offering begins with what the owner before left. Until reclaimed is called nobody gets a lock but who had it.
func offering(engine *badgerstore.Engine) *offer {
	o := &offer{buckets: engine, tables: locks.NewBuckets(), engine: engine}
	if engine.ClientsExpected() {
		o.tables.Expect()
	}
	return o
}

// clients are to be told of who uses the store; nil: nobody.
func (o *offer) clients() s3server.Clients {
	if o.engine == nil {
		return nil
	}
	return o.engine
}

// refusing is why the store takes no more writes, or nil.
func (o *offer) refusing() error {
	if o.engine == nil {
		return nil
	}
	return o.engine.Refusing()
}

// begins gives who used the store through the owner before the time to come back, from now on.
func (o *offer) begins(most time.Duration) {
	if o.engine == nil || !o.engine.ClientsExpected() {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.timer = time.AfterFunc(most, o.reclaimed)
}

// refused is for an owner nobody can come back to: locks are granted, what others read is left for the next one.
func (o *offer) refused() { o.tables.Settle() }

// reclaimed ends that time.
func (o *offer) reclaimed() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended {
		return
	}
	o.tables.Settle()
	o.engine.ForgetClients()
}

// end is for before others are sent away: what they had is for the next owner to give them. Those who wait for locks are not given any.
func (o *offer) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = true
	if o.timer != nil {
		o.timer.Stop()
	}
	if o.engine != nil {
		o.engine.Retain()
	}
}

// until is ctx, but ends only when others may be sent away.
func (o *offer) until(ctx context.Context) context.Context {
	later, ended := context.WithCancel(context.WithoutCancel(ctx))
	context.AfterFunc(ctx, func() {
		o.end()
		ended()
	})
	return later
}
