package crossmounts

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// deadline is how long the mounts of a test may be used.
func deadline() time.Duration { return time.Duration(rounds(5, 60)) * time.Minute }

// kind is a way for several mounts to have one store.
type kind struct {
	name string
	// lacks says why something is missing, by its name.
	lacks map[string]string
	// start makes n mounts.
	start func(t *testing.T, n int, between faults) *group
}

// What a kind may lack.
const (
	links      = "links"       // hard links
	following  = "following"   // a commit follows a rename made by another mount
	noReplace  = "noreplace"   // RENAME_NOREPLACE
	oneStep    = "one-step"    // a rename is one step
	oneUnlink  = "one-unlink"  // of several unlinks of a file one succeeds
	commonKept = "common-kept" // what lost is kept in the store
	ourBytes   = "our-bytes"   // the test can damage what is stored
)

func kinds() []kind {
	flat := map[string]string{
		links:      "an object of a bucket has one key",
		following:  "the object at another key is another object",
		commonKept: "what lost is kept below the cache directory of its mount",
	}
	foreign := map[string]string{
		noReplace: "there is no conditional copy",
		oneStep:   "a rename copies and deletes",
		oneUnlink: "deletes have no condition",
		ourBytes:  "the bytes are another program's",
	}
	for what, why := range flat {
		foreign[what] = why
	}
	return []kind{
		{"socket", nil, startSocket},
		{"attached", nil, startAttached},
		{"http", nil, startHTTP},
		{"s3", flat, startS3},
		{"minio", foreign, startMinIO},
	}
}

// fewer is how many rounds a kind has whose every request takes long, where others have n.
func (k kind) fewer(n int) int {
	if k.name == "minio" {
		return (n + 4) / 5
	}
	return n
}

// needs skips a test that is about what a kind lacks.
func (k kind) needs(t *testing.T, what ...string) {
	t.Helper()
	for _, w := range what {
		if why, ok := k.lacks[w]; ok {
			t.Skipf("needs %s: with %s %s", w, k.name, why)
		}
	}
}

// forEachKind runs a test on n mounts of a new store, in every way there is.
func forEachKind(t *testing.T, n int, between faults, test func(t *testing.T, g *group)) {
	mounttest.Need(t, "fuse", "binary")
	for _, k := range kinds() {
		t.Run(k.name, func(t *testing.T) {
			g := k.start(t, n, between)
			g.kind = k
			test(t, g)
		})
	}
}

// keeper is the process that has the store.
type keeper interface {
	kill() // as a crash does
	stop()
	restart()
}

// group is some mounts of one store.
type group struct {
	kind
	mounts []*mounttest.Mount
	keeper keeper
	dir    string // of the store
	cut    *cutter
}

// owner is a keeper that is a mount itself.
type owner struct{ m *mounttest.Mount }

func (o owner) kill()    { o.m.Kill() }
func (o owner) stop()    { o.m.Unmount() }
func (o owner) restart() { o.m.Restart() }

// startSocket makes mounts of which the first has the store, and the others use it through its socket.
func startSocket(t *testing.T, n int, between faults) *group {
	g := startAttached(t, n-1, between)
	g.mounts = append([]*mounttest.Mount{g.keeper.(owner).m}, g.mounts...)
	return g
}

// startAttached makes mounts that use a store through the socket of one more, which is no member of the group.
func startAttached(t *testing.T, n int, between faults) *group {
	first := mounttest.Start(t, mounttest.Options{Deadline: deadline()})
	g := &group{keeper: owner{first}, dir: first.Store}
	if between.any() {
		socket := filepath.Join(first.Store, "etagfs.sock")
		if err := os.Rename(socket, socket+".owner"); err != nil {
			t.Fatal(err)
		}
		g.cut = startCutter(t, between, "unix", socket, socket+".owner")
	}
	for range n {
		g.mounts = append(g.mounts, mounttest.Start(t, mounttest.Options{Source: first.Store, Deadline: deadline()}))
	}
	return g
}

// startHTTP makes mounts of a bucket of our server, through its extensions.
func startHTTP(t *testing.T, n int, between faults) *group {
	s := serve(t)
	return s.group(n, between, func(address string) string { return "http://" + address + "/main" })
}

// startS3 makes mounts of a bucket of our server as of any S3 service.
func startS3(t *testing.T, n int, between faults) *group {
	s := serve(t)
	return s.group(n, between, func(address string) string { return "s3://main?endpoint=http://" + address })
}

// startMinIO makes mounts of a bucket of a MinIO server.
func startMinIO(t *testing.T, n int, between faults) *group {
	s := serveMinIO(t)
	return s.group(n, between, func(address string) string { return "s3://main?endpoint=http://" + address })
}

// group makes mounts of what a server has, each with a cache of its own.
func (s *server) group(n int, between faults, source func(address string) string) *group {
	s.t.Helper()
	g := &group{keeper: s, dir: s.dir}
	address := s.address
	if between.any() {
		g.cut = startCutter(s.t, between, "tcp", "127.0.0.1:0", s.address)
		address = g.cut.address()
	}
	for range n {
		g.mounts = append(g.mounts, mounttest.Start(s.t, mounttest.Options{
			Source: source(address), Args: []string{"--cache", s.t.TempDir()}, Env: keys(), Deadline: deadline(),
		}))
	}
	return g
}

// stop ends all mounts and the keeper of their store.
func (g *group) stop() {
	for _, m := range g.mounts {
		if m != g.ownerMount() {
			m.Unmount()
		}
	}
	g.keeper.stop()
}

// start begins again what stop has ended.
func (g *group) start() {
	g.keeper.restart()
	for _, m := range g.mounts {
		if m != g.ownerMount() {
			m.Restart()
		}
	}
}

// ownerMount is the mount that has the store, nil if there is none.
func (g *group) ownerMount() *mounttest.Mount {
	o, _ := g.keeper.(owner)
	return o.m
}
