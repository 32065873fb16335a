package containers

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// C4: what a host commits while it is cut off is decided when it is healed: it is committed if nobody else was first, and otherwise
// EBUSY, and kept.
func TestHostCutOffInMidCommitIsToldTheTruthWhenHealed(t *testing.T) {
	s := newSite(t)
	s.needs("network")
	server := s.serve(spec{})
	one, two := s.mount(spec{name: "one"}, server), s.mount(spec{name: "two"}, server)
	a, b := one.hands(), two.hands()
	a.put(one.file("alone"), "base")
	a.put(one.file("shared"), "base")
	for i, name := range []string{"alone", "shared"} {
		a.open(i, one.file(name), os.O_RDWR)
		a.write(i, "from one")
	}
	one.cut()
	a.begin(order{Call: "close", Handle: 0})
	b.expect(two.file("alone"), "base")
	b.put(two.file("shared"), "from two")
	one.heal()
	if got := a.answer(); got.Error != "" {
		t.Errorf("close of what nobody else changed: %s", got.Error)
	}
	a.fails(syscall.EBUSY, order{Call: "close", Handle: 1})
	b.expect(two.file("alone"), "from one")
	a.expect(one.file("shared"), "from two")
	one.expectKept("from one")
}

// C9: a request whose reply was lost after it arrived is answered when it is asked again: nothing is done twice, and nobody loses
// against himself.
func TestLostRepliesMakeNobodyLose(t *testing.T) {
	s := newSite(t)
	server := s.serve(spec{})
	eyes := s.mount(spec{name: "eyes"}, server)
	between := s.relay(server)
	one := s.mount(spec{name: "one"}, between.host)
	a := one.hands()
	a.do(order{Call: "mkdir", Path: one.file("d")})
	between.set(modeLose)
	unknown := appendLines(t, []*host{one}, "d", rounds(20, 300))
	for range rounds(10, 300) {
		a.put(one.file("f"), "again")
		a.do(order{Call: "rename", Path: one.file("f"), To: one.file("g")})
		a.do(order{Call: "remove", Path: one.file("g")})
	}
	a.put(one.file("f"), "last")
	lost := between.set(modePass)
	t.Logf("%d replies were lost", lost)
	if lost == 0 || unknown > 0 {
		t.Errorf("%d replies were lost, and %d closes failed", lost, unknown)
	}
	if got := eyes.hands().do(order{Call: "list", Path: eyes.path("mnt")}); got != "d f" {
		t.Errorf("there is %q", got)
	}
	eyes.hands().expect(eyes.file("f"), "last")
	eyes.expectKept()
}

// C8, C9: what a server has acknowledged is there after it was killed, and who was writing meanwhile goes on.
func TestServerKilledUnderLoadLosesNothing(t *testing.T) {
	s := newSite(t)
	server := s.serve(spec{})
	hosts := s.mounts(server)
	w := hosts[0].hands()
	w.do(order{Call: "mkdir", Path: hosts[0].file("d")})
	w.put(hosts[0].file("before"), "acknowledged")
	stop := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for range rounds(2, 20) {
			awaitLines(w, hosts[0].file("d", "log"), stop)
			server.kill()
			server.restart()
		}
	}()
	unknown := appendLines(t, hosts, "d", rounds(60, 2000))
	close(stop)
	<-ended
	t.Logf("%d closes have not said what became of their line", unknown)
	hosts[1].hands().expect(hosts[1].file("before"), "acknowledged")
}

// awaitLines returns when some more lines are in a file, or stop is closed.
func awaitLines(w *worker, path string, stop <-chan struct{}) {
	first := -1
	for {
		n := strings.Count(w.try(order{Call: "readfile", Path: path}).Text, "\n")
		if first < 0 {
			first = n
		}
		if n >= first+5 {
			return
		}
		select {
		case <-stop:
			return
		case <-time.After(readyInterval):
		}
	}
}

// C3, C4: a program that is killed closes its files: what it wrote is committed whole, or, if another host was first, kept.
func TestProgramKilledWithDirtyHandlesLosesNothing(t *testing.T) {
	s := newSite(t)
	server := s.serve(spec{})
	one, two := s.mount(spec{name: "one"}, server), s.mount(spec{name: "two"}, server)
	a, b := one.hands(), two.hands()
	for i, name := range []string{"alone", "shared"} {
		a.put(one.file(name), "base")
		a.open(i, one.file(name), os.O_RDWR)
		a.write(i, "dirty "+name)
	}
	b.put(two.file("shared"), "from two")
	b.expect(two.file("alone"), "base")
	a.die()
	one.awaitKept(1)
	one.expectKept("dirty shared")
	b.expect(two.file("shared"), "from two")
	b.expect(two.file("alone"), "dirty alone")
}

