package main

import (
	"context"
	"errors"
	"fmt"
	iofs "io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/mount"
	"github.com/etagfs/etagfs/objstore/badgerstore"
	"github.com/etagfs/etagfs/objstore/s3server"
)

const (
	// answerPatience is how long a mount may take to say what it is. A daemon that waits for its store still knows, though it
	// looks for some seconds whether that has more to say.
	answerPatience = 8 * time.Second
	// fullBytes is the least free space that is not worth a word.
	fullBytes = 256 << 20
)

// symptom is what was found out about one thing.
type symptom struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
}

// symptoms are what was found out, in order.
type symptoms []symptom

func (f *symptoms) add(name string, ok bool, format string, args ...any) {
	*f = append(*f, symptom{name, ok, fmt.Sprintf(format, args...)})
}

// wrong are those that are not as they should be.
func (f symptoms) wrong() (names []string) {
	for _, one := range f {
		if !one.OK {
			names = append(names, one.Name)
		}
	}
	return names
}

// examineHere looks at a mount point or at a store in a directory.
func (t *terminal) examineHere(ctx context.Context, place, control string) error {
	if place == "" {
		return noStore()
	}
	dir, err := storeDir(place)
	if err != nil {
		return err
	}
	mounted, err := isMountPoint(dir)
	if err != nil {
		return err
	}
	var found symptoms
	if mounted {
		found = examineMount(ctx, dir, control)
	} else if found, err = examineStore(ctx, dir); err != nil {
		return err
	}
	if err := t.printFound(found); err != nil {
		return err
	}
	if wrong := found.wrong(); len(wrong) > 0 {
		return fmt.Errorf("something is wrong with %s: %s", place, strings.Join(wrong, ", "))
	}
	return nil
}

// isMountPoint asks the kernel's table, which answers whatever the mount's daemon does.
func isMountPoint(dir string) (bool, error) {
	at, err := filepath.Abs(dir)
	if err != nil {
		return false, err
	}
	if parent, err := filepath.EvalSymlinks(filepath.Dir(at)); err == nil {
		at = filepath.Join(parent, filepath.Base(at))
	}
	points, err := mount.Points()
	return slices.Contains(points, at), err
}

// examineMount looks at a mount without waiting for ever.
func examineMount(ctx context.Context, dir, control string) (found symptoms) {
	answers := make(chan symptoms, 1)
	go func() { answers <- askMount(ctx, dir, control) }()
	patience, cancel := context.WithTimeout(ctx, answerPatience)
	defer cancel()
	select {
	case found = <-answers:
	case <-patience.Done():
		found.add("the daemon answers", false, "%v", silence(dir))
	}
	return found
}

func askMount(ctx context.Context, dir, control string) (found symptoms) {
	m, err := findMounted(dir, control)
	if silent := (*silentError)(nil); errors.As(err, &silent) {
		err = silent.why // the rest is what the line is about
	}
	if err != nil {
		found.add("the daemon answers", false, "%s", sentence(err))
		return found
	}
	s, err := m.status(ctx)
	if err != nil {
		found.add("the daemon answers", false, "%s", sentence(err))
		return found
	}
	found.add("the daemon answers", true, "pid %d on %s, for %s", s.PID, s.Host, time.Since(s.Began).Round(time.Second))
	if ours := readBuild(); s.Version != ours.Version || s.Commit != ours.Commit {
		found.add("it is of this version", false, "it is %s %s, this is %s %s: mount again to use the new one", s.Version, s.Commit, ours.Version, ours.Commit)
	} else {
		found.add("it is of this version", true, "%s", s.Version)
	}
	found.storeOf(dir, s)
	found.add("every commit has an outcome", s.Commits["unknown"] == 0, "%.0f of unknown outcome; they are kept", s.Commits["unknown"])
	found.add("commits do not fail", s.Commits["failed"] == 0, "%.0f failed, %.0f lost (EBUSY), of %.0f", s.Commits["failed"], s.Commits["conflict"],
		s.Commits["failed"]+s.Commits["conflict"]+s.Commits["unknown"]+s.Commits["committed"]+s.Commits["rebased"])
	if s.KeptCopies != nil {
		found.add("kept copies wait for a decision", true, "%s", s.kept())
	}
	return found
}

