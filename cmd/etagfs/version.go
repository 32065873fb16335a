package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// build is what the binary knows of its making.
type build struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Date    string `json:"date,omitempty"`    // of the commit
	Changed bool   `json:"changed,omitempty"` // built from a tree with changes
	Go      string `json:"go"`
}

func versionCommand(t *terminal) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print version, commit, its date, and Go version",
		Args:  arguments(0, 0),
		RunE: func(*cobra.Command, []string) error {
			b := readBuild()
			if t.json {
				return t.printJSON(b)
			}
			commit := b.Commit
			if commit == "" {
				commit = "unknown commit"
			}
			if b.Changed {
				commit += " with changes"
			}
			if b.Date != "" {
				commit += " of " + b.day()
			}
			_, err := fmt.Fprintf(t.out, "etagfs %s (%s, %s)\n", b.Version, commit, b.Go)
			return err
		},
	}
}

// day is the date without the time.
func (b build) day() string {
	day, _, _ := strings.Cut(b.Date, "T")
	return day
}

func readBuild() build {
	b := build{Version: "(devel)", Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.time":
			b.Date = s.Value
		case "vcs.modified":
			b.Changed = s.Value == "true"
		}
	}
	return b
}
