package cache

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"github.com/etagfs/etagfs/objstore"
)

// Over is store with what is read of it cached. Everything else goes through as it is.
func (b *Blocks) Over(store objstore.Store) objstore.Store { return cachedStore{store, b} }

type cachedStore struct {
	objstore.Store
	b *Blocks
}

// Get asks the store which version is current, each time. What of it is on the disk is not asked for again.
func (s cachedStore) Get(ctx context.Context, key objstore.Key, cond objstore.Cond) (objstore.Reader, error) {
	inner, err := s.Store.Get(ctx, key, cond)
	if err != nil {
		return nil, err
	}
	info := inner.Info()
	if info.Size <= s.b.opt.SmallBytes {
		return inner, nil
	}
	r := &cachedReader{Reader: inner, b: s.b, key: key, info: info}
	if info.Size > s.b.opt.PinBytes {
		return r, nil
	}
	switch err := r.fetchAll(ctx); {
	case objstore.KindOf(err) == objstore.ErrNoSpace:
		s.b.opt.Logger.Warn("no space to hold on to an object that is read", "key", string(key), "error", err)
	case err != nil:
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// cachedReader reads one version through the cache.
type cachedReader struct {
	objstore.Reader // the store's
	b               *Blocks
	key             objstore.Key
	info            objstore.Info
	closed          atomic.Bool

	mu   sync.Mutex
	held []blockName // GUARDED_BY(mu): to be released
	next int64       // GUARDED_BY(mu): the offset at which reading would go on in order
}

func (r *cachedReader) name(index int64) blockName { return nameOf(r.key, r.info.Version, index) }

// span is the length of a block.
func (r *cachedReader) span(index int64) int64 {
	return min(blockBytes, r.info.Size-index*blockBytes)
}

// fetchAll fetches and holds on to every block, as far as there is space, so that nothing that happens to the object can keep it from being read.
func (r *cachedReader) fetchAll(ctx context.Context) error {
	for index := int64(0); index*blockBytes < r.info.Size; index++ {
		if err := r.ensure(ctx, index, true); err != nil {
			return err
		}
		r.mu.Lock()
		r.held = append(r.held, r.name(index))
		r.mu.Unlock()
	}
	return nil
}

// ensure has a block on the disk.
func (r *cachedReader) ensure(ctx context.Context, index int64, hold bool) error {
	name := r.name(index)
	mine, err := r.b.claim(ctx, name, hold)
	if err != nil || !mine {
		return err
	}
	var bytes int64
	defer func() { r.b.landed(name, bytes, hold) }()
	p := r.b.buffer(ctx)
	if p == nil {
		return named("read", string(r.key), ended(ctx))
	}
	defer func() { r.b.buffers <- p }()
	filled := p[:headBytes+r.span(index)]
	in := r.Reader.Stream(ctx, index*blockBytes, r.span(index))
	_, err = io.ReadFull(in, filled[headBytes:])
	if err := errors.Join(err, in.Close()); err != nil {
		return err
	}
	if err := r.b.store(name, filled); err != nil {
		return named("cache a block", r.b.path(name), err)
	}
	bytes = int64(len(filled))
	return nil
}

// ReadAt implements [objstore.Reader].
func (r *cachedReader) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	err := ended(ctx)
	switch {
	case r.closed.Load():
		err = objstore.ErrClosed
	case err == nil && off < 0:
		err = objstore.ErrInvalid
	case err == nil && off >= r.info.Size:
		return 0, io.EOF
	}
	if err != nil {
		return 0, named("read", string(r.key), err)
	}
	r.readAhead(off, int64(len(p)))
	done := 0
	for done < len(p) && off < r.info.Size {
		n, err := r.readBlock(ctx, p[done:], off)
		if err != nil {
			return done, err
		}
		done, off = done+n, off+int64(n)
	}
	if done < len(p) {
		return done, io.EOF
	}
	return done, nil
}

// readBlock reads from off what is in one block. What is damaged is fetched again, once.
func (r *cachedReader) readBlock(ctx context.Context, p []byte, off int64) (int, error) {
	index, within := off/blockBytes, off%blockBytes
	p = p[:min(int64(len(p)), r.span(index)-within)]
	for try := 0; ; try++ {
		if err := r.ensure(ctx, index, false); err != nil {
			if objstore.KindOf(err) == objstore.ErrNoSpace {
				return r.Reader.ReadAt(ctx, p, off) // the disk is full: read without it
			}
			return 0, err
		}
		err := r.readChunks(ctx, index, p, within)
		if err == nil || ctx.Err() != nil {
			return len(p), named("read", string(r.key), err)
		}
		r.b.damaged(r.name(index), err)
		if try > 0 {
			return r.Reader.ReadAt(ctx, p, off)
		}
	}
}

// readChunks reads p from within a block that is on the disk.
func (r *cachedReader) readChunks(ctx context.Context, index int64, p []byte, within int64) error {
	buffer := r.b.buffer(ctx)
	if buffer == nil {
		return ended(ctx)
	}
	defer func() { r.b.buffers <- buffer }()
	for len(p) > 0 {
		start := within / chunkBytes * chunkBytes
		chunk := buffer[:min(chunkBytes, r.span(index)-start)]
		if err := r.b.readChunk(r.name(index), chunk, start); err != nil {
			return err
		}
		n := copy(p, chunk[within-start:])
		p, within = p[n:], within+int64(n)
	}
	return nil
}

// readAhead fetches the next blocks in the background while reading goes on in order and buffers are free.
func (r *cachedReader) readAhead(off, length int64) {
	r.mu.Lock()
	inOrder := off == r.next && off > 0
	r.next = off + length
	r.mu.Unlock()
	first := (off + length) / blockBytes
	if !inOrder || off%blockBytes != 0 && off/blockBytes == first {
		return // only when a block begins or ends
	}
	first++
	for index := first; index < first+blocksAhead && index*blockBytes < r.info.Size; index++ {
		if len(r.b.buffers) <= cap(r.b.buffers)/2 || !r.b.begin() {
			return
		}
		go func() {
			defer r.b.ahead.Done()
			if err := r.ensure(r.b.ctx, index, false); err != nil {
				r.b.opt.Logger.Debug("read ahead", "key", string(r.key), "error", err)
			}
		}()
	}
}

// begin registers a goroutine that reads ahead, unless the cache is closed.
func (b *Blocks) begin() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.ahead.Add(1)
	}
	return !b.closed
}

// Stream implements [objstore.Reader].
func (r *cachedReader) Stream(ctx context.Context, off, length int64) io.ReadCloser {
	return newStream(ctx, r, r.info.Size, off, length)
}

// Close implements [objstore.Reader].
func (r *cachedReader) Close() error {
	if r.closed.Swap(true) {
		return nil
	}
	r.mu.Lock()
	held := r.held
	r.held = nil
	r.mu.Unlock()
	for _, name := range held {
		r.b.release(name)
	}
	return r.Reader.Close()
}
