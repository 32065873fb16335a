package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// load is what a number of clients ask of a server, each for one thing after the other.
type load struct {
	clients  int
	requests []*request // handed out in order
	// time is how long to go on, from the start of the requests again if they are over; 0: send each once. However
	// short it is, each client sends one.
	time time.Duration
}

// outcome is what came of a load.
type outcome struct {
	done int
	took time.Duration
	used time.Duration // processor time of the server
}

func (o outcome) perSecond() float64  { return float64(o.done) / o.took.Seconds() }
func (o outcome) perRequest() float64 { return o.used.Seconds() / float64(o.done) }

// run puts a load on the server.
func (s *server) run(ctx context.Context, l load) (o outcome, err error) {
	conns := make([]*conn, l.clients)
	for i := range conns {
		if conns[i], err = dial(ctx, s.addr); err != nil {
			return o, err
		}
		defer conns[i].close()
	}
	defer context.AfterFunc(ctx, func() {
		for _, c := range conns {
			c.close() // whoever waits for an answer waits no longer
		}
	})()
	before, err := s.process.ProcessorTime()
	if err != nil {
		return o, err
	}
	begun := time.Now()
	o.done, err = l.run(ctx, conns, begun)
	o.took = time.Since(begun)
	if err != nil {
		return o, err
	}
	after, err := s.process.ProcessorTime()
	o.used = after - before
	return o, err
}

// run gives each connection a worker. The first error ends them all.
func (l load) run(ctx context.Context, conns []*conn, begun time.Time) (done int, err error) {
	var next atomic.Int64
	var stop atomic.Bool
	var wait sync.WaitGroup
	failed := make([]error, len(conns))
	for i, c := range conns {
		wait.Go(func() {
			for first := true; !stop.Load() && ctx.Err() == nil && (first || l.goesOn(begun)); first = false {
				at := int(next.Add(1)) - 1
				if l.time == 0 && at >= len(l.requests) {
					return
				}
				if _, failed[i] = c.do(l.requests[at%len(l.requests)]); failed[i] != nil {
					failed[i] = fmt.Errorf("request %d: %w", at+1, failed[i])
					stop.Store(true)
					return
				}
			}
		})
	}
	wait.Wait()
	done = int(next.Load())
	if l.time == 0 {
		done = min(done, len(l.requests))
	}
	return done, errors.Join(append(failed, ctx.Err())...)
}

func (l load) goesOn(begun time.Time) bool { return l.time == 0 || time.Since(begun) < l.time }
