package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore"
)

// upkeepPath is where the owner of a store takes jobs, on its socket. No bucket has such a name.
const upkeepPath = "/-/upkeep"

// jobBytesMax bounds what a job weighs.
const jobBytesMax = 1 << 20

// keeper does jobs for other processes on a store that this one has open.
type keeper struct {
	engine *badgerstore.Engine
	rest   http.Handler // what is no job

	ctx     context.Context // ends when this process wants to
	stop    context.CancelFunc
	working sync.WaitGroup
}

// keeping takes jobs beside what rest answers.
func keeping(engine *badgerstore.Engine, rest http.Handler) *keeper {
	k := &keeper{engine: engine, rest: rest}
	k.ctx, k.stop = context.WithCancel(context.Background())
	return k
}

// Close ends jobs and waits for them. There must be no new ones.
func (k *keeper) Close() {
	k.stop()
	k.working.Wait()
}

// ServeHTTP implements [http.Handler].
func (k *keeper) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != upkeepPath || r.Method != http.MethodPost {
		k.rest.ServeHTTP(w, r)
		return
	}
	k.working.Add(1)
	defer k.working.Done()
	var j job
	if err := json.NewDecoder(io.LimitReader(r.Body, jobBytesMax)).Decode(&j); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(k.ctx, cancel)()
	say := json.NewEncoder(w)
	flush := http.NewResponseController(w)
	tell := func(n news) error { return errors.Join(say.Encode(n), flush.Flush()) }
	last := news{Done: true}
	if err := j.run(ctx, k.engine, tell); err != nil {
		if k.ctx.Err() != nil {
			err = &objstore.Error{Op: j.Verb, Kind: objstore.ErrUnavailable, Detail: "the process that has the store open has ended", Err: err}
		}
		last = news{Failure: &failure{objstore.KindOf(err), sentence(err)}}
	}
	_ = tell(last) // who is gone is not told
}

// clientBeside asks the owner of the store in dir, whatever the host of a URL.
func clientBeside(dir string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext:       func(ctx context.Context, _, _ string) (net.Conn, error) { return dialBeside(ctx, dir) },
		DisableKeepAlives: true,
	}}
}

// ask has the owner of the store in dir do the job. reached is false if there is no owner to be spoken to.
func (j job) ask(ctx context.Context, dir string, tell func(news) error) (reached bool, err error) {
	body, err := json.Marshal(j)
	if err != nil {
		return true, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+socketName+upkeepPath, bytes.NewReader(body))
	if err != nil {
		return true, err
	}
	response, err := clientBeside(dir).Do(request)
	if err != nil {
		return ctx.Err() != nil, err
	}
	defer response.Body.Close() // it was read to its end, or nobody wants the rest
	if response.StatusCode != http.StatusOK {
		return true, &objstore.Error{Op: j.Verb, Key: dir, Kind: objstore.ErrUnsupported,
			Detail: "the process that has the store open does not do that for others: it is of another version"}
	}
	return true, hear(bufio.NewReader(response.Body), dir, j.Verb, tell)
}

// hear passes news on until the last.
func hear(r io.Reader, dir, verb string, tell func(news) error) error {
	said := json.NewDecoder(r)
	for {
		var n news
		if err := said.Decode(&n); err != nil {
			return &objstore.Error{Op: verb, Key: dir, Kind: objstore.ErrUnavailable,
				Detail: "the process that has the store open has ended in the middle", Err: fmt.Errorf("%w", err)}
		}
		switch {
		case n.Failure != nil:
			return n.Failure
		case n.Done:
			return nil
		}
		if err := tell(n); err != nil {
			return err
		}
	}
}
