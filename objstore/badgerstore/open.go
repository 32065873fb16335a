package badgerstore

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"log/slog"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/blob"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/marks"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/space"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/staging"
)

func (p Parts) withDefaults() Parts {
	if p.Logger == nil {
		p.Logger = slog.New(slog.DiscardHandler)
	}
	if p.Clock == nil {
		p.Clock = time.Now
	}
	if p.Rand == nil {
		p.Rand = rand.Reader
	}
	if p.Disk == nil {
		p.Disk = disk.OS{}
	}
	if p.after == nil {
		p.after = func(d time.Duration, f func()) { time.AfterFunc(d, f) }
	}
	if p.salvaged == nil {
		p.salvaged = func(Finding) error { return nil }
	}
	if p.closeWithin == 0 {
		p.closeWithin = time.Minute
	}
	return p
}

func (o Options) withDefaults() Options {
	if o.NewFile == (objstore.NewAttr{}) {
		o.NewFile.Mode = 0o644
	}
	if o.NewDir == (objstore.NewAttr{}) {
		o.NewDir.Mode = 0o755
	}
	return o
}

// Open opens the store in dir, repairs what a crash left, and makes the store first if
// that is asked and there is none.
func Open(ctx context.Context, dir string, opt Options, parts Parts) (*Engine, error) {
	parts = parts.withDefaults()
	e := &Engine{
		dir: dir, opt: opt.withDefaults(), sizes: opt.Profile.sizes().within(opt.MemoryBytes),
		log: parts.Logger, clock: parts.Clock, rand: parts.Rand, fs: parts.Disk, salvaged: parts.salvaged, closeWithin: parts.closeWithin, after: parts.after,
		buckets: map[string]*Bucket{}, checked: map[uint64]bool{}, stuck: make(chan string, 1), compacted: make(chan struct{}, 1),
	}
	if parts.sizes != nil {
		e.sizes = *parts.sizes
	}
	e.bodies.New = func() any { return new([bodyBytes]byte) }
	e.cache = newCache(e.sizes.cacheBytes)
	e.pins.counts = map[uint64]map[uint64]int{}
	e.committer.e = e
	e.collector = newCollector(e)
	e.merger = newMerger(e)
	steps := []func(context.Context) error{e.openDirectory, e.openMarks, e.openBadger, e.openBlobs, e.expectClients, e.recover, e.start}
	for _, step := range steps {
		if err := errors.Join(cancelled(ctx), step(ctx)); err != nil {
			return nil, named("open store", dir, errors.Join(err, e.abandon()))
		}
	}
	e.clients.opened.Store(true)
	return e, nil
}

// openDirectory finds or makes the store's directory and takes the lock.
func (e *Engine) openDirectory(context.Context) error {
	_, absent, err := identify(e.fs, e.dir)
	if err != nil {
		return err
	}
	if absent {
		if !e.opt.Create || e.opt.ReadOnly {
			return problem(objstore.ErrNotFound, "there is no store: name another directory, or create one in it")
		}
		err := e.fs.Mkdir(e.dir)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return problem(objstore.ErrNotFound, "the directory it is to be in does not exist: create that first")
		case err != nil && !errors.Is(err, fs.ErrExist):
			return disk.Error("create store", err)
		}
		if err := closeToOthers(e.dir); err != nil {
			return disk.Error("create store", err)
		}
	}
	for _, dir := range []string{e.dir, e.path(badgerName), e.path(blobsName), e.path(stagingName)} {
		if err := refusePlanted(dir); err != nil {
			return err
		}
	}
	if e.lock, err = lockStore(e.fs, e.dir, e.opt.owner(e.clock()), e.opt.ReadOnly); err != nil {
		return err
	}
	if e.identity, absent, err = identify(e.fs, e.dir); err == nil && absent {
		e.identity, err = writeIdentity(e.fs, e.dir)
		err = classified("create store", err)
	}
	if err != nil || e.opt.ReadOnly {
		return err
	}
	if e.guard, err = space.Open(e.fs, e.dir, e.sizes.space, e.clock); err != nil {
		return err
	}
	return e.refuseFull()
}

