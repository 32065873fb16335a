package containers

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// act is what a client did to a file, and was told. One that writes says Base, what it had read through the handle.
type act struct {
	Client       int `json:"-"` // set by who records it
	File         int
	Base, Value  string
	Answer       string // see below
	Began, Ended int64  // on the clock of the machine
}

// The answers.
const (
	actRead    = "read" // Value is what was read
	actDone    = "done"
	actBusy    = "busy"
	actUnknown = "unknown"
)

const (
	historyFiles = 4
	// historyAfter is how many times a client goes on once nothing is disturbed any more.
	historyAfter = 10
	// keptPerFile is how many kept copies of a file are certainly not pruned: the newest ten are there.
	keptPerFile = 8
)

// historyRole reads and edits files at random, and tells of it, COUNT times, and some more times once its input has ended. The arguments
// are DIR, SEED, COUNT and NAME.
func historyRole(args []string) error {
	seed, err := strconv.ParseUint(args[1], 10, 64)
	if err != nil {
		return err
	}
	count, err := strconv.Atoi(args[2])
	if err != nil {
		return err
	}
	random := rand.New(rand.NewPCG(seed, uint64(args[3][1]))) // names of hosts differ in their second letter
	out := json.NewEncoder(os.Stdout)
	for i := range count + historyAfter {
		if i == count {
			if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
				return err
			}
		}
		file := random.IntN(historyFiles)
		acts := edit(filepath.Join(args[0], fmt.Sprint("h", file)), fmt.Sprintf("%-12s", fmt.Sprint(args[3], ".", i)), random.IntN(2) == 0)
		for _, a := range acts {
			a.File = file
			if err := out.Encode(a); err != nil {
				return err
			}
		}
	}
	return nil
}

// edit reads a file and may write to it through the same handle. What fails otherwise than by EBUSY is not known to have been done.
func edit(path, value string, write bool) (acts []act) {
	began := now()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil
	}
	text, err := io.ReadAll(f)
	if err != nil {
		f.Close()
		return nil
	}
	base := string(text)
	acts = append(acts, act{Value: base, Answer: actRead, Began: began, Ended: now()})
	if !write {
		f.Close() // nothing was changed
		return acts
	}
	a := act{Base: base, Value: value, Answer: actDone, Began: now()}
	_, err = f.WriteAt([]byte(value), 0)
	err = errors.Join(err, f.Close())
	a.Ended = now()
	if errors.Is(err, syscall.EBUSY) {
		a.Answer = actBusy
	} else if err != nil {
		a.Answer = actUnknown
	}
	return append(acts, a)
}

// now is the time on a clock that the processes of all hosts share.
func now() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(err)
	}
	return ts.Nano()
}

// linearizable is whether there is an order of what was done to each file in which all were told the truth.
func linearizable(acts []act, first string) porcupine.CheckResult {
	var operations []porcupine.Operation
	for i, a := range acts {
		if a.Answer == actUnknown {
			a.Ended = math.MaxInt64 // it may be done at any time, or never: after everything else
		}
		operations = append(operations, porcupine.Operation{ClientId: i, Input: a, Call: a.Began, Return: a.Ended})
	}
	model := porcupine.Model{
		Partition: func(all []porcupine.Operation) [][]porcupine.Operation {
			parts := make([][]porcupine.Operation, historyFiles)
			for _, o := range all {
				file := o.Input.(act).File
				parts[file] = append(parts[file], o)
			}
			return parts
		},
		Init: func() any { return first },
		Step: func(state, input, _ any) (bool, any) { return step(state.(string), input.(act)) },
	}
	return porcupine.CheckOperationsTimeout(model, operations, time.Minute)
}

// step is what an act does to a file that has a content, and whether it can have been told that.
func step(content string, a act) (told bool, after string) {
	switch {
	case a.Answer == actRead:
		return content == a.Value, content
	case a.Answer == actBusy:
		return content != a.Base, content
	case content == a.Base:
		return true, a.Value
	}
	return a.Answer == actUnknown, content
}

