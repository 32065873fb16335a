package containers

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// clockVariable says by how many seconds the clock of a program of [withClock] is wrong.
const clockVariable = "ETAGFS_TEST_CLOCK"

// withClock is the program, built with a clock that can be wrong: all hosts have that of their machine.
func withClock(t *testing.T) string {
	t.Helper()
	if os.Getenv(formVariable) == "" {
		t.Skip("long: make integration builds the program with another clock")
	}
	if _, err := exec.LookPath("go"); err != nil {
		t.Skipf("needs go: %v", err)
	}
	file := filepath.Join(must(t, exec.Command("go", "env", "GOROOT")), "src", "time", "time.go")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	const now = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	if strings.Count(string(text), now) != 1 || strings.Count(string(text), "\nimport (\n") != 1 {
		t.Skipf("needs go: %s is written otherwise", file)
	}
	changed := strings.NewReplacer(now, now+"\tsec += wrong\n", "\nimport (\n", "\nimport (\n\t\"syscall\"\n").Replace(string(text)) + `
var wrong = func() int64 {
	text, _ := syscall.Getenv("` + clockVariable + `")
	n, _ := atoi(text)
	return int64(n)
}()
`
	dir := t.TempDir()
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {file: filepath.Join(dir, "time.go")}})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"time.go": changed, "overlay.json": string(overlay)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	program := filepath.Join(dir, "etagfs")
	build := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", program, "../../cmd/etagfs")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	must(t, build)
	return program
}

// wrongBy is a host whose clock is wrong by so much.
func wrongBy(name, program string, by time.Duration) spec {
	return spec{name: name, binary: program, env: []string{fmt.Sprint(clockVariable, "=", int64(by.Seconds()))}}
}

// C3, C4, C5, C6: three hosts, of which one's clock is an hour ahead of the server's and one's an hour behind, lose no increment,
// exclude each other by files and by leases, see at once what another has written, and who loses is told so and kept.
func TestHostsWhoseClocksAreAnHourApartAgree(t *testing.T) {
	program := withClock(t)
	s := newSite(t)
	server := s.serve(spec{})
	var hosts []*host
	for _, p := range []spec{wrongBy("one", program, time.Hour), wrongBy("two", program, -time.Hour), {name: "three"}} {
		hosts = append(hosts, s.mount(p, server))
	}
	for i, by := range []time.Duration{time.Hour, -time.Hour, 0} {
		if told := time.Until(hosts[i].clock()); (told - by).Abs() > 10*time.Minute {
			t.Fatalf("the clock of %s is wrong by %v, want %v", hosts[i].name, told, by)
		}
	}
	for dir, test := range map[string]func(*testing.T, string, []*host){
		"counter": countTogether, "lock": lockTogether, "replace": replaceTogether, "append": appendTogether,
	} {
		hosts[0].hands().do(order{Call: "mkdir", Path: hosts[0].file(dir)})
		test(t, dir, hosts)
	}
	last := make(map[*host]string)
	for round := range 5 { // more copies of a file than are kept: the newest are, of each host
		for i, loser := range hosts {
			last[loser] = loseTo(t, loser, hosts[(i+1)%len(hosts)], round)
		}
	}
	for i, h := range hosts {
		if !slices.Contains(h.kept(), last[h]) {
			t.Errorf("what %s has lost at last is not kept", h.name)
		}
		excludeByLease(t, h, hosts[(i+1)%len(hosts)])
	}
}

// clock is what a daemon took for the time when it last said something.
func (h *host) clock() time.Time {
	h.t.Helper()
	_, rest, _ := strings.Cut(h.log(), "time=")
	text, _, _ := strings.Cut(rest, " ")
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		h.t.Fatalf("%s: %v: %s", h.name, err, h.log())
	}
	return at
}

// loseTo has a host open a file that another one replaces, and returns what the loser has written.
func loseTo(t *testing.T, loser, winner *host, round int) string {
	t.Helper()
	a, b := loser.hands(), winner.hands()
	lost := fmt.Sprint(round, " by ", loser.name)
	a.put(loser.file("shared"), "base")
	a.open(0, loser.file("shared"), os.O_RDWR)
	a.write(0, lost)
	b.expect(winner.file("shared"), "base")
	b.put(winner.file("shared"), winner.name)
	a.fails(syscall.EBUSY, order{Call: "close", Handle: 0})
	loser.hands().expect(loser.file("shared"), winner.name)
	if !slices.Contains(loser.kept(), lost) {
		t.Errorf("%q has lost and is not kept", lost)
	}
	return lost
}

// excludeByLease has a host hold a lease that another wants.
func excludeByLease(t *testing.T, holder, other *host) {
	t.Helper()
	const notHeld = 4
	lease := holder.name + "-leases"
	w := handsOf(t, holder.leased(lease, "hands"))
	w.put(holder.file(lease+"-held"), "held") // it runs: the lease is held
	wants := other.leased(lease, "idle", "--wait", "0")
	if out, err := wants.CombinedOutput(); wants.ProcessState.ExitCode() != notHeld {
		t.Errorf("%s wants the lease that %s holds: %v: %s", other.name, holder.name, err, out)
	}
	w.die()
	if out, err := other.leased(lease, "idle").CombinedOutput(); err != nil {
		t.Errorf("%s wants the lease that %s has given up: %v: %s", other.name, holder.name, err, out)
	}
}

// leased is a command in a role that runs while it has a lease.
func (h *host) leased(lease, role string, flags ...string) *exec.Cmd {
	program := h.role(role).Args
	args := append([]string{"lock", h.file(lease)}, flags...)
	return h.program("etagfs", []string{roleVariable + "=" + role}, append(args, "--", program[len(program)-1])...)
}
