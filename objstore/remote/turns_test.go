package remote_test

import (
	"bytes"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

// streamGate holds requests whose bodies are streams: of large stages.
type streamGate struct {
	arrived chan struct{}
	open    chan struct{} // closed when they may go on

	mu        sync.Mutex
	now, most int // guarded by mu
}

// RoundTrip implements [http.RoundTripper].
func (g *streamGate) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.ContentLength >= 0 {
		return http.DefaultTransport.RoundTrip(r)
	}
	g.count(1)
	defer g.count(-1)
	g.arrived <- struct{}{}
	<-g.open
	return http.DefaultTransport.RoundTrip(r)
}

func (g *streamGate) count(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now += n
	g.most = max(g.most, g.now)
}

// However many large files are closed at once, a server is sent eight of them at a time, and small ones do not wait for those.
func TestLargeStagesTakeTurns(t *testing.T) {
	const files, atOnce = 24, 8
	b := newBench(t)
	gate := &streamGate{arrived: make(chan struct{}, files), open: make(chan struct{})}
	store, err := b.open(*credentials(), gate)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	write := func(name string, p []byte) error {
		stage, err := store.NewStage(t.Context(), objstore.StageSpec{})
		if err != nil {
			return err
		}
		defer stage.Close()
		if _, err := stage.WriteAt(t.Context(), p, 0); err != nil {
			return err
		}
		info, err := store.Lookup(t.Context(), store.Root(), name)
		if err == nil {
			_, err = stage.Commit(t.Context(), objstore.CommitRequest{Target: objstore.Target{ID: info.ID}, Cond: objstore.IfVersion(info.Version)})
		}
		return err
	}
	large := bytes.Repeat([]byte("large"), 1<<18)
	b.create("small", "base")
	var closing sync.WaitGroup
	failures := make([]error, files)
	for i := range files {
		name := fmt.Sprint("f", i)
		b.create(name, "base")
		closing.Go(func() { failures[i] = write(name, large) })
	}
	for range atOnce {
		<-gate.arrived
	}
	if err := write("small", []byte("mine")); err != nil || b.content("small") != "mine" {
		t.Errorf("a small file beside them: %v", err)
	}
	close(gate.open)
	closing.Wait()
	for i, err := range failures {
		if err != nil || b.content(fmt.Sprint("f", i)) != string(large) {
			t.Errorf("file %d: %v", i, err)
		}
	}
	if gate.most != atOnce {
		t.Errorf("%d were sent at once, want %d", gate.most, atOnce)
	}
}
