package faultstore

import (
	"context"
	"io"
	"sync/atomic"

	"github.com/etagfs/etagfs/objstore"
)

// faults is what all wrappers of one store share.
type faults struct {
	injector Injector // constant
	count    atomic.Int64
}

func (f *faults) begin(kind Kind, key string) Op {
	return Op{Kind: kind, Key: key, Nth: f.count.Add(1)}
}

// decide asks the injector about a phase of op.
func (f *faults) decide(ctx context.Context, op Op, phase Phase, done error) error {
	op.Phase, op.Err = phase, done
	err := f.injector.Decide(ctx, op)
	if kind, bare := err.(objstore.Kind); bare {
		return &objstore.Error{Op: op.Kind.String(), Key: op.Key, Kind: kind, Detail: "injected: " + kind.Error()}
	}
	return err
}

// call runs one operation between its two decisions. drop gives back a result
// that nobody will hear of; nil: nothing to give back.
func call[R any](ctx context.Context, f *faults, op Op, drop func(R), run func() (R, error)) (R, error) {
	var none R
	if err := f.decide(ctx, op, Before, nil); err != nil {
		return none, err
	}
	result, err := run()
	if lost := f.decide(ctx, op, After, err); lost != nil {
		if err == nil && drop != nil {
			drop(result)
		}
		return none, lost
	}
	return result, err
}

// do is call for operations without a result.
func do(ctx context.Context, f *faults, op Op, run func() error) error {
	_, err := call(ctx, f, op, nil, func() (struct{}, error) { return struct{}{}, run() })
	return err
}

// tornReader asks before each piece of a body whether it ends there.
type tornReader struct {
	op   Op
	body io.Reader
	ask  func(op Op) error
}

// torn wraps body, which op reads or is read for. An error is delivered as it is, so
// that io.EOF makes a body end early without a sign.
func (f *faults) torn(ctx context.Context, op Op, body io.Reader) *tornReader {
	return &tornReader{op: op, body: body, ask: func(op Op) error { return f.decide(ctx, op, Body, nil) }}
}

// Read implements [io.Reader].
func (t *tornReader) Read(p []byte) (int, error) {
	if err := t.ask(t.op); err != nil {
		return 0, err
	}
	n, err := t.body.Read(p)
	t.op.Offset += int64(n)
	return n, err
}
