package crash

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore"
)

// changing are the system calls by which a program changes files.
const changing = "write,pwrite64,rename,renameat,renameat2,unlink,unlinkat,link,linkat,mkdir,mkdirat,ftruncate,fallocate,fsync,fdatasync,msync,copy_file_range,sendfile"

// killedVerb is a verb that rewrites what is there. STORE, BACKUP and ID stand for the store, a directory beside it, and a conflict.
type killedVerb struct {
	name string
	args []string
	// damage is done to the store before: nil, none.
	damage func(store string) error
	// result is the store that has the files in the end; empty: STORE itself.
	result string
	merges bool // and then the merged file is what both sides made of it
}

func killedVerbs() []killedVerb {
	return []killedVerb{
		{name: "gc", args: []string{"gc", "STORE"}},
		{name: "compact", args: []string{"compact", "STORE"}},
		{name: "repair", args: []string{"check", "--repair", "STORE"}, damage: leaveRubbish},
		{name: "backup", args: []string{"backup", "STORE", "BACKUP"}},
		{name: "restore", args: []string{"restore", "BACKUP", "RESTORED"}, result: "RESTORED"},
		{name: "merge", args: []string{"conflicts", "merge", "STORE", "ID"}, merges: true},
	}
}

// C4, C8, C11: a verb that rewrites a store is killed at the first, second, ... call of a thread that changes a file, until it is
// through before. Each time every file is as it was, or as the verb makes it; the verb goes through when it is run again; and
// then the store's check, of every byte, finds nothing.
func TestVerbKilledAtAnyStepLeavesAStoreThatIsWhole(t *testing.T) {
	program := program(t)
	needStrace(t)
	image := t.TempDir()
	id, want, err := makeRewritable(filepath.Join(image, "STORE"))
	if err != nil {
		t.Fatal(err)
	}
	if said, err := exec.Command(program, "backup", filepath.Join(image, "STORE"), filepath.Join(image, "BACKUP")).CombinedOutput(); err != nil {
		t.Fatalf("backup: %v\n%s", err, said)
	}
	for _, v := range killedVerbs() {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			k := killing{t: t, program: program, image: image, id: id, want: want, verb: v}
			const callsMin = 8 // calls are spread over threads by chance
			step, killed := 1, 0
			if testing.Short() {
				step = 5
			}
			for n, through := 1, false; n <= callsMin || !through; n += step {
				if through = k.at(n); !through {
					killed++
				}
			}
			if t.Logf("killed %d times", killed); killed == 0 {
				t.Error("it was never killed: this shows nothing")
			}
		})
	}
}

// killing is a verb that is killed at its steps.
type killing struct {
	t       *testing.T
	program string
	image   string // of the store, and of a backup of it
	id      string
	want    map[string][]byte
	verb    killedVerb
}

// at kills the verb at call n, and reports whether it was through before.
func (k *killing) at(n int) (through bool) {
	k.t.Helper()
	dir := filepath.Join(k.t.TempDir(), "copy")
	fail := func(what string, err error) {
		if err != nil {
			k.t.Fatalf("%s killed at call %d of a thread: %s: %v", k.verb.name, n, what, err)
		}
	}
	said, err := exec.Command("cp", "-a", "--sparse=always", k.image, dir).CombinedOutput()
	fail(string(said), err)
	if k.verb.name == "backup" {
		fail("make room", os.RemoveAll(filepath.Join(dir, "BACKUP")))
	}
	store := filepath.Join(dir, "STORE")
	if k.verb.damage != nil {
		fail("damage", k.verb.damage(store))
	}
	inject := fmt.Sprintf("inject=%s:signal=SIGKILL:when=%d", changing, n)
	through, err = k.run(dir, "strace", "-f", "-o", "/dev/null", "-e", "trace="+changing, "-e", inject, k.program)
	fail("run", err)
	if k.verb.damage == nil {
		fail("what is there after it", k.compare(store, !k.verb.merges))
	}
	result := store
	if k.verb.result != "" {
		result = filepath.Join(dir, k.verb.result)
	}
	if _, err := os.Stat(filepath.Join(result, "FORMAT")); err != nil || result == store {
		done, err := k.run(dir, k.program)
		if fail("run it again", err); !done {
			k.t.Fatalf("%s killed at call %d of a thread: it does not go through again", k.verb.name, n)
		}
	}
	fail("what is there in the end", k.compare(result, false))
	said, err = exec.Command(k.program, "check", "--payload", result).CombinedOutput()
	fail(string(said), err)
	fail("remove", os.RemoveAll(dir))
	return through
}

