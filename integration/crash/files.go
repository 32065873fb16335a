package crash

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// care is what a directory target does for what it acknowledges.
type care int

const (
	plain   care = iota // fsync where durability is asked for, as on any filesystem
	lying               // no fsync at all
	careful             // every change is a new file, synced, renamed, its directory synced
	keeping             // as plain, and what is staged and not committed is kept: a mount of ours
)

// files is a directory as target, used through system calls: a mount, or a
// directory of the native filesystem.
type files struct {
	root string
	care care

	mu   sync.Mutex
	held map[string]*os.File // guarded by mu
}

func openFiles(root string, c care) *files {
	return &files{root: root, care: c, held: map[string]*os.File{}}
}

func (f *files) at(path string) string { return filepath.Join(f.root, path) }

// survey reads all files. Names that begin with a dot are nobody's.
func (f *files) survey(context.Context) (survey, error) {
	s := newSurvey()
	err := filepath.WalkDir(f.root, func(name string, entry fs.DirEntry, err error) error {
		path := strings.TrimPrefix(strings.TrimPrefix(name, f.root), "/")
		switch {
		case err != nil:
			s.problem("%v", err)
		case path == "", strings.HasPrefix(entry.Name(), "."):
		case entry.IsDir():
			s.addDir(path + "/")
		default:
			b, err := os.ReadFile(name)
			if err != nil {
				s.problem("%v", err)
				return nil
			}
			s.add(path, b)
		}
		return nil
	})
	if err == nil && f.care == keeping {
		err = f.surveyKept(&s)
	}
	return s, err
}

// conflictsDir is where a mount shows what was kept.
const conflictsDir = ".etagfs/conflicts"

// surveyKept adds what a mount shows of kept copies.
func (f *files) surveyKept(s *survey) error {
	entries, err := os.ReadDir(f.at(conflictsDir))
	if err != nil {
		return err
	}
	for _, entry := range entries {
		dir := filepath.Join(f.at(conflictsDir), entry.Name())
		text, err := os.ReadFile(filepath.Join(dir, "info.json"))
		var info struct{ Path, Reason string }
		if err == nil {
			err = json.Unmarshal(text, &info)
		}
		mine, mineErr := os.ReadFile(filepath.Join(dir, "mine"))
		if err := errors.Join(err, mineErr); err != nil {
			s.problem("conflict %s: %v", entry.Name(), err)
		}
		s.Kept = append(s.Kept, keptCopy{entry.Name(), strings.TrimPrefix(info.Path, "/"), info.Reason, digestOf(mine)})
	}
	return nil
}

func (f *files) drop(_ context.Context, id string) error {
	return os.Remove(filepath.Join(f.at(conflictsDir), id))
}

func (f *files) counter(context.Context, int) (int64, error) { return 0, errors.ErrUnsupported }

func (f *files) close(context.Context) error { return nil }

func (f *files) do(_ context.Context, o op, tell progress) (outcome, error) {
	switch o.Kind {
	case opWrite:
		return f.change(o, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, tell, writeInParts)
	case opEdit:
		return f.change(o, os.O_RDWR, tell, func(file *os.File, o op) error {
			_, err := file.WriteAt(o.bytes(), o.Off)
			return err
		})
	case opTruncate:
		return f.change(o, os.O_RDWR, tell, func(file *os.File, o op) error { return file.Truncate(o.Size) })
	case opHold:
		return f.hold(o)
	case opRelease:
		return f.release(o)
	}
	return answered(f.names(o))
}

// answered is the outcome of a call that ended with err.
func answered(err error) (outcome, error) {
	if errors.Is(err, syscall.ENOSPC) {
		return outcome{failed: true}, nil
	}
	return outcome{}, err
}

func writeInParts(file *os.File, o op) error {
	b := o.bytes()
	half := len(b) / 2
	if _, err := file.Write(b[:half]); err != nil {
		return err
	}
	_, err := file.Write(b[half:])
	return err
}

// change opens, changes and closes a file. Errors of all steps count: the first is the answer.
func (f *files) change(o op, flags int, tell progress, with func(*os.File, op) error) (outcome, error) {
	path := f.at(o.Path)
	if f.care == careful {
		path = f.at(fmt.Sprintf(".%d-%d.new", o.Lane, o.Seq))
		if err := copyIfThere(f.at(o.Path), path); err != nil {
			return answered(err)
		}
		o.Durable = true
	}
	file, err := os.OpenFile(path, flags, 0o644)
	if err != nil {
		return answered(err)
	}
	if err = with(file, o); err == nil {
		if f.care == keeping {
			tell.staged()
		}
		err = f.durably(o, file.Sync)
	}
	err = errors.Join(err, file.Close())
	if err == nil && f.care == careful {
		err = f.names(op{Kind: opRename, Path: filepath.Base(path), To: o.Path})
	}
	return answered(err)
}

func copyIfThere(from, to string) error {
	b, err := os.ReadFile(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o644)
}

func (f *files) durably(o op, sync func() error) error {
	if f.care == careful || o.Durable && f.care != lying {
		return sync()
	}
	return nil
}

func (f *files) hold(o op) (outcome, error) {
	file, err := os.OpenFile(f.at(o.Path), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return answered(err)
	}
	if err := writeInParts(file, o); err != nil {
		return answered(errors.Join(err, file.Close()))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.held[o.Path] = file
	return outcome{}, nil
}

// release closes what hold opened. EBUSY says that it lost and is kept.
func (f *files) release(o op) (outcome, error) {
	f.mu.Lock()
	file := f.held[o.Path]
	delete(f.held, o.Path)
	f.mu.Unlock()
	err := errors.Join(f.durably(o, file.Sync), file.Close())
	if errors.Is(err, syscall.EBUSY) {
		return outcome{kept: true}, nil
	}
	return answered(err)
}

func (f *files) names(o op) error {
	path, to := f.at(o.Path), f.at(o.To)
	switch o.Kind {
	case opRename:
		if err := os.Rename(path, to); err != nil {
			return err
		}
		return f.durably(o, func() error { return errors.Join(syncDir(filepath.Dir(path)), syncDir(filepath.Dir(to))) })
	case opRemove:
		if err := os.Remove(path); err != nil {
			return err
		}
	case opMkdir:
		if err := os.Mkdir(path, 0o755); err != nil {
			return err
		}
	case opSync:
		return f.durably(op{Durable: true}, func() error { return syncDir(f.root) })
	}
	return f.durably(o, func() error { return syncDir(filepath.Dir(path)) })
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
