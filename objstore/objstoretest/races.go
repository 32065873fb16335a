package objstoretest

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/etagfs/etagfs/objstore"
)

func raceCases() []Case {
	return []Case{
		{Name: "OneCreatorWins", needs: needPutIfAbsent, run: oneCreatorWins},
		{Name: "OneDeleterWins", needs: needDeleteIfVersion | needOneDelete, run: oneDeleterWins},
		{Name: "OneRenamerWins", needs: needRenameFile, run: oneRenamerWins},
		{Name: "OneMakerWins", needs: needNamespace, run: oneMakerWins},
		{Name: "CounterLosesNoUpdate", needs: needPutIfVersion, run: counterLosesNoUpdate},
		{Name: "CounterOfCommitsLosesNoUpdate", needs: needNamespace, run: counterOfCommitsLosesNoUpdate},
		{
			Name: "ConditionalWritesFormAChain", run: conditionalWritesFormAChain,
			needs: needPutIfAbsent | needPutIfVersion | needDeleteIfVersion | needOneDelete | needUniqueVersions,
		},
		{Name: "ReadersSeeWholeContents", run: readersSeeWholeContents},
		{Name: "WritesAreSeenAtOnce", run: writesAreSeenAtOnce},
	}
}

const (
	racers = 16
	rounds = 10
)

// oneWins lets racers try at once. Exactly one succeeds, the others get kind.
func (e *Env) oneWins(what string, kind objstore.Kind, try func(i int) error) (winner int) {
	var wins, last atomic.Int64
	e.parallel(racers, func(i int) {
		err := try(i)
		if err == nil {
			wins.Add(1)
			last.Store(int64(i))
			return
		}
		e.want(err, kind, what)
	})
	equal(e, wins.Load(), 1, what+": winners")
	return int(last.Load())
}

func oneCreatorWins(ctx context.Context, e *Env) {
	for round := range rounds {
		key := objstore.Key(fmt.Sprintf("round/%d", round))
		winner := e.oneWins("create", objstore.ErrPrecondition, func(i int) error {
			_, err := e.tryPut(ctx, key, strconv.Itoa(i), objstore.IfAbsent())
			return err
		})
		e.wantContent(ctx, key, strconv.Itoa(winner))
	}
}

func oneDeleterWins(ctx context.Context, e *Env) {
	for range rounds {
		cond := objstore.IfVersion(e.put(ctx, "k", "x").Version)
		e.oneWins("delete", objstore.ErrNotFound, func(int) error {
			return e.Store.Delete(ctx, "k", cond, objstore.DeleteOptions{})
		})
		e.wantAbsent(ctx, "k")
	}
}

func oneRenamerWins(ctx context.Context, e *Env) {
	for range rounds {
		e.put(ctx, "src", "x")
		winner := e.oneWins("rename", objstore.ErrNotFound, func(i int) error {
			_, err := e.Store.Rename(ctx, objstore.RenameRequest{
				Src: "src", SrcCond: objstore.IfPresent(),
				Dst: objstore.Key(fmt.Sprintf("dst/%d", i)), DstCond: objstore.IfAbsent(),
			})
			return err
		})
		equal(e, len(e.keys(ctx, objstore.ListOptions{})), 1, "keys")
		e.delete(ctx, objstore.Key(fmt.Sprintf("dst/%d", winner)))
	}
}

// oneMakerWins is promise C6: mkdir, O_EXCL, link, and rename without
// replacing, all at the same name.
func oneMakerWins(ctx context.Context, e *Env) {
	root := e.root()
	for round := range rounds {
		name := fmt.Sprintf("round%d", round)
		for i := range racers {
			e.create(ctx, root, fmt.Sprintf("%s-src%d", name, i), "")
		}
		e.oneWins("make", objstore.ErrPrecondition, func(i int) error {
			src := fmt.Sprintf("%s-src%d", name, i)
			way := round % 5
			if way == 4 { // all ways against each other
				way = i % 4
			}
			switch way {
			case 0:
				_, err := e.ns().Make(ctx, objstore.MakeRequest{Parent: root, Name: name, Type: objstore.TypeDir})
				return err
			case 1:
				_, err := e.ns().Link(ctx, e.lookup(ctx, root, src).ID, root, name, objstore.Visible)
				return err
			case 2:
				_, err := e.tryMove(ctx, root, src, root, name, objstore.RenameNoReplace)
				return err
			default:
				s := e.newStage(ctx, nil)
				defer s.Close()
				_, err := s.Commit(ctx, objstore.CommitRequest{Target: e.target(ctx, root, name), Cond: objstore.IfAbsent()})
				// A commit that finds a directory says so, whatever its condition.
				if objstore.KindOf(err) == objstore.ErrIsDir {
					err = &objstore.Error{Op: "commit", Key: name, Kind: objstore.ErrPrecondition}
				}
				return err
			}
		})
	}
}

const increments = 20

// increment adds one to the number in key; it reports whether it won.
func (e *Env) increment(ctx context.Context, key objstore.Key) bool {
	r := e.open(ctx, key)
	defer r.Close()
	n, err := strconv.Atoi(e.readAll(ctx, r))
	e.ok(err, "parse the counter")
	_, err = e.tryPut(ctx, key, strconv.Itoa(n+1), objstore.IfVersion(r.Info().Version))
	if err != nil {
		e.want(err, objstore.ErrPrecondition, "conditional put")
	}
	return err == nil
}

func counterLosesNoUpdate(ctx context.Context, e *Env) {
	e.put(ctx, "counter", "0")
	e.parallel(racers, func(int) {
		for won := 0; won < increments; {
			if e.increment(ctx, "counter") {
				won++
			}
		}
	})
	e.wantContent(ctx, "counter", strconv.Itoa(racers*increments))
}