// openBytesMin must be free for Badger to map its files, beside what it makes of the logs it finds: it dies by SIGBUS if
// a page it touches has no block.
const openBytesMin = 1 << 20

// refuseFull is the error for a disk that is full although the ballast has gone.
func (e *Engine) refuseFull() error {
	logs, err := logDataBytes(e.fs, e.path(badgerName))
	if err != nil {
		return err
	}
	free, err := e.fs.Space(e.dir)
	if err != nil {
		return disk.Error("open store", err)
	}
	if need := openBytesMin + logs; free.BytesFree < need {
		return problem(objstore.ErrNoSpace, "the file system has %d bytes left and opening takes %d: free some first", free.BytesFree, need)
	}
	return nil
}

// classified gives an error of the file system its kind, unless it has one.
func classified(op string, err error) error {
	if objstore.KindOf(err) != 0 {
		return err
	}
	return disk.Error(op, err)
}

// openMarks opens the marks. They may be missing only where nothing was committed yet.
func (e *Engine) openMarks(context.Context) error {
	_, err := e.fs.Stat(e.path(marksName))
	switch {
	case err == nil:
		if e.opt.ReadOnly {
			e.marks, err = marks.OpenToRead(e.fs, e.path(marksName))
			return err
		}
		e.marks, err = marks.Open(e.fs, e.path(marksName))
		return err
	case !errors.Is(err, fs.ErrNotExist):
		return disk.Error("open marks", err)
	}
	if _, err := e.fs.Stat(e.path(badgerName)); !errors.Is(err, fs.ErrNotExist) {
		return problem(objstore.ErrCorrupt, "the file marks is missing: restore a copy of the store")
	}
	if e.opt.ReadOnly {
		return problem(objstore.ErrNotFound, "the store was never completed: open it for writing first")
	}
	e.marks, err = marks.Create(e.fs, e.path(marksName), marks.Marks{Lease: 1, LowBlob: 1, Clean: true})
	if err == nil {
		err = disk.Error("create store", e.fs.SyncDir(e.dir))
	}
	return err
}

// openBadger opens the key-value engine.
func (e *Engine) openBadger(context.Context) error {
	dir := e.path(badgerName)
	if err := checkAccess(dir, e.opt.ReadOnly); err != nil {
		return err
	}
	if !e.opt.ReadOnly {
		if err := e.fs.Mkdir(dir); err != nil && !errors.Is(err, fs.ErrExist) {
			return disk.Error("create store", err)
		}
		// Also if it was there: whoever made it may have died before its name was synced.
		if err := e.fs.SyncDir(e.dir); err != nil {
			return disk.Error("create store", err)
		}
		if err := removeEmptyLogs(e.fs, dir); err != nil {
			return err
		}
		if !e.marks.Get().Clean {
			if err := dropCachedLogs(e.fs, dir); err != nil {
				return err
			}
		}
	}
	unverified, err := e.lookAtFiles(dir)
	if err == nil {
		e.logDamage, err = boundLogs(e.fs, dir, e.opt.ReadOnly)
	}
	if err != nil {
		return err
	}
	return e.startBadger(dir, unverified)
}

// lookAtFiles looks at Badger's files before Badger does, and returns the tables that are yet to be verified: none if
// the last process could not read one.
func (e *Engine) lookAtFiles(dir string) (unverified []uint64, err error) {
	opt, mark := e.badgerOptions(nil), e.marks.Get()
	manifest, damage, err := readManifest(dir, opt, mark)
	if err != nil {
		return nil, err
	}
	if e.damage = damage; damage != "" {
		return nil, e.refuseForGood(restoreOnly)
	}
	if e.opt.repairing {
		if err := e.salvage(manifest); err != nil {
			return nil, err
		}
		if manifest, e.damage, err = readManifest(dir, opt, mark); err != nil {
			return nil, err
		}
	}
	unverified, worst, err := checkTables(dir, sortedTables(manifest), opt, verifiedBytes(mark, e.opt.ReadOnly))
	switch {
	case err != nil:
		return nil, err
	case worst.unopened != "":
		e.damage = worst.unopened
		return nil, e.refuseForGood(restoreOrRepair)
	}
	return unverified, e.refuseDamage(worst.unusable)
}

