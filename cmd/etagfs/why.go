package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	iofs "io/fs"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/fs"
	"github.com/etagfs/etagfs/objstore"
)

const whyXattr = "user.etagfs.why"

func whyCommand(t *terminal) *cobra.Command {
	control := controlDefault
	c := &cobra.Command{
		Use:   "why PATH",
		Short: "Say which version a file is, who wrote it, and why the last EBUSY on it happened",
		Long: `Say which version the file at PATH, in a mount, is, who wrote that, who has it
open for writing, and why the last EBUSY on it happened: which version the loser
had opened, which one won and by whom, where the loser's bytes are and how to see
them. What other users lost is told to root only.

A mount remembers, while it runs, who committed through it: program, process,
user, host and time. The other mounts of the store that can be seen here are asked,
too. Of versions that came another way the store knows the time.`,
		Args: arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			m, err := findMounted(args[0], control)
			if err != nil {
				return err
			}
			var w whyTold
			w.Why, err = m.why(c.Context(), args[0])
			if err != nil && !errors.Is(err, iofs.ErrNotExist) {
				return err
			}
			w.learn(m.elsewhere(c.Context(), w.Path, control))
			if err != nil && !w.known() {
				return err
			}
			if t.json {
				return t.printJSON(w)
			}
			return t.printWhy(m, w)
		},
	}
	c.Flags().StringVar(&control, "control", controlDefault, "name of the mount's control directory")
	return c
}

// why asks the mount. Of a file that is not there any more, what is kept tells.
func (m mountedTree) why(ctx context.Context, path string) (w fs.Why, err error) {
	text := make([]byte, 64<<10)
	n, err := unix.Getxattr(path, whyXattr, text)
	if errors.Is(err, unix.ENOENT) {
		return m.whyGone(ctx, path)
	}
	if errors.Is(err, unix.ENODATA) {
		return w, fmt.Errorf("%s is the control directory's, and has no versions", path)
	}
	if err != nil {
		return w, cmp.Or(unanswering(path, err), fmt.Errorf("%s: %w", path, err))
	}
	err = json.Unmarshal(text[:n], &w)
	w.Path = fs.PathOf(w.Path, w.PathBytes)
	return w, err
}

// whyGone looks for the newest kept copy of a path.
func (m mountedTree) whyGone(ctx context.Context, path string) (w fs.Why, err error) {
	at, err := filepath.Abs(path)
	if err != nil {
		return w, err
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(at)); err == nil {
		at = filepath.Join(dir, filepath.Base(at))
	}
	if w.Path, err = filepath.Rel(m.root, at); err != nil {
		return w, err
	}
	w.PathBytes = fs.PathBytes(w.Path)
	infos, err := keptInMount{filepath.Join(m.control, conflictsName)}.list(ctx)
	if err != nil {
		return w, err
	}
	for _, text := range slices.Backward(infos) {
		info, err := parseKept(text)
		if err != nil {
			return w, err
		}
		if info.Path == w.Path {
			w.Lost = &fs.Loss{
				Reason: info.Reason, Path: info.Path, PathBytes: info.PathBytes, Time: info.Time, Operation: info.Operation, UID: info.UID, PID: info.PID, Host: info.Host,
				Base: info.Base, Theirs: info.Theirs, Kept: info.ID, KeptStill: true, Bytes: info.Bytes, Detail: info.Detail,
			}
			return w, nil
		}
	}
	return w, fmt.Errorf("%s does not exist, and no kept copy is of it: %w", path, iofs.ErrNotExist)
}

func (t *terminal) printWhy(m mountedTree, w whyTold) error {
	table := tabwriter.NewWriter(t.out, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(table, name+"\t"+format+"\n", args...) }
	row("path", "%s", readable(w.Path))
	switch {
	case w.ETag == "" && w.Object == 0:
		row("version", "none: there is no such file any more")
	case w.ETag == "":
		row("version", "none: it has no content that was committed")
	default:
		row("version", "%s, %d bytes, ETag %s", w.Version, w.Size, w.ETag)
		row("committed", "%s", w.Modified.Format(time.RFC3339Nano))
	}
	switch {
	case w.Writer != nil:
		row("written by", "%s%s", w.Writer, through(w.WriterMount))
	case w.ETag != "":
		row("written by", "%s", otherWay)
	}
	for _, o := range w.Open {
		state := "unchanged"
		if o.Changed {
			state = "changed, not committed"
		}
		row("open for writing", "by %s, uid %d, since %s: %s, on ETag %s", programAndPID(o.Program, o.PID), o.UID, o.Opened.Format(time.RFC3339), state, orNone(o.Base))
	}
	if w.Lost == nil {
		row("last loss", "none that is known")
	} else {
		describeLoss(cmp.Or(w.LostMount, m.root), *w.Lost, row)
	}
	return table.Flush()
}

// otherWay is what is known of who made a version, if nobody who is asked knows.
const otherWay = "not through this mount since it began, nor another that can be asked here, as far as they remember: " +
	"a mount elsewhere, an S3 client, or before"

// through names another mount, if it was one.
func through(root string) string {
	if root == "" {
		return ""
	}
	return ", through " + readable(root)
}

// describeLoss says why a commit through the mount at root did not come to be.
func describeLoss(root string, l fs.Loss, row func(name, format string, args ...any)) {
	row("last loss", "%s (%s) at %s, by %s, uid %d%s", l.Operation, lossWords(l.Reason), l.Time.Format(time.RFC3339Nano), programAndPID(l.Program, l.PID), l.UID, onHost(l.Host))
	row("  opened at", "ETag %s", orNone(l.Base))
	if l.Reason == "lost" {
		row("  winner", "ETag %s", winnerTag(l.Theirs))
	}
	switch {
	case l.Winner != nil:
		row("  won by", "%s", l.Winner)
	case l.Reason == "lost" && l.Theirs != "" && !strings.Contains(l.Detail, "won by "):
		row("  won by", "%s", otherWay)
	case l.Detail != "":
		row("  detail", "%s", readable(l.Detail))
	}
	if !l.KeptStill {
		row("  kept", "%s was decided or dropped since", l.Kept)
		return
	}
	row("  kept", "%s, %d bytes", l.Kept, l.Bytes)
	row("  to see it", "etagfs conflicts show %s %s mine", readable(root), l.Kept)
}

func winnerTag(tag objstore.ETag) string {
	if tag == "" {
		return "none: the file was gone"
	}
	return string(tag)
}

func lossWords(reason string) string {
	switch reason {
	case "lost":
		return "EBUSY: another commit came first"
	case "unknown":
		return "it is unknown whether it was applied"
	case "crash":
		return "found after a crash"
	default:
		return "it failed"
	}
}