// storeOf looks at the store of a mount. What only the store knows it is not asked if it does not answer.
func (f *symptoms) storeOf(dir string, s mountStatus) {
	f.add("its store answers", s.Unanswering == "", "%s", readable(s.Unanswering))
	switch {
	case s.Unanswering != "":
		return
	case s.Refusing != "":
		f.add("the store can be changed", false, "it takes no more writes until it is unmounted and opened again: %s", readable(s.Refusing))
	default:
		f.add("the store can be changed", s.Options["ro"] != "true", "%s (%s)", readable(s.Source), s.Store)
	}
	f.space(dir)
}

// space looks at how much is left.
func (f *symptoms) space(dir string) {
	var at unix.Statfs_t
	if err := unix.Statfs(dir, &at); err != nil {
		f.add("there is space", false, "%v", err)
		return
	}
	free := int64(at.Bavail) * at.Bsize
	f.add("there is space", free >= fullBytes, "%s free", binaryBytes(float64(free)))
}

// examineStore looks at the directory of a store, from outside.
func examineStore(ctx context.Context, dir string) (found symptoms, err error) {
	if _, err := os.Stat(filepath.Join(dir, "FORMAT")); err != nil {
		if errors.Is(err, iofs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
			err = absentError(dir + " is no mount of etagfs and holds no store: name one of these")
		}
		return nil, err
	}
	err = unix.Access(dir, unix.W_OK)
	found.add("it can be written to", err == nil, "%s", says(err))
	owner, held, err := badgerstore.Owner(dir)
	switch {
	case err != nil:
		found.add("who has it open is known", false, "%v", err)
	case !held:
		found.add("it is free", true, "nobody has it open")
	default:
		answers := answering(ctx, dir, owner)
		found.add("its owner answers others", answers == nil, "%s%s", owner, says(answers))
	}
	found.space(dir)
	return found, nil
}

// answering is nil if the owner of a store lets others use it: it is asked, as the kernel takes a connection for one that is stopped.
func answering(ctx context.Context, dir string, owner badgerstore.LockOwner) error {
	if isHere(owner) && mount.Stopped(owner.PID) {
		return stoppedError(owner)
	}
	patience, cancel := context.WithTimeout(ctx, answerPatience)
	defer cancel()
	err := ready(patience, clientBeside(dir), &url.URL{Scheme: "http", Host: socketName, Path: s3server.PathReady})
	if patience.Err() != nil {
		return errors.New("no answer in time; its log and SIGQUIT to it tell what it waits for")
	}
	return err
}

func stoppedError(owner badgerstore.LockOwner) error {
	return fmt.Errorf("that process is stopped: kill -CONT %d lets it go on", owner.PID)
}

// silence says why the daemon of the mount at dir does not answer, as far as can be found out without asking it.
func silence(dir string) error {
	if point, source, err := mount.Served(dir); err == nil {
		owner, held, err := badgerstore.Owner(source)
		if err == nil && held && owner.MountPoint == point && isHere(owner) && mount.Stopped(owner.PID) {
			return stoppedError(owner)
		}
	}
	return errors.New("not in time; its log and SIGQUIT to it tell what it waits for")
}

func says(err error) string {
	if err == nil {
		return ""
	}
	return ": " + err.Error()
}

func (t *terminal) printFound(found symptoms) error {
	if t.json {
		for _, one := range found {
			if err := t.printJSON(one); err != nil {
				return err
			}
		}
		return nil
	}
	table := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	for _, one := range found {
		answer := "yes"
		if !one.OK {
			answer = "no"
		}
		fmt.Fprintln(table, strings.TrimSuffix(one.Name+"\t"+answer+"\t"+one.Detail, "\t"))
	}
	return table.Flush()
}
