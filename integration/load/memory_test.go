package load

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// limitBytes is what a process may have: its control group ends it if it takes more.
const limitBytes = 64 << 20

// writers stream at the same time.
const writers = 64

// confined is a process of a test in a control group, which it has from the start of its work on.
type confined struct {
	what string
	pid  int
	group
}

// confinedMount mounts a store with --memory, in a group that allows no more.
func confinedMount(t *testing.T, what string, options mounttest.Options) (*mounttest.Mount, confined) {
	t.Helper()
	options.Mount = "memory=64M"
	m := mounttest.Start(t, options)
	return m, confined{what, m.PID(), confine(t, m.PID(), limitBytes)}
}

// confinedServer is the address of a server with --memory, in a group that allows no more.
func confinedServer(t *testing.T, store string) (url string, c confined) {
	t.Helper()
	cmd := exec.Command(mounttest.Binary(), "serve", "--json", "--listen=127.0.0.1:0", "--anonymous=admin", "--memory=64M", store)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	_, out := mounttest.StartPiped(t, cmd)
	end := sync.OnceFunc(func() {
		if err := errors.Join(cmd.Process.Signal(syscall.SIGTERM), cmd.Wait()); err != nil {
			t.Errorf("the server: %v", err)
		}
	})
	t.Cleanup(end)
	var said struct{ URL string }
	if err := json.NewDecoder(out).Decode(&said); err != nil {
		t.Fatal(err)
	}
	c = confined{"the server", cmd.Process.Pid, confine(t, cmd.Process.Pid, limitBytes)}
	t.Cleanup(end) // before its group is removed
	return said.URL, c
}

// Each kind of mount, and who serves it, whose control group allows 64 MiB, page cache and all, takes what 64 writers stream into it at
// the same time, twice as much as it may have, in the long form eight times: no call fails, the daemons live, and every byte is there.
func TestWritersFitIntoLittleMemory(t *testing.T) {
	mounttest.Need(t, "binary", "fuse")
	t.Run("mount", func(t *testing.T) {
		m, c := confinedMount(t, "the mount", mounttest.Options{})
		streamAll(t, m, c)
	})
	t.Run("attached", func(t *testing.T) {
		first, owner := confinedMount(t, "the owner", mounttest.Options{})
		m, c := confinedMount(t, "the mount", mounttest.Options{Source: first.Store})
		streamAll(t, m, owner, c)
		first.Unmount()
	})
	t.Run("http", func(t *testing.T) {
		url, server := confinedServer(t, t.TempDir())
		m, c := confinedMount(t, "the mount", mounttest.Options{Source: url + "/main"})
		streamAll(t, m, server, c)
	})
	t.Run("s3", func(t *testing.T) {
		url, server := confinedServer(t, t.TempDir())
		m, c := confinedMount(t, "the mount", mounttest.Options{Source: "s3://main/flat?region=us-east-1&anonymous=true&endpoint=" + url})
		streamAll(t, m, server, c)
	})
}

// streamAll has the writers write into a mount and reads it all again, and expects of the processes that it takes that they are there
// afterwards, with no more of their own than they may have.
func streamAll(t *testing.T, m *mounttest.Mount, processes ...confined) {
	t.Helper()
	chunks := 16
	if long() {
		chunks = 64
	}
	each(t, func(w int) error { return stream(m.Path(strconv.Itoa(w)), w, chunks) })
	for w := range writers {
		if err := compareStream(m.Path(strconv.Itoa(w)), w, chunks); err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d writers of %d bytes", writers, chunks*chunkBytes)
	expectLittle(t, processes...)
	m.Unmount()
}

// each runs every writer at the same time.
func each(t *testing.T, write func(w int) error) {
	t.Helper()
	failures := make([]error, writers)
	var working sync.WaitGroup
	for w := range writers {
		working.Go(func() { failures[w] = write(w) })
	}
	working.Wait()
	if err := errors.Join(failures...); err != nil {
		t.Error(err)
	}
}

// expectLittle expects of processes that they live, and have no more than they may.
func expectLittle(t *testing.T, processes ...confined) {
	t.Helper()
	for _, c := range processes {
		s := takeSample(t, c.pid)
		t.Logf("%s has %d bytes of its own; its group had %s at most", c.what, s.memoryBytes, c.most())
		if s.memoryBytes > limitBytes {
			t.Errorf("%s has %d bytes", c.what, s.memoryBytes)
		}
	}
}

// A server whose control group allows 64 MiB takes what 64 clients send it at the same time.
func TestClientsFitIntoLittleMemoryOfAServer(t *testing.T) {
	mounttest.Need(t, "binary")
	url, server := confinedServer(t, t.TempDir())
	chunks := 16
	if long() {
		chunks = 64
	}
	each(t, func(w int) error { return put(fmt.Sprintf("%s/main/%d", url, w), w, chunks) })
	for w := range writers {
		if err := compareObject(fmt.Sprintf("%s/main/%d", url, w), w, chunks); err != nil {
			t.Error(err)
		}
	}
	expectLittle(t, server)
}

// put sends as an object what stream writes to a file.
func put(url string, writer, chunks int) error {
	read, write := io.Pipe()
	go func() {
		var err error
		for n := 0; n < chunks && err == nil; n++ {
			_, err = write.Write(chunk(writer, n))
		}
		write.CloseWithError(err)
	}()
	defer read.Close()
	req, err := http.NewRequest(http.MethodPut, url, read)
	if err != nil {
		return err
	}
	req.ContentLength = int64(chunks) * chunkBytes
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, answer.Status)
	}
	return nil
}

func compareObject(url string, writer, chunks int) error {
	answer, err := http.Get(url)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	return compareChunks(answer.Body, url, writer, chunks)
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
	return compareChunks(f, name, writer, chunks)
}

func compareChunks(r io.Reader, name string, writer, chunks int) error {
	got := make([]byte, chunkBytes)
	for n := range chunks {
		if _, err := io.ReadFull(r, got); err != nil {
			return err
		}
		if !bytes.Equal(got, chunk(writer, n)) {
			return fmt.Errorf("%s is not what was written at %d", name, n*chunkBytes)
		}
	}
	return nil
}
