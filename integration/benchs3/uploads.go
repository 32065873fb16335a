package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// sampleTime is between two looks at a server's memory.
const sampleTime = 50 * time.Millisecond

// uploads looks at the memory of a server while many large objects are put at the same time, once.
func (b *bench) uploads(ctx context.Context, s *server) error {
	row := rowUploads(b.sizes)
	if !b.rows.MatchString(row) {
		return nil
	}
	l := load{clients: b.sizes.uploads}
	for i := range b.sizes.uploads {
		q, err := b.signer(s).request(ctx, http.MethodPut, "/uploads/"+strconv.Itoa(i), b.pieces(b.sizes.upload), nil, http.StatusOK)
		if err != nil {
			return err
		}
		l.requests = append(l.requests, q)
	}
	if err := b.settle(ctx); err != nil {
		return err
	}
	sampling, stop := context.WithCancel(ctx)
	peak := make(chan float64, 1)
	go func() { peak <- s.peakMemory(sampling) }()
	_, err := s.run(ctx, l)
	stop()
	most := <-peak
	if err != nil {
		b.fail(row, s, err)
		return ctx.Err()
	}
	b.add(row, s, 1, most)
	return nil
}

// pieces is so many bytes of what is uploaded, over and over.
func (b *bench) pieces(bytes int64) (pieces [][]byte) {
	for bytes > 0 {
		n := min(bytes, int64(len(b.uploaded)))
		pieces = append(pieces, b.uploaded[:n])
		bytes -= n
	}
	return pieces
}

// peakMemory is the most anonymous memory the server had until ctx ended; 0 if it could not be seen.
func (s *server) peakMemory(ctx context.Context) (peak float64) {
	sample := time.NewTicker(sampleTime)
	defer sample.Stop()
	for {
		if now, err := s.process.AnonymousBytes(); err == nil {
			peak = max(peak, now)
		}
		select {
		case <-ctx.Done():
			return peak
		case <-sample.C:
		}
	}
}

// uploadBytes is how large uploads can be if all of them may take a quarter of what is free.
func uploadBytes(dir string, uploads int, wanted int64) (int64, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return 0, fmt.Errorf("look for room: %w", err)
	}
	const mebi = 1 << 20
	room := int64(fs.Bavail) * fs.Bsize / 4 / int64(uploads)
	return max(min(wanted, room)/mebi, 1) * mebi, nil
}
