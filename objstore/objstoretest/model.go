package objstoretest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/etagfs/etagfs/objstore"
)

func modelCases() []Case {
	return []Case{
		{Name: "RandomOpsMatchTheOracle", needs: needOracle | needNamespace, run: randomOpsMatchTheOracle},
		{Name: "RandomOpsAreWatched", needs: needNamespace, run: randomOpsAreWatched},
		{Name: "ConcurrentOpsAreWatchedInOrder", needs: needNamespace, run: concurrentOpsAreWatchedInOrder},
	}
}

// randomOpsMatchTheOracle runs the same operations on the subject and on the oracle.
// After a difference it looks for a shorter list that still differs.
func randomOpsMatchTheOracle(ctx context.Context, e *Env) {
	length := e.times(500, 1000, 250)
	for run := range e.times(4, 40, 2) {
		ops := e.randomOps(uint64(run), length)
		difference := e.compareRun(ctx, ops)
		if difference == nil {
			continue
		}
		ops = shrink(ops, func(ops []op) bool { return e.compareRun(ctx, ops) != nil })
		e.Failf("%w\n%s\nafter\n%s", e.compareRun(ctx, ops), e.rerun(), opTexts(ops))
	}
}

func opTexts(ops []op) string {
	var text strings.Builder
	for i, o := range ops {
		fmt.Fprintf(&text, "%3d %v\n", i, o)
	}
	return text.String()
}

// compareRun runs ops on a fresh subject and a fresh oracle.
func (e *Env) compareRun(ctx context.Context, ops []op) (err error) {
	subject, closeSubject := e.fresh(ctx, e.cfg.Open)
	defer closeSubject()
	oracle, closeOracle := e.fresh(ctx, e.cfg.Oracle)
	defer closeOracle()
	return guarded(func() {
		subject.runOps(ctx, ops, func(i int, outcome string) {
			want := oracle.apply(ctx, ops[i])
			if outcome != want {
				e.Failf("op %d, %v: %s, the oracle: %s", i, ops[i], outcome, want)
			}
			if i%10 == 9 || i == len(ops)-1 {
				compareDumps(e, subject.dump(ctx), oracle.dump(ctx), fmt.Sprintf("after op %d, %v", i, ops[i]))
			}
		})
	})
}

func compareDumps(e *Env, got, want, what string) {
	gotLines, wantLines := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(gotLines), len(wantLines)) {
		var a, b string
		if i < len(gotLines) {
			a = gotLines[i]
		}
		if i < len(wantLines) {
			b = wantLines[i]
		}
		if a != b {
			e.Failf("%s:\n  %s\nthe oracle:\n  %s", what, a, b)
		}
	}
}

// fresh is another environment of the same case.
func (e *Env) fresh(ctx context.Context, open Opener) (env *Env, close func()) {
	subject, err := open(ctx)
	e.ok(err, "open")
	env = &Env{Subject: subject, cfg: e.cfg}
	return env, func() { e.ok(env.close(), "close") }
}

// shrinkTries bounds the work of shrink.
const shrinkTries = 100

// shrink removes operations as long as the rest still fails.
func shrink(ops []op, fails func([]op) bool) []op {
	tries := 0
	for chunk := len(ops) / 2; chunk > 0; chunk /= 2 {
		for at := 0; at+chunk <= len(ops) && tries < shrinkTries; tries++ {
			fewer := slices.Delete(slices.Clone(ops), at, at+chunk)
			if fails(fewer) {
				ops = fewer
			} else {
				at += chunk
			}
		}
	}
	return ops
}

// randomOpsAreWatched: after every operation the changes told explain the tree.
func randomOpsAreWatched(ctx context.Context, e *Env) {
	m := e.watch()
	ops := e.randomOps(99, e.times(400, 400, 150))
	e.runOps(ctx, ops, func(i int, outcome string) {
		m.compare(ctx, e, fmt.Sprintf("op %d, %v: %s (%s)", i, ops[i], outcome, e.rerun()))
	})
}

// concurrentOpsAreWatchedInOrder: the changes several make at once explain the tree only
// if they are told in the order they were made.
func concurrentOpsAreWatchedInOrder(ctx context.Context, e *Env) {
	m := e.watch()
	e.parallel(4, func(i int) {
		ops := e.randomOps(uint64(200+i), 200)
		e.runOps(ctx, ops, func(n int, outcome string) {
			if strings.HasPrefix(outcome, "failed") {
				e.Failf("op %d of %d, %v: %s (%s)", n, i, ops[n], outcome, e.rerun())
			}
		})
	})
	m.compare(ctx, e, "operations by several, "+e.rerun())
	equal(e, len(e.conflicts(ctx)), 0, "conflicts")
}

// dump is everything the subject holds, as text without ids, versions and times.
func (e *Env) dump(ctx context.Context) string {
	var lines []string
	var visit func(dir objstore.ID, path string)
	visit = func(dir objstore.ID, path string) {
		for _, entry := range e.readDir(ctx, dir) {
			lines = append(lines, path+entry.Name+" "+e.describe(ctx, entry.Info))
			if entry.Info.Type == objstore.TypeDir {
				visit(entry.Info.ID, path+entry.Name+"/")
			}
		}
	}
	visit(e.root(), "")
	slices.Sort(lines) // the order of a directory is the store's own
	page, err := e.Store.List(ctx, objstore.ListOptions{Max: 10_000})
	e.ok(err, "list")
	for _, entry := range page.Entries {
		lines = append(lines, fmt.Sprintf("key %q %d bytes %v", entry.Key, entry.Info.Size, entry.Info.UserMeta))
	}
	return strings.Join(lines, "\n")
}

func (e *Env) describe(ctx context.Context, info objstore.Info) string {
	text := fmt.Sprintf("type %d, mode %o, owner %d, links %d, %q", info.Type, info.Attr.Mode, info.Attr.UID, info.Nlink, info.Xattrs)
	switch info.Type {
	case objstore.TypeFile:
		text += e.describeObject(info) + fmt.Sprintf(" %.20q", e.readID(ctx, info.ID))
	case objstore.TypeDir:
		if !info.Explicit {
			return text + ", implied"
		}
		text += e.describeObject(info)
	case objstore.TypeSymlink:
		target, err := e.ns().Readlink(ctx, info.ID)
		e.ok(err, "readlink")
		text += " to " + target
	}
	return text
}

func (e *Env) describeObject(info objstore.Info) string {
	hash, _, _ := info.ETag.Split()
	return fmt.Sprintf(", %d bytes, %x, %q %q", info.Size, hash, info.ContentType, info.UserMeta)
}
