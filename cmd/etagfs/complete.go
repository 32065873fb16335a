package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/etagfs/etagfs/mount"
	"github.com/etagfs/etagfs/objstore"
)

// completionPatience is how long somebody who presses Tab waits for a store.
const completionPatience = 2 * time.Second

// completeArguments has every command below c complete its arguments by the words of its usage line.
func completeArguments(c *cobra.Command) {
	for _, sub := range c.Commands() {
		completeArguments(sub)
	}
	if c.ValidArgsFunction == nil && c.HasParent() && c.Runnable() {
		c.ValidArgsFunction = completeArgument
	}
}

func completeArgument(c *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	words := slices.DeleteFunc(strings.Fields(c.Use)[1:], func(word string) bool { return word == "--" })
	if len(words) == 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	last := words[len(words)-1]
	if len(args) >= len(words) && !strings.Contains(last, "...") {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	word := strings.Trim(words[min(len(args), len(words)-1)], "[].")
	ctx, cancel := context.WithTimeout(c.Context(), completionPatience)
	defer cancel()
	switch word {
	case "STORE":
		return completeStore(begun)
	case "DIR", "DIR|STORE", "STORE|DIR":
		if len(args) == 0 {
			return completeMountPoint(begun)
		}
		return nil, cobra.ShellCompDirectiveFilterDirs
	case "ID":
		return completeConflict(ctx, c, args)
	case "KEY", "PREFIX", "FROM", "TO":
		return completeKey(ctx, c, args[0], begun)
	case "COMMAND":
		return completeCommand(c.Root()), cobra.ShellCompDirectiveNoFileComp
	}
	if word == strings.ToLower(word) {
		return strings.Split(word, "|"), cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveDefault
}

func completeCommand(root *cobra.Command) (names []cobra.Completion) {
	for _, c := range root.Commands() {
		if !c.Hidden {
			names = append(names, cobra.CompletionWithDesc(c.Name(), c.Short))
		}
	}
	return names
}

func completeStore(begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	for _, scheme := range []string{"s3://", "http://", "https://"} {
		if len(begun) > 1 && strings.HasPrefix(scheme, begun) {
			return []cobra.Completion{scheme}, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
		}
	}
	if isRemote(begun) {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveFilterDirs
}

// completeMountPoint names the mounts there are; other directories if none begins so.
func completeMountPoint(begun string) (points []cobra.Completion, directive cobra.ShellCompDirective) {
	all, err := mount.Points()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	here, err := os.Getwd()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	for _, point := range all {
		if relative, err := filepath.Rel(here, point); err == nil && !filepath.IsAbs(begun) && !strings.HasPrefix(relative, "..") {
			point = relative
		}
		if strings.HasPrefix(point, begun) {
			points = append(points, point)
		}
	}
	if len(points) == 0 {
		return nil, cobra.ShellCompDirectiveFilterDirs
	}
	return points, cobra.ShellCompDirectiveNoFileComp
}

// completeConflict names the conflicts of the place that is the first argument.
func completeConflict(ctx context.Context, c *cobra.Command, args []string) (ids []cobra.Completion, directive cobra.ShellCompDirective) {
	if len(args) == 0 || isRemote(args[0]) {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	place := conflictPlace{control: flagOr(c, "control", controlDefault), cache: flagOr(c, "cache", "")}
	place.bucket, place.reads = flagOr(c, "bucket", bucketDefault), true
	err := place.with(ctx, args[0], func(kept keptCopies) error {
		infos, err := kept.list(ctx)
		for _, text := range infos {
			if info, err := parseKept(text); err == nil {
				ids = append(ids, cobra.CompletionWithDesc(string(info.ID), readable(info.Path)))
			}
		}
		return err
	})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}

// completeKey names the keys one level below what is begun.
func completeKey(ctx context.Context, c *cobra.Command, store, begun string) (keys []cobra.Completion, directive cobra.ShellCompDirective) {
	directive = cobra.ShellCompDirectiveNoFileComp
	at := location{bucket: flagOr(c, "bucket", bucketDefault), reads: true}
	err := at.with(ctx, store, func(bucket objstore.Store) error {
		page, err := bucket.List(ctx, objstore.ListOptions{Prefix: objstore.Key(begun), Delimiter: "/"})
		for _, entry := range page.Entries {
			keys = append(keys, string(entry.Key))
			if strings.HasSuffix(string(entry.Key), "/") {
				directive |= cobra.ShellCompDirectiveNoSpace
			}
		}
		return err
	})
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return keys, directive
}

// flagOr is the value of a flag a command may not have.
func flagOr(c *cobra.Command, name, otherwise string) string {
	if f := c.Flag(name); f != nil {
		return f.Value.String()
	}
	return otherwise
}

// completeOptions completes the last word of a list of mount options.
func completeOptions(_ *cobra.Command, _ []string, begun string) (lists []cobra.Completion, directive cobra.ShellCompDirective) {
	before := begun[:strings.LastIndexByte(begun, ',')+1]
	for _, word := range mount.OptionWords() {
		if strings.HasPrefix(word, begun[len(before):]) {
			lists = append(lists, before+word)
		}
	}
	return lists, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

// completeFlag has a flag of c complete its value by f.
func completeFlag(c *cobra.Command, name string, f cobra.CompletionFunc) {
	if err := c.RegisterFlagCompletionFunc(name, f); err != nil {
		panic(err) // the flag is not defined
	}
}
