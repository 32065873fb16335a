package objstoretest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"strconv"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

// Subject is a freshly opened, empty store under test.
type Subject struct {
	Store     objstore.Store
	Namespace objstore.Namespace // over the same objects; nil: a flat store
	Buckets   objstore.Buckets   // nil: not tested

	// Check reports broken invariants at the end of a case; nil: none.
	Check func() error
	// Reopen ends the subject as a crash of its process would, without closing anything,
	// and opens what is left. The old subject is not used or closed afterwards. Every
	// mutation that was acknowledged must have survived. nil: nothing survives.
	Reopen func(ctx context.Context) (*Subject, error)
	// Close ends it; nil: nothing to do.
	Close func() error
}

// Opener opens a fresh, empty subject.
type Opener func(ctx context.Context) (*Subject, error)

// Config says what to test and how.
type Config struct {
	Open   Opener
	Oracle Opener  // nil: there are no cases that compare
	Sizes  []int64 // where the store changes how it keeps a content; each is tested with its neighbours
	Long   bool    // run the long cases too, and more of what is random
	Short  bool    // run less of what is random or large; as with go test -short
	Seed   uint64  // of random cases; 0: OBJSTORETEST_SEED, else 1
	// Complete says that the subject lacks nothing: what it claims to lack fails, where it would leave cases out.
	Complete bool
}

func (c Config) withDefaults() Config {
	if c.Seed == 0 {
		c.Seed = 1
		if n, err := strconv.ParseUint(os.Getenv("OBJSTORETEST_SEED"), 10, 64); err == nil {
			c.Seed = n
		}
	}
	c.Long = c.Long || os.Getenv("OBJSTORETEST_LONG") == "1"
	c.Short = !c.Long && (c.Short || testing.Short())
	return c
}

// Case is one claim about every store.
type Case struct {
	Name  string
	needs need
	run   func(context.Context, *Env)
}

// need is what a case cannot do without.
type need uint32

const (
	needNamespace need = 1 << iota
	needReopen
	needBuckets
	needOracle
	needLong
	needHardLinks
	needUniqueVersions
	needOneDelete
	needPutIfAbsent
	needPutIfVersion
	needDeleteIfVersion
	needRenameFile
	needRenameDir
	needHeaders
	needMultipart
	needAppend
	needTags
	needDocuments
	needAnswers
	needFeed
	needCrossBucket
	needAccessTimes
)

// ErrSkipped is what [Case.Check] wraps when the subject lacks what the case needs, or the case is long and
// those are not wanted.
var ErrSkipped = errors.New("skipped")

// longReason is why a long case is not run.
const longReason = "long: runs with OBJSTORETEST_LONG=1"

// missing says what a case needs and the subject does not have.
func (c Case) missing(cfg Config, s *Subject) string {
	caps := s.Store.Capabilities()
	for _, row := range []struct {
		need need
		have bool
		text string
	}{
		{needNamespace, s.Namespace != nil, "the store is no namespace"},
		{needReopen, s.Reopen != nil, "the store does not survive its process"},
		{needBuckets, s.Buckets != nil, "the subject offers no buckets"},
		{needOracle, cfg.Oracle != nil, "there is no oracle to compare with"},
		{needHardLinks, caps.HardLinks, "the store has no hard links"},
		{needUniqueVersions, caps.UniqueVersions, "versions may come back"},
		{needOneDelete, caps.OneDelete, "several may delete one version"},
		{needPutIfAbsent, caps.Put.Has(objstore.IfAbsent()), "puts have no IfAbsent"},
		{needPutIfVersion, caps.Put.Has(objstore.IfVersion("v")), "puts have no IfVersion"},
		{needDeleteIfVersion, caps.Delete.Has(objstore.IfVersion("v")), "deletes have no IfVersion"},
		{needRenameFile, caps.RenameFile, "the store cannot rename"},
		{needRenameDir, caps.RenameDir, "the store cannot rename directories"},
		{needHeaders, caps.Headers, "the store keeps no headers and digests"},
		{needMultipart, caps.Multipart, "the store has no uploads"},
		{needAppend, caps.Append, "the store cannot append"},
		{needTags, caps.Tags, "the store keeps no tags"},
		{needDocuments, caps.Documents, "the store keeps no documents"},
		{needAnswers, caps.Answers, "the store gives no answers"},
		{needFeed, caps.Feed, "the store tells no events"},
		{needAccessTimes, caps.AccessTimes, "the store keeps no times of reading"},
		{needCrossBucket, caps.CrossBucket, "the store copies within a bucket only"},
	} {
		if c.needs&row.need != 0 && !row.have {
			return row.text
		}
	}
	return ""
}

