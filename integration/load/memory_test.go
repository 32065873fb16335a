package load

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// A mount whose control group allows 64 MiB, page cache and all, takes what 64 writers stream into it at the same time, twice as
// much as it may have, in the long form eight times: no call fails, the daemon lives, and every byte is there.
func TestWritersFitIntoLittleMemory(t *testing.T) {
	const writers, limitBytes = 64, 64 << 20
	if mounttest.Binary() == "" {
		t.Skip("needs the built program")
	}
	m := mounttest.Start(t, mounttest.Options{Mount: "memory=64M"})
	group := confine(t, m.PID(), limitBytes)
	chunks := 16
	if long() {
		chunks = 64
	}
	failures := make([]error, writers)
	var working sync.WaitGroup
	for w := range writers {
		working.Go(func() { failures[w] = stream(m.Path(strconv.Itoa(w)), w, chunks) })
	}
	working.Wait()
	if err := errors.Join(failures...); err != nil {
		t.Error(err)
	}
	for w := range writers {
		if err := compareStream(m.Path(strconv.Itoa(w)), w, chunks); err != nil {
			t.Error(err)
		}
	}
	s := takeSample(t, m.PID())
	t.Logf("%d writers of %d bytes; the daemon has %d bytes of its own; the group had %s at most", writers, chunks*chunkBytes, s.memoryBytes,
		strings.TrimSpace(read(t, filepath.Join(group, "memory.max_usage_in_bytes"))))
	if s.memoryBytes > limitBytes {
		t.Errorf("the daemon has %d bytes", s.memoryBytes)
	}
	m.Unmount()
}

// confine puts a process into a control group of its own, which may have so many bytes.
func confine(t *testing.T, pid int, bytes int64) (group string) {
	t.Helper()
	group = filepath.Join("/sys/fs/cgroup/memory", fmt.Sprintf("etagfs-test-%d", pid))
	if err := os.Mkdir(group, 0o755); err != nil {
		t.Skipf("needs a control group of version 1 for memory: %v", err)
	}
	t.Cleanup(func() {
		if err := os.Remove(group); err != nil {
			t.Log(err) // the process may not have been waited for
		}
	})
	for _, set := range []struct{ name, value string }{
		{"memory.limit_in_bytes", strconv.FormatInt(bytes, 10)}, {"cgroup.procs", strconv.Itoa(pid)},
	} {
		if err := os.WriteFile(filepath.Join(group, set.name), []byte(set.value), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return group
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// chunkBytes is what a writer writes at once.
const chunkBytes = 128 << 10

// chunk is the n-th thing a writer writes.
func chunk(writer, n int) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "%07d %07d\n", writer, n), chunkBytes/16)
}

func stream(name string, writer, chunks int) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	for n := range chunks {
		if _, err := f.Write(chunk(writer, n)); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return f.Close()
}

func compareStream(name string, writer, chunks int) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close() // it is only read
	got := make([]byte, chunkBytes)
	for n := range chunks {
		if _, err := io.ReadFull(f, got); err != nil {
			return err
		}
		if !bytes.Equal(got, chunk(writer, n)) {
			return fmt.Errorf("%s is not what was written at %d", name, n*chunkBytes)
		}
	}
	return nil
}