// awaitKept returns when n copies are kept: the files of a process that was killed are closed after its end was told.
func (h *host) awaitKept(n int) {
	h.t.Helper()
	late := time.NewTimer(readyTime)
	defer late.Stop()
	for len(h.kept()) < n {
		select {
		case <-time.After(readyInterval):
		case <-late.C:
			h.t.Fatalf("%s keeps %d copies, want %d", h.name, len(h.kept()), n)
		}
	}
}

// C1, C4: of a host that is lost with its daemon nothing is half visible, and what was being written is kept when it is back.
func TestHostKilledWithDirtyHandlesKeepsTheirBytes(t *testing.T) {
	s := newSite(t)
	server := s.serve(spec{})
	one, two := s.mount(spec{name: "one"}, server), s.mount(spec{name: "two"}, server)
	a, b := one.hands(), two.hands()
	a.put(one.file("f"), "base")
	a.open(0, one.file("f"), os.O_RDWR)
	a.write(0, "dirty")
	one.kill()
	b.expect(two.file("f"), "base")
	b.put(two.file("f"), "from two")
	one.restart()
	one.hands().expect(one.file("f"), "from two")
	one.expectKept("dirty")
}

// C3, C5: others go on while a host stands still, and when it wakes up nothing of what it remembers is taken for true.
func TestHostThatStoodStillSeesWhatHappenedMeanwhile(t *testing.T) {
	pause := 4 * time.Second
	if long() || os.Getenv(formVariable) != "" { // make integration
		pause = time.Minute
	}
	s := newSite(t)
	server := s.serve(spec{})
	one, two := s.mount(spec{name: "one"}, server), s.mount(spec{name: "two"}, server)
	a, b := one.hands(), two.hands()
	a.put(one.file("read"), "base")
	a.put(one.file("gone"), "base")
	a.put(one.file("written"), "base")
	a.open(0, one.file("written"), os.O_RDWR)
	a.write(0, "from one")
	a.fails(syscall.ENOENT, order{Call: "readfile", Path: one.file("new")})
	one.pause()
	last := ""
	for began := time.Now(); time.Since(began) < pause; {
		last = time.Now().String()
		b.put(two.file("read"), last)
	}
	b.put(two.file("written"), "from two")
	b.put(two.file("new"), "new")
	b.do(order{Call: "remove", Path: two.file("gone")})
	one.resume()
	a.expect(one.file("read"), last)
	a.expect(one.file("new"), "new")
	a.fails(syscall.ENOENT, order{Call: "readfile", Path: one.file("gone")})
	a.fails(syscall.EBUSY, order{Call: "close", Handle: 0})
	a.expect(one.file("written"), "from two")
	one.expectKept("from one")
}

// C10: a server without space says so, goes on reading, and takes writes again when there is space.
func TestFullDiskOfTheServerIsENOSPC(t *testing.T) {
	s := newSite(t)
	s.needs("small")
	server := s.serve(spec{places: map[string]place{"store": {bytes: 128 << 20}}})
	one := s.mount(spec{name: "one"}, server)
	a := one.hands()
	a.put(one.file("f"), "before")
	filled := 0
	for ; filled < 16; filled++ {
		told := a.try(order{Call: "fill", Path: one.file("big" + strconv.Itoa(filled)), Pieces: 8})
		if told.Errno == syscall.ENOSPC {
			break
		}
		if told.Error != "" {
			t.Fatal(told.Error)
		}
	}
	if filled == 0 || filled == 16 {
		t.Fatalf("%d files of 8 MiB are in a store of 128 MiB", filled)
	}
	a.fails(syscall.ENOSPC, order{Call: "fill", Path: one.file("more"), Pieces: 8})
	a.expect(one.file("f"), "before")
	for i := range filled {
		a.do(order{Call: "remove", Path: one.file("big" + strconv.Itoa(i))})
	}
	a.put(one.file("f"), "after")
	a.expect(one.file("f"), "after")
}
