package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// build is what the binary knows of its making.
type build struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Changed bool   `json:"changed,omitempty"` // built from a tree with changes
	Go      string `json:"go"`
}

func versionCommand(t *terminal) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print version, commit and Go version",
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
			_, err := fmt.Fprintf(t.out, "etagfs %s (%s, %s)\n", b.Version, commit, b.Go)
			return err
		},
	}
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
		case "vcs.modified":
			b.Changed = s.Value == "true"
		}
	}
	return b
}
