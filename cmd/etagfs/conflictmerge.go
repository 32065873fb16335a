package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/etagfs/etagfs/objstore"
)

// mergeToolVariable names the program that merges in place of git merge-file.
const mergeToolVariable = "MERGETOOL"

// conflictMerge is what etagfs conflicts merge was asked for.
type conflictMerge struct {
	where string // DIR or STORE, for messages
	with  string // the merged file; empty: to be made
	match condition
}

func mergeConflict(t *terminal, place *conflictPlace) *cobra.Command {
	var m conflictMerge
	c := &cobra.Command{
		Use:   "merge DIR|STORE ID",
		Short: "Merge the kept bytes with what the file is now, and put the result in place",
		Long: `Merge the kept bytes (mine) with what the file is now (theirs), both of which came
from base, and put the result in place if the file is still what it was merged with. This
takes git merge-file, or $MERGETOOL: a shell command that finds the names of four files
in BASE, LOCAL (mine), REMOTE (theirs) and MERGED, which begins as mine, and where it
leaves its result. If it ends without saving MERGED, nothing changes.
What it made of MERGED and could not be put in place is left in a file in the
working directory, which is named, however the merge ended.

Where both changed the same lines, the result with marks is left in a file in the
working directory, which is named, and the exit code is 4. Edit it, and put it
in place with --with FILE.`,
		Args: arguments(2, 2),
		RunE: func(c *cobra.Command, args []string) error {
			m.where = args[0]
			if m.match.match != "" && m.with == "" {
				return usageErrorf("--if-match is for --with FILE: otherwise the file is read and compared here")
			}
			return place.withConflict(c.Context(), args, func(kept keptCopies, info keptInfo) error {
				if err := m.run(c.Context(), kept, info); err != nil {
					return err
				}
				return t.printDecided(args[1], "merge")
			})
		},
	}
	c.Flags().StringVar(&m.with, "with", "", "put this FILE in place: a merge that was finished by hand")
	c.Flags().Var(&m.match.match, "if-match", "with --with: only if the file's ETag is this one (default: that of theirs)")
	return c
}

func (m *conflictMerge) run(ctx context.Context, kept keptCopies, info keptInfo) error {
	now, err := kept.current(ctx, info)
	if objstore.KindOf(err) == objstore.ErrNotFound {
		return m.refusal(info, objstore.ErrNotFound, "there is no file any more: keep-mine makes it again, drop forgets the copy")
	}
	if err != nil {
		return err
	}
	defer now.Close()
	if m.with != "" {
		return m.finish(ctx, kept, info, now)
	}
	switch {
	case info.Gaps:
		return m.refusal(info, objstore.ErrUnsupported, "zeros stand in the copy for bytes that could not be had: take from it what is wanted, and put that in place by --with FILE")
	case info.lacks("base") != "" && !info.absent("base"):
		return m.refusal(info, objstore.ErrUnsupported, "a merge needs the base, and its bytes were not held: see etagfs conflicts diff, and put a file in place by --with FILE")
	}
	dir, err := os.MkdirTemp("", "etagfs-merge-")
	if err != nil {
		return err
	}
	err = m.merge(ctx, mergeFiles{dir}, kept, info, now)
	if err != nil {
		var stays bool
		if stays, err = (mergeFiles{dir}).save(leftName(info), err); stays {
			return err
		}
	}
	return errors.Join(err, os.RemoveAll(dir))
}

func (m *conflictMerge) refusal(info keptInfo, kind objstore.Kind, why string) error {
	return &objstore.Error{Op: "merge", Key: string(info.ID), Kind: kind, Detail: why}
}

