package memstore

import (
	"errors"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// replayFor is how long an outcome can be asked for again by its write id.
const replayFor = 24 * time.Hour

// replay is the outcome of a mutation that had a write id.
type replay struct {
	request string // what was asked, so that another request is not taken for it
	result  any
	err     error
}

// replayAge is when an outcome was noted.
type replayAge struct {
	id string
	at time.Time
}

// once runs f as a tx, or returns the outcome an earlier call with the same
// write id had. Applied mutations and lost conditions are outcomes; other failures are not.
func once[R any](b *Bucket, id, request string, f func(*tx) (R, error)) (R, error) {
	var result R
	b.forgetReplays(b.engine.tick())
	if old, ok := b.replays[id]; ok && id != "" {
		if old.request != request {
			return result, &objstore.Error{Kind: objstore.ErrInvalid, Err: objstore.WriteIDReused}
		}
		return old.result.(R), old.err
	}
	err := b.mutate(func(t *tx) (err error) {
		result, err = f(t)
		return err
	})
	if id != "" && (err == nil || objstore.IsLostCondition(err)) {
		b.remember(id, replay{request, result, err})
	}
	return result, err
}

func (b *Bucket) remember(id string, r replay) {
	b.replays[id] = r
	b.replayAges = append(b.replayAges, replayAge{id, b.engine.lastTime})
}

func (b *Bucket) forgetReplays(now time.Time) {
	for len(b.replayAges) > 0 && now.Sub(b.replayAges[0].at) > replayFor {
		delete(b.replays, b.replayAges[0].id)
		b.replayAges = b.replayAges[1:]
	}
}

// bodyError classifies what reading a put's body failed with.
func bodyError(err error) error {
	var e *objstore.Error
	if errors.As(err, &e) {
		return err
	}
	return &objstore.Error{Kind: objstore.ErrInvalid, Detail: "the body failed", Err: err}
}
