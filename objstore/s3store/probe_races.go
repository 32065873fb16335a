package s3store

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/etagfs/etagfs/objstore"
)

// probeWriters write the same key at once, to catch a store that looks first and then writes; probeRounds is how often. Their
// bodies are too large for a store to read before it looks.
const (
	probeWriters   = 8
	probeRounds    = 3
	probeBodyBytes = 16 << 10
)

// tryRaces lets several create a key, and then several replace it: one may.
func (p *probe) tryRaces(ctx context.Context) error {
	var creators, updaters race
	for range probeRounds {
		if err := p.remove(ctx, p.other, objstore.Unconditional()); err != nil {
			return err
		}
		if p.caps.Put.Has(objstore.IfAbsent()) {
			creators.count(p.winners(ctx, objstore.IfAbsent()))
		}
		base, err := p.set(ctx, p.other)
		if err != nil {
			return err
		}
		if p.caps.Put.Has(anyIfVersion()) {
			updaters.count(p.winners(ctx, objstore.IfVersion(base.version)))
		}
	}
	if p.caps.Put.Has(objstore.IfAbsent()) && !p.vital("of concurrent creators one wins", creators.detail() == "", creators.detail()) {
		p.caps.Put &^= objstore.CondsOf(objstore.IfAbsent())
	}
	if p.caps.Put.Has(anyIfVersion()) && !p.vital("of concurrent updates one wins", updaters.detail() == "", updaters.detail()) {
		p.caps.Put &^= objstore.CondsOf(anyIfVersion(), objstore.IfPresent())
	}
	return nil
}

// race is what came of some rounds.
type race struct {
	won     bool // somebody
	several bool // in one round
}

func (r *race) count(winners int64) {
	r.won = r.won || winners > 0
	r.several = r.several || winners > 1
}

// detail says what is wrong; empty: nothing.
func (r *race) detail() string {
	switch {
	case r.several:
		return "several won: the store looks first and then writes"
	case !r.won:
		return "none won"
	}
	return ""
}

// winners is how many of some writers are told that they won. They are let go together once each of them has sent
// all but the last byte: by then, who looks first has looked.
func (p *probe) winners(ctx context.Context, cond objstore.Cond) int64 {
	var won atomic.Int64
	var all sync.WaitGroup
	g := &gate{open: make(chan struct{})}
	g.missing.Add(probeWriters)
	for i := range probeWriters {
		all.Go(func() {
			w := &lateWriter{client: p.s.client.Options().HTTPClient, gate: g}
			defer w.arrived()
			body := strings.Repeat(string(rune('a'+i)), probeBodyBytes)
			in := &s3.PutObjectInput{
				Bucket: p.s.bucket(), Key: p.s.key(p.other), Body: strings.NewReader(body), IfMatch: p.s.match(cond), IfNoneMatch: noneMatch(cond),
			}
			_, err := p.s.client.PutObject(ctx, in, p.s.own(headerIfVersion, cond), func(o *s3.Options) { o.HTTPClient = w })
			if err == nil {
				won.Add(1)
			}
		})
	}
	g.missing.Wait()
	p.s.backOff(ctx, 1) // that it was cut short is seen by who asks next
	close(g.open)
	all.Wait()
	return won.Load()
}

// gate is where the writers of a race wait for each other.
type gate struct {
	missing sync.WaitGroup // writers that have not come this far
	open    chan struct{}  // closed when all go on
}

// lateWriter sends a request, and the last byte of its body after the gate has opened.
type lateWriter struct {
	client s3.HTTPClient
	gate   *gate
	once   sync.Once
}

// arrived is called by who is at the gate, or done before it.
func (w *lateWriter) arrived() { w.once.Do(w.gate.missing.Done) }

// Do implements [s3.HTTPClient].
func (w *lateWriter) Do(r *http.Request) (*http.Response, error) {
	if r.ContentLength > 1 {
		rest := &lateByte{writer: w, done: r.Context().Done(), from: r.Body}
		r.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(io.LimitReader(r.Body, r.ContentLength-1), rest), r.Body}
		r.GetBody = nil
	}
	return w.client.Do(r)
}

// lateByte reads nothing until the gate opens.
type lateByte struct {
	writer *lateWriter
	done   <-chan struct{}
	from   io.Reader
}

func (l *lateByte) Read(p []byte) (int, error) {
	l.writer.arrived()
	select {
	case <-l.writer.gate.open:
		return l.from.Read(p)
	case <-l.done:
		return 0, context.Canceled
	}
}
