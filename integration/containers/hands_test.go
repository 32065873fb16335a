package containers

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// order is a call for hands to make.
type order struct {
	Call   string // see hands.obey
	Handle int    // of an open file, a number of the test's choice
	Path   string
	To     string
	Text   string
	Flags  int
	Pieces int // of one MiB
}

// told is what came of it.
type told struct {
	Text  string
	Errno syscall.Errno // 0: it succeeded
	Error string
}

// handsRole makes calls as it is told, one line each.
func handsRole([]string) error {
	h := hands{files: make(map[int]*os.File)}
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var o order
		if err := in.Decode(&o); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		text, err := h.obey(o)
		answer := told{Text: text}
		if err != nil {
			answer.Error = err.Error()
			errors.As(err, &answer.Errno)
		}
		if err := out.Encode(answer); err != nil {
			return err
		}
	}
}

// hands have files open.
type hands struct{ files map[int]*os.File }

func (h hands) obey(o order) (string, error) {
	f := h.files[o.Handle]
	switch o.Call {
	case "open":
		f, err := os.OpenFile(o.Path, o.Flags, 0o644)
		h.files[o.Handle] = f
		return "", err
	case "write":
		_, err := f.WriteString(o.Text)
		return "", err
	case "sync":
		return "", f.Sync()
	case "close":
		delete(h.files, o.Handle)
		return "", f.Close()
	case "readall":
		text, err := io.ReadAll(io.NewSectionReader(f, 0, 1<<40))
		return string(text), err
	case "readfile":
		text, err := os.ReadFile(o.Path)
		return string(text), err
	case "size":
		info, err := os.Stat(o.Path)
		if err != nil {
			return "", err
		}
		return strconv.FormatInt(info.Size(), 10), nil
	case "writefile":
		return "", os.WriteFile(o.Path, []byte(o.Text), 0o644)
	case "fill":
		return "", fill(o.Path, o.Pieces)
	case "rename":
		return "", os.Rename(o.Path, o.To)
	case "link":
		return "", os.Link(o.Path, o.To)
	case "mkdir":
		return "", os.Mkdir(o.Path, 0o755)
	case "remove":
		return "", os.Remove(o.Path)
	case "list":
		entries, err := os.ReadDir(o.Path)
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return strings.Join(names, " "), err
	case "die":
		return "", syscall.Kill(os.Getpid(), syscall.SIGKILL)
	}
	return "", fmt.Errorf("%q: %w", o.Call, syscall.ENOSYS)
}

// fill writes a file of so many MiB, unless there is an error before.
func fill(path string, pieces int) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	piece := make([]byte, 1<<20)
	for i := range piece {
		piece[i] = byte(i * i >> 7)
	}
	for i := 0; i < pieces && err == nil; i++ {
		piece[0]++
		_, err = f.Write(piece)
	}
	return errors.Join(err, f.Close())
}

// worker is a test's end of hands.
type worker struct {
	t   *testing.T
	cmd *exec.Cmd
	in  *json.Encoder
	out *json.Decoder
}

// hands starts some on a host.
func (h *host) hands() *worker {
	h.t.Helper()
	return handsOf(h.t, h.role("hands"))
}

// handsOf starts a command that is hands.
func handsOf(t *testing.T, cmd *exec.Cmd) *worker {
	t.Helper()
	cmd.Stderr = os.Stderr
	in, out := mounttest.StartPiped(t, cmd)
	t.Cleanup(func() {
		in.Close()
		cmd.Process.Kill() // what it waits for may never come
		cmd.Wait()
	})
	return &worker{t, cmd, json.NewEncoder(in), json.NewDecoder(out)}
}

// begin gives an order, without a wait for what comes of it.
func (w *worker) begin(o order) {
	w.t.Helper()
	if err := w.in.Encode(o); err != nil {
		w.t.Fatal(err)
	}
}

// answer is what came of the first order that was not answered yet.
func (w *worker) answer() told {
	w.t.Helper()
	var a told
	if err := w.out.Decode(&a); err != nil {
		w.t.Fatalf("the hands have ended: %v", err)
	}
	return a
}

// try does what may fail.
func (w *worker) try(o order) told {
	w.t.Helper()
	w.begin(o)
	return w.answer()
}

// do does what must succeed.
func (w *worker) do(o order) string {
	w.t.Helper()
	a := w.try(o)
	if a.Error != "" {
		w.t.Fatalf("%s %s: %s", o.Call, o.Path, a.Error)
	}
	return a.Text
}

// fails does what must fail with an error.
func (w *worker) fails(want syscall.Errno, o order) {
	w.t.Helper()
	if a := w.try(o); a.Errno != want {
		w.t.Errorf("%s %s: %q, want %v", o.Call, o.Path, a.Error, want)
	}
}

// die ends the hands as kill -9 does.
func (w *worker) die() {
	w.t.Helper()
	w.begin(order{Call: "die"})
	if err := w.cmd.Wait(); err == nil {
		w.t.Error("the hands have ended by themselves")
	}
}

func (w *worker) put(path, text string) {
	w.t.Helper()
	w.do(order{Call: "writefile", Path: path, Text: text})
}
func (w *worker) get(path string) string {
	w.t.Helper()
	return w.do(order{Call: "readfile", Path: path})
}

func (w *worker) open(handle int, path string, flags int) {
	w.t.Helper()
	w.do(order{Call: "open", Handle: handle, Path: path, Flags: flags})
}

func (w *worker) write(handle int, text string) {
	w.t.Helper()
	w.do(order{Call: "write", Handle: handle, Text: text})
}

func (w *worker) close(handle int) { w.t.Helper(); w.do(order{Call: "close", Handle: handle}) }

// expect fails unless a file has a content.
func (w *worker) expect(path, want string) {
	w.t.Helper()
	if got := w.get(path); got != want {
		w.t.Errorf("%s has %.200q, want %.200q", path, got, want)
	}
}
