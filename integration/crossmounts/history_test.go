package crossmounts

import (
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/anishathalye/porcupine"
	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// scene is what clients of some directories do, each for itself.
type scene struct {
	dirs    []string // one directory, as each mount shows it
	clients int      // at each of them at a time
	mix     mix
	names   int
	group   int
	calls   int      // of each client and of those that follow it when it was killed
	killed  int      // a client is killed within so many lines of its output; 0: never
	disturb []func() // what is done to daemons, one after the other
	// remembers: kernels remember names, see settled.
	remembers bool
	// blind: the store's deletes have no condition.
	blind bool
	seed  uint64
}

// recorder makes the history of a scene.
type recorder struct {
	t *testing.T
	scene
	// calm is held to read by clients that begin, and to write by disturbances.
	calm sync.RWMutex

	mu      sync.Mutex
	history []call // guarded by mu
}

// record runs clients until they have made their calls, and reads every name through every directory in the end.
func record(t *testing.T, s scene) []call {
	t.Helper()
	r := &recorder{t: t, scene: s}
	var seats sync.WaitGroup
	for seat := range len(s.dirs) * s.clients {
		seats.Go(func() { r.sit(seat) })
	}
	seats.Wait()
	for i := range s.dirs {
		r.lookAtAll(i)
	}
	return r.history
}

// generations is how many clients may follow each other in one place.
const generations = 1000

// sit has one client at a time. The first one's place is where disturbances come from.
func (r *recorder) sit(seat int) {
	random := rand.New(rand.NewPCG(r.seed, uint64(seat)))
	left := r.calls
	disturb := r.disturb
	for i := 0; left > 0 && i < generations && !r.t.Failed(); i++ {
		o := orders{
			Dir: r.dirs[seat%len(r.dirs)], Mount: seat % len(r.dirs), Client: seat*generations + i, Seed: r.seed,
			Calls: left, Names: r.names, Group: r.group, Mix: r.mix,
		}
		end := -1
		if r.killed > 0 {
			end = random.IntN(r.killed)
		}
		if seat == 0 && len(disturb) > 0 {
			o.Calls = min(left, r.calls/(len(r.disturb)+1)+1)
		}
		calls := r.run(o, end)
		left -= len(calls)
		if seat == 0 && len(disturb) > 0 && left < r.calls*len(disturb)/(len(r.disturb)+1) {
			r.disturbOnce(disturb[0])
			disturb = disturb[1:]
		}
	}
	if left > 0 {
		r.t.Errorf("the clients of place %d have made only %d calls", seat, r.calls-left)
	}
}

func (r *recorder) disturbOnce(disturb func()) {
	r.calm.Lock()
	defer r.calm.Unlock()
	disturb()
}

// run runs a client, and kills it after it has written end lines unless that is negative. What it was doing then has no answer.
func (r *recorder) run(o orders, end int) (calls []call) {
	text, err := json.Marshal(o)
	if err != nil {
		r.t.Error(err)
		return nil
	}
	cmd := mounttest.Command(r.t, "client", string(text))
	out, err := cmd.StdoutPipe()
	if err != nil {
		r.t.Error(err)
		return nil
	}
	r.calm.RLock()
	calm := sync.OnceFunc(r.calm.RUnlock)
	defer calm()
	if err := cmd.Start(); err != nil {
		r.t.Error(err)
		return nil
	}
	decoder := json.NewDecoder(out)
	for line := 0; ; line++ {
		var c call
		if decoder.Decode(&c) != nil {
			break // the end, perhaps in the middle of a line
		}
		calm()
		if line == end {
			cmd.Process.Kill() // an error means that it has ended
		}
		switch {
		case c.Op == "ready":
		case c.Ended == 0:
			c.Answer = unknown
			calls = append(calls, c)
		default:
			calls[len(calls)-1] = c
		}
	}
	err = cmd.Wait()
	if n := len(calls); n > 0 && calls[n-1].Ended == 0 {
		calls[n-1].Ended = now() // its files are closed, too
	}
	if err != nil && cmd.ProcessState.ExitCode() != -1 && len(r.disturb) == 0 {
		r.t.Errorf("client %d: %v", o.Client, err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.history = append(r.history, calls...)
	return calls
}

// lookAtAll reads every name through one directory.
func (r *recorder) lookAtAll(i int) {
	r.t.Helper()
	dir, err := unix.Open(r.dirs[i], unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	defer unix.Close(dir)
	c := &client{orders: orders{Client: -1 - i, Mount: i}, dir: dir, out: json.NewEncoder(io.Discard)}
	for name := range r.names {
		op, err := c.record(call{Op: opRead, Name: name}, func() (string, error) { return c.read(name) })
		if err != nil || op.Answer == unknown {
			r.t.Errorf("in the end: %v, %v", op, err)
		}
		r.history = append(r.history, op)
	}
}

// judge fails a test whose history is not linearizable, and shows the shortest beginning that is not.
func judge(t *testing.T, s scene, history []call) {
	t.Helper()
	open := 0
	for _, c := range history {
		if c.Answer != unknown {
			continue
		}
		open++
		if c.Problem != "" && len(s.disturb) == 0 {
			t.Errorf("%v", c)
		}
	}
	t.Logf("%d calls, %d of them without an answer", len(history), open)
	for i := range history {
		history[i].Blind = s.blind
	}
	if s.remembers {
		history = settled(history)
		t.Logf("%d calls without those that overlap changes by other mounts", len(history))
	}
	result := linearizable(history, s.group)
	if result == porcupine.Ok {
		return
	}
	t.Errorf("the history is not linearizable: %s", result)
	if name := os.Getenv("ETAGFS_HISTORY"); name != "" {
		text, err := json.Marshal(history)
		t.Logf("written to %s (%v)", name, errors.Join(err, os.WriteFile(name, text, 0o644)))
	}
	for part := range (s.names + s.group - 1) / s.group {
		show(t, firstWrong(slices.DeleteFunc(slices.Clone(history), func(c call) bool { return c.Name/s.group != part }), s.group))
	}
}

// shownMost is how many calls of a history that is wrong are shown.
const shownMost = 60

func show(t *testing.T, calls []call) {
	t.Helper()
	for _, c := range calls[max(0, len(calls)-shownMost):] {
		t.Log(c)
	}
}

// C1, C3, C5, C6, C7: what clients of three mounts see can be explained by one order of their calls, while clients
// are killed in the middle of any.
func TestHistoriesAreLinearizable(t *testing.T) {
	seed := seedOf(t)
	forEachKind(t, 3, faults{}, func(t *testing.T, g *group) {
		for name, s := range scenes(g) {
			t.Run(name, func(t *testing.T) { play(t, g, s, seed) })
		}
	})
}

// C10 and the others: the same while daemons of mounts, and whoever has the store, are killed as well.
func TestHistoriesOfKilledDaemonsAreLinearizable(t *testing.T) {
	seed := seedOf(t)
	forEachKind(t, 3, faults{}, func(t *testing.T, g *group) {
		killMount := func() {
			m := g.mounts[len(g.mounts)-1]
			m.Kill()
			m.Restart()
		}
		killKeeper := func() {
			g.keeper.kill()
			g.keeper.restart()
		}
		s := scenes(g)["shared"]
		s.disturb = []func(){killMount, killKeeper, killMount}
		play(t, g, s, seed)
	})
}

// scenes are what a kind of mount can do.
func scenes(g *group) map[string]scene {
	shared := scene{clients: 2, mix: sharedMix(), names: 6, group: 3}
	if _, ok := g.lacks[following]; ok {
		shared.mix, shared.names, shared.group = stayingMix(), 3, 1
	}
	return map[string]scene{
		"shared": shared,
		"solo":   {clients: 1, mix: soloMix(), names: 2, group: 1},
	}
}

// play records the history of a scene in a new directory, and judges it.
func play(t *testing.T, g *group, s scene, seed uint64) {
	t.Helper()
	for round := range rounds(1, 30) {
		dir, err := os.MkdirTemp(g.mounts[0].Dir, "scene")
		if err != nil {
			t.Fatal(err)
		}
		_, asks := g.lacks[following]
		_, s.blind = g.lacks[oneUnlink]
		s.remembers = !asks
		s.seed, s.calls, s.killed, s.dirs = seed+uint64(round), 120, 80, nil
		for _, m := range g.mounts {
			s.dirs = append(s.dirs, m.Path(dir[len(g.mounts[0].Dir):]))
		}
		judge(t, s, record(t, s))
		if t.Failed() {
			return
		}
	}
}