// run runs the verb, and reports whether it was through: it was not killed. That its conflict is decided is no failure.
func (k *killing) run(dir string, before ...string) (through bool, err error) {
	args := before[1:]
	for _, a := range k.verb.args {
		switch a {
		case "STORE", "BACKUP", "RESTORED":
			a = filepath.Join(dir, a)
		case "ID":
			a = k.id
		}
		args = append(args, a)
	}
	cmd := exec.Command(before[0], args...)
	cmd.Dir = k.t.TempDir()                           // a merge that a person has to finish leaves a file
	cmd.Env = append(os.Environ(), "TMPDIR="+cmd.Dir, // and one that is killed all of them
		"GOMAXPROCS=1") // so that one thread makes most of the calls
	said, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err == nil || !errors.As(err, &exit) {
		return err == nil, err
	}
	if exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
		return false, nil
	}
	const notFound = 3
	if k.verb.merges && exit.ExitCode() == notFound {
		return true, nil
	}
	return false, fmt.Errorf("%w: %s", err, said)
}

// compare says which files of a store are not as they should be.
func (k *killing) compare(store string, exact bool) error {
	ctx := context.Background()
	e, err := badgerstore.Open(ctx, store, badgerstore.Options{}, badgerstore.Parts{})
	if err != nil {
		return err
	}
	b, err := e.Bucket(ctx, badgerstore.MainBucket)
	if err != nil {
		return errors.Join(err, e.Close())
	}
	for name, want := range k.want {
		r, err := b.Get(ctx, objstore.Key(name), objstore.Unconditional())
		if err != nil {
			return errors.Join(fmt.Errorf("%s: %w", name, err), e.Close())
		}
		got := make([]byte, r.Info().Size)
		_, err = r.ReadAt(ctx, got, 0)
		err = errors.Join(err, r.Close())
		if k.verb.merges && !exact && name == mergedName && bytes.Equal(got, []byte(mergedText)) {
			continue
		}
		if err != nil || !bytes.Equal(got, want) {
			return errors.Join(fmt.Errorf("%s has %d other bytes: %w", name, len(got), err), e.Close())
		}
	}
	return e.Close()
}

// leaveRubbish puts files into a store that a repair takes away.
func leaveRubbish(store string) error {
	var err error
	for _, name := range []string{"fff", "letter"} {
		err = errors.Join(err, os.WriteFile(filepath.Join(store, "blobs", "0", name), []byte("rubbish"), 0o600))
	}
	return err
}

// What two have made of a file of three lines, and what a merge makes of that.
const (
	mergedName = "both"
	baseText   = "one\ntwo\nthree\nfour\nfive\nsix\nseven\n"
	theirsText = "one by them\ntwo\nthree\nfour\nfive\nsix\nseven\n"
	mineText   = "one\ntwo\nthree\nfour\nfive\nsix\nseven by me\n"
	mergedText = "one by them\ntwo\nthree\nfour\nfive\nsix\nseven by me\n"
)

