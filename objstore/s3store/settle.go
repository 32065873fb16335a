package s3store

import (
	"context"
	"io"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// A request is sent at most triesMax times, and one that is told that its key is a directory triesOfDirectory times; who is
// cancelled after a write was sent still has settleTime to find out.
const (
	triesMax         = 6
	triesOfDirectory = 4

	backoffMin = 20 * time.Millisecond
	settleTime = 30 * time.Second
)

// again asks until there is an answer other than "later". It is for what changes nothing, or may be done twice.
func again[T any](ctx context.Context, s *Store, ask func() (T, error)) (T, error) {
	for try := 1; ; try++ {
		out, err := ask()
		if err == nil || try == triesMax || kindOf(err) != objstore.ErrUnknown && !mayComeAgain(err) || s.backOff(ctx, try) != nil {
			return out, err
		}
	}
}

// backOff waits before the next try: twice as long as before, and anything between half of that and all.
func (s *Store) backOff(ctx context.Context, try int) error {
	var jitter [1]byte
	if _, err := io.ReadFull(s.parts.Rand, jitter[:]); err != nil {
		return err
	}
	d := backoffMin << try
	return s.parts.Clock.Sleep(ctx, d/2+d/2*time.Duration(jitter[0])/256)
}

// write is one mutation under way.
type write struct {
	op  string
	key objstore.Key // where its outcome shows
	// repeatable: sending it again cannot apply it twice nor undo another's.
	repeatable bool
	// recognised: the store answers a repetition as it answered the first.
	recognised bool
	send       func(context.Context) (stamp, error)
	// look finds out what became of it where nothing was answered; nil: that cannot be seen.
	look func(context.Context) (stamp, verdict)
}

// verdict is what a look at the store says of a write without an answer.
type verdict uint8

const (
	undecided verdict = iota
	applied
	lost      // it was not applied, and will not be: its condition is lost for good
	untouched // what it is conditional on is there still: it may be sent again
	unseen    // the store did not answer
)

// looksMax bounds how often a store is looked at that does not answer; it takes longer than there is time for.
const looksMax = 64

// settle sends w until what became of it is known, or cannot be.
func (s *Store) settle(ctx context.Context, w write) (stamp, error) {
	if err := ctx.Err(); err != nil {
		return stamp{}, writeError(w.op, w.key, objstore.ErrUnavailable, err)
	}
	silent := false
	for try := 1; ; try++ {
		made, err := w.send(ctx)
		if err == nil {
			return made, nil
		}
		kind := kindOf(err)
		if kind == objstore.ErrUnknown && !silent {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), settleTime)
			defer cancel()
			silent = true
		}
		next := mayComeAgain(err) || kind == objstore.ErrConflict || kind == objstore.ErrUnknown && w.repeatable ||
			kind == objstore.ErrIsDir && try < triesOfDirectory
		if (!next || try == triesMax) && silent && !w.answers(kind) {
			made, said := s.lookAt(ctx, w)
			if said == applied {
				return made, nil
			}
			if said == lost {
				return stamp{}, writeError(w.op, w.key, objstore.ErrPrecondition, err)
			}
			next = said == untouched
			kind = objstore.ErrUnknown
		}
		if !next || try == triesMax || s.backOff(ctx, try) != nil {
			return stamp{}, s.unsettled(w, kind, silent, err)
		}
	}
}

func isLost(kind objstore.Kind) bool {
	return kind == objstore.ErrPrecondition || kind == objstore.ErrNotFound
}

// lookAt looks until the store answers, which may have been down since it did not, or time is over.
func (s *Store) lookAt(ctx context.Context, w write) (made stamp, said verdict) {
	if w.look == nil {
		return stamp{}, undecided
	}
	for range looksMax {
		if made, said = w.look(ctx); said != unseen || s.backOff(ctx, triesMax-1) != nil {
			break
		}
	}
	return made, said
}

// unanswered is the verdict of a look that failed.
func unanswered(err error) verdict {
	if kindOf(err) == objstore.ErrUnavailable {
		return unseen
	}
	return undecided
}

// answers reports whether a refusal after silence is of the write itself, by a store that would know it if it had been applied.
func (w write) answers(kind objstore.Kind) bool {
	return w.recognised && (isLost(kind) || kind == objstore.ErrRange)
}

// unsettled is the error of a write whose last answer, or silence, was err.
func (s *Store) unsettled(w write, kind objstore.Kind, silent bool, err error) error {
	if silent && !w.answers(kind) {
		kind = objstore.ErrUnknown
	}
	return writeError(w.op, w.key, kind, err)
}

// lookForPut searches what is there for the id of a put or copy.
func (s *Store) lookForPut(d *draft) func(context.Context) (stamp, verdict) {
	return func(ctx context.Context) (stamp, verdict) {
		info, line, err := s.head(ctx, "look", d.key, objstore.Unconditional())
		if err != nil {
			return stamp{}, unanswered(err)
		}
		if etag, ok := line.made(d.id, info.ETag); ok {
			return stamp{etag, objstore.Version(etag)}, applied
		}
		base, ok := d.cond.Version()
		switch {
		case ok && info.Version == base && d.saw(info, line):
			return stamp{}, untouched
		case ok && s.caps.UniqueVersions && line.reaches(objstore.ETag(base)):
			return stamp{}, lost
		}
		return stamp{}, undecided
	}
}

// lookForDelete decides a delete: gone is as good as deleted if nothing was demanded; an object that descends from the
// one that was to be deleted says that it was not.
func (s *Store) lookForDelete(key objstore.Key, cond objstore.Cond) func(context.Context) (stamp, verdict) {
	return func(ctx context.Context) (stamp, verdict) {
		info, line, err := s.head(ctx, "look", key, objstore.Unconditional())
		base, versioned := cond.Version()
		switch {
		case err != nil && kindOf(err) == objstore.ErrNotFound && cond.IsUnconditional():
			return stamp{}, applied
		case err != nil:
			return stamp{}, unanswered(err)
		case !versioned || !s.caps.UniqueVersions:
			return stamp{}, undecided
		case info.Version == base:
			return stamp{}, untouched
		case line.reaches(objstore.ETag(base)):
			return stamp{}, lost
		}
		return stamp{}, undecided
	}
}
