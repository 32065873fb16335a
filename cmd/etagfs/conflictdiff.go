package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"github.com/etagfs/etagfs/objstore"
)

// diffBytesMax is the size of the largest text whose lines are compared.
const diffBytesMax = 4 << 20

// binaryLook is how far a content is looked into for a NUL, which text has not.
const binaryLook = 8000

// side is a content of a conflict, as far as a diff needs it.
type side struct {
	name   string
	absent bool   // there was no file
	lacks  string // why the bytes cannot be had; empty: they can
	size   int64
	sum    string // SHA-256, hexadecimal
	text   []byte
	binary bool // or too large to compare lines
}

// sideWriter takes in a content.
type sideWriter struct {
	side
	hash hash.Hash
}

// Write implements [io.Writer].
func (w *sideWriter) Write(p []byte) (int, error) {
	w.hash.Write(p)
	if look := binaryLook - w.size; look > 0 && bytes.IndexByte(p[:min(int64(len(p)), look)], 0) >= 0 {
		w.binary = true
	}
	w.size += int64(len(p))
	if w.size > diffBytesMax {
		w.binary = true
	}
	if w.binary {
		w.text = nil
	} else {
		w.text = append(w.text, p...)
	}
	return len(p), nil
}

// lacks is why info says that a side cannot be had; empty if it can.
func (info keptInfo) lacks(name string) string {
	for _, missing := range info.NotAvailable {
		if which, why, found := strings.Cut(missing, ": "); found && which == name {
			return why
		}
	}
	return ""
}

// absent reports whether there was no file on a side.
func (info keptInfo) absent(name string) bool {
	return name == "base" && info.Base == "" || name == "theirs" && info.Theirs == ""
}

func readSide(ctx context.Context, kept keptCopies, info keptInfo, name string) (side, error) {
	w := sideWriter{side: side{name: name}, hash: sha256.New()}
	w.absent = info.absent(name)
	if w.lacks = info.lacks(name); w.lacks == "" && !w.absent {
		if err := kept.copySide(ctx, info.ID, name, &w); err != nil {
			return side{}, err
		}
	}
	w.sum = hex.EncodeToString(w.hash.Sum(nil))
	return w.side, nil
}

// jsonDiff is what --json prints of two sides.
type jsonDiff struct {
	ID     objstore.ConflictID `json:"id"`
	From   jsonSide            `json:"from"`
	To     jsonSide            `json:"to"`
	Same   bool                `json:"same"`
	Binary bool                `json:"binary,omitempty"`
	Diff   string              `json:"diff,omitempty"`
}

type jsonSide struct {
	Name   string `json:"name"`
	Absent bool   `json:"absent,omitempty"`
	Lacks  string `json:"not_available,omitempty"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256,omitempty"`
}

func (s side) json() jsonSide {
	j := jsonSide{Name: s.name, Absent: s.absent, Bytes: s.size}
	switch {
	case s.absent:
	case s.lacks != "":
		j.Lacks = s.lacks
	default:
		j.SHA256 = s.sum
	}
	return j
}

// label is how a diff calls a side.
func (s side) label(path string) string {
	if s.absent {
		return "/dev/null"
	}
	return s.name + "/" + readable(path)
}

// had reports whether the bytes of s are known: those of no file are none.
func (s side) had() bool { return s.absent || s.lacks == "" }

// compare is how two sides differ.
func compare(info keptInfo, from, to side) jsonDiff {
	d := jsonDiff{ID: info.ID, From: from.json(), To: to.json()}
	d.Same = from.had() && to.had() && from.absent == to.absent && from.sum == to.sum
	d.Binary = from.binary || to.binary
	if from.had() && to.had() && !d.Binary {
		d.Diff = string(diff.Diff(from.label(info.Path), from.text, to.label(info.Path), to.text))
	}
	return d
}

func (t *terminal) printDiff(info keptInfo, from, to side) error {
	d := compare(info, from, to)
	if t.json {
		return t.printJSON(d)
	}
	var err error
	switch {
	case !from.had():
		_, err = fmt.Fprintf(t.out, "no diff of %s and %s: %s: %s\n", from.name, to.name, from.name, from.lacks)
	case !to.had():
		_, err = fmt.Fprintf(t.out, "no diff of %s and %s: %s: %s\n", from.name, to.name, to.name, to.lacks)
	case d.Same:
		_, err = fmt.Fprintf(t.out, "%s and %s are the same\n", from.name, to.name)
	case d.Binary:
		_, err = fmt.Fprintf(t.out, "%s and %s differ:\n  %s\n  %s\n", from.name, to.name, from.described(), to.described())
	default:
		_, err = fmt.Fprint(t.out, d.Diff)
	}
	return err
}

// described is what there is to say of bytes that are not shown.
func (s side) described() string {
	if s.absent {
		return s.name + ": no file"
	}
	return fmt.Sprintf("%-6s %12d bytes  sha256 %s", s.name, s.size, s.sum)
}

// printDiffs prints what they and I made of the base; without one, how the two differ.
func (t *terminal) printDiffs(ctx context.Context, kept keptCopies, info keptInfo) error {
	sides := make(map[string]side)
	for _, name := range []string{"base", "theirs", "mine"} {
		s, err := readSide(ctx, kept, info, name)
		if err != nil {
			return err
		}
		sides[name] = s
	}
	if !sides["base"].had() {
		return t.printDiff(info, sides["theirs"], sides["mine"])
	}
	if err := t.printDiff(info, sides["base"], sides["theirs"]); err != nil {
		return err
	}
	return t.printDiff(info, sides["base"], sides["mine"])
}

func diffConflict(t *terminal, place *conflictPlace) *cobra.Command {
	return &cobra.Command{
		Use:   "diff DIR|STORE ID [mine|base|theirs mine|base|theirs]",
		Short: "Compare base with theirs and with mine, or two of the three",
		Long: `Compare base with theirs and with mine, or the first of two with the second. Text is
shown as a unified diff, anything else as sizes and digests.`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 3 {
				return usageErrorf("one side is compared with another; usage: %s", c.UseLine())
			}
			return arguments(2, 4)(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			for _, name := range args[2:] {
				if name != "mine" && name != "base" && name != "theirs" {
					return noSuchSide(name)
				}
			}
			return place.withConflict(c.Context(), args, func(kept keptCopies, info keptInfo) error {
				if len(args) == 2 {
					return t.printDiffs(c.Context(), kept, info)
				}
				from, err := readSide(c.Context(), kept, info, args[2])
				if err != nil {
					return err
				}
				to, err := readSide(c.Context(), kept, info, args[3])
				if err != nil {
					return err
				}
				return t.printDiff(info, from, to)
			})
		},
	}
}

// withConflict calls f with the conflict that the first two arguments name.
func (p *conflictPlace) withConflict(ctx context.Context, args []string, f func(kept keptCopies, info keptInfo) error) error {
	return p.with(ctx, args[0], func(kept keptCopies) error {
		text, err := kept.info(ctx, objstore.ConflictID(args[1]))
		if err != nil {
			return err
		}
		info, err := parseKept(text)
		if err != nil {
			return err
		}
		return f(kept, info)
	})
}