// makeRewritable makes a store in which every verb has something to do: files of all sizes, of which some were replaced and
// deleted and one is in many pieces, and a conflict.
func makeRewritable(dir string) (id string, files map[string][]byte, err error) {
	ctx := context.Background()
	e, err := badgerstore.Open(ctx, dir, badgerstore.Options{Create: true}, badgerstore.Parts{})
	if err != nil {
		return "", nil, err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	store, err := e.Bucket(ctx, badgerstore.MainBucket)
	if err != nil {
		return "", nil, err
	}
	m := &making{ctx: ctx, b: store.(bucket), files: map[string][]byte{mergedName: []byte(theirsText)}, random: rand.New(rand.NewPCG(1, 2))}
	for i, size := range []int{0, 100, 5_000, 20_000, 300_000, 1_200_000} {
		name := "dir/" + strconv.Itoa(i)
		m.put(name, m.noise(size))
		m.put(name, m.noise(size))
		m.put("gone", m.noise(size))
	}
	if m.err == nil {
		m.err = m.b.Delete(ctx, "gone", objstore.IfPresent(), objstore.DeleteOptions{Durability: objstore.Visible})
	}
	m.put("pieces", m.noise(1<<20))
	for range 60 {
		m.edit("pieces")
	}
	id = m.lose()
	return id, maps.Clone(m.files), m.err
}

// making is a store that is being made.
type making struct {
	ctx    context.Context
	b      bucket
	files  map[string][]byte
	random *rand.Rand
	err    error // the first
}

func (m *making) noise(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(m.random.Uint32())
	}
	return p
}

func (m *making) put(name string, body []byte) {
	if m.err != nil {
		return
	}
	_, m.err = m.b.Put(m.ctx, objstore.Key(name), bytes.NewReader(body), objstore.Unconditional(), objstore.PutOptions{})
	if m.files[name] = body; name == "gone" {
		delete(m.files, name)
	}
}

// stage is one over what a file is.
func (m *making) stage(name string) (objstore.Stage, objstore.Info) {
	if m.err != nil {
		return nil, objstore.Info{}
	}
	r, err := m.b.Get(m.ctx, objstore.Key(name), objstore.Unconditional())
	if m.err = err; err != nil {
		return nil, objstore.Info{}
	}
	defer r.Close()
	s, err := m.b.NewStage(m.ctx, objstore.StageSpec{Base: r, Owner: objstore.Owner{Path: name, Object: r.Info().ID, Base: r.Info().Version}})
	m.err = err
	return s, r.Info()
}

// edit commits a few bytes somewhere in a file.
func (m *making) edit(name string) {
	s, info := m.stage(name)
	if m.err != nil {
		return
	}
	p, off := m.noise(50), m.random.IntN(len(m.files[name])-50)
	_, err := s.WriteAt(m.ctx, p, int64(off))
	if err == nil {
		_, err = s.Commit(m.ctx, objstore.CommitRequest{Target: objstore.Target{ID: info.ID}, Cond: objstore.IfVersion(info.Version)})
	}
	m.err = errors.Join(err, s.Close())
	copy(m.files[name][off:], p)
}

// lose makes a conflict.
func (m *making) lose() (id string) {
	m.put(mergedName, []byte(baseText))
	s, info := m.stage(mergedName)
	m.put(mergedName, []byte(theirsText))
	if m.err != nil {
		return ""
	}
	_, err := s.WriteAt(m.ctx, []byte(mineText), 0)
	var kept objstore.Conflict
	if err == nil {
		theirs, serr := m.b.Stat(m.ctx, info.ID)
		ref := func(i objstore.Info) objstore.ContentRef {
			return objstore.ContentRef{Exists: true, Version: i.Version, ETag: i.ETag, Size: i.Size}
		}
		kept, err = s.Keep(m.ctx, objstore.Conflict{Reason: objstore.ReasonLost, Path: mergedName, Object: info.ID, Mode: 0o644,
			Base: ref(info), Theirs: ref(theirs), Bytes: int64(len(mineText)), Operation: "close"})
		err = errors.Join(err, serr)
	}
	m.err = errors.Join(err, s.Close())
	return strings.TrimSpace(string(kept.ID))
}
