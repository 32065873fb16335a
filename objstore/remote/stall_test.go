package remote_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/remote"
)

// hurdle is a network whose connections are open and bring nothing any more once as many bytes have gone one way, until it is
// lifted. What it has stopped stays so.
type hurdle struct {
	address string
	lifted  context.Context
	lift    func()
	running sync.WaitGroup

	mu       sync.Mutex
	up, down int // GUARDED_BY(mu): how many bytes may still go; negative: any number
	stopped  int // GUARDED_BY(mu): connections
}

func newHurdle(address string) *hurdle {
	h := &hurdle{address: address, up: -1, down: -1}
	h.lifted, h.lift = context.WithCancel(context.Background())
	return h
}

// dial is a connection through it.
func (h *hurdle) dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	server, err := d.DialContext(ctx, "tcp", h.address)
	if err != nil {
		return nil, err
	}
	here, client := net.Pipe()
	h.running.Go(func() { h.pass(server, client, &h.up) })
	h.running.Go(func() { h.pass(client, server, &h.down) })
	return here, nil
}

// pass copies until either side ends.
func (h *hurdle) pass(to, from net.Conn, left *int) {
	defer to.Close()
	defer from.Close()
	p := make([]byte, 16<<10)
	for {
		n, err := from.Read(p)
		if err != nil {
			return
		}
		if !h.may(n, left) {
			<-h.lifted.Done()
			return
		}
		if _, err := to.Write(p[:n]); err != nil {
			return
		}
	}
}

func (h *hurdle) may(n int, left *int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if *left < 0 || h.lifted.Err() != nil {
		return true
	}
	*left = max(*left-n, 0)
	if *left == 0 {
		h.stopped++
	}
	return *left > 0
}

// stoppedOnce fails unless what a request was about was tried on one connection.
func (h *hurdle) stoppedOnce(t *testing.T) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopped != 1 {
		t.Errorf("%d connections brought nothing any more, and were waited for: not 1", h.stopped)
	}
}

// set stops what goes on after as many bytes.
func (h *hurdle) set(up, down int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.up, h.down = up, down
}

// overHurdle is a store beyond one.
func (b *bench) overHurdle() (*remote.Store, *hurdle) {
	b.t.Helper()
	h := newHurdle(b.http.Listener.Addr().String())
	store, err := remote.Open(b.t.Context(),
		remote.Options{Endpoint: b.http.URL, Bucket: "box", StageDir: b.t.TempDir(), Patience: 200 * time.Millisecond},
		remote.Parts{Dial: h.dial, Credentials: credentials()})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		h.lift()
		if err := store.Close(); err != nil {
			b.t.Error(err)
		}
		b.http.CloseClientConnections()
		h.running.Wait()
	})
	return store, h
}

// onceHeard does f until the server is heard. The patience of these tests is so short that a machine with other work outlasts it.
func onceHeard(f func() error) error {
	for {
		err := f()
		if kind := objstore.KindOf(err); kind != objstore.ErrUnavailable && kind != objstore.ErrUnknown {
			return err
		}
	}
}

// stalledBytes is more than connections take that bring nothing.
const stalledBytes = 8 << 20

// A server that is stopped in the middle of an answer, or whose network is gone then, is waited for as one that does not begin to
// answer: the read fails, and succeeds once the server goes on.
func TestAnswerThatStallsIsWaitedForNoLonger(t *testing.T) {
	b := newBench(t)
	content := bytes.Repeat([]byte("stalls "), stalledBytes/7)
	info, err := b.direct.Put(t.Context(), "f", bytes.NewReader(content), objstore.IfAbsent(), objstore.PutOptions{})
	if err != nil {
		t.Fatal(err)
	}
	store, h := b.overHurdle()
	r, err := store.Open(t.Context(), info.ID, info.Version)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got := make([]byte, len(content))
	h.set(-1, len(content)/2)
	if n, err := r.ReadAt(t.Context(), got, 0); objstore.KindOf(err) != objstore.ErrUnavailable {
		t.Fatalf("a read whose answer stalls: %d bytes, %v", n, err)
	}
	h.stoppedOnce(t)
	h.lift()
	err = onceHeard(func() error { _, err := r.ReadAt(t.Context(), got, 0); return err })
	if err != nil && err != io.EOF || !bytes.Equal(got, content) {
		t.Errorf("the same read when the server goes on: %v", err)
	}
}

// A server that is stopped while a commit is on its way to it, or whose network is gone then, is waited for as one that does not
// answer. What became of the commit is not known, and the bytes can still be had.
func TestRequestThatStallsIsWaitedForNoLonger(t *testing.T) {
	b := newBench(t)
	info := b.create("f", "before")
	store, h := b.overHurdle()
	stage, err := store.NewStage(t.Context(), objstore.StageSpec{})
	if err != nil {
		t.Fatal(err)
	}
	defer stage.Close()
	content := bytes.Repeat([]byte("stalls "), stalledBytes/7)
	if _, err := stage.WriteAt(t.Context(), content, 0); err != nil {
		t.Fatal(err)
	}
	h.set(len(content)/2, -1)
	target := objstore.CommitRequest{Target: objstore.Target{ID: info.ID}, Cond: objstore.IfVersion(info.Version)}
	if _, err := stage.Commit(t.Context(), target); objstore.KindOf(err) != objstore.ErrUnknown {
		t.Fatalf("a commit whose request stalls: %v", err)
	}
	h.stoppedOnce(t)
	h.lift()
	if err := onceHeard(func() error { _, err := stage.Commit(t.Context(), target); return err }); err != nil {
		t.Errorf("the same commit when the server goes on: %v", err)
	}
	if b.content("f") != string(content) {
		t.Error("what was committed is something else")
	}
}