func (e *Engine) badgerOptions(log badger.Logger) badger.Options {
	return badgerOptions(e.path(badgerName), e.sizes, e.opt.ReadOnly, log)
}

// errNotClosed refuses to open for reading what has to be repaired first.
var errNotClosed = problem(objstore.ErrUnavailable, "the store was not closed: open it for writing once to repair it")

func (e *Engine) startBadger(dir string, unverified []uint64) (err error) {
	log := &badgerLogger{log: e.log, flushFailed: e.noteStuck, flattens: e.compactions.park}
	if !e.opt.ReadOnly {
		log.beforeTable = func() { e.guard.Await(e.tableRoomBytes()) }
		log.compacted = e.noteCompaction
	}
	db, err := badger.OpenManaged(e.badgerOptions(log))
	switch {
	case err != nil && e.damage != "":
		return e.refuseForGood(restoreOrRepair)
	case err != nil && e.opt.ReadOnly && !e.marks.Get().Clean:
		return errNotClosed
	case err != nil:
		return &objstore.Error{Kind: objstore.ErrCorrupt, Detail: "the key-value files cannot be opened: restore a copy of the store", Err: err}
	}
	e.db = db
	if ignored := log.ignored.Load(); ignored != nil {
		return problem(objstore.ErrCorrupt, "a table of the key-value files is damaged: %s", *ignored)
	}
	e.batchBytesMax = int(db.MaxBatchSize() * 3 / 4)
	e.batchKeysMax = int(db.MaxBatchCount() * 3 / 4)
	if e.opt.ReadOnly {
		return nil
	}
	e.compactions.db = db
	e.verifier = newVerifier(e, unverified)
	e.logBlocks, err = newLogBlocks(e.fs, dir, e.sizes.memTableBytes, e.log)
	return err
}

func (e *Engine) openBlobs(context.Context) (err error) {
	e.blobs, err = blob.Open(e.fs, e.path(blobsName), blob.Options{
		OpenMax: descriptorsFor(disk.DescriptorsMax()), ReadOnly: e.opt.ReadOnly, CheckedLasts: e.opt.ScrubAge, Now: e.clock,
	})
	return err
}

// descriptorsFor is how many descriptors there may be for blobs, and as many for what writers stage, where the process may
// have limit. Most are for who fails without one, and does not try again: the key-value store, syncs, clients.
func descriptorsFor(limit int) int { return min(max(limit/8, 8), 512) }

// start begins the work in the background, once the store is whole.
func (e *Engine) start(ctx context.Context) error {
	if e.opt.ReadOnly {
		return nil
	}
	e.syncer = newSyncer(e, e.newBadgerLogs(), min(e.marks.Get().Durable, e.published.Load()))
	err := errors.Join(e.syncer.noteManifest(), e.marks.Update(true, func(m *marks.Marks) { m.Clean, m.Suspect = false, false }))
	if err != nil {
		return err
	}
	if !e.opt.repairing {
		err = errors.Join(e.sweepBlobs(), e.collector.load())
	}
	if err != nil {
		return err
	}
	if e.session, err = staging.OpenSession(e.fs, e.path(stagingName), staging.Options{
		InlineBytes: e.sizes.inlineBytes, NewID: e.newBlobID, Space: e.guard, OpenMax: descriptorsFor(disk.DescriptorsMax()),
	}); err != nil {
		return err
	}
	go e.syncer.run()
	if e.opt.repairing {
		e.collector.paused++ // for good
		go e.collector.run()
		return nil
	}
	if err = errors.Join(e.firstBucket(ctx), e.loadUploads()); err != nil {
		e.committer.close()
		return errors.Join(err, e.syncer.close())
	}
	// Before garbage goes that they are based on. On a full disk they must wait, the store must open.
	if err := e.adoptOrphans(ctx); err != nil {
		e.log.Error("bytes that a crash left uncommitted stay in staging until the next open", "error", err)
	}
	go e.collector.run()
	e.merger.begin()
	return nil
}
