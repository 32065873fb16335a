package crash

import "context"

// target is what calls are made on. Its do is called by all lanes at once.
type target interface {
	// survey reads everything.
	survey(ctx context.Context) (survey, error)
	// drop forgets a kept copy.
	drop(ctx context.Context, id string) error
	// counter is the value of the shared counter, which the lane is about to increment.
	counter(ctx context.Context, lane int) (int64, error)
	// do makes a call. staged is called when its bytes are staged and before they are committed.
	do(ctx context.Context, o op, staged func()) (outcome, error)
	close(ctx context.Context) error
}

// outcome is how a call was answered.
type outcome struct {
	version string // given to the new content, if the target tells
	failed  bool   // not applied, as may happen: a lost increment, a full disk
	kept    bool   // a release lost and its bytes were kept
}
