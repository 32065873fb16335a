package mounttest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/etagfs/etagfs/mount"
	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/memstore"
)

// The environment that makes a test's program a daemon.
const (
	dirVariable     = "MOUNTTEST_DIR"
	sourceVariable  = "MOUNTTEST_SOURCE"
	optionsVariable = "MOUNTTEST_OPTIONS"
	roleVariable    = "MOUNTTEST_ROLE"
	// binaryVariable names the built program.
	binaryVariable = "ETAGFS_BIN"
)

// Role is something a test needs another process for.
type Role func(args []string) error

// Main runs the tests. In a process started by [Start] it is the daemon instead, and in one made by
// [Command] the role with that name.
func Main(m *testing.M, roles map[string]Role) {
	var err error
	switch role := os.Getenv(roleVariable); {
	case role == apartRole:
		err = becomeApart(os.Args[1:])
	case role != "":
		err = roles[role](os.Args[1:])
	case os.Getenv(dirVariable) != "":
		err = serve(context.Background())
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Command is a process of this test's program in a role.
func Command(t testing.TB, role string, args ...string) *exec.Cmd {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.Stderr = os.Stderr
	return cmd
}

// Binary is the built program, empty if there is none: then stores are in memory.
func Binary() string { return os.Getenv(binaryVariable) }

// daemon is the command that serves m in the foreground.
func daemon(m *Mount) *exec.Cmd {
	if binary := Binary(); binary != "" {
		args := []string{"mount", m.Store, m.Dir, "--foreground"}
		if m.options.Mount != "" {
			args = append(args, "-o", m.options.Mount)
		}
		cmd := limited(m.options.Descriptors, binary, append(args, m.options.Args...)...)
		// What is kept on this machine is the test's own: an address may be another store's in the next.
		cmd.Env = append(os.Environ(), "XDG_CACHE_HOME="+filepath.Join(filepath.Dir(m.Dir), "cache"))
		cmd.Env = append(cmd.Env, m.options.Env...)
		return cmd
	}
	program, err := os.Executable()
	if err != nil {
		program = os.Args[0]
	}
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(),
		dirVariable+"="+m.Dir, sourceVariable+"="+m.Store, optionsVariable+"="+m.options.Mount)
	return cmd
}

// limited is a command that may have so many descriptors, and no more; 0: as many as who runs the test.
func limited(descriptors int, name string, args ...string) *exec.Cmd {
	if descriptors == 0 {
		return exec.Command(name, args...)
	}
	return exec.Command("prlimit", append([]string{fmt.Sprintf("--nofile=%d", descriptors), name}, args...)...)
}

// serve mounts a store in memory until it is unmounted or told to end.
func serve(ctx context.Context) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	defer stop()
	ready, err := mount.InheritReadiness()
	if err != nil {
		return err
	}
	m, err := startInMemory(ctx)
	if err != nil {
		return errors.Join(err, ready.Failed(err))
	}
	if err := ready.Ready(); err != nil {
		return err
	}
	select {
	case <-m.Done():
	case <-ctx.Done():
	}
	return m.Close(context.Background())
}

func startInMemory(ctx context.Context) (*mount.Mount, error) {
	options, err := mount.ParseOptions(os.Getenv(optionsVariable))
	if err != nil {
		return nil, err
	}
	dir, err := mount.Prepare(os.Getenv(dirVariable), NobodyKnows)
	if err != nil {
		return nil, err
	}
	return mount.Start(ctx, mount.Config{
		Dir:       dir,
		Source:    filepath.Clean(os.Getenv(sourceVariable)),
		Namespace: memstore.NewBucket(memstore.Options{NewDir: owned()}),
		Options:   options,
		Logger:    slog.New(slog.NewTextHandler(os.Stderr, nil)),
		Host:      "test",
	})
}

// NobodyKnows is the [mount.Fates] of stores in memory: what is left of one is a mount that says so.
func NobodyKnows(source, point string) mount.Fate { return mount.FateUnknown }

// owned are attributes of directories of whoever runs the daemon.
func owned() objstore.NewAttr {
	return objstore.NewAttr{Mode: 0o755, UID: uint32(os.Getuid()), GID: uint32(os.Getgid())}
}