func counterOfCommitsLosesNoUpdate(ctx context.Context, e *Env) {
	id := e.create(ctx, e.root(), "counter", "0").ID
	e.parallel(racers, func(i int) {
		for won := 0; won < increments; {
			s, base := e.edit(ctx, id)
			p := make([]byte, s.Size())
			_, err := s.ReadAt(ctx, p, 0)
			e.ok(err, "read the counter")
			n, err := strconv.Atoi(string(p))
			e.ok(err, "parse the counter")
			e.write(ctx, s, strconv.Itoa(n+1), 0)
			_, err = e.tryCommit(ctx, s, id, objstore.IfVersion(base))
			if err == nil {
				won++
			} else {
				e.want(err, objstore.ErrPrecondition, "conditional commit")
			}
			e.ok(s.Close(), "close stage")
			if i == 0 { // attributes come and go beside it, and make nobody lose
				mode := uint32(0o600 + won%8)
				_, err := e.ns().SetAttr(ctx, id, objstore.AttrChange{Mode: &mode}, objstore.Visible)
				e.ok(err, "set attributes")
			}
		}
	})
	e.wantBytes(e.readID(ctx, id), strconv.Itoa(racers*increments), "counter")
}

// chain is what became of one key: which version each conditional write ended, and
// which it began. The empty version stands for no object.
type chain struct {
	mu      sync.Mutex
	ended   map[objstore.Version]int
	created int
	deleted int
}

func (c *chain) add(e *Env, from, to objstore.Version) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case from == "":
		c.created++
	case to == "":
		c.deleted++
	}
	if c.ended[from]++; from != "" && c.ended[from] > 1 {
		e.Failf("two writes succeeded on version %s", from)
	}
}

// conditionalWritesFormAChain: every version is ended by at most one conditional
// write, and all but the last by exactly one. So the writes happened in one order.
func conditionalWritesFormAChain(ctx context.Context, e *Env) {
	const key = "chain/k"
	c := &chain{ended: map[objstore.Version]int{}}
	var made sync.Map
	e.parallel(racers, func(i int) {
		for j := range increments {
			info, err := e.Store.Head(ctx, key)
			from, cond := info.Version, objstore.IfVersion(info.Version)
			if err != nil {
				e.want(err, objstore.ErrNotFound, "head")
				from, cond = "", objstore.IfAbsent()
			}
			var to objstore.Version
			if from != "" && (i+j)%5 == 0 {
				err = e.Store.Delete(ctx, key, cond, objstore.DeleteOptions{Durability: objstore.Visible})
			} else {
				info, err = e.tryPut(ctx, key, strconv.Itoa(i), cond)
				to = info.Version
			}
			if err == nil {
				made.Store(to, true)
				c.add(e, from, to)
			} else if !objstore.IsLostCondition(err) {
				e.Failf("conditional write: %w", err)
			}
		}
	})
	last, err := e.Store.Head(ctx, key)
	present := 0
	if err == nil {
		present = 1
	}
	equal(e, c.created, c.deleted+present, "creations, against deletions and what is left")
	made.Range(func(version, _ any) bool {
		if version != objstore.Version("") && version != last.Version && c.ended[version.(objstore.Version)] != 1 {
			e.Failf("version %s was lost without a write that ended it", version)
		}
		return true
	})
}

// readersSeeWholeContents is promise C1: contents are of one letter, and as
// long as their info says; a mix of two shows.
func readersSeeWholeContents(ctx context.Context, e *Env) {
	content := func(i int) string { return strings.Repeat(string(rune('a'+i%26)), 1+(i*7919)%100_000) }
	e.put(ctx, "k", content(0))
	var writing, reads atomic.Int64
	const writers = 4
	writing.Store(writers)
	e.parallel(2*writers, func(i int) {
		if i < writers {
			defer writing.Add(-1)
			for j := 0; j < 50 || reads.Load() < 50; j++ {
				e.put(ctx, "k", content(i*50+j))
			}
			return
		}
		defer reads.Add(50) // nobody waits for who failed
		for writing.Load() > 0 {
			reads.Add(1)
			var body string
			err := guarded(func() { body = e.get(ctx, "k") })
			if e.unpinned(err) {
				continue
			}
			e.ok(err, "get")
			if body == "" || strings.Trim(body, body[:1]) != "" {
				e.Failf("a mix of contents: %.20q... of %d bytes", body, len(body))
			}
		}
	})
}

// writesAreSeenAtOnce is promise C5: whoever starts after a mutation returned sees it.
func writesAreSeenAtOnce(ctx context.Context, e *Env) {
	e.parallel(4, func(i int) {
		dir := fmt.Sprintf("d%d/", i)
		for j := range 20 {
			key := objstore.Key(fmt.Sprintf("%s%d", dir, j))
			info := e.put(ctx, key, "x")
			equal(e, e.head(ctx, key).Version, info.Version, "version after a put")
			equal(e, len(e.keys(ctx, objstore.ListOptions{Prefix: key, Max: 1})), 1, "listed after a put")
			info = e.put(ctx, key, "y")
			page, err := e.Store.List(ctx, objstore.ListOptions{Prefix: key, Max: 1})
			e.ok(err, "list")
			equal(e, page.Entries[0].Info.Version, info.Version, "version listed after an overwrite")
			e.wantContent(ctx, key, "y")
			if j%2 == 0 {
				e.delete(ctx, key)
				e.wantAbsent(ctx, key)
			}
		}
		equal(e, len(e.keys(ctx, objstore.ListOptions{Prefix: objstore.Key(dir)})), 10, "keys left")
	})
}
