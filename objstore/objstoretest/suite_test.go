package objstoretest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/memstore"
)

// openMemstore opens the store the suite is tested with.
func openMemstore(context.Context) (*Subject, error) {
	b := memstore.NewBucket(memstore.Options{})
	return &Subject{Store: b, Namespace: b}, nil
}

// survivor is a memstore that outlives its crashes: what is left of one is the same
// bucket, with conflicts in place of the stages that were open.
type survivor struct {
	*memstore.Bucket
	mu     sync.Mutex
	stages map[*ownedStage]bool
}

// ownedStage remembers whose it is.
type ownedStage struct {
	objstore.Stage
	s     *survivor
	owner objstore.Owner
}

func (s *survivor) NewStage(ctx context.Context, spec objstore.StageSpec) (objstore.Stage, error) {
	inner, err := s.Bucket.NewStage(ctx, spec)
	if err != nil {
		return nil, err
	}
	owned := &ownedStage{inner, s, spec.Owner}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stages[owned] = true
	return owned, nil
}

func (o *ownedStage) Close() error {
	o.s.mu.Lock()
	defer o.s.mu.Unlock()
	delete(o.s.stages, o)
	return o.Stage.Close()
}

func (s *survivor) crash(ctx context.Context) error {
	for stage := range s.stages {
		if !stage.Changed() {
			continue
		}
		now, err := s.Stat(ctx, stage.owner.Object)
		if err != nil {
			return err
		}
		_, err = stage.Keep(ctx, objstore.Conflict{
			Reason: objstore.ReasonCrash, Path: stage.owner.Path, Object: stage.owner.Object, UID: stage.owner.UID,
			Base:   objstore.ContentRef{Exists: stage.owner.Base != "", Version: stage.owner.Base},
			Theirs: objstore.ContentRef{Exists: true, Version: now.Version},
		})
		if err != nil {
			return err
		}
	}
	s.stages = map[*ownedStage]bool{}
	return nil
}

func (s *survivor) subject() *Subject {
	return &Subject{Store: s, Namespace: s, Reopen: func(ctx context.Context) (*Subject, error) {
		return s.subject(), s.crash(ctx)
	}}
}

func openSurvivor(context.Context) (*Subject, error) {
	s := &survivor{Bucket: memstore.NewBucket(memstore.Options{}), stages: map[*ownedStage]bool{}}
	return s.subject(), nil
}

func TestSuiteAcceptsAStoreThatSurvives(t *testing.T) {
	Run(t, Config{Open: openSurvivor, Oracle: openMemstore})
}

// flatStore hides everything but the Store, without the optional parts.
type flatStore struct{ objstore.Store }

func (f flatStore) Capabilities() objstore.Capabilities {
	caps := f.Store.Capabilities()
	caps.RenameFile, caps.RenameDir = false, false
	caps.RenameSource, caps.RenameTarget = 0, 0
	caps.Delete = objstore.CondsOf(objstore.Unconditional())
	caps.Multipart, caps.Append, caps.Tags, caps.Documents, caps.Answers, caps.Feed = false, false, false, false, false, false
	return caps
}

func (f flatStore) Rename(context.Context, objstore.RenameRequest) (objstore.Info, error) {
	return objstore.Info{}, &objstore.Error{Op: "rename", Kind: objstore.ErrUnsupported}
}

func (f flatStore) Delete(ctx context.Context, key objstore.Key, cond objstore.Cond, opt objstore.DeleteOptions) error {
	if cond.Valid() && !cond.IsUnconditional() {
		return &objstore.Error{Op: "delete", Key: string(key), Kind: objstore.ErrUnsupported}
	}
	return f.Store.Delete(ctx, key, cond, opt)
}

func TestSuiteAcceptsAFlatStore(t *testing.T) {
	Run(t, Config{Open: func(context.Context) (*Subject, error) {
		return &Subject{Store: flatStore{memstore.NewBucket(memstore.Options{})}}, nil
	}})
}

