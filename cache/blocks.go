package cache

import (
	"container/list"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/blockhash"
)

// A block file is the hashes of its chunks, and the chunks. A block is fetched and dropped as a whole,
// a chunk is checked as a whole.
const (
	blockBytes  = 1 << 20
	chunkBytes  = 64 << 10
	chunksMax   = blockBytes / chunkBytes
	digestBytes = 16
	headBytes   = chunksMax * digestBytes
)

// Defaults of BlocksOptions.
const (
	BlocksBytesDefault  = 4 << 30
	MemoryBytesDefault  = 64 << 20
	PinBytesDefault     = 16 << 20
	SmallBytesDefault   = 64 << 10
	blocksAhead         = 4
	blockSuffix         = ".block"
	blockTemporaryStart = "new-"
)

// BlocksOptions of [Blocks]. Zeros stand for the defaults.
type BlocksOptions struct {
	Bytes       int64 // on disk; blocks that open readers hold on to may exceed it
	MemoryBytes int64 // of all buffers together
	PinBytes    int64 // objects up to this size are fetched whole when they are opened
	SmallBytes  int64 // objects up to this size are not cached: the store's readers have them in memory
	Logger      *slog.Logger
}

func (o BlocksOptions) orDefaults() BlocksOptions {
	for _, f := range []struct {
		field *int64
		value int64
	}{
		{&o.Bytes, BlocksBytesDefault}, {&o.MemoryBytes, MemoryBytesDefault},
		{&o.PinBytes, PinBytesDefault}, {&o.SmallBytes, SmallBytesDefault},
	} {
		if *f.field == 0 {
			*f.field = f.value
		}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// blockName is a block of one version of one object.
type blockName [digestBytes]byte

func nameOf(key objstore.Key, v objstore.Version, index int64) blockName {
	return blockName(blockhash.Of(fmt.Appendf(nil, "%q %q %d", key, v, index)))
}

// block is one that is on the disk.
type block struct {
	name  blockName
	bytes int64
	place *list.Element // in Blocks.order
}

// Blocks is a cache of blocks on disk, of one process.
type Blocks struct {
	// Constant.
	dir     string
	opt     BlocksOptions
	lock    *os.File
	buffers chan []byte // all there are
	ctx     context.Context
	stop    context.CancelFunc
	ahead   sync.WaitGroup

	mu      sync.Mutex
	blocks  map[blockName]*block        // GUARDED_BY(mu)
	order   *list.List                  // GUARDED_BY(mu): of *block, used longest ago first
	bytes   int64                       // GUARDED_BY(mu): INVARIANT: the sum of blocks
	holds   map[blockName]int           // GUARDED_BY(mu): by open readers
	flights map[blockName]chan struct{} // GUARDED_BY(mu): closed when a fetch has ended
	number  uint64                      // GUARDED_BY(mu): of temporary files
	closed  bool                        // GUARDED_BY(mu)
}

// OpenBlocks opens the first block directory below dir that no other process uses, with what is in it.
func OpenBlocks(dir string, opt BlocksOptions) (*Blocks, error) {
	b := &Blocks{
		opt: opt.orDefaults(), blocks: make(map[blockName]*block), order: list.New(),
		holds: make(map[blockName]int), flights: make(map[blockName]chan struct{}),
	}
	for n := 0; b.lock == nil; n++ {
		b.dir = filepath.Join(dir, fmt.Sprintf("blocks-%d", n))
		if err := os.MkdirAll(b.dir, 0o700); err != nil {
			return nil, named("open block cache", dir, err)
		}
		var err error
		if b.lock, err = lockFile(b.dir + lockSuffix); err != nil {
			return nil, named("open block cache", dir, err)
		}
	}
	if err := b.load(); err != nil {
		return nil, errors.Join(named("open block cache", b.dir, err), b.lock.Close())
	}
	b.buffers = make(chan []byte, max(1, b.opt.MemoryBytes/(headBytes+blockBytes)))
	for range cap(b.buffers) {
		b.buffers <- nil // made when first used
	}
	b.ctx, b.stop = context.WithCancel(context.Background())
	return b, nil
}

// load lists what an earlier process has left, oldest first.
func (b *Blocks) load() error {
	entries, err := os.ReadDir(b.dir)
	if err != nil {
		return err
	}
	var all []fs.FileInfo
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return err
		}
		all = append(all, info)
	}
	slices.SortFunc(all, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, info := range all {
		text, ok := strings.CutSuffix(info.Name(), blockSuffix)
		name, err := hex.DecodeString(text)
		if !ok || err != nil || len(name) != digestBytes {
			if err := os.Remove(filepath.Join(b.dir, info.Name())); err != nil {
				return err
			}
			continue
		}
		b.add(blockName(name), info.Size())
	}
	b.evict()
	return nil
}

// Bytes is how much is cached.
func (b *Blocks) Bytes() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.bytes
}

