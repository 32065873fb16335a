package mount

import "sync"

// namings are the requests being answered that may tell the kernel of files: between what they ask the store and the reply, what they
// were told of is known to nobody else. Their lock is innermost. nil counts nothing: the store's ids are good for ever.
type namings struct {
	mu sync.Mutex
	// Guarded by mu.
	round   int    // 0 or 1: of those that begin
	running [2]int // by round
	ended   sync.Cond
}

func newNamings() *namings {
	g := &namings{}
	g.ended.L = &g.mu
	return g
}

// begin notes that one begins, and returns what is passed to end.
func (g *namings) begin() (round int) {
	if g == nil {
		return 0
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running[g.round]++
	return g.round
}

func (g *namings) end(round int) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.running[round]--; g.running[round] == 0 {
		g.ended.Broadcast()
	}
}

// settle returns once all have ended that had begun before the call. One caller at a time.
func (g *namings) settle() {
	g.mu.Lock()
	defer g.mu.Unlock()
	before := g.round
	g.round = 1 - before
	for g.running[before] > 0 {
		g.ended.Wait()
	}
}
