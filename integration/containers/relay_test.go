package containers

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// relay passes connections on to a server, and does to them what it is told.
type relay struct {
	target string

	mu      sync.Mutex
	mode    string     // guarded by mu
	replies int        // since replies are lost; guarded by mu
	lost    int        // of them; guarded by mu
	free    *sync.Cond // mode has changed
}

// The modes of a relay.
const (
	modePass = "pass"
	modeHold = "hold" // nothing passes, and nobody is told
	modeLose = "lose" // one reply of three is lost with its connection, after the request arrived
)

// relayRole listens at an address and passes on to another. It reads the name of a mode on each line, and answers with how many replies
// were lost so far.
func relayRole(args []string) error {
	listener, err := net.Listen("tcp", args[0])
	if err != nil {
		return err
	}
	r := &relay{target: args[1], mode: modePass}
	r.free = sync.NewCond(&r.mu)
	go r.accept(listener)
	fmt.Println("0")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		fmt.Println(r.set(lines.Text()))
	}
	return lines.Err()
}

func (r *relay) set(mode string) (lost int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mode = mode
	r.free.Broadcast()
	return r.lost
}

func (r *relay) accept(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", r.target)
		if err != nil {
			client.Close()
			continue
		}
		end := sync.OnceFunc(func() {
			client.Close()
			server.Close()
		})
		go r.pass(server, client, false, end)
		go r.pass(client, server, true, end)
	}
}

// pass copies one direction.
func (r *relay) pass(to io.Writer, from io.Reader, replies bool, end func()) {
	defer end()
	piece := make([]byte, 64<<10)
	for {
		n, err := from.Read(piece)
		if err != nil || !r.passes(replies) {
			return
		}
		if _, err := to.Write(piece[:n]); err != nil {
			return
		}
	}
}

// passes waits until a piece may pass, and is false if it is lost.
func (r *relay) passes(reply bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.mode == modeHold {
		r.free.Wait()
	}
	if !reply || r.mode != modeLose {
		return true
	}
	r.replies++
	if r.replies%3 != 0 {
		return true
	}
	r.lost++
	return false
}

// tap is a test's end of a relay.
type tap struct {
	*host
	in  io.Writer
	out *bufio.Reader
}

// relay adds a host that passes on to a server. Who mounts it mounts that.
func (s *site) relay(server *host) *tap {
	s.t.Helper()
	h := s.add(spec{name: "relay"})
	cmd := h.role("relay", s.listen(h.name, port), s.address(h, server, port))
	cmd.Stderr = os.Stderr
	in, out := mounttest.StartPiped(s.t, cmd)
	s.t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	r := &tap{h, in, bufio.NewReader(out)}
	r.read()
	return r
}

func (r *tap) read() (lost int) {
	r.t.Helper()
	line, err := r.out.ReadString('\n')
	if err == nil {
		_, err = fmt.Sscan(strings.TrimSpace(line), &lost)
	}
	if err != nil {
		r.t.Fatalf("the relay has ended: %v", err)
	}
	return lost
}

// set changes the mode, and returns how many replies were lost.
func (r *tap) set(mode string) (lost int) {
	r.t.Helper()
	if _, err := fmt.Fprintln(r.in, mode); err != nil {
		r.t.Fatal(err)
	}
	return r.read()
}

// The modes do what their names say.
func TestRelayHoldsAndLoses(t *testing.T) {
	r := &relay{mode: modePass}
	r.free = sync.NewCond(&r.mu)
	if !r.passes(true) || !r.passes(false) {
		t.Error("something is lost")
	}
	r.set(modeLose)
	for i := range 6 {
		if !r.passes(false) || r.passes(true) != (i%3 < 2) {
			t.Error("every third reply, and nothing else, is to be lost")
		}
	}
	r.set(modeHold)
	passed := make(chan bool)
	go func() { passed <- r.passes(false) }()
	if lost := r.set(modePass); lost != 2 || !<-passed {
		t.Errorf("%d replies were lost", lost)
	}
}