// C1, C3, C4, C5: what programs of three hosts are told while one is cut off and the server is killed can be explained by one order for each
// file, and what lost is kept. Afterwards all of them are answered.
func TestHistoryOfThreeHostsIsLinearizable(t *testing.T) {
	seed := rand.Uint64()
	if text := os.Getenv("ETAGFS_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("again: ETAGFS_SEED=%d go test ./integration/containers -run '^%s$'", seed, t.Name())
	s := newSite(t)
	server := s.serve(spec{})
	hosts := s.mounts(server)
	eyes := hosts[0].hands()
	first := fmt.Sprintf("%-12s", "first")
	for i := range historyFiles {
		eyes.put(hosts[0].file(fmt.Sprint("h", i)), first)
	}
	acts, healed := record(t, onEach(hosts, "history", "{mnt}", strconv.FormatUint(seed, 10), strconv.Itoa(rounds(60, 1000))), func() {
		if s.lacks("network") == "" {
			hosts[2].cut()
			eyes.get(hosts[0].file("h0"))
			hosts[2].heal()
		}
		server.kill()
		server.restart()
	})
	if result := linearizable(acts, first); result != porcupine.Ok {
		t.Errorf("%d acts: %s", len(acts), result)
	}
	for i, h := range hosts {
		if told := answered(acts, i, healed); told < historyAfter {
			t.Errorf("%s is told %d times what became of %d acts after all was healed", h.name, told, historyAfter)
		}
	}
	kept := hosts[0].kept()
	lost := make([]int, historyFiles)
	for _, a := range slices.Backward(acts) {
		if a.Answer != actBusy {
			continue
		}
		if lost[a.File]++; lost[a.File] <= keptPerFile && !slices.Contains(kept, a.Value) {
			t.Errorf("%q lost and is not kept", a.Value)
		}
	}
	t.Logf("%d acts, %v of each file lost, %d are kept", len(acts), lost, len(kept))
}

// answered is how many acts of a client began after a time and have an answer. Each begins with one that reads.
func answered(acts []act, client int, after int64) (n int) {
	for _, a := range acts {
		if a.Client == client && a.Began > after && a.Answer == actRead {
			n++
		}
		if a.Client == client && a.Began > after && a.Answer == actUnknown {
			n--
		}
	}
	return n
}

// recorded is a client that tells of its acts.
type recorded struct {
	*exec.Cmd
	in    io.Closer
	begun chan struct{} // closed once it has told of an act, or ended
	ended chan error
	acts  []act // once it has ended
}

// startRecorded starts a command that is a client.
func startRecorded(t *testing.T, cmd *exec.Cmd, number int) *recorded {
	t.Helper()
	cmd.Stderr = os.Stderr
	in, out := mounttest.StartPiped(t, cmd)
	r := &recorded{Cmd: cmd, in: in, begun: make(chan struct{}), ended: make(chan error, 1)}
	go func() {
		begun := sync.OnceFunc(func() { close(r.begun) })
		defer begun()
		said := json.NewDecoder(out)
		for {
			a := act{Client: number}
			if err := said.Decode(&a); err != nil {
				r.ended <- err
				return
			}
			r.acts = append(r.acts, a)
			begun()
		}
	}()
	return r
}

// record runs clients, disturbs them, and returns what they have told, by time, and when nothing was disturbed any more.
func record(t *testing.T, commands []*exec.Cmd, disturb func()) (acts []act, healed int64) {
	t.Helper()
	var clients []*recorded
	for i, cmd := range commands {
		clients = append(clients, startRecorded(t, cmd, i))
	}
	for _, c := range clients {
		<-c.begun
	}
	disturb()
	healed = now()
	for _, c := range clients {
		c.in.Close()
	}
	for i, c := range clients {
		if err := <-c.ended; !errors.Is(err, io.EOF) {
			t.Errorf("client %d: %v", i, err)
		}
		if err := c.Wait(); err != nil {
			t.Errorf("client %d: %v", i, err)
		}
		acts = append(acts, c.acts...)
	}
	slices.SortFunc(acts, func(a, b act) int { return int(a.Began - b.Began) })
	return acts, healed
}

// The checker takes what may happen, and nothing else.
func TestHistoryCheckerFindsWhatIsWrong(t *testing.T) {
	write := func(base, value, answer string) act { return act{Base: base, Value: value, Answer: answer} }
	read := func(value string) act { return act{Value: value, Answer: actRead} }
	for _, c := range []struct {
		name  string
		acts  []act
		sound bool
	}{
		{"one after the other", []act{write("0", "1", actDone), write("1", "2", actDone), read("2")}, true},
		{"a lost update", []act{write("0", "1", actDone), write("0", "2", actDone)}, false},
		{"a loser", []act{write("0", "1", actDone), write("0", "2", actBusy), read("1")}, true},
		{"busy for nothing", []act{write("0", "1", actBusy)}, false},
		{"a stale read", []act{write("0", "1", actDone), read("0")}, false},
		{"what nobody knows comes late", []act{write("0", "1", actUnknown), read("0"), read("1")}, true},
		{"what nobody knows goes again", []act{write("0", "1", actUnknown), read("1"), read("0")}, false},
	} {
		for i := range c.acts {
			c.acts[i].Began, c.acts[i].Ended = int64(10*i), int64(10*i+5)
		}
		if sound := linearizable(c.acts, "0") == porcupine.Ok; sound != c.sound {
			t.Errorf("%s: %v", c.name, sound)
		}
	}
}
