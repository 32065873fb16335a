package crossmounts

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// promise is a case about two mounts of one store.
type promise struct {
	name  string
	needs []string
	test  func(t *testing.T, p pair)
}

// promises are the cases that leave the mounts as they were. Each works in a directory of its own.
func promises() []promise {
	return []promise{
		{"C1 readers see whole commits", nil, readersSeeWholeCommits},
		{"C2 readers are pinned", nil, readersArePinned},
		{"C2 writers do not see each other", nil, writersDoNotSeeEachOther},
		{"C3 every way to commit can lose", nil, everyWayToCommitCanLose},
		{"C3 a mapping that lost fails at msync", nil, msyncOfALoserFails},
		{"C3 create against create", nil, createAgainstCreate},
		{"C3 records that make their file", nil, recordsThatMakeTheirFile},
		{"C3 truncation against truncation", nil, truncationAgainstTruncation},
		{"C4 the loser is kept with its base and the winner", nil, loserIsKept},
		{"C4 a file unlinked elsewhere", nil, unlinkedElsewhere},
		{"C4 a file replaced elsewhere", nil, replacedElsewhere},
		{"C5 names that were absent", nil, namesThatWereAbsent},
		{"C5 names, sizes and listings", nil, namesSizesAndListings},
		{"C5 renamed parents", nil, renamedParents},
		{"C6 one racer makes a name", nil, oneRacer("open", "mkdir", "symlink")},
		{"C6 one racer links a name", []string{links}, oneRacer("link")},
		{"C6 one racer moves to a name", []string{noReplace}, oneRacer("rename")},
		{"C7 a replaced name is never absent", nil, replacedNameIsNeverAbsent},
		{"C7 a name that moves is at one place", []string{oneStep}, movingNameIsAtOnePlace},
		{"C7 the old name or the new one", []string{oneStep}, oldOrNewName},
		{"C7 a rename commits", nil, renameCommits},
		{"C8 fsync publishes", nil, fsyncPublishes},
		{"C9 several descriptors", nil, severalDescriptors},
		{"C9 attributes of others are no conflict", nil, attributesAreNoConflict},
		{"C9 a rename by others is followed", []string{following}, renameIsFollowed},
		{"C9 an unlink by the mount itself detaches", nil, unlinkDetaches},
		{"C10 a failed commit is a line of the log", nil, failureIsLogged},
	}
}

// C1, C2, C3, C4, C5, C6, C7, C8, C9 and C10 between two mounts.
func TestPromises(t *testing.T) {
	forEachKind(t, 2, faults{}, func(t *testing.T, g *group) {
		for _, c := range promises() {
			t.Run(c.name, func(t *testing.T) {
				g.needs(t, c.needs...)
				dir := strings.ReplaceAll(c.name, " ", "-")
				if err := os.Mkdir(g.mounts[0].Path(dir), 0o755); err != nil {
					t.Fatal(err)
				}
				c.test(t, pair{g, dir})
			})
		}
	})
}

// C8: what fsync, or a close, has answered survives the mount that asked for it and whoever has the store.
func TestCommitsSurviveKills(t *testing.T) {
	forEachKind(t, 2, faults{}, func(t *testing.T, g *group) {
		a, b := g.mounts[0], g.mounts[1]
		put(t, b.Path("closed"), "closed")
		f := open(t, b.Path("synced"), os.O_RDWR|os.O_CREATE)
		write(t, f, "synced")
		wants(t, "fsync", f.Sync(), 0)
		b.Kill()
		check(t, a.Path("synced"), "synced")
		if err := f.Close(); err == nil {
			t.Error("the close was answered by nobody")
		}
		b.Restart()
		check(t, b.Path("closed"), "closed")
		put(t, b.Path("last"), "last")
		g.keeper.kill()
		g.keeper.restart()
		for _, m := range g.mounts {
			for _, name := range []string{"closed", "synced", "last"} {
				check(t, m.Path(name), name)
			}
		}
		put(t, b.Path("after"), "after")
		check(t, a.Path("after"), "after")
	})
}

// C4: what a killed mount had not committed is kept, beside what the file is by then, and can be put in its place: of that file, and of
// no other with the same bytes.
func TestCopiesOfKilledMountsCanBeTaken(t *testing.T) {
	forEachKind(t, 2, faults{}, func(t *testing.T, g *group) {
		b := g.mounts[1]
		put(t, b.Path("f"), "base")
		put(t, b.Path("twin"), "base")
		f := open(t, b.Path("f"), os.O_RDWR)
		write(t, f, "mine")
		b.Kill()
		if err := f.Close(); err == nil {
			t.Error("the close was answered by nobody")
		}
		b.Restart()
		check(t, b.Path("twin"), "base")
		dir := pair{g: g}.awaitKept(t, 1, "f")
		check(t, filepath.Join(dir, "theirs"), "base")
		check(t, filepath.Join(dir, "mine"), "mine")
		wants(t, "keep-mine", unix.Setxattr(dir, "user.etagfs.resolve", []byte("keep-mine"), 0), 0)
		check(t, b.Path("f"), "mine")
		check(t, b.Path("twin"), "base")
	})
}

// C11: bytes that are damaged in the store are EIO on every mount, and everything else is served.
func TestDamageIsEIOOnEveryMount(t *testing.T) {
	forEachKind(t, 2, faults{}, func(t *testing.T, g *group) {
		g.needs(t, ourBytes)
		large := strings.Repeat("0123456789abcdef", 1<<16)
		contents := map[string]string{"small": "the small content", "large": large, "whole": "whole"}
		for name, content := range contents {
			put(t, g.mounts[0].Path(name), content)
		}
		g.stop()
		mounttest.Damage(t, g.dir, "the small content")
		mounttest.Damage(t, g.dir, large[:64])
		g.start()
		for i, m := range g.mounts {
			check(t, m.Path("whole"), "whole")
			damaged := []string{"small", "large"}[i] // clients of S3 ask for long
			if got, err := os.ReadFile(m.Path(damaged)); !errors.Is(err, syscall.EIO) {
				t.Errorf("mount %d reads %d bytes of the %s one: %v", i, len(got), damaged, err)
			}
			name := fmt.Sprint("new", i)
			put(t, m.Path(name), name)
		}
	})
}
