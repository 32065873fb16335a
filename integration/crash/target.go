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
	// do makes a call, and tells how far it has come.
	do(ctx context.Context, o op, tell progress) (outcome, error)
	close(ctx context.Context) error
}

// progress is told of a call while it is made.
type progress struct {
	staged  func() // its bytes are staged, and about to be committed
	refused func() // it was not applied, and what it staged is about to go
}

// outcome is how a call was answered.
type outcome struct {
	version string // given to the new content, if the target tells
	failed  bool   // not applied, as may happen: a lost increment, a full disk
	kept    bool   // a release lost and its bytes were kept
}
