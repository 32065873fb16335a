package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore"
)

// job is work on a whole store. It is done by the process that has the store open: this one, or its owner.
type job struct {
	Verb string `json:"verb"`
	Dir  string `json:"dir,omitempty"` // of backups; absolute

	Check badgerstore.CheckOptions `json:"check,omitzero"`
	Scrub badgerstore.ScrubOptions `json:"scrub,omitzero"`

	Shown bool `json:"shown,omitempty"` // who asked shows how far it is; a backup and a scrub say so in any case
}

// The verbs of jobs.
const (
	verbBackup  = "backup"
	verbCheck   = "check"
	verbScrub   = "scrub"
	verbCollect = "gc"
	verbCompact = "compact"
)

// news is one thing that a job has to say. Only one of the fields is set.
type news struct {
	Progress  *progress              `json:"progress,omitempty"`
	Finding   *finding               `json:"finding,omitempty"`
	Backup    *badgerstore.Backup    `json:"backup,omitempty"`
	Scrubbed  *badgerstore.Scrubbed  `json:"scrubbed,omitempty"`
	Collected *badgerstore.Collected `json:"collected,omitempty"`
	Compacted *compacted             `json:"compacted,omitempty"`
	Failure   *failure               `json:"failure,omitempty"` // the last
	Done      bool                   `json:"done,omitempty"`    // the last
}

// finding is a [badgerstore.Finding] whose key JSON can say.
type finding struct {
	Kind   badgerstore.FindingKind `json:"kind"`
	Bucket string                  `json:"bucket,omitempty"`
	Key    []byte                  `json:"key,omitempty"`
	Text   string                  `json:"text"`
	Remedy string                  `json:"remedy,omitempty"`
}

func findingNews(f badgerstore.Finding) news {
	return news{Finding: &finding{f.Kind, f.Bucket, []byte(f.Key), f.Text, f.Remedy}}
}

func (f finding) whole() badgerstore.Finding {
	return badgerstore.Finding{Kind: f.Kind, Bucket: f.Bucket, Key: objstore.Key(f.Key), Text: f.Text, Remedy: f.Remedy}
}

// progress is how far a job is, or a step of it.
type progress struct {
	Done  int64  `json:"done_bytes"`
	Total int64  `json:"total_bytes"`
	Step  string `json:"step,omitempty"`
	Count bool   `json:"count,omitempty"` // of things, and not of bytes
}

// failure is an error that comes from another process.
type failure struct {
	Kind objstore.Kind `json:"kind"`
	Text string        `json:"text"`
}

// Error is the sentence.
func (f *failure) Error() string { return f.Text }

// Unwrap is the kind; an error without one has none.
func (f *failure) Unwrap() error {
	if f.Kind == 0 {
		return nil
	}
	return f.Kind
}

// run does the job on a store that is open here. tell is called from one goroutine; its error ends the job.
func (j job) run(ctx context.Context, e *badgerstore.Engine, tell func(news) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	say := func(n news) {
		if err := tell(n); err != nil {
			cancel(err)
		}
	}
	switch j.Verb {
	case verbBackup:
		b, err := e.Backup(ctx, j.Dir, paced(say, progress{}))
		if err == nil {
			say(news{Backup: &b})
		}
		return errors.Join(err, unheard(ctx))
	case verbCheck:
		j.Check.Progress = j.shown(say, progress{})
		err := e.Check(ctx, j.Check, func(f badgerstore.Finding) error { return tell(findingNews(f)) })
		return errors.Join(err, unheard(ctx))
	case verbScrub:
		done, err := e.Scrub(ctx, j.Scrub, paced(say, progress{}), func(f badgerstore.Finding) error { return tell(findingNews(f)) })
		if err == nil {
			say(news{Scrubbed: &done})
		}
		return errors.Join(err, unheard(ctx))
	case verbCollect:
		c, err := e.Collect(ctx, j.shown(say, progress{Count: true}))
		return errors.Join(err, tell(news{Collected: &c}))
	case verbCompact:
		c, err := j.compact(ctx, e, say)
		return errors.Join(err, tell(news{Compacted: &c}))
	}
	return usageErrorf("the process that has the store open does not know %q: it is of another version", j.Verb)
}

// compacted is what became of scattered files and of tables.
type compacted struct {
	badgerstore.Merged
	badgerstore.Compacted
}

// compact writes together what edits have scattered, removes what that and others have left behind, and then merges the tables.
func (j job) compact(ctx context.Context, e *badgerstore.Engine, say func(news)) (c compacted, err error) {
	if c.Merged, err = e.Merge(ctx, j.shown(say, progress{Step: "files"})); err != nil {
		return c, err
	}
	if _, err = e.Collect(ctx, j.shown(say, progress{Step: "garbage", Count: true})); err == nil {
		c.Compacted, err = e.Compact(ctx, j.shown(say, progress{Step: "tables"}))
	}
	return c, err
}

// shown is paced if who asked shows it.
func (j job) shown(say func(news), of progress) badgerstore.Progress {
	if !j.Shown {
		return nil
	}
	return paced(say, of)
}

// unheard is why nobody could be told any more, or nil.
func unheard(ctx context.Context) error {
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// progressEvery is how often progress is told at most.
const progressEvery = 100 * time.Millisecond

// paced tells progress of something now and then, and the end.
func paced(say func(news), of progress) badgerstore.Progress {
	var last time.Time
	return func(done, total int64) {
		if now := time.Now(); now.Sub(last) >= progressEvery || done == total {
			last = now
			told := of
			told.Done, told.Total = done, total
			say(news{Progress: &told})
		}
	}
}

// upkeep does a job on a store in a directory, through its owner if it has one. open opens it if not.
func upkeep(ctx context.Context, dir string, j job, open func() (*badgerstore.Engine, error), tell func(news) error) (err error) {
	patience := time.NewTimer(attachPatience)
	defer patience.Stop()
	for {
		engine, err := open()
		if err == nil {
			return errors.Join(j.run(ctx, engine, tell), engine.Close())
		}
		if !errors.Is(err, objstore.ErrInUse) {
			return err
		}
		reached, failed := j.ask(ctx, dir, tell)
		if reached {
			return failed
		}
		select {
		case <-patience.C:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(attachInterval):
		}
	}
}

// upkeepOf is upkeep of a store that is opened as other commands do.
func (t *terminal) upkeepOf(ctx context.Context, store string, j job, options badgerstore.Options, tell func(news) error) error {
	if isRemote(store) {
		return usageErrorf("%s is a URL, and %s is for the machine the store is on: name its directory", store, j.Verb)
	}
	dir, err := storeDir(store)
	if err != nil {
		return err
	}
	logger := slog.New(errorsOnly{slog.NewTextHandler(t.err, nil)})
	err = upkeep(ctx, dir, j, func() (*badgerstore.Engine, error) {
		engine, err := badgerstore.Open(ctx, dir, storeOptions(options), badgerstore.Parts{Logger: logger})
		if objstore.KindOf(err) == objstore.ErrReadOnly { // what reads needs no more
			options.ReadOnly = true
			return badgerstore.Open(ctx, dir, storeOptions(options), badgerstore.Parts{Logger: logger})
		}
		return engine, err
	}, tell)
	return mountedThere(dir, "that", err)
}

// errorsOnly leaves all out but what went wrong.
type errorsOnly struct{ slog.Handler }

// Enabled implements [slog.Handler].
func (e errorsOnly) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelError && e.Handler.Enabled(ctx, level)
}
