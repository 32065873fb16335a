package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore"
)

// patience is how long a script waits for what should happen at once.
const patience = time.Minute

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"apart": runApart, "etagfs": main, "mount.etagfs": main, "umount.fuse.etagfs": main})
}

// TestScripts runs testdata/*.txtar: each is what a person types and sees.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("NAME256", strings.Repeat("n", objstore.NameBytesMax+1))
			env.Setenv("HOME", filepath.Join(env.WorkDir, ".home")) // else a name in the root directory, which root could make
			env.Setenv("KEY1025", strings.Repeat("k", objstore.KeyBytesMax+1))
			env.Defer(func() { release(t, env.WorkDir) })
			return nil
		},
		Condition: scriptCondition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":     exits,
			"objects":   objects,
			"overtaken": overtaken,
			"setvar":    setVariable,
			"stopped":   stop,
			"waitfor":   waitFor,
			"waitgone":  waitGone,
			"served":    awaitServer,
			"http":      request,
		},
	})
}

// scriptCondition answers [root] and [fuse].
func scriptCondition(name string) (bool, error) {
	switch name {
	case "root":
		return os.Geteuid() == 0, nil
	case "fuse":
		f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
		if err != nil {
			return false, nil
		}
		return true, f.Close()
	}
	return false, errors.New("unknown condition")
}

// exits runs a program that must end with an exit code: exits CODE PROGRAM ARGS...
// Whatever the code, a failure says one sentence, which names etagfs.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() == want:
	case err == nil && want == 0:
	default:
		ts.Fatalf("want exit code %d, got: %v\n%s", want, err, ts.ReadFile("stderr"))
	}
	message := ts.ReadFile("stderr")
	if want != 0 && (!strings.HasPrefix(message, "etagfs: ") || strings.Count(message, "\n") != 1) {
		ts.Fatalf("not one sentence: %q", message)
	}
}

// objects expects standard output to be lines with a JSON object each: objects COUNT.
func objects(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: objects COUNT")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	lines := strings.SplitAfter(ts.ReadFile("stdout"), "\n")
	if len(lines) != want+1 || lines[want] != "" {
		ts.Fatalf("%d lines instead of %d", len(lines)-1, want)
	}
	for _, line := range lines[:want] {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil || len(object) == 0 {
			ts.Fatalf("not an object: %q (%v)", line, err)
		}
	}
}

// setVariable puts the standard output of the last program into a variable: setvar NAME.
func setVariable(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: setvar NAME")
	}
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
}

// stop stops a process, as SIGSTOP does after a while, and waits until no thread of it runs: stopped PID.
func stop(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: stopped PID")
	}
	pid, err := strconv.Atoi(args[0])
	ts.Check(err)
	ts.Check(unix.Kill(pid, unix.SIGSTOP))
	threads := func() []string {
		names, _ := filepath.Glob(filepath.Join("/proc", args[0], "task", "*"))
		return names
	}
	ticks := time.NewTicker(5 * time.Millisecond)
	defer ticks.Stop()
	deadline := time.After(patience)
	for slices.ContainsFunc(threads(), runs) {
		select {
		case <-ticks.C:
		case <-deadline:
			ts.Fatalf("process %d does not stop", pid)
		}
	}
}

// runs reports whether a thread is not stopped.
func runs(thread string) bool {
	status, err := os.ReadFile(filepath.Join(thread, "status"))
	return err == nil && !strings.Contains(string(status), "\nState:\tT")
}

// waitFor waits until a file can be seen: waitfor FILE.
func waitFor(ts *testscript.TestScript, neg bool, args []string) { await(ts, neg, args, true) }

// waitGone waits until a file cannot be seen any more: waitgone FILE.
func waitGone(ts *testscript.TestScript, neg bool, args []string) { await(ts, neg, args, false) }

func await(ts *testscript.TestScript, neg bool, args []string, want bool) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: waitfor FILE, waitgone FILE")
	}
	ticks := time.NewTicker(5 * time.Millisecond)
	defer ticks.Stop()
	deadline := time.After(patience)
	for {
		if _, err := os.Stat(ts.MkAbs(args[0])); (err == nil) == want {
			return
		}
		select {
		case <-ticks.C:
		case <-deadline:
			ts.Fatalf("waited for %s in vain", args[0])
		}
	}
}

// release takes what a failed script left mounted out of the tree, and waits
// for its daemon, whose store is about to be removed.
func release(t *testing.T, dir string) {
	table, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Error(err)
	}
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		if len(fields) < 2 || !strings.HasPrefix(fields[1], dir+"/") {
			continue
		}
		if err := detach(fields[1]); err != nil {
			t.Errorf("detach %s: %v", fields[1], err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	stores, _ := filepath.Glob(filepath.Join(dir, "*", "FORMAT"))
	for _, store := range stores {
		if owner, held, err := badgerstore.Owner(filepath.Dir(store)); held && err == nil {
			unix.Kill(owner.PID, unix.SIGCONT) // a script that failed may have left it stopped
		}
		if err := badgerstore.Released(ctx, filepath.Dir(store), func(badgerstore.LockOwner) {}); err != nil {
			t.Errorf("release of %s: %v", store, err)
		}
	}
}

func detach(dir string) error {
	if os.Geteuid() == 0 {
		return unix.Unmount(dir, unix.MNT_DETACH)
	}
	return exec.Command("fusermount3", "-u", "-z", dir).Run()
}