// merge merges in files, and puts the result in place.
func (m *conflictMerge) merge(ctx context.Context, files mergeFiles, kept keptCopies, info keptInfo, now objstore.Reader) error {
	for _, name := range []string{"base", "mine", "theirs"} {
		err := fillFile(files.name(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, func(w io.Writer) error {
			switch {
			case name == "theirs":
				return copyContent(ctx, now, w)
			case info.absent(name):
				return nil
			}
			return kept.copySide(ctx, info.ID, name, w)
		})
		if err != nil {
			return err
		}
	}
	marked, err := files.merge(ctx, os.Getenv(mergeToolVariable))
	if err != nil {
		return fmt.Errorf("merge %s: %w", info.ID, err)
	}
	if marked {
		return m.leave(files, info, now)
	}
	return putMerged(ctx, kept, info, now, files.name("merged"))
}

// leftName is the file, in the working directory, where a merge is left for a person.
func leftName(info keptInfo) string { return path.Base(info.Path) + "." + string(info.ID) + ".merge" }

// leave puts a merge with marks where a person finds it.
func (m *conflictMerge) leave(files mergeFiles, info keptInfo, now objstore.Reader) error {
	file := leftName(info)
	if err := files.leave(file); err != nil {
		return err
	}
	return m.refusal(info, objstore.ErrPrecondition, fmt.Sprintf(
		"both changed the same lines: edit %s, then run etagfs conflicts merge %s %s --with %s --if-match %s",
		file, m.where, info.ID, file, now.Info().ETag))
}

// finish puts a merged file in place.
func (m *conflictMerge) finish(ctx context.Context, kept keptCopies, info keptInfo, now objstore.Reader) error {
	want := objstore.ETag(strings.Trim(string(m.match.match), `"`))
	if want == "" {
		want = info.Theirs
	}
	if etag := now.Info().ETag; etag != want {
		return m.refusal(info, objstore.ErrPrecondition, fmt.Sprintf("the file's ETag is %s, not %s: merge again", etag, want))
	}
	marked, err := hasMarks(m.with)
	if err != nil {
		return err
	}
	if marked {
		return usageErrorf("%s still has the marks of a merge (<<<<<<<): edit it first", m.with)
	}
	return putMerged(ctx, kept, info, now, m.with)
}

func putMerged(ctx context.Context, kept keptCopies, info keptInfo, now objstore.Reader, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	return errors.Join(kept.keepMerged(ctx, info, now.Info().Version, f), f.Close())
}

// mergeFiles are the files of a merge: base, mine, theirs and merged.
type mergeFiles struct{ dir string }

func (m mergeFiles) name(which string) string { return filepath.Join(m.dir, which) }

// leave copies merged to a new file, which is the user's alone: the file that was merged may be no other's to read.
func (m mergeFiles) leave(file string) error {
	from, err := os.Open(m.name("merged"))
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	if err = errors.Join(err, to.Close()); err != nil {
		os.Remove(file)
	}
	return err
}

// save leaves what a person has made of merged with a tool, and could not be put in place because of why, in a new file, and tells so
// beside why. stays: that failed, and it is where it was. What a merge by git has made can be made again.
func (m mergeFiles) save(file string, why error) (stays bool, err error) {
	if os.Getenv(mergeToolVariable) == "" || !m.worked() {
		return false, why
	}
	if errors.Is(why, context.Canceled) {
		why = errInterrupted
	}
	if err := m.leave(file); err != nil && !m.isLeftAs(file) {
		return true, fmt.Errorf("what was merged by hand stays in %s (%v), since it is not in place: %w", m.name("merged"), err, why)
	}
	return false, fmt.Errorf("what was merged by hand is in %s, since it is not in place: %w", file, why)
}

// worked reports whether merged has, or may have, what a tool has put there: it begins as mine.
func (m mergeFiles) worked() bool {
	same, err := sameBytes(m.name("merged"), m.name("mine"))
	return !same && !errors.Is(err, os.ErrNotExist)
}

// isLeftAs reports whether file has what merged has.
func (m mergeFiles) isLeftAs(file string) bool {
	same, err := sameBytes(m.name("merged"), file)
	return same && err == nil
}

func sameBytes(a, b string) (bool, error) {
	one, err := os.ReadFile(a)
	if err != nil {
		return false, err
	}
	other, err := os.ReadFile(b)
	return bytes.Equal(one, other), err
}

// merge makes merged of the others, with tool or with git. marked: it has marks where both changed the same lines.
func (m mergeFiles) merge(ctx context.Context, tool string) (marked bool, err error) {
	if tool == "" {
		return m.git(ctx)
	}
	begun, err := m.begin()
	if err != nil {
		return false, err
	}
	command := childCommand{words: []string{"sh", "-c", tool}, grace: updateGrace}
	for variable, which := range map[string]string{"BASE": "base", "LOCAL": "mine", "REMOTE": "theirs", "MERGED": "merged"} {
		command.env = append(command.env, variable+"="+m.name(which))
	}
	err = command.run(ctx, os.Stdin, os.Stderr)
	var ended *commandEnded
	if errors.As(err, &ended) { // its code says nothing to who asked us
		return false, fmt.Errorf("%s ended with exit code %d: nothing has changed", mergeToolVariable, ended.code)
	}
	if err != nil {
		return false, err
	}
	if saved, err := m.saved(begun); err != nil {
		return false, err
	} else if !saved {
		return false, fmt.Errorf("%s has not saved MERGED: nothing has changed (keep-mine puts the kept bytes in place of theirs)", mergeToolVariable)
	}
	return hasMarks(m.name("merged"))
}

// begin makes merged of mine, as a tool finds it. No tool saves anything at the time it has from here on.
func (m mergeFiles) begin() (begun time.Time, err error) {
	mine, err := os.ReadFile(m.name("mine"))
	if err != nil {
		return begun, err
	}
	if err := os.WriteFile(m.name("merged"), mine, 0o600); err != nil {
		return begun, err
	}
	begun = time.Unix(1, 0)
	return begun, os.Chtimes(m.name("merged"), begun, begun)
}

// saved reports whether a tool that ended well has written merged, be it with the bytes that were there: an editor that was left without
// saving ends well, too, and mine in place of theirs would undo what won.
func (m mergeFiles) saved(begun time.Time) (bool, error) {
	info, err := os.Stat(m.name("merged"))
	return err == nil && (m.worked() || !info.ModTime().Equal(begun)), err
}

// gitFailed is the exit code of git merge-file from which it is no number of marks.
const gitFailed = 128

func (m mergeFiles) git(ctx context.Context) (marked bool, err error) {
	var said bytes.Buffer
	err = fillFile(m.name("merged"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, func(w io.Writer) error {
		git := exec.CommandContext(ctx, "git", "merge-file", "-p", "-L", "mine", "-L", "base", "-L", "theirs",
			m.name("mine"), m.name("base"), m.name("theirs"))
		git.Stdout, git.Stderr = w, &said
		err := git.Run()
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.ExitCode() > 0 && exit.ExitCode() < gitFailed {
			marked, err = true, nil
		}
		return err
	})
	if errors.Is(err, exec.ErrNotFound) {
		return false, fmt.Errorf("git is not installed, and %s names no other program that merges", mergeToolVariable)
	}
	if err != nil {
		return false, fmt.Errorf("git merge-file cannot merge it (%s): see etagfs conflicts diff, and put a file in place by --with FILE", strings.TrimSpace(said.String()))
	}
	return marked, nil
}

// hasMarks reports whether a file has the marks a merge leaves.
func hasMarks(file string) (bool, error) {
	text, err := os.ReadFile(file)
	begins := bytes.HasPrefix(text, []byte("<<<<<<< ")) || bytes.Contains(text, []byte("\n<<<<<<< "))
	return begins && bytes.Contains(text, []byte("\n>>>>>>> ")), err
}
