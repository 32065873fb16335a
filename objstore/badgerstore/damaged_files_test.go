package badgerstore

import (
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

// damagedRounds is how many files are damaged, or what ETAGFS_DAMAGE_ROUNDS says.
func damagedRounds(t *testing.T) int {
	n, err := strconv.Atoi(os.Getenv("ETAGFS_DAMAGE_ROUNDS"))
	if err != nil {
		return 160
	}
	t.Logf("%d rounds", n)
	return n
}

// filesIn are the paths of the files of a store that are not empty.
func filesIn(t *testing.T, dir string) (paths []string) {
	must(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Size() > 0 {
			paths = append(paths, path)
		}
		return err
	}))
	return paths
}

// harm flips a bit of a file, where it has data, or cuts it off.
func harm(t *testing.T, random *rand.Rand, path string) string {
	info, err := os.Stat(path)
	must(t, err)
	p, err := os.ReadFile(path)
	must(t, err)
	end := int64(len(strings.TrimRight(string(p), "\x00")))
	if random.IntN(5) == 0 {
		n := random.Int64N(info.Size())
		must(t, os.Truncate(path, n))
		return fmt.Sprintf("cut to %d", n)
	}
	if end == 0 || random.IntN(8) == 0 {
		end = info.Size()
	}
	off := random.Int64N(end)
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	must(t, err)
	defer f.Close()
	_, err = f.WriteAt([]byte{p[off] ^ 1<<random.IntN(8)}, off)
	must(t, err)
	return fmt.Sprintf("a bit at %d of %d", off, info.Size())
}

// C11: whatever bit of whatever file of a store is flipped, or where the file is cut off, closed or after a
// crash: the process lives; no other bytes are read than those that were written, no key is absent without an error,
// for reading and for writing; and what is wrong is said, unless all is there.
func TestDamageOfAnyFileIsToldOrHarmless(t *testing.T) {
	closed := makeVariedStore(t)
	crashed := crashedStore(t, closed)
	want := map[string]map[objstore.Key]string{closed: heldBy(t, closed)}
	want[crashed] = heldAfterRepair(t, crashed)
	seed := testSeed(t)
	random := rand.New(rand.NewPCG(seed, 0))
	outcomes := map[string]int{}
	stores := []string{closed, crashed}
	for i := range damagedRounds(t) {
		good := stores[i%2]
		dir := filepath.Join(testDir(t), "store")
		must(t, copyStore(good, dir))
		paths := filesIn(t, dir)
		path := paths[random.IntN(len(paths))]
		what := fmt.Sprintf("seed %d, round %d, crashed %v: %s of %s", seed, i, good == crashed, harm(t, random, path), strings.TrimPrefix(path, dir+"/"))
		for _, opt := range []Options{{ReadOnly: true}, {}} {
			outcomes[damageOutcome(t, dir, opt, want[good], what)]++
		}
		must(t, os.RemoveAll(filepath.Dir(dir)))
		if t.Failed() {
			return
		}
	}
	if t.Log(outcomes); outcomes["refused"] == 0 || outcomes["told"] == 0 || outcomes["harmless"] == 0 {
		t.Error("this shows nothing")
	}
}

// damageOutcome opens a damaged store, asks for all that was in it, and says what came of it.
func damageOutcome(t *testing.T, dir string, opt Options, want map[objstore.Key]string, what string) string {
	e, err := Open(t.Context(), dir, opt, Parts{})
	if err != nil {
		if kind := objstore.KindOf(err); kind != objstore.ErrCorrupt && kind != objstore.ErrNewerFormat &&
			!(opt.ReadOnly && kind == objstore.ErrUnavailable) && kind != objstore.ErrInvalid {
			t.Errorf("%s: refused with %v", what, err)
		}
		return "refused"
	}
	defer e.Close()
	all, err := e.findings(CheckOptions{Payload: true})
	if err != nil && objstore.KindOf(err) != objstore.ErrCorrupt {
		t.Errorf("%s: check: %v", what, err)
	}
	told := err != nil || slices.ContainsFunc(all, func(f Finding) bool { return f.Kind.IsDamage() })
	missed := map[string]bool{}
	for key, body := range want {
		got, err := held(t, e, key)
		switch {
		case err != nil && objstore.KindOf(err) != objstore.ErrCorrupt:
			t.Errorf("%s: read-only %v: %s: %v", what, opt.ReadOnly, key, err)
		case err != nil:
			missed[string(key)] = true
		case got != body:
			t.Errorf("%s: read-only %v: %s has other bytes", what, opt.ReadOnly, key)
		}
	}
	if len(missed) > 0 && !told {
		t.Errorf("%s: read-only %v: %v cannot be read and a check finds nothing", what, opt.ReadOnly, slices.Sorted(maps.Keys(missed)))
	}
	if !opt.ReadOnly {
		b, err := e.bucket(t.Context(), MainBucket)
		if err != nil {
			wantCorrupt(t, err)
			return "told"
		}
		_, err = b.Put(t.Context(), "written after", strings.NewReader("x"), objstore.Unconditional(), objstore.PutOptions{})
		if got, rerr := getAll(t.Context(), b, "written after"); err == nil && (rerr != nil || string(got) != "x") {
			t.Errorf("%s: what was written after is %q, %v", what, got, rerr)
		}
	}
	if told {
		return "told"
	}
	return "harmless"
}

// crashedStore is a copy of a store, as it is after a crash: with durable commits in a log.
func crashedStore(t *testing.T, closed string) (dir string) {
	running := filepath.Join(testDir(t), "store")
	must(t, copyStore(closed, running))
	e := openTest(t, running, Options{})
	b := mainBucket(t, e)
	for i := range 20 {
		mustPut(t, b, objstore.Key(fmt.Sprintf("later/%d", i)), bodyOf(i))
	}
	must(t, e.Sync(t.Context()))
	dir = filepath.Join(testDir(t), "store")
	must(t, copyStore(running, dir))
	return dir
}

// heldAfterRepair is what a store holds once it was opened for writing.
func heldAfterRepair(t *testing.T, crashed string) map[objstore.Key]string {
	dir := filepath.Join(testDir(t), "store")
	must(t, copyStore(crashed, dir))
	e, err := Open(t.Context(), dir, Options{}, testParts(t))
	must(t, err)
	must(t, e.Close())
	return heldBy(t, dir)
}

// held is what a store has under a key, or of a kept copy.
func held(t *testing.T, e *Engine, key objstore.Key) (string, error) {
	b, err := e.bucket(t.Context(), MainBucket)
	if err != nil {
		return "", err
	}
	id, isKept := strings.CutPrefix(string(key), "kept ")
	if !isKept {
		p, err := getAll(t.Context(), b, key)
		return string(p), err
	}
	r, err := b.OpenConflict(t.Context(), objstore.ConflictID(id), objstore.SideMine)
	if err != nil {
		return "", err
	}
	defer r.Close()
	p, err := io.ReadAll(r.Stream(t.Context(), 0, -1))
	return string(p), err
}