// Close ends reading ahead and gives the directory up. The blocks stay.
func (b *Blocks) Close() error {
	b.mu.Lock()
	closed := b.closed
	b.closed = true
	b.mu.Unlock()
	if closed {
		return nil
	}
	b.stop()
	b.ahead.Wait()
	return b.lock.Close()
}

func (b *Blocks) path(name blockName) string {
	return filepath.Join(b.dir, hex.EncodeToString(name[:])+blockSuffix)
}

// add requires mu.
func (b *Blocks) add(name blockName, bytes int64) {
	if b.blocks[name] != nil {
		return
	}
	k := &block{name: name, bytes: bytes}
	k.place = b.order.PushBack(k)
	b.blocks[name] = k
	b.bytes += bytes
}

// drop requires mu.
func (b *Blocks) drop(k *block) {
	delete(b.blocks, k.name)
	b.order.Remove(k.place)
	b.bytes -= k.bytes
	if err := os.Remove(b.path(k.name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		b.opt.Logger.Warn("a block stays on the disk", "block", b.path(k.name), "error", err)
	}
}

// evict drops what was used longest ago until the rest fits. It requires mu.
func (b *Blocks) evict() {
	for e := b.order.Front(); e != nil && b.bytes > b.opt.Bytes; {
		k := e.Value.(*block)
		e = e.Next()
		if b.holds[k.name] == 0 {
			b.drop(k)
		}
	}
}

// buffer is one of the buffers; nil once ctx has ended.
func (b *Blocks) buffer(ctx context.Context) []byte {
	select {
	case p := <-b.buffers:
		if p == nil {
			p = make([]byte, headBytes+blockBytes)
		}
		return p
	case <-ctx.Done():
		return nil
	}
}

// claim makes the caller the one who fetches a block, unless it is there: then it is held if hold is set. With
// another's fetch under way it waits for that.
func (b *Blocks) claim(ctx context.Context, name blockName, hold bool) (mine bool, err error) {
	for {
		b.mu.Lock()
		if k := b.blocks[name]; k != nil {
			b.order.MoveToBack(k.place)
			b.hold(name, hold)
			b.mu.Unlock()
			return false, nil
		}
		flight := b.flights[name]
		if flight == nil {
			b.flights[name] = make(chan struct{})
			b.mu.Unlock()
			return true, nil
		}
		b.mu.Unlock()
		select {
		case <-flight:
		case <-ctx.Done():
			return false, ended(ctx)
		}
	}
}

// landed ends a claim; bytes 0: there is no block.
func (b *Blocks) landed(name blockName, bytes int64, hold bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.flights[name])
	delete(b.flights, name)
	if bytes == 0 {
		return
	}
	b.add(name, bytes)
	b.hold(name, hold)
	b.evict()
}

// hold requires mu.
func (b *Blocks) hold(name blockName, hold bool) {
	if hold {
		b.holds[name]++
	}
}

// release lets go of a block that was held.
func (b *Blocks) release(name blockName) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.holds[name]--; b.holds[name] <= 0 {
		delete(b.holds, name)
		b.evict()
	}
}

// damaged drops a block whose bytes are not what they were. One that was dropped meanwhile is not.
func (b *Blocks) damaged(name blockName, why error) {
	if !errors.Is(why, os.ErrNotExist) {
		b.opt.Logger.Warn("a cached block is damaged and is fetched again", "block", b.path(name), "error", why)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if k := b.blocks[name]; k != nil {
		b.drop(k)
	}
}

// store writes the block in the buffer, whose bytes begin after the head.
func (b *Blocks) store(name blockName, p []byte) error {
	data := p[headBytes:]
	clear(p[:headBytes])
	for i := 0; i*chunkBytes < len(data); i++ {
		sum := blockhash.Of(data[i*chunkBytes : min((i+1)*chunkBytes, len(data))])
		copy(p[i*digestBytes:], sum[:])
	}
	b.mu.Lock()
	b.number++
	tmp := filepath.Join(b.dir, fmt.Sprintf("%s%d", blockTemporaryStart, b.number))
	b.mu.Unlock()
	err := os.WriteFile(tmp, p, 0o600)
	if err == nil {
		err = os.Rename(tmp, b.path(name))
	}
	if err != nil {
		os.Remove(tmp)
	}
	return err
}

// readChunk reads and checks the chunk of a block of size bytes that begins at off into p.
func (b *Blocks) readChunk(name blockName, p []byte, off int64) error {
	f, err := os.Open(b.path(name))
	if err != nil {
		return err
	}
	defer f.Close()
	var want [digestBytes]byte
	if _, err := f.ReadAt(want[:], off/chunkBytes*digestBytes); err != nil {
		return err
	}
	if _, err := f.ReadAt(p, headBytes+off); err != nil {
		return err
	}
	if blockhash.Of(p) != blockhash.Digest(want) {
		return problem(objstore.ErrCorrupt, "the checksum of a cached block does not match")
	}
	return nil
}
