package main

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/etagfs/etagfs/integration/internal/measure"
)

// syncCounter counts the system calls by which a process waits for the disk. A nil one counts nothing.
type syncCounter struct{ trace *measure.Trace }

func openSyncCounter() (*syncCounter, error) {
	t, err := measure.OpenTrace("syscalls/sys_enter_fsync", "syscalls/sys_enter_fdatasync", "syscalls/sys_enter_syncfs", "syscalls/sys_enter_msync")
	if err != nil {
		return nil, err
	}
	if err := t.Set("options/event-fork", "1"); err != nil { // threads begun meanwhile count too
		return nil, errors.Join(err, t.Close())
	}
	return &syncCounter{t}, nil
}

// count is how many there were while f ran, in all threads of the process.
func (c *syncCounter) count(p measure.Process, f func() error) (int, error) {
	threads, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(int(p)), "task", "*"))
	if err != nil {
		return 0, err
	}
	for i, path := range threads {
		threads[i] = filepath.Base(path)
	}
	if err := errors.Join(c.trace.Set("set_event_pid", strings.Join(threads, " ")), c.trace.Begin()); err != nil {
		return 0, err
	}
	err = f()
	text, whole, endErr := c.trace.End()
	if err := errors.Join(err, endErr); err != nil {
		return 0, err
	}
	if !whole {
		return 0, errors.New("more syncs than the trace can hold")
	}
	return countSyncs(text), nil
}

// countSyncs counts lines such as
//
//	etagfs-17 [001] ..... 3.1: sys_fdatasync(fd: 8)
func countSyncs(text []byte) (n int) {
	for line := range bytes.Lines(text) {
		if !bytes.HasPrefix(line, []byte("#")) && bytes.Contains(line, []byte(": sys_")) {
			n++
		}
	}
	return n
}

func (c *syncCounter) close() error {
	if c == nil {
		return nil
	}
	return c.trace.Close()
}

// conditions measures what a put costs with a condition and without: one client, one key after the
// other, so that no two puts can share a sync. Each is one request and one answer.
func (b *bench) conditions(ctx context.Context) error {
	if b.syncs == nil {
		return nil
	}
	for round := range b.rounds + 1 {
		for i := range b.servers {
			s := b.servers[(i+round)%len(b.servers)]
			if s.name == fileServerName {
				continue
			}
			for _, row := range []string{rowSyncsPlain, rowSyncsAbsent, rowSyncsMatch} {
				if b.rows.MatchString(row) {
					b.conditionalPuts(ctx, s, row, round)
				}
			}
			if err := ctx.Err(); err != nil {
				return err
			}
		}
	}
	return nil
}

// conditionalPuts makes objects, or for If-Match new versions of one.
func (b *bench) conditionalPuts(ctx context.Context, s *server, row string, round int) {
	c, err := dial(ctx, s.addr)
	if err != nil {
		b.fail(row, s, err)
		return
	}
	defer c.close()
	put := func(number int, headers map[string]string) (string, error) {
		path := "/syncs/" + strings.ReplaceAll(row, " ", "-") + "/" + strconv.Itoa(round) + "-" + strconv.Itoa(number)
		q, err := b.signer(s).request(ctx, http.MethodPut, path, [][]byte{b.content[:small]}, headers, http.StatusOK)
		if err != nil {
			return "", err
		}
		a, err := c.do(q)
		return a.etag, err
	}
	etag, err := put(0, nil)
	if err == nil {
		err = b.settle(ctx)
	}
	if err != nil {
		b.fail(row, s, err)
		return
	}
	n, err := b.syncs.count(s.process, func() (err error) {
		for i := 1; i <= b.sizes.counted && err == nil; i++ {
			switch row {
			case rowSyncsPlain:
				_, err = put(i, nil)
			case rowSyncsAbsent:
				_, err = put(i, map[string]string{"If-None-Match": "*"})
			default:
				etag, err = put(0, map[string]string{"If-Match": etag})
			}
		}
		return err
	})
	if err != nil {
		b.fail(row, s, err)
		return
	}
	b.add(row, s, round, float64(n)/float64(b.sizes.counted))
}
