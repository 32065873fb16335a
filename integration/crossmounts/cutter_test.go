package crossmounts

import (
	"math/rand/v2"
	"net"
	"sync"
	"testing"
)

// faults say how often connections are cut. The zero value leaves them alone.
type faults struct {
	seed uint64
	// replies is how many pieces of answers pass on the average before one is lost with its connection: the
	// request was delivered, and what it does is done.
	replies int
	// requests is the same for what is on its way to the store: part of it was delivered.
	requests int
	// apart is how many pieces pass at least between two cuts.
	apart int
}

func (f faults) any() bool { return f.replies > 0 || f.requests > 0 }

// cutter stands between mounts and their store, and cuts connections.
type cutter struct {
	network, store string
	listener       net.Listener
	faults         faults
	wait           sync.WaitGroup

	mu     sync.Mutex
	random *rand.Rand            // guarded by mu
	passed int                   // since the last cut; guarded by mu
	cuts   int                   // guarded by mu
	begun  bool                  // guarded by mu
	conns  map[net.Conn]struct{} // guarded by mu
	closed bool                  // guarded by mu
}

// startCutter listens at address and connects who comes to store, for as long as the test.
func startCutter(t *testing.T, f faults, network, address, store string) *cutter {
	t.Helper()
	listener, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{
		network: network, store: store, listener: listener, faults: f,
		random: rand.New(rand.NewPCG(f.seed, 0)), conns: make(map[net.Conn]struct{}),
	}
	c.wait.Go(c.accept)
	t.Cleanup(c.close)
	return c
}

func (c *cutter) address() string { return c.listener.Addr().String() }

// begin lets it cut. Until then mounts are made.
func (c *cutter) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begun = true
}

// end leaves connections alone again, and returns how many have been cut.
func (c *cutter) end() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.begun = false
	return c.cuts
}

// close cuts everything and waits.
func (c *cutter) close() {
	c.listener.Close() // an error means that it is closed
	c.mu.Lock()
	c.closed = true
	for conn := range c.conns {
		conn.Close()
	}
	c.mu.Unlock()
	c.wait.Wait()
}

func (c *cutter) accept() {
	for {
		client, err := c.listener.Accept()
		if err != nil {
			return // closed
		}
		store, err := net.Dial(c.network, c.store)
		if err != nil {
			client.Close()
			continue
		}
		if !c.add(client, store) {
			return
		}
		end := sync.OnceFunc(func() { c.remove(client, store) })
		c.wait.Go(func() { c.pass(store, client, c.faults.requests, end) })
		c.wait.Go(func() { c.pass(client, store, c.faults.replies, end) })
	}
}

// add remembers connections so that close finds them; false if that was called already.
func (c *cutter) add(conns ...net.Conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range conns {
		if c.closed {
			conn.Close()
			continue
		}
		c.conns[conn] = struct{}{}
	}
	return !c.closed
}

func (c *cutter) remove(conns ...net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range conns {
		conn.Close()
		delete(c.conns, conn)
	}
}

// pass copies until either side ends, or fate cuts: then half of the piece has passed, or nothing.
func (c *cutter) pass(to, from net.Conn, often int, end func()) {
	defer end()
	piece := make([]byte, 64<<10)
	for {
		n, err := from.Read(piece)
		if err != nil {
			return
		}
		if length, cut := c.fate(n, often); cut {
			to.Write(piece[:length]) // an error means that it is cut anyway
			return
		}
		if _, err := to.Write(piece[:n]); err != nil {
			return
		}
	}
}

// fate is whether the connection is cut, and after how much of a piece of n bytes.
func (c *cutter) fate(n, often int) (length int, cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.passed++
	if !c.begun || often == 0 || c.passed <= c.faults.apart || c.random.IntN(often) != 0 {
		return n, false
	}
	c.passed = 0
	c.cuts++
	return n / 2 * c.random.IntN(2), true
}
