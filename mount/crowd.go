package mount

import (
	"log/slog"
	"slices"
	"sync"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/etagfs/etagfs/objstore"
)

// A kernel with memory to spare remembers every file it was ever told of, and the table has to, too. So beyond a number
// of them the kernel is asked to forget some that nobody has open (Linux 6.18 and later; earlier
// ones cannot be asked). It may decline, and forgets nothing that is in use. A namespace whose ids are good only as long as it
// remembers them forgets those then that no node is of.
const (
	crowdNodes = 1 << 17 // without a limit of memory, and the most with one
	// crowdBytes is what a node takes of the process, about: its name, its places in the indexes, and as much again that the heap
	// may have grown before it is collected.
	crowdBytes = 320
	crowdPart  = 8 // one in so many bytes of a limit is for nodes, and about as much for what a namespace remembers of as many names
	// askedAtOnce is how many nodes the kernel is told of in one message.
	askedAtOnce = 512
)

// crowd is when the kernel is asked to forget.
type crowd struct {
	most int    // constant: nodes that are not too many
	ask  func() // constant: begins it, and returns; nil: nobody can be asked

	added int // guarded by table.mu: nodes made since
}

// crowdWithin is how many nodes are not too many for a process that may take so many bytes; 0: any.
func crowdWithin(bytes int64) int {
	if bytes <= 0 {
		return crowdNodes
	}
	return int(min(crowdNodes, bytes/crowdPart/crowdBytes))
}

// came notes that there is one more of now so many nodes. What was asked for last time has an eighth of them to happen.
func (c *crowd) came(nodes int) {
	c.added++
	if nodes > c.most && c.added > c.most/8 && c.ask != nil {
		c.added = 0
		c.ask()
	}
}

// forgettable are some of the nodes that the kernel can forget without a loss, enough to make room.
func (t *table) forgettable() (ids []uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	enough := t.nodes.count - t.crowd.most + t.crowd.most/4
	for _, page := range t.nodes.pages {
		if len(ids) >= enough {
			break
		}
		for _, n := range page.nodes {
			if n != nil && !n.directory && n.settled() && !n.isOpen() {
				ids = append(ids, n.id)
			}
		}
	}
	return ids
}

// pruner asks the kernel to forget, and has the namespace forget, in the background: the kernel waits for reads of what it drops.
type pruner struct {
	// Constant.
	table     *table
	log       *slog.Logger
	forgetter objstore.Forgetter // nil: the namespace's ids are good for ever
	namings   *namings           // with a forgetter

	mu sync.Mutex
	// Guarded by mu.
	kernel  notifications // nil until mounted, once unmounted, and if it cannot be asked
	mounted bool
	working bool
	idle    sync.Cond
}

func newPruner(t *table, forgetter objstore.Forgetter, log *slog.Logger) *pruner {
	p := &pruner{table: t, log: log, forgetter: forgetter}
	p.idle.L = &p.mu
	t.crowd.ask = p.begin
	if forgetter != nil {
		p.namings = newNamings()
		forgetter.OnCrowd(t.crowd.most, p.begin)
	}
	return p
}

// connect begins asking kernel; nil ends it. What is being asked is waited for.
func (p *pruner) connect(kernel notifications) {
	p.mu.Lock()
	p.kernel, p.mounted = kernel, kernel != nil
	p.mu.Unlock()
	p.wait()
}

// wait returns once nothing is being asked.
func (p *pruner) wait() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.working {
		p.idle.Wait()
	}
}

// begin takes no other lock: the table's is held, or the namespace's.
func (p *pruner) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.mounted || p.working || p.kernel == nil && p.forgetter == nil {
		return
	}
	p.working = true
	go p.prune(p.kernel)
}

func (p *pruner) prune(kernel notifications) {
	status := fuse.OK
	if kernel != nil {
		status = p.ask(kernel)
	}
	if p.forgetter != nil {
		p.forgetter.Forget(p.namings.settle, p.table.knows)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch status {
	case fuse.OK, fuse.ENODEV, fuse.EBADF, fuse.ENOENT:
	default: // most likely it is too old to know the request
		p.log.Debug("the kernel cannot be asked to forget", slog.String("status", status.String()))
		p.kernel = nil
	}
	p.working = false
	p.idle.Broadcast()
}

// ask has the kernel forget what can be forgotten.
func (p *pruner) ask(kernel notifications) (status fuse.Status) {
	for ids := range slices.Chunk(p.table.forgettable(), askedAtOnce) {
		if status = kernel.PruneNotify(ids); status != fuse.OK {
			break
		}
	}
	return status
}

// knows reports whether there is a node of an object.
func (t *table) knows(id objstore.ID) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.anyOf(id) != nil
}
