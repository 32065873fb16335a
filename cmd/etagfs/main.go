package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

func main() {
	outliveReaders()
	t := terminal{in: os.Stdin, out: os.Stdout, err: os.Stderr}
	if err := hideMemory(); err != nil {
		fmt.Fprintf(t.err, "etagfs: secrets may end in a core file: %v\n", err)
	}
	os.Exit(besideMainThread(func() int { return calledAs(filepath.Base(os.Args[0]), os.Args[1:], t) }))
}

// terminal is where a command reads and writes, and how.
type terminal struct {
	in   io.Reader
	out  io.Writer
	err  io.Writer
	json bool
}

// run executes one command line of the program and returns its exit code.
func run(args []string, t terminal, program func(*terminal) *cobra.Command) int {
	ctx, stop := signal.NotifyContext(context.Background(), endings()...)
	defer stop()
	out := &output{to: t.out, interrupted: ctx.Done()}
	t.in, t.out = &input{from: t.in, interrupted: ctx.Done()}, out
	root := program(&t)
	root.SetArgs(args)
	root.SetIn(t.in)
	root.SetOut(t.out)
	root.SetErr(t.err)
	err := needless(root, args)
	if err == nil {
		err = execute(ctx, root)
	}
	if out.readerGone() {
		endLikeOthers()
	}
	err = cmp.Or(err, out.failed) // help does not look
	if err != nil && !saidAll(err) {
		fmt.Fprintf(t.err, "etagfs: %s\n", sentence(err))
	}
	return exitCode(err)
}

// needless refuses arguments of a command that is only help, or of cobra's, which have words and exit codes of their own.
func needless(root *cobra.Command, args []string) error {
	root.InitDefaultCompletionCmd(args...)
	c, rest, err := root.Find(args)
	if err != nil || c.Runnable() && !(c.HasParent() && c.Parent().Name() == "completion") {
		return nil // what is wrong, the command says
	}
	for _, word := range rest {
		if !strings.HasPrefix(word, "-") {
			return usageErrorf("there is no command %q; see %s --help", word, c.CommandPath())
		}
	}
	return nil
}

func rootCommand(t *terminal) *cobra.Command {
	root := &cobra.Command{
		Use:   "etagfs",
		Short: "A filesystem in which every close is a conditional write",
		Long: `etagfs mounts a conditional object store as a directory. Closing a changed
file commits it if nobody else committed since it was opened; otherwise
close fails with EBUSY and the bytes are kept (etagfs conflicts).

STORE is a directory, file:///directory, http(s)://HOST:PORT/BUCKET of etagfs
serve, or a bucket of an S3 store: s3://BUCKET/PREFIX?endpoint=URL&region=NAME.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageErrorf("there is no command %q; see etagfs help", args[0])
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageErrorf("%v; see %s --help", err, c.CommandPath())
	})
	root.SetHelpCommand(helpCommand())
	root.PersistentFlags().BoolVar(&t.json, "json", false, "print one JSON object per line (help stays text)")
	root.AddCommand(
		takingItsTime(mountCommand(t)), unmountCommand(t),
		lsCommand(t), statCommand(t), catCommand(t), putCommand(t), getCommand(t), rmCommand(t), mvCommand(t),
		takingItsTime(updateCommand(t)), takingItsTime(lockCommand(t)),
		takingItsTime(serveCommand(t)), conflictsCommand(t), doctorCommand(t), versionCommand(t), exitCodesTopic(),
		healthCommand(t),
		checkCommand(t), scrubCommand(t), takingItsTime(backupCommand(t)), takingItsTime(restoreCommand(t)),
		takingItsTime(gcCommand(t)), takingItsTime(compactCommand(t)),
		manCommand(t),
		statusCommand(t), topCommand(t), whyCommand(t),
	)
	completeArguments(root)
	return root
}

func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND...]",
		Short: "Say more about a command",

		ValidArgsFunction: completeArgument, // it is no command of the program's when the others get theirs
		RunE: func(c *cobra.Command, args []string) error {
			topic, rest, err := c.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return usageErrorf("there is no command %q; see etagfs help", strings.Join(args, " "))
			}
			topic.InitDefaultHelpFlag()
			return topic.Help()
		},
	}
}

// usageError is a command line that makes no sense.
type usageError struct{ text string }

func usageErrorf(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

// Error is the sentence.
func (e *usageError) Error() string { return e.text }

// keyed is arguments for a command that takes STORE and then so many keys; -1: nothing but keys. A key that a script
// forgot to fill in is none.
func keyed(least, most, keys int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if err := arguments(least, most)(c, args); err != nil {
			return err
		}
		if keys < 0 {
			keys = len(args) - 1
		}
		if slices.Contains(args[1:1+keys], "") {
			return usageErrorf("the key is empty; usage: %s", c.UseLine())
		}
		return nil
	}
}

// arguments says which positional arguments a command takes: at least least
// and at most most, or any number if most is negative.
func arguments(least, most int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < least || most >= 0 && len(args) > most {
			return usageErrorf("wrong number of arguments; usage: %s", c.UseLine())
		}
		return nil
	}
}
