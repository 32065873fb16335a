package crash

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// C4, C10: of a mount whose store has stopped taking writes (1) status, health, doctor and the statistics say so and why, while
// it is read; (2) it can be unmounted, which is exit code 1 and a sentence that says why, and what becomes of what was not
// committed; (3) of a disk that lets itself be written to and not synced, every byte a program wrote, and was told EIO for,
// is in its file or in a kept copy, once, when the store is opened again.
func TestMountThatTakesNoMoreWritesSaysSoAndKeepsWhatWasWritten(t *testing.T) {
	program := program(t)
	for _, fault := range diskErrors() {
		if fault.name == "writes fail" {
			continue // nothing can be written down
		}
		t.Run(fault.name, func(t *testing.T) {
			root, repair := t.TempDir(), func() error { return nil }
			if fault.kind == "" {
				needStrace(t)
			} else {
				root, repair = failingImage(t, fault.kind)
			}
			s := stopping{program, filepath.Join(root, "store"), t.TempDir(), map[string][]byte{}}
			if err := s.run(fault, root); err != nil {
				t.Fatal(err)
			}
			if err := repair(); err != nil {
				t.Fatal(err)
			}
			if err := s.checkKept(fault.kind == ""); err != nil {
				t.Error(err)
			}
		})
	}
}

// stopping is a mount whose store stops.
type stopping struct {
	program, store, dir string
	refused             map[string][]byte // what was written, and refused
}

func (s stopping) run(fault diskError, root string) error {
	d, err := startDaemon(s.program, s.store, s.dir)
	if err != nil {
		return err
	}
	if err := s.suffer(d, fault, root); err != nil {
		return errors.Join(fmt.Errorf("%w\nthe daemon's log: %s", err, d.words()), d.end())
	}
	const failed = 1
	if err := d.end(); err == nil || d.cmd.ProcessState.ExitCode() != failed {
		return fmt.Errorf("the daemon ended with %v: %w", d.cmd.ProcessState, err)
	}
	return nil
}

func (s stopping) suffer(d *daemon, fault diskError, root string) error {
	if err := writeSynced(filepath.Join(s.dir, "before"), []byte("synced")); err != nil {
		return err
	}
	if err := s.says("status", 0, "", "NO WRITES"); err != nil {
		return err
	}
	end, err := fault.begin(d, root)
	if err != nil {
		return err
	}
	return errors.Join(s.write(), s.tell(d), end())
}

// write writes new files and changes one, which all fails. No process is started meanwhile: that would close what is open here.
func (s stopping) write() error {
	for name, size := range map[string]int64{"small": 100, "large": 300_000} {
		s.refused[name] = op{Size: size}.bytes()
		if err := writeSynced(filepath.Join(s.dir, name), s.refused[name]); !errors.Is(err, unix.EIO) {
			return fmt.Errorf("%s can be synced: %w", name, err)
		}
	}
	f, err := os.OpenFile(filepath.Join(s.dir, "before"), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte("and edited"), 6)
	if err == nil {
		s.refused["before"] = []byte("syncedand edited")
	}
	if err = errors.Join(err, f.Close()); !errors.Is(err, unix.EIO) {
		return fmt.Errorf("an edit can be committed: %w", err)
	}
	return nil
}

// tell has every verb tell of it; the last unmounts.
func (s stopping) tell(d *daemon) error {
	eio := unix.EIO.Error()
	// Another process reads: this one may be shown its own view until the kernel has told of its close.
	if got, err := exec.Command("cat", filepath.Join(s.dir, "before")).CombinedOutput(); err != nil || string(got) != "synced" {
		return fmt.Errorf("it reads %q, %w", got, err)
	}
	stats, err := os.ReadFile(filepath.Join(s.dir, ".etagfs", "stats"))
	if err != nil || !slices.ContainsFunc(strings.Split(string(stats), "\n"), func(line string) bool {
		return strings.HasPrefix(line, `etagfs_store_refusing{why="`) && strings.Contains(line, eio) && strings.HasSuffix(line, `"} 1`)
	}) {
		return fmt.Errorf("the statistics do not say so: %w", err)
	}
	err = errors.Join(
		s.says("status", 0, "NO WRITES", "", eio),
		s.says("health", 1, "takes no more writes until it is unmounted and opened again", "", eio),
		s.says("doctor", 1, "takes no more writes until it is unmounted and opened again", "", eio),
		s.says("unmount", 1, "is unmounted, but did not end well", "", "had stopped taking writes", eio),
	)
	if err != nil {
		return err
	}
	<-d.ended
	const waits = `kept="not yet: what was written waits in the store's directory, and is kept when the store is opened again" `
	if words := d.words(); !strings.Contains(words, waits) {
		return fmt.Errorf("its log does not say %s: %s", waits, words)
	}
	return nil
}

// says runs a verb on the mount, which ends with a code and says some things, and not another.
func (s stopping) says(verb string, code int, what, not string, more ...string) error {
	said, err := exec.Command(s.program, verb, s.dir).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return err
	}
	got := 0
	if exit != nil {
		got = exit.ExitCode()
	}
	for _, words := range append(more, what) {
		if got != code || !bytes.Contains(said, []byte(words)) || not != "" && bytes.Contains(said, []byte(not)) {
			return fmt.Errorf("%s ends with %d and says %q, not %q with %d", verb, got, said, words, code)
		}
	}
	return nil
}

// checkKept opens the store again. All that was refused is to be found if the disk took it.
func (s stopping) checkKept(all bool) error {
	if err := checkStore(s.store, synced{"before": []byte("synced")}); !all {
		return err
	}
	d, err := startDaemon(s.program, s.store, s.dir)
	if err != nil {
		return err
	}
	find := func() error {
		copies, err := filepath.Glob(filepath.Join(s.dir, ".etagfs", "conflicts", "*", "mine"))
		if err != nil {
			return err
		}
		for name, want := range s.refused {
			found := 0
			for _, path := range append(copies, filepath.Join(s.dir, name)) {
				if got, err := os.ReadFile(path); err == nil && bytes.Equal(got, want) {
					found++
				}
			}
			if found != 1 {
				err = errors.Join(err, fmt.Errorf("what was written to %s is at %d places, of %d kept copies", name, found, len(copies)))
			}
		}
		return err
	}
	return errors.Join(find(), d.end())
}
