package main

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// slowToOpen is a store that is being opened when a call is called off.
type slowToOpen struct{}

func (slowToOpen) Get(ctx context.Context, _ objstore.Key, _ objstore.Cond) (objstore.Reader, error) {
	<-ctx.Done()
	return nil, &unopened{ctx.Err()}
}

func (slowToOpen) Put(context.Context, objstore.Key, io.Reader, objstore.Cond, objstore.PutOptions) (objstore.Info, error) {
	panic("nothing was read")
}

func (slowToOpen) Capabilities() objstore.Capabilities {
	return objstore.Capabilities{UniqueVersions: true}
}

// TestWaitThatEndsWhileAStoreIsOpenedIsALeaseNotHeld: the code is 4, and the sentence says how long it waited.
func TestWaitThatEndsWhileAStoreIsOpenedIsALeaseNotHeld(t *testing.T) {
	err := opened(leaseLock{wait: time.Millisecond}.run(t.Context(), slowToOpen{}, "l"))
	if exitCode(err) != 4 || !strings.Contains(err.Error(), "lock l: not held after 1ms") {
		t.Errorf("exit code %d, %v", exitCode(err), err)
	}
}
