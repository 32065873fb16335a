package badgerstore

import (
	"bytes"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/y"
)

// compactions keeps Badger from compacting. A compaction reads tables in goroutines of Badger's own, where nobody can catch
// the panic over a damaged block, and what is behind it may be lost.
//
// Badger has no call for that, but one that begins by stopping the compactors, and ends by starting them: Flatten. The
// first thing it says after that it says in the goroutine it was called in, and there it is kept.
type compactions struct {
	db *badger.DB // constant

	mu   sync.Mutex
	held *hold // GUARDED_BY(mu): nil: Badger compacts
}

// hold is one time without compactions.
type hold struct {
	stopped chan struct{} // closed once none runs
	release chan struct{} // closed when they may go on
	over    chan struct{} // closed when nobody need wait for them any more
	ended   chan struct{} // closed when they go on
	forGood bool          // GUARDED_BY(compactions.mu)
}

// hold returns once no compaction runs; none begins until release.
func (c *compactions) hold() { <-c.begin(false).stopped }

// forbid ends compactions for as long as the store is open. It does not wait for one that runs. The
// goroutine that Badger is kept by stays until the process ends: what follows in it would compact a closed store.
func (c *compactions) forbid() { c.begin(true) }

func (c *compactions) begin(forGood bool) *hold {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held == nil {
		c.held = &hold{
			stopped: make(chan struct{}), release: make(chan struct{}), over: make(chan struct{}), ended: make(chan struct{}),
		}
		go c.flatten(c.held)
	}
	if forGood && !c.held.forGood {
		c.held.forGood = true
		close(c.held.over)
	}
	return c.held
}

func (c *compactions) flatten(h *hold) {
	defer close(h.ended)
	_ = c.db.Flatten(1) // it does not come to that
}

// park is where Badger is kept. It ends the goroutine, on which Badger lets compactions go on.
func (c *compactions) park() {
	c.mu.Lock()
	h := c.held
	c.mu.Unlock()
	if h == nil {
		return // it is not we who flatten
	}
	close(h.stopped)
	<-h.release
	runtime.Goexit()
}

// release lets compactions go on, unless they are forbidden.
func (c *compactions) release() {
	c.mu.Lock()
	h := c.held
	if h == nil || h.forGood {
		c.mu.Unlock()
		return
	}
	c.held = nil
	c.mu.Unlock()
	close(h.release)
	<-h.ended
	close(h.over)
}

func (c *compactions) areForbidden() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.held != nil && c.held.forGood
}

// await waits until there are compactions again, or never will be, if there are so many tables
// that Badger would soon wait for one before it takes another.
func (c *compactions) await(tablesMax int) {
	c.mu.Lock()
	h := c.held
	c.mu.Unlock()
	if h != nil && c.tables() >= tablesMax {
		<-h.over
	}
}

// tables is how many there are that no compaction has seen.
func (c *compactions) tables() int {
	if levels := c.levels(); len(levels) > 0 {
		return levels[0].NumTables
	}
	return 0
}

// levels is what Badger says of them; nothing if it cannot.
func (c *compactions) levels() (levels []badger.LevelInfo) {
	var err error
	defer caught(debug.SetPanicOnFault(true), &err)
	return c.db.Levels()
}

// all are the tables there are; none if Badger cannot say.
func (c *compactions) all() (tables []badger.TableInfo) {
	var err error
	defer caught(debug.SetPanicOnFault(true), &err)
	return c.db.Tables()
}

// isGone reports whether a table is none any more.
func (c *compactions) isGone(id uint64) bool {
	return !slices.ContainsFunc(c.all(), func(t badger.TableInfo) bool { return t.ID == id })
}

// tablesOf are the tables of a level.
func tablesOf(tables []badger.TableInfo, level int) []badger.TableInfo {
	return slices.DeleteFunc(slices.Clone(tables), func(t badger.TableInfo) bool { return t.Level != level })
}

// tablesOverlap reports whether the keys of one table begin before those of the other end, and the other way round.
func tablesOverlap(a, b badger.TableInfo) bool {
	return bytes.Compare(y.ParseKey(a.Left), y.ParseKey(b.Right)) <= 0 && bytes.Compare(y.ParseKey(b.Left), y.ParseKey(a.Right)) <= 0
}
