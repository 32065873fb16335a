package containers

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// The keys of the servers.
const (
	accessKey = "containers"
	secretKey = "containers-secret"
)

const (
	// testTime is how long a test may use its hosts; in the long form more.
	testTime     = 4 * time.Minute
	testTimeLong = 30 * time.Minute
	// readyTime is how long a host may take to begin, and readyInterval how often it is asked.
	readyTime     = time.Minute
	readyInterval = 20 * time.Millisecond
	// endTime is how long a program may take to end by itself.
	endTime = time.Minute
)

// place is a directory of a host.
type place struct {
	dir   string // of this machine; empty: one of the host's own that lives as long as the host
	bytes int64  // above 0: a file system of its own of that size, in memory
}

// spec is what a host is asked to be.
type spec struct {
	name    string
	args    []string // of etagfs, where {NAME} is the path of a place; empty: no main program
	env     []string
	fuse    bool // it may mount
	outside bool // where it mounts can be seen outside of it
	places  map[string]place
	binary  string // another etagfs than the one under test
	user    string // the keys it has; empty: those that may do everything
	trust   string // the file of the authority whose certificates it takes
	apart   bool   // its programs have process numbers of their own, as those of containers do
}

// body is a host in one of the forms.
type body interface {
	begin()      // starts the main program
	alive() bool // whether that has not ended
	end() error  // asks it to end, and waits
	// outcome is nil if the main program has ended well.
	outcome() error
	kill()  // ends the host as a loss of power does
	pause() // stops the main program and those beside it
	resume()
	cut() // takes it from the network
	heal()
	// program is a command on the host: "etagfs", or "test", which is this test's program.
	program(name string, env []string, args ...string) *exec.Cmd
	path(place string) string
	log() string
	remove()
}

// form makes hosts that reach each other.
type form interface {
	host(t *testing.T, s spec) body
	// address is where what listens at a port of host can be reached from another one.
	address(from, to *host, port int) string
	// listen is what a server on a host is told to listen at, for that port.
	listen(h string, port int) string
	lacks(what string) string // why something cannot be tested, if so
	remove()
}

// site is a network with hosts.
type site struct {
	t *testing.T
	form
	hosts []*host
}

// host is one of a site.
type host struct {
	spec
	body
	site *site
	t    *testing.T
}

// newSite is one without hosts, in the form the environment names.
func newSite(t *testing.T) *site {
	t.Helper()
	mounttest.Need(t, "fuse", "binary")
	base := t.TempDir() // which goes after the site
	s := &site{t: t}
	t.Cleanup(s.close)
	if inDocker() {
		s.form = newDocker(t)
	} else {
		s.form = newLocal(t, base)
	}
	limit := testTime
	if long() {
		limit = testTimeLong
	}
	watch := time.AfterFunc(limit, func() {
		t.Errorf("not done after %v: killing all hosts", limit)
		for _, h := range s.hosts {
			h.body.kill()
		}
	})
	t.Cleanup(func() { watch.Stop() })
	return s
}

func inDocker() bool { return os.Getenv(formVariable) == "docker" }

func long() bool { return os.Getenv("ETAGFS_LONG") == "1" }

// needs skips a test about what a form lacks.
func (s *site) needs(what ...string) {
	s.t.Helper()
	for _, w := range what {
		if why := s.lacks(w); why != "" {
			s.t.Skipf("needs %s: %s", w, why)
		}
	}
}

// close ends everything.
func (s *site) close() {
	for _, h := range slices.Backward(s.hosts) {
		if s.t.Failed() {
			s.t.Logf("the end of the log of %s:\n%s", h.name, lastLines(h.log(), 25))
		}
		h.body.remove()
	}
	if s.form != nil {
		s.form.remove()
	}
}

// lastLines is the end of a log, without requests that were answered.
func lastLines(text string, n int) string {
	lines := slices.DeleteFunc(strings.SplitAfter(text, "\n"), func(line string) bool {
		return strings.Contains(line, `"level":"INFO","msg":"request"`)
	})
	return strings.Join(lines[max(0, len(lines)-n):], "")
}

// add makes a host and starts its main program.
func (s *site) add(p spec) *host {
	s.t.Helper()
	h := &host{spec: p, site: s, t: s.t, body: s.form.host(s.t, p)}
	s.hosts = append(s.hosts, h)
	h.body.begin()
	return h
}

// environment is that of all programs of a host.
func (s spec) environment(path func(string) string) []string {
	all := append(keys(s.user), s.env...)
	if s.trust != "" {
		all = append(all, "SSL_CERT_FILE="+expand([]string{s.trust}, path, s.places)[0])
	}
	return all
}

