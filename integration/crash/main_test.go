package crash

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
	"github.com/etagfs/etagfs/objstore/badgerstore"
)

var (
	roundsFlag = flag.Int("rounds", 0, "crashes per test; 0: few enough for every run")
	seedFlag   = flag.Uint64("seed", 0, "first seed; 0: a new one")
	keepFlag   = flag.String("keep", "", "directory for stores and images, which stay there; for one test")
)

// namespaceVariable marks a process that has a mount namespace of its own.
const namespaceVariable = "ETAGFS_CRASH_NAMESPACE"

// TestMain turns this binary into a worker if it is told to. Otherwise, run by
// root, it goes on in a mount namespace of its own: whatever is left mounted goes with it.
func TestMain(m *testing.M) {
	if text := os.Getenv(ordersVariable); text != "" {
		work(text)
		return
	}
	if os.Getuid() == 0 && os.Getenv(namespaceVariable) == "" {
		os.Exit(inNamespace())
	}
	if os.Getenv(namespaceVariable) != "" {
		if err := mounttest.ForgetMounts(""); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	flag.Parse()
	os.Exit(m.Run())
}

func work(text string) {
	var o orders
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		panic(err)
	}
	runWorker(context.Background(), o, openTarget, os.NewFile(eventsFD, "events"))
}

func openTarget(o orders) (target, error) {
	switch o.Target {
	case "embedded":
		return openStore(o.Dir, false)
	case "embedded on a full disk":
		return openStore(o.Dir, true)
	case "files":
		return openFiles(o.Dir, plain), nil
	case "lying files":
		return openFiles(o.Dir, lying), nil
	case "careful files":
		return openFiles(o.Dir, careful), nil
	case "mount":
		return openFiles(o.Dir, keeping), nil
	}
	return nil, fmt.Errorf("no target %q", o.Target)
}

// openStore opens the embedded store in dir, or makes it. On a full disk what was staged waits for an open with room.
func openStore(dir string, full bool) (target, error) {
	ctx := context.Background()
	engine, err := badgerstore.Open(ctx, dir, badgerstore.Options{Create: true},
		badgerstore.Parts{Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err != nil {
		return nil, err
	}
	main, err := engine.Bucket(ctx, badgerstore.MainBucket)
	if err != nil {
		return nil, err
	}
	check := func(ctx context.Context) (found []string, err error) {
		err = engine.Check(ctx, badgerstore.CheckOptions{}, func(f badgerstore.Finding) error {
			if !full || f.Kind != badgerstore.FindingSession {
				found = append(found, f.String())
			}
			return nil
		})
		return found, err
	}
	return openEmbedded(main.(bucket), check, func(context.Context) error { return engine.Close() }), nil
}

func inNamespace() int {
	runtime.LockOSThread() // Pdeathsig is sent when the thread ends
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), namespaceVariable+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL, Unshareflags: unix.CLONE_NEWNS}
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return cmd.ProcessState.ExitCode()
}
