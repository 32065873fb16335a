package mount

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
)

func TestWatchingARequestAllocatesNothing(t *testing.T) {
	a, in := newActivity(), &fuse.InHeader{NodeId: 1, Unique: 2}
	watch := func() {
		in.Unique += 2
		q := a.begin(asksCreate, in, "a name that is remembered in part, because it is long")
		q.end(fuse.OK, 4096)
	}
	if n := testing.AllocsPerRun(100, watch); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// What a request costs is to be compared with what looking at the clock twice does.
func BenchmarkClockTwice(b *testing.B) {
	b.RunParallel(func(pb *testing.PB) {
		for began := time.Now(); pb.Next(); {
			if time.Since(began)+time.Since(began) < 0 {
				b.Fatal("back in time")
			}
		}
	})
}

func BenchmarkWatchedRequest(b *testing.B) {
	var next atomic.Uint64
	a := newActivity()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		in := &fuse.InHeader{NodeId: 1, Unique: next.Add(1 << 20)}
		for pb.Next() {
			in.Unique += 2
			q := a.begin(asksCreate, in, "name")
			q.end(fuse.OK, 4096)
		}
	})
}

// Each operation that is answered has a kind of its own.
func TestEveryOperationIsWatched(t *testing.T) {
	uncounted := map[string]bool{"String": true, "SetDebug": true, "Init": true, "OnUnmount": true, "Forget": true}
	absent := reflect.TypeFor[absences]()
	for i := range absent.NumMethod() {
		uncounted[absent.Method(i).Name] = true
	}
	kinds := make(map[string]bool)
	for k := range requestKinds {
		kinds[k.String()] = true
	}
	all := reflect.TypeFor[fuse.RawFileSystem]()
	for i := range all.NumMethod() {
		if name := all.Method(i).Name; !uncounted[name] && !kinds[strings.ToLower(name)] {
			t.Errorf("%s is not watched", name)
		}
	}
	if len(kinds) != int(requestKinds) || len(kinds)+len(uncounted) != all.NumMethod() {
		t.Errorf("%d kinds and %d operations that are not counted, of %d", len(kinds), len(uncounted), all.NumMethod())
	}
}

// A request is read as it was, however many end at the same time.
func TestRequestsAreReadWhole(t *testing.T) {
	const writers, each = 8, 3000
	a := newActivity()
	var all sync.WaitGroup
	for w := range uint32(writers) {
		all.Go(func() {
			for i := range each {
				n := w*each + uint32(i)
				in := &fuse.InHeader{Unique: uint64(n) * 2, NodeId: uint64(n) + 1}
				in.Pid, in.Uid = n, n
				q := a.begin(asksWrite, in, fmt.Sprint(n))
				q.end(fuse.Status(n), int(n))
			}
		})
	}
	whole := 0
	running := func() {
		for _, r := range a.now() {
			if n := uint32(r.node - 1); r.uid != n || r.thread != n || r.kind != asksWrite {
				t.Fatalf("mixed: %+v", r)
			}
		}
	}
	for done := false; !done; {
		done = a.ended.Load() == writers*each
		running()
		for place := range uint64(recentSlots) {
			r, ok := a.take(a.ended.Load() - place)
			if !ok || r.place == 0 {
				continue
			}
			whole++
			n := uint32(r.node - 1)
			if r.uid != n || r.thread != n || r.bytes != int(n) || uint32(r.status) != n || r.name != fmt.Sprint(n) {
				t.Fatalf("mixed: %+v", r)
			}
		}
	}
	all.Wait()
	if whole == 0 || len(a.now()) != 0 || a.count().Requests[0].Took.Count() != writers*each {
		t.Errorf("%d read, %d running, %+v", whole, len(a.now()), a.count())
	}
}

// watchedKernel is a kernel with a log.
func watchedKernel(t *testing.T) (*kernel, *watched, *requestLog) {
	k := newKernel(t)
	log := &requestLog{activity: newActivity(), bridge: k.bridge, control: controlDefault}
	return k, &watched{k.bridge, log.activity}, log
}

func TestTheLogTellsRequestsAndItsReadersAreNotInIt(t *testing.T) {
	_, w, log := watchedKernel(t)
	ctx, in := context.Background(), &fuse.InHeader{NodeId: fuse.FUSE_ROOT_ID, Unique: 2}
	in.Uid, in.Pid = 7, 8
	w.Lookup(nil, in, "absent\n", &fuse.EntryOut{})
	var control fuse.EntryOut
	if s := w.Lookup(nil, in, controlDefault, &control); !s.Ok() {
		t.Fatal(s)
	}
	w.GetAttr(nil, &fuse.GetAttrIn{InHeader: fuse.InHeader{NodeId: control.NodeId, Unique: 4}}, &fuse.AttrOut{})
	text := string(log.now(ctx))
	if strings.Count(text, "\n") != 1 || !strings.Contains(text, ` op=lookup errno=0 `) || !strings.HasSuffix(text, ` uid=7 thread=8 path="/absent\n"`+"\n") {
		t.Errorf("the log is %q", text)
	}
	if again := string(log.now(ctx)); again != text {
		t.Errorf("looking changed it to %q", again)
	}
}

func TestTheLogIsBoundedAndSaysWhatItLeavesOut(t *testing.T) {
	_, w, log := watchedKernel(t)
	ctx, in := context.Background(), &fuse.InHeader{NodeId: fuse.FUSE_ROOT_ID, Unique: 2}
	ask := func(n int) {
		for range n {
			in.Unique += 2
			w.StatFs(nil, in, &fuse.StatfsOut{})
		}
	}
	ask(10)
	log.now(ctx)
	ask(recentSlots + 5)
	if text := string(log.now(ctx)); !strings.Contains(text, "# requests that nobody looked at in time: 5\n") || strings.Count(text, "\n") != 10+recentSlots+1 {
		t.Errorf("%d lines", strings.Count(text, "\n"))
	}
	for range 4 {
		ask(recentSlots)
		if n := len(log.now(ctx)); n > logBytesMax {
			t.Errorf("%d bytes", n)
		}
	}
}

func TestInForceNamesEveryOption(t *testing.T) {
	shown := Options{}.InForce()
	for _, o := range options() {
		if _, ok := shown[o.name]; !ok && o.name != "rw" {
			t.Errorf("%s is not shown", o.name)
		}
	}
	if len(shown) != len(options())-1 {
		t.Errorf("%d options are shown, there are %d", len(shown), len(options())-1)
	}
	o, err := ParseOptions("ro,append=strict,isolation=mount,durability=close,follow=none,integrity=strict,umask=022,uid=5,control=c")
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprint(o.InForce())
	for _, want := range []string{"ro:true", "append:strict", "isolation:mount", "durability:close", "follow:none", "integrity:strict", "umask:022", "uid:5", "gid: ", "control:c"} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
}