// Cases are left out by what a subject claims, so what is left out must be what it lacks.
func TestCasesAreOfferedByWhatTheSubjectIs(t *testing.T) {
	flat := func(context.Context) (*Subject, error) {
		return &Subject{Store: flatStore{memstore.NewBucket(memstore.Options{})}}, nil
	}
	all := openEverything(t)
	for name, test := range map[string]struct {
		cfg     Config
		without need
	}{
		"everything": {Config{Open: all, Oracle: openMemstore}, 0},
		"no oracle":  {Config{Open: all}, needOracle},
		"flat": {Config{Open: flat}, needOracle | needNamespace | needReopen | needBuckets | needRenameFile | needRenameDir | needDeleteIfVersion |
			needMultipart | needAppend | needTags | needDocuments | needAnswers | needFeed},
	} {
		offered, err := test.cfg.offered(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got, want []string
		for _, c := range offered {
			got = append(got, c.Name)
		}
		for _, c := range Cases() {
			if c.needs&test.without == 0 {
				want = append(want, c.Name)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: offered are\n%q, want\n%q", name, got, want)
		}
	}
}

// openEverything opens what no case is missing anything of.
func openEverything(t *testing.T) Opener {
	t.Helper()
	return func(ctx context.Context) (*Subject, error) {
		s, err := openSurvivor(ctx)
		if err == nil {
			s.Buckets = memstore.New(memstore.Options{})
		}
		return s, err
	}
}

// A store that denies what it can do has fewer cases to pass, but not the one that asks what it can do.
func TestDeniedCapabilitiesAreCaught(t *testing.T) {
	for name, deny := range map[string]func(*objstore.Capabilities){
		"rename of files":       func(c *objstore.Capabilities) { c.RenameFile = false },
		"rename of directories": func(c *objstore.Capabilities) { c.RenameDir = false },
		"hard links":            func(c *objstore.Capabilities) { c.HardLinks = false },
		"conditional deletes":   func(c *objstore.Capabilities) { c.Delete = objstore.CondsOf(objstore.Unconditional()) },
	} {
		cfg := Config{Open: func(context.Context) (*Subject, error) {
			d := denying{memstore.NewBucket(memstore.Options{}), deny}
			return &Subject{Store: d, Namespace: d}, nil
		}}
		caught := 0
		for _, c := range capabilityCases() {
			if err := c.Check(t.Context(), cfg); err != nil && !errors.Is(err, ErrSkipped) {
				caught++
			}
		}
		if caught == 0 {
			t.Errorf("that %s are denied is not noticed", name)
		}
	}
}

// denying is a store that can do more than it claims.
type denying struct {
	*memstore.Bucket
	deny func(*objstore.Capabilities)
}

func (d denying) Capabilities() objstore.Capabilities {
	caps := d.Bucket.Capabilities()
	d.deny(&caps)
	return caps
}

func TestCaseNamesAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range Cases() {
		if seen[c.Name] {
			t.Errorf("two cases are called %s", c.Name)
		}
		seen[c.Name] = true
	}
}

func TestRandomOpsDoSomething(t *testing.T) {
	ctx := t.Context()
	subject, err := openMemstore(ctx)
	if err != nil {
		t.Fatal(err)
	}
	e := &Env{Subject: subject, cfg: Config{}.withDefaults()}
	done := map[string]int{}
	total := 0
	for stream := range uint64(4) {
		ops := e.randomOps(stream, 500)
		e.runOps(ctx, ops, func(i int, outcome string) {
			if outcome != "refused" {
				done[ops[i].verb]++
				total++
			}
		})
	}
	for _, verb := range verbs {
		if done[verb] == 0 {
			t.Errorf("no %s was ever done", verb)
		}
	}
	t.Logf("%d of 2,000 done: %v", total, done)
	if total < 600 {
		t.Errorf("%d of 2,000 operations were done", total)
	}
}

func TestShrinkFindsTheTwoThatMatter(t *testing.T) {
	ops := (&Env{cfg: Config{}.withDefaults()}).randomOps(0, 64)
	ops[10].verb, ops[50].verb = "first", "second"
	short := shrink(ops, func(ops []op) bool {
		found := 0
		for _, o := range ops {
			if o.verb == "first" || o.verb == "second" {
				found++
			}
		}
		return found == 2
	})
	if len(short) != 2 || short[0].verb != "first" || short[1].verb != "second" {
		t.Errorf("%v", short)
	}
}

func TestPanicsOfAStoreAreFailures(t *testing.T) {
	c := Case{Name: "Panics", run: func(context.Context, *Env) { panic("out of order") }}
	err := c.Check(t.Context(), Config{Open: openMemstore})
	if err == nil || errors.Is(err, ErrSkipped) {
		t.Errorf("%v", err)
	}
}
