package cache

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// Committer is what a stage's bytes go to.
type Committer interface {
	// CommitContent makes body the content req asks for, if its condition holds. body is valid until it returns.
	CommitContent(ctx context.Context, req objstore.CommitRequest, body objstore.Reader) (objstore.CommitResult, error)
	// OpenVersion opens version v of the object, or of what is at the path if that is unknown; an empty
	// version is whichever is current. ErrNotFound or ErrPrecondition if it is not there any more.
	OpenVersion(ctx context.Context, object objstore.ID, path string, v objstore.Version) (objstore.Reader, error)
}

// Sharer is a reader of which there can be more. The readers of a [Committer] are; others are copied.
type Sharer interface {
	// Share is a reader of the same version that lives on its own; ErrClosed once this one is closed.
	Share() (objstore.Reader, error)
}

// HoldBytesDefault is the default of Options.HoldBytes.
const HoldBytesDefault = 16 << 20

// Options of an [Area]. The zero value is good.
type Options struct {
	ObjectBytesMax int64 // largest content; 0: objstore.ObjectBytesMax
	HoldBytes      int64 // a conflict holds its base and its winner if they are no larger; 0: HoldBytesDefault
	Clock          func() time.Time
	Rand           io.Reader
	Logger         *slog.Logger
}

func (o Options) orDefaults() Options {
	if o.ObjectBytesMax == 0 {
		o.ObjectBytesMax = objstore.ObjectBytesMax
	}
	if o.HoldBytes == 0 {
		o.HoldBytes = HoldBytesDefault
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Area is a directory for the stages and conflicts of one bucket.
type Area struct {
	// Constant.
	opt      Options
	sessions string
	kept     string
	session  string // this process's directory below sessions
	lock     *os.File

	keeping sync.Mutex // held while kept is changed or read

	mu     sync.Mutex
	number uint64              // GUARDED_BY(mu): the last given out
	stages map[*Stage]struct{} // GUARDED_BY(mu): open ones
	spares []*slot             // GUARDED_BY(mu): of no stage
	closed bool                // GUARDED_BY(mu)
}

const lockSuffix = ".lock"

// OpenArea opens dir, which it makes if it is absent, with a new session.
func OpenArea(dir string, opt Options) (*Area, error) {
	a := &Area{
		opt: opt.orDefaults(), sessions: filepath.Join(dir, "sessions"), kept: filepath.Join(dir, "kept"),
		stages: make(map[*Stage]struct{}),
	}
	for _, d := range []string{a.sessions, a.kept} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, named("open cache", dir, err)
		}
	}
	for n := 0; a.session == ""; n++ {
		if err := a.claim(filepath.Join(a.sessions, fmt.Sprintf("%d-%d", os.Getpid(), n))); err != nil {
			return nil, named("open cache", dir, err)
		}
	}
	return a, nil
}

// claim makes a session of that name, unless there is one. The lock is taken first, so that no sweep sees
// the directory without it.
func (a *Area) claim(name string) error {
	lock, err := lockFile(name + lockSuffix)
	if lock == nil {
		return err
	}
	switch err := os.Mkdir(name, 0o700); {
	case err == nil:
		a.session, a.lock = name, lock
		return nil
	case errors.Is(err, os.ErrExist): // of an earlier process, to be swept
		return lock.Close()
	default:
		return errors.Join(err, lock.Close())
	}
}

// lockFile locks a file; nil if another holds it.
func lockFile(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil && stillNamed(f, name) {
		return f, nil
	}
	closed := f.Close()
	if err == nil || errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, closed
	}
	return nil, err
}

// stillNamed reports whether the file that was locked is the one that has the name: a session's end removes it.
func stillNamed(f *os.File, name string) bool {
	locked, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(name)
	return err == nil && os.SameFile(locked, there)
}

// Close ends the session. Stages still open are closed, their bytes dropped.
func (a *Area) Close() error {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return nil
	}
	a.closed = true
	open := make([]*Stage, 0, len(a.stages))
	for s := range a.stages {
		open = append(open, s)
	}
	a.mu.Unlock()
	var err error
	for _, s := range open {
		err = errors.Join(err, s.Close())
	}
	for _, s := range a.spares { // nobody adds one any more
		err = errors.Join(err, s.close())
	}
	err = errors.Join(err, os.RemoveAll(a.session), os.Remove(a.session+lockSuffix), a.lock.Close())
	return named("close cache", a.session, err)
}

// nextName is a name in the session for something of a kind.
func (a *Area) nextName(kind string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.number++
	return filepath.Join(a.session, fmt.Sprintf("%s-%d", kind, a.number))
}

// enlist registers an open stage.
func (a *Area) enlist(s *Stage) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return objstore.ErrClosed
	}
	a.stages[s] = struct{}{}
	return nil
}

func (a *Area) forget(s *Stage) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.stages, s)
}
