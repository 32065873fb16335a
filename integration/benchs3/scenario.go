package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/internal/measure"
)

// bench is the servers in a work directory, and what was measured of them.
type bench struct {
	dir          string
	servers      []*server
	sizes        sizes
	rows         *regexp.Regexp
	rounds       int
	signPayloads bool
	content      []byte                      // random, as long as the largest object
	uploaded     []byte                      // over and over, in uploads whose memory is measured
	syncs        *syncCounter                // nil: syncs are not counted
	settle       func(context.Context) error // before anything is timed

	values   measure.Values
	failures []error
}

// add files a value under its round, from 1. Round 0 warms up.
func (b *bench) add(row string, s *server, round int, value float64) {
	if round == 0 {
		return
	}
	c := measure.At(row, s.name)
	if b.values[c] == nil {
		b.values[c] = slices.Repeat([]float64{math.NaN()}, b.rounds)
	}
	b.values[c][round-1] = value
}

func (b *bench) fail(row string, s *server, err error) {
	b.failures = append(b.failures, fmt.Errorf("%s on %s: %w", row, s.name, err))
}

// run measures round by round, and begins each with another server.
func (b *bench) run(ctx context.Context) error {
	for _, shape := range b.sizes.shapes {
		if !b.selected(shape) {
			continue
		}
		for round := range b.rounds + 1 {
			for i := range b.servers {
				b.objects(ctx, b.servers[(i+round)%len(b.servers)], shape, round)
				if err := ctx.Err(); err != nil {
					return err
				}
			}
		}
	}
	return b.conditions(ctx)
}

func (b *bench) selected(s shape) bool {
	return slices.ContainsFunc(operations(), func(op string) bool { return b.rows.MatchString(s.row(op)) })
}

// objects takes the objects of a shape through their life on one server.
func (b *bench) objects(ctx context.Context, s *server, shape shape, round int) {
	prefix := fmt.Sprintf("/%s/%d/", regexp.MustCompile(`\W+`).ReplaceAllString(shape.String(), "-"), round)
	for _, op := range operations() {
		row := shape.row(op)
		if !s.does(op) || op != opPut && op != opDelete && !b.rows.MatchString(row) {
			continue
		}
		l, err := b.load(ctx, s, op, shape, prefix)
		if err == nil && op != opHead && op != opList { // these follow what wrote nothing
			err = b.settle(ctx)
		}
		var o outcome
		if err == nil {
			o, err = s.run(ctx, l)
		}
		if err != nil {
			b.fail(row, s, err)
			return
		}
		b.add(row, s, round, o.perSecond())
		b.add(rowCPU(row), s, round, o.perRequest())
	}
}

// does reports whether a server has an operation: the file server has no lists.
func (s *server) does(op string) bool { return op != opList || s.name != fileServerName }

// load is what the clients ask for.
func (b *bench) load(ctx context.Context, s *server, op string, shape shape, prefix string) (load, error) {
	l := load{clients: shape.clients}
	if op != opPut && op != opDelete {
		l.time = b.sizes.time
	}
	sign := b.signer(s)
	if op == opList {
		q, err := sign.request(ctx, http.MethodGet, "?list-type=2&prefix="+prefix[1:], nil, nil, http.StatusOK)
		l.requests = []*request{q}
		return l, err
	}
	method, status, body := http.MethodGet, http.StatusOK, [][]byte(nil)
	switch op {
	case opPut:
		method, body = http.MethodPut, [][]byte{b.content[:shape.bytes]}
	case opHead:
		method = http.MethodHead
	case opDelete:
		method = http.MethodDelete
		if s.name != fileServerName {
			status = http.StatusNoContent
		}
	}
	for i := range shape.objects {
		q, err := sign.request(ctx, method, prefix+strconv.Itoa(i), body, nil, status)
		if err != nil {
			return l, err
		}
		l.requests = append(l.requests, q)
	}
	return l, nil
}

func (b *bench) signer(s *server) signer { return signer{addr: s.addr, signPayloads: b.signPayloads} }

// comeToRest syncs the disk and waits until no server works.
func (b *bench) comeToRest(ctx context.Context) error {
	fd, err := unix.Open(b.dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", b.dir, err)
	}
	var processes []measure.Process
	for _, s := range b.servers {
		processes = append(processes, s.process)
	}
	err = unix.Syncfs(fd)
	return errors.Join(err, unix.Close(fd), measure.WaitQuiet(ctx, processes))
}
