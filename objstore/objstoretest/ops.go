package objstoretest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/etagfs/etagfs/objstore"
)

// op is one random operation. It is chosen without knowing the state, so that a
// list of them stays valid when some are left out.
type op struct {
	verb         string
	a, b         string // keys, or paths from the root
	condA, condB int
	n            int64
}

// String is the line a failure shows.
func (o op) String() string {
	return fmt.Sprintf("%s %q %s %q %s %d", o.verb, o.a, condNames[o.condA], o.b, condNames[o.condB], o.n)
}

var condNames = [...]string{"unconditional", "absent", "present", "current", "stale"}

// verbs are what a list is made of; more frequent ones come twice.
var verbs = [...]string{
	"put", "put", "put", "putdir", "delete", "delete", "deletedir", "copy", "copy", "rename", "rename", "renamedir",
	"mkdir", "mkdir", "symlink", "fifo", "unlink", "rmdir", "link", "link", "setattr",
	"move", "move", "noreplace", "exchange", "create", "create", "create", "edit", "edit", "edit", "truncate",
	"commitmove", "commitmove", "list",
}

// randomOps is a list of n operations on a small tree.
func (e *Env) randomOps(stream uint64, n int) []op {
	rng := e.random(1000 + stream)
	var recent []string
	path := func() string {
		if len(recent) > 8 && rng.IntN(2) == 0 { // what may well be there
			return recent[len(recent)-1-rng.IntN(8)]
		}
		parts := make([]string, []int{1, 1, 2, 2, 3}[rng.IntN(5)])
		for i := range parts {
			parts[i] = string(rune('a' + rng.IntN(6)))
		}
		recent = append(recent, strings.Join(parts, "/"))
		return recent[len(recent)-1]
	}
	ops := make([]op, n)
	for i := range ops {
		ops[i] = op{
			verb: verbs[rng.IntN(len(verbs))], a: path(), b: path(),
			condA: likely(rng), condB: likely(rng), n: rng.Int64N(100_000),
		}
	}
	return ops
}

// likely is mostly the unconditional.
func likely(rng *rand.Rand) int { return max(0, rng.IntN(3*len(condNames))-2*len(condNames)) }

// runOps applies ops and tells each outcome to check, unless that is nil.
func (e *Env) runOps(ctx context.Context, ops []op, check func(i int, outcome string)) {
	for i, o := range ops {
		outcome := e.apply(ctx, o)
		if check != nil {
			check(i, outcome)
		}
	}
}

// apply runs one operation and tells what came of it: which of several refusals that apply
// is told is the store's business.
func (e *Env) apply(ctx context.Context, o op) string {
	text, err := e.applyAny(ctx, o)
	switch kind := objstore.KindOf(err); kind {
	case objstore.ErrNotFound, objstore.ErrPrecondition, objstore.ErrIsDir, objstore.ErrNotDir, objstore.ErrNotEmpty, objstore.ErrInvalid:
		return "refused"
	default:
		if err != nil {
			return "failed: " + err.Error()
		}
		return "done " + text
	}
}

func (e *Env) applyAny(ctx context.Context, o op) (string, error) {
	switch o.verb {
	case "put", "putdir", "delete", "deletedir", "copy", "rename", "renamedir", "list":
		return e.applyToStore(ctx, o)
	case "create", "edit", "truncate", "commitmove":
		return e.applyStage(ctx, o)
	default:
		return e.applyToTree(ctx, o)
	}
}

// condOn is a condition on a key, built from the key's state.
func (e *Env) condOn(ctx context.Context, key string, which int) objstore.Cond {
	switch condNames[which] {
	case "absent":
		return objstore.IfAbsent()
	case "present":
		return objstore.IfPresent()
	case "current":
		if info, err := e.Store.Head(ctx, objstore.Key(key)); err == nil {
			return objstore.IfVersion(info.Version)
		}
		return objstore.IfPresent()
	case "stale":
		return objstore.IfVersion(objstore.VersionOf(1 << 60))
	default:
		return objstore.Unconditional()
	}
}

func (e *Env) applyToStore(ctx context.Context, o op) (string, error) {
	a, b := o.a, o.b
	if strings.HasSuffix(o.verb, "dir") {
		a, b = a+"/", b+"/"
	}
	condA, condB := e.condOn(ctx, a, o.condA), e.condOn(ctx, b, o.condB)
	switch o.verb {
	case "put", "putdir":
		body := strings.Repeat(string(rune('a'+o.n%26)), int(o.n%30_000))
		info, err := e.Store.Put(ctx, objstore.Key(a), strings.NewReader(body), condA, objstore.PutOptions{
			Durability: objstore.Visible, ContentType: fmt.Sprint("type", o.n%3), UserMeta: map[string]string{"n": fmt.Sprint(o.n % 5)},
		})
		return fmt.Sprint(info.Size), err
	case "delete", "deletedir":
		return "", e.Store.Delete(ctx, objstore.Key(a), condA, objstore.DeleteOptions{Durability: objstore.Visible})
	case "copy":
		info, err := e.Store.Copy(ctx, objstore.CopyRequest{Src: objstore.Key(a), SrcCond: condA, Dst: objstore.Key(b), DstCond: condB, Put: objstore.PutOptions{Durability: objstore.Visible}})
		return fmt.Sprint(info.Size), err
	case "rename", "renamedir":
		info, err := e.Store.Rename(ctx, objstore.RenameRequest{Src: objstore.Key(a), SrcCond: condA, Dst: objstore.Key(b), DstCond: condB, Durability: objstore.Visible})
		return fmt.Sprint(info.Type), err
	default:
		page, err := e.Store.List(ctx, objstore.ListOptions{
			Prefix: objstore.Key(a[:o.n%2]), Delimiter: "/"[:o.n%3/2], StartAfter: objstore.Key(b), Max: 1 + int(o.n%7),
		})
		return fmt.Sprintf("%q %v", texts(page), page.More), err
	}
}

