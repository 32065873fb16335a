package differential

import (
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
)

func TestMain(m *testing.M) {
	mounttest.Main(m, map[string]mounttest.Role{"act": act})
}

// found are seeds that have found something.
var found = []uint64{
	5812805944556589664, // SEEK_DATA did not see stores through a mapping
}

const (
	sequenceLength = 150 // calls
	// sequencesMin are enough to tell how many of them have something, however slow the machine is.
	sequencesMin = 10
)

// native is a directory on a filesystem of the kernel's own that has all the calls.
func native(t *testing.T) string {
	t.Helper()
	for _, parent := range []string{t.TempDir(), "/var/tmp", "/dev/shm"} {
		var fs unix.Statfs_t
		if err := unix.Statfs(parent, &fs); err != nil || !slices.Contains([]int64{unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC}, int64(fs.Type)) {
			continue
		}
		dir, err := os.MkdirTemp(parent, "native")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		return dir
	}
	t.Skip("needs a native filesystem: ext4 or xfs")
	return ""
}

// duration is how long to look for something new.
func duration() time.Duration {
	if os.Getenv("ETAGFS_LONG") != "" {
		return 10 * time.Minute
	}
	return 5 * time.Second
}

// seedGiven is the seed to run again, or otherwise.
func seedGiven(t *testing.T, otherwise uint64) uint64 {
	t.Helper()
	given := os.Getenv("ETAGFS_SEED")
	if given == "" {
		return otherwise
	}
	seed, err := strconv.ParseUint(given, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return seed
}

func TestMountIsAsTheNativeFilesystem(t *testing.T) {
	dir := native(t)
	m := mounttest.Start(t, mounttest.Options{Mount: "isolation=mount", Deadline: duration() + 5*time.Minute})
	t.Cleanup(m.ExpectNothingLeft)
	p := &pair{native: newCrew(t, dir), mounted: newCrew(t, m.Dir)}
	if seed := seedGiven(t, 0); seed != 0 {
		p.try(t, seed)
		return
	}
	for _, seed := range found {
		p.try(t, seed)
	}
	overlapping, calls, until := 0, 0, time.Now().Add(duration())
	first := p.runs
	for !t.Failed() && (p.runs-first < sequencesMin || time.Now().Before(until)) {
		if p.try(t, rand.Uint64()) {
			overlapping++
		}
		calls += sequenceLength
	}
	t.Logf("%d calls in %d sequences, %d with overlapping writers", calls, p.runs-first, overlapping)
	if !t.Failed() && overlapping*10 < (p.runs-first)*3 {
		t.Error("in less than three of ten sequences two processes wrote to the same file")
	}
}

// So does a user's own mount, through fusermount3, as far as that user may look.
func TestMountOfAUserIsAsTheNativeFilesystem(t *testing.T) {
	mounttest.RunAsUser(t, "^(TestMountIsAsTheNativeFilesystem|TestOddArgumentsAreAnsweredAsOnTheNativeFilesystem)$",
		"TestMountIsAsTheNativeFilesystem", "TestOddArgumentsAreAnsweredAsOnTheNativeFilesystem")
}

// try runs the sequence of a seed, and shrinks and prints it if the sides part.
func (p *pair) try(t *testing.T, seed uint64) (overlapping bool) {
	t.Helper()
	ops := sequence(seed, sequenceLength)
	d, overlapping := p.run(t, ops)
	if d == nil {
		return overlapping
	}
	t.Errorf("%v: native %q, mounted %q; run again with\nETAGFS_SEED=%d go test ./integration/differential -run %s", d.op, d.native, d.mounted, seed, t.Name())
	short := p.shrink(t, ops[:min(d.at+1, len(ops))])
	if d, _ := p.run(t, short); d != nil {
		t.Logf("it takes no more than this, and then %v: native %q, mounted %q\n%s", d.op, d.native, d.mounted, listed(short))
	}
	return overlapping
}