// keys is the environment of who has the keys of a user.
func keys(user string) []string {
	user = cmp.Or(user, accessKey)
	secret := user + "-secret"
	return []string{
		"ETAGFS_ACCESS_KEY=" + user, "ETAGFS_SECRET_KEY=" + secret,
		"AWS_ACCESS_KEY_ID=" + user, "AWS_SECRET_ACCESS_KEY=" + secret, "AWS_REGION=us-east-1", "AWS_EC2_METADATA_DISABLED=true",
	}
}

// port is where servers and relays listen.
const port = 9000

// serve adds a host that serves a store, and waits until it takes requests.
func (s *site) serve(p spec, args ...string) *host {
	s.t.Helper()
	p.name = cmp.Or(p.name, "server")
	p.args = append([]string{"serve", "{store}", "--listen", s.listen(p.name, port)}, args...)
	p.places = withPlaces(p.places, "store")
	h := s.add(p)
	h.awaitServer()
	return h
}

// awaitServer returns once the server of h takes requests.
func (h *host) awaitServer() {
	h.t.Helper()
	scheme := "http://"
	if slices.Contains(h.args, "--tls-cert") {
		scheme = "https://"
	}
	h.awaitHealth(scheme + h.site.address(h, h, port))
}

func withPlaces(places map[string]place, names ...string) map[string]place {
	all := make(map[string]place)
	for _, name := range names {
		all[name] = place{}
	}
	maps.Copy(all, places)
	return all
}

// mount adds a host that mounts the bucket of a server, and waits until the mount can be used.
func (s *site) mount(p spec, server *host, args ...string) *host {
	s.t.Helper()
	h := s.tryMount(p, server, args...)
	h.awaitMount()
	return h
}

// tryMount is mount without a wait.
func (s *site) tryMount(p spec, server *host, args ...string) *host {
	s.t.Helper()
	from := &host{spec: p, site: s}
	scheme := "http"
	if slices.Contains(server.args, "--tls-cert") {
		scheme = "https"
	}
	url := fmt.Sprintf("%s://%s/main", scheme, s.address(from, server, port))
	p.args = append([]string{"mount", url, "{mnt}", "--foreground", "--cache", "{cache}"}, args...)
	p.fuse = true
	p.places = withPlaces(p.places, "mnt", "cache")
	return s.add(p)
}

// mounts adds three hosts that mount the bucket of a server.
func (s *site) mounts(server *host) []*host {
	s.t.Helper()
	var hosts []*host
	for _, name := range []string{"one", "two", "three"} {
		hosts = append(hosts, s.mount(spec{name: name}, server))
	}
	return hosts
}

func (h *host) awaitMount() {
	h.t.Helper()
	h.awaitHealth(h.path("mnt"))
}

// awaitHealth asks until what is named can be used.
func (h *host) awaitHealth(what string) {
	h.t.Helper()
	late := time.NewTimer(readyTime)
	defer late.Stop()
	for {
		out, err := h.etagfs("health", what).CombinedOutput()
		if err == nil {
			return
		}
		if !h.alive() {
			h.t.Fatalf("%s: the main program has ended:\n%s", h.name, h.log())
		}
		select {
		case <-time.After(readyInterval):
		case <-late.C:
			h.t.Fatalf("%s is not ready after %v: %s", h.name, readyTime, out)
		}
	}
}

// etagfs is a command of the program under test on a host.
func (h *host) etagfs(args ...string) *exec.Cmd {
	return h.program("etagfs", nil, args...)
}

// role is a command of this test's program on a host.
func (h *host) role(name string, args ...string) *exec.Cmd {
	return h.program("test", []string{"MOUNTTEST_ROLE=" + name}, args...)
}

// output is what a command prints. It must succeed.
func (h *host) output(cmd *exec.Cmd) string {
	h.t.Helper()
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		h.t.Fatalf("%s: %s: %v: %s%s", h.name, strings.Join(cmd.Args, " "), err, out, complaint.String())
	}
	return string(out)
}

// file is the path of something in the mount of a host.
func (h *host) file(names ...string) string {
	return filepath.Join(append([]string{h.path("mnt")}, names...)...)
}

// restart starts the main program of a mounting host that was killed, and waits until the mount can be used.
func (h *host) restart() {
	h.t.Helper()
	h.begin()
	if slices.Contains(h.args, "serve") {
		h.awaitServer()
	} else {
		h.awaitMount()
	}
}

// expand gives places their paths.
func expand(args []string, path func(string) string, places map[string]place) []string {
	var all []string
	for _, a := range args {
		for name := range places {
			a = strings.ReplaceAll(a, "{"+name+"}", path(name))
		}
		all = append(all, a)
	}
	return all
}

// run starts commands together, and waits for all.
func run(t *testing.T, commands ...*exec.Cmd) {
	t.Helper()
	for _, c := range commands {
		if c.Stderr == nil {
			c.Stderr = os.Stderr
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range commands {
		if err := c.Wait(); err != nil {
			t.Errorf("%s: %v", strings.Join(c.Args[1:], " "), err)
		}
	}
}