// Check runs the case on a fresh subject. It returns nil if the claim holds.
func (c Case) Check(ctx context.Context, cfg Config) (err error) {
	cfg = cfg.withDefaults()
	subject, err := cfg.Open(ctx)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	e := &Env{Subject: subject, cfg: cfg}
	defer func() { err = errors.Join(err, e.close()) }()
	if why := c.missing(cfg, subject); why != "" {
		return fmt.Errorf("%w: %s", ErrSkipped, why)
	}
	if c.long() && !cfg.Long {
		return fmt.Errorf("%w: %s", ErrSkipped, longReason)
	}
	if err := guarded(func() { c.run(ctx, e) }); err != nil {
		return err
	}
	if e.Subject.Check != nil {
		if err := e.Subject.Check(); err != nil {
			return fmt.Errorf("invariants: %w", err)
		}
	}
	return nil
}

func (e *Env) close() error {
	if e.Subject == nil || e.Subject.Close == nil {
		return nil
	}
	if err := e.Subject.Close(); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	return nil
}

// failure is what [Env.Failf] panics with.
type failure struct{ err error }

// guarded runs f and turns a failure, or a panic of the store, into an error.
func guarded(f func()) (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case failure:
			err = p.err
		default:
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	f()
	return nil
}

// Run runs, as a subtest, every case for what the subject claims to be. That it is what it claims, no
// less and no more, is a case, too.
func Run(t *testing.T, cfg Config) {
	cfg = cfg.withDefaults()
	cases, err := cfg.offered(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if all := len(Cases()); cfg.Complete && len(cases) < all {
		t.Errorf("%d of %d cases are left out for want of what the store claims to lack", all-len(cases), all)
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			if c.long() && !cfg.Long {
				t.Skip(longReason)
			}
			if err := c.Check(t.Context(), cfg); err != nil {
				t.Error(err)
			}
		})
	}
}

// offered are the cases for which the subject has all they need.
func (c Config) offered(ctx context.Context) (cases []Case, err error) {
	subject, err := c.Open(ctx)
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	e := &Env{Subject: subject, cfg: c}
	defer func() { err = errors.Join(err, e.close()) }()
	for _, candidate := range Cases() {
		if candidate.missing(c, subject) == "" {
			cases = append(cases, candidate)
		}
	}
	return cases, nil
}

func (c Case) long() bool { return c.needs&needLong != 0 }

// Cases is the suite, simple claims first.
func Cases() []Case {
	var all []Case
	for _, group := range [][]Case{
		basicCases(), bodyCases(), readerCases(), conditionCases(), raceCases(), versionCases(),
		listingCases(), keyCases(), replayCases(), bucketCases(), capabilityCases(),
		treeCases(), readDirCases(), renameCases(), linkCases(), attributeCases(), mixedCases(),
		commitCases(), stageCases(), conflictCases(), watchCases(), crashCases(), modelCases(),
		uploadCases(), completionCases(), objectCases(), extraCases(),
	} {
		all = append(all, group...)
	}
	return all
}

// OfNamespace reports whether a case is about an [objstore.Namespace].
func OfNamespace(c Case) bool { return c.needs&needNamespace != 0 }