// resolve finds the directory that holds the last name of a path.
func (e *Env) resolve(ctx context.Context, path string) (dir objstore.ID, name string, err error) {
	parts := strings.Split(path, "/")
	dir = e.root()
	for _, part := range parts[:len(parts)-1] {
		info, err := e.ns().Lookup(ctx, dir, part)
		if err != nil {
			return 0, "", err
		}
		dir = info.ID
	}
	return dir, parts[len(parts)-1], nil
}

func (e *Env) applyToTree(ctx context.Context, o op) (string, error) {
	dir, name, err := e.resolve(ctx, o.a)
	if err != nil {
		return "", err
	}
	switch o.verb {
	case "mkdir", "symlink", "fifo":
		req := objstore.MakeRequest{Parent: dir, Name: name, Type: objstore.TypeDir, Attr: objstore.NewAttr{Mode: 0o755}, Durability: objstore.Visible}
		if o.verb == "symlink" {
			req.Type, req.Target = objstore.TypeSymlink, o.b
		}
		if o.verb == "fifo" {
			req.Type = objstore.TypeFifo
		}
		_, err = e.ns().Make(ctx, req)
		return "", err
	case "unlink":
		res, err := e.ns().Unlink(ctx, dir, name, objstore.Unconditional(), objstore.Visible)
		return fmt.Sprint(res.Removed.Type, res.Gone), err
	case "rmdir":
		_, err = e.ns().Rmdir(ctx, dir, name, objstore.Visible)
		return "", err
	case "setattr":
		return e.applySetAttr(ctx, dir, name, o)
	default:
		return e.applyBoth(ctx, dir, name, o)
	}
}

func (e *Env) applySetAttr(ctx context.Context, dir objstore.ID, name string, o op) (string, error) {
	info, err := e.ns().Lookup(ctx, dir, name)
	if err != nil {
		return "", err
	}
	change := objstore.AttrChange{Mode: new(uint32(o.n % 0o1000))}
	if o.n%2 == 0 {
		change = objstore.AttrChange{UID: new(uint32(o.n)), Xattrs: map[string][]byte{fmt.Sprint("user.", o.n%3): []byte(o.b)}}
	}
	_, err = e.ns().SetAttr(ctx, info.ID, change, objstore.Visible)
	return "", err
}

// applyBoth runs what needs two places.
func (e *Env) applyBoth(ctx context.Context, dir objstore.ID, name string, o op) (string, error) {
	newDir, newName, err := e.resolve(ctx, o.b)
	if err != nil {
		return "", err
	}
	if o.verb == "link" {
		info, err := e.ns().Lookup(ctx, dir, name)
		if err != nil {
			return "", err
		}
		info, err = e.ns().Link(ctx, info.ID, newDir, newName, objstore.Visible)
		return fmt.Sprint(info.Nlink), err
	}
	mode := map[string]objstore.RenameMode{
		"move": objstore.RenameReplace, "noreplace": objstore.RenameNoReplace, "exchange": objstore.RenameExchange,
	}[o.verb]
	res, err := e.tryMove(ctx, dir, name, newDir, newName, mode)
	return fmt.Sprint(res.Moved.Type, res.Replaced.Type, res.Gone), err
}

// applyStage runs one stage from its base to its commit.
func (e *Env) applyStage(ctx context.Context, o op) (string, error) {
	dir, name, err := e.resolve(ctx, o.a)
	if err != nil {
		return "", err
	}
	req := objstore.CommitRequest{Durability: objstore.Visible, Cond: objstore.IfAbsent()}
	var base objstore.Reader
	if o.verb == "create" || o.verb == "commitmove" && o.n%2 == 0 {
		req.Target = e.target(ctx, dir, name)
	} else {
		info, err := e.ns().Lookup(ctx, dir, name)
		if err != nil {
			return "", err
		}
		if base, err = e.ns().Open(ctx, info.ID, ""); err != nil {
			return "", err
		}
		defer base.Close()
		req.Target.ID, req.Cond = info.ID, objstore.IfVersion(info.Version)
	}
	if o.verb == "commitmove" {
		newDir, newName, err := e.resolve(ctx, o.b)
		if err != nil {
			return "", err
		}
		req.Move = &objstore.MoveRequest{
			Parent: dir, Name: name, Cond: objstore.Unconditional(), NewParent: newDir, NewName: newName, NewCond: objstore.Unconditional(),
		}
	}
	s := e.newStage(ctx, base)
	defer s.Close()
	if o.verb == "truncate" {
		e.ok(s.Truncate(ctx, o.n), "truncate")
	} else {
		e.write(ctx, s, strings.Repeat(string(rune('A'+o.n%26)), int(o.n%5000)), o.n)
	}
	res, err := s.Commit(ctx, req)
	return fmt.Sprint(res.Info.Size), err
}
