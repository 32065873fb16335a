package main

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	durations "github.com/etagfs/etagfs/fs/meter"
	"github.com/etagfs/etagfs/objstore"
)

// storeRequest is what a mount asks its store. Commits are counted by package fs.
type storeRequest int

const (
	requestLookup storeRequest = iota
	requestStat
	requestList
	requestReadlink
	requestOpen
	requestMake
	requestLink
	requestUnlink
	requestRmdir
	requestMove
	requestSetAttr
	requestStage
	requestSync
	requestUsage
	storeRequests
)

// String is the name in the metrics.
func (r storeRequest) String() string {
	return [storeRequests]string{
		"lookup", "stat", "list", "readlink", "open", "make", "link", "unlink", "rmdir", "move", "setattr", "stage", "sync", "usage",
	}[r]
}

// timings are how long a store takes to answer.
type timings [storeRequests]struct {
	took   durations.Histogram
	failed atomic.Uint64
}

// done counts one request. That there is nothing, or something else, is an answer.
func (t *timings) done(r storeRequest, began time.Time, err error) {
	t[r].took.Observe(time.Since(began))
	if err != nil && !objstore.IsLostCondition(err) && !errors.Is(err, objstore.ErrNotFound) {
		t[r].failed.Add(1)
	}
}

// timed is a namespace whose answers are timed. What is read from an open content and written to a stage is not: that
// shows as reads and writes of the mount.
type timed struct {
	objstore.Namespace
	timings *timings
}

// Lookup implements [objstore.Namespace].
func (t timed) Lookup(ctx context.Context, parent objstore.ID, name string) (info objstore.Info, err error) {
	began := time.Now()
	info, err = t.Namespace.Lookup(ctx, parent, name)
	t.timings.done(requestLookup, began, err)
	return info, err
}

// Stat implements [objstore.Namespace].
func (t timed) Stat(ctx context.Context, id objstore.ID) (info objstore.Info, err error) {
	began := time.Now()
	info, err = t.Namespace.Stat(ctx, id)
	t.timings.done(requestStat, began, err)
	return info, err
}

// ReadDir implements [objstore.Namespace].
func (t timed) ReadDir(ctx context.Context, dir objstore.ID, after string, max int) (entries []objstore.DirEntry, more bool, err error) {
	began := time.Now()
	entries, more, err = t.Namespace.ReadDir(ctx, dir, after, max)
	t.timings.done(requestList, began, err)
	return entries, more, err
}

// Readlink implements [objstore.Namespace].
func (t timed) Readlink(ctx context.Context, id objstore.ID) (target string, err error) {
	began := time.Now()
	target, err = t.Namespace.Readlink(ctx, id)
	t.timings.done(requestReadlink, began, err)
	return target, err
}

// Open implements [objstore.Namespace].
func (t timed) Open(ctx context.Context, id objstore.ID, want objstore.Version) (r objstore.Reader, err error) {
	began := time.Now()
	r, err = t.Namespace.Open(ctx, id, want)
	t.timings.done(requestOpen, began, err)
	return r, err
}

// Make implements [objstore.Namespace].
func (t timed) Make(ctx context.Context, r objstore.MakeRequest) (info objstore.Info, err error) {
	began := time.Now()
	info, err = t.Namespace.Make(ctx, r)
	t.timings.done(requestMake, began, err)
	return info, err
}

// Link implements [objstore.Namespace].
func (t timed) Link(ctx context.Context, id, parent objstore.ID, name string, d objstore.Durability) (info objstore.Info, err error) {
	began := time.Now()
	info, err = t.Namespace.Link(ctx, id, parent, name, d)
	t.timings.done(requestLink, began, err)
	return info, err
}

// Unlink implements [objstore.Namespace].
func (t timed) Unlink(ctx context.Context, parent objstore.ID, name string, c objstore.Cond, d objstore.Durability) (r objstore.RemoveResult, err error) {
	began := time.Now()
	r, err = t.Namespace.Unlink(ctx, parent, name, c, d)
	t.timings.done(requestUnlink, began, err)
	return r, err
}

// Rmdir implements [objstore.Namespace].
func (t timed) Rmdir(ctx context.Context, parent objstore.ID, name string, d objstore.Durability) (r objstore.RemoveResult, err error) {
	began := time.Now()
	r, err = t.Namespace.Rmdir(ctx, parent, name, d)
	t.timings.done(requestRmdir, began, err)
	return r, err
}

// Move implements [objstore.Namespace].
func (t timed) Move(ctx context.Context, req objstore.MoveRequest) (r objstore.MoveResult, err error) {
	began := time.Now()
	r, err = t.Namespace.Move(ctx, req)
	t.timings.done(requestMove, began, err)
	return r, err
}

// SetAttr implements [objstore.Namespace].
func (t timed) SetAttr(ctx context.Context, id objstore.ID, c objstore.AttrChange, d objstore.Durability) (info objstore.Info, err error) {
	began := time.Now()
	info, err = t.Namespace.SetAttr(ctx, id, c, d)
	t.timings.done(requestSetAttr, began, err)
	return info, err
}

// NewStage implements [objstore.Namespace].
func (t timed) NewStage(ctx context.Context, spec objstore.StageSpec) (s objstore.Stage, err error) {
	began := time.Now()
	s, err = t.Namespace.NewStage(ctx, spec)
	t.timings.done(requestStage, began, err)
	return s, err
}

// Sync implements [objstore.Namespace].
func (t timed) Sync(ctx context.Context) (err error) {
	began := time.Now()
	err = t.Namespace.Sync(ctx)
	t.timings.done(requestSync, began, err)
	return err
}

// Usage implements [objstore.Namespace].
func (t timed) Usage(ctx context.Context) (u objstore.Usage, err error) {
	began := time.Now()
	u, err = t.Namespace.Usage(ctx)
	t.timings.done(requestUsage, began, err)
	return u, err
}
