package crash

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/memstore"
)

// A store that loses nothing passes: what the lanes did to the oracle is what is found in it.
func TestWorkOnTheOracleIsFoundAsItWasDone(t *testing.T) {
	bucket := memstore.NewBucket(memstore.Options{})
	r := newRun("", orders{
		Lanes: 8, Calls: 300, Seed: randomSeed(t),
		Mix: mix{Durable: 0.1, Sizes: []int64{100, 5000}, Keys: true, Holds: true, Increments: true},
	})
	for range 3 {
		r.orders.FirstSeq += 1 << 20
		work := openEmbedded(bucket, noCheck, noClose)
		if err := inProcess(r, work); err != nil {
			t.Fatal(err)
		}
		if n := r.history.calls; n != 8*300 {
			t.Fatalf("%d calls were answered", n)
		}
		work.abandon(t)
	}
	r.orders.Calls = 0
	if err := inProcess(r, openEmbedded(bucket, noCheck, noClose)); err != nil {
		t.Fatal(err)
	}
	if r.survey.Counter.Value < 100 {
		t.Errorf("the counter is at %v only", r.survey.Counter)
	}
}

func noCheck(context.Context) ([]string, error) { return nil, nil }
func noClose(context.Context) error             { return nil }

// abandon does what opening a store again does with stages nobody closed.
func (e *embedded) abandon(t *testing.T) {
	for path, h := range e.held {
		_, err := h.stage.Keep(context.Background(), objstore.Conflict{Reason: objstore.ReasonCrash, Path: path})
		if err := errors.Join(err, h.stage.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// inProcess lets a worker of this process work and takes in what it tells.
func inProcess(r *run, work target) error {
	read, write := io.Pipe()
	go func() {
		runWorker(context.Background(), r.orders, func(orders) (target, error) { return work, nil }, write)
		write.Close()
	}()
	for events := json.NewDecoder(read); ; {
		var e event
		if err := events.Decode(&e); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := r.take(e); err != nil {
			io.Copy(io.Discard, read)
			return err
		}
	}
}
