package mount

import (
	"context"
	"os/exec"
	"syscall"
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/etagfs/etagfs/fs"
	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/memstore"
)

// slowStore answers no read before it is told to, or whoever asks gives up.
type slowStore struct {
	objstore.Namespace
	asked  chan struct{} // one for each read
	answer chan struct{} // closed: all are answered
}

func (s *slowStore) Open(ctx context.Context, id objstore.ID, want objstore.Version) (objstore.Reader, error) {
	r, err := s.Namespace.Open(ctx, id, want)
	if err != nil {
		return nil, err
	}
	return &slowReader{r, s}, nil
}

type slowReader struct {
	objstore.Reader
	store *slowStore
}

func (r *slowReader) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	r.store.asked <- struct{}{}
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-r.store.answer:
		return r.Reader.ReadAt(ctx, p, off)
	}
}

// C10: the kernel makes EIO of a read that is given up, and programs get signals all the time: only what ends a caller ends its reads.
func TestC10ReadsAreInterruptedOnlyForWhoIsDying(t *testing.T) {
	store := &slowStore{memstore.NewBucket(memstore.Options{}), make(chan struct{}, 8), make(chan struct{})}
	k := newKernelOver(t, store, fs.Options{})
	k.put("f", "text")
	f := k.mustOpen(1, "f", syscall.O_RDONLY)
	defer f.close()
	read := func(thread int) chan fuse.Status {
		signal, done := make(chan struct{}), make(chan fuse.Status, 1)
		go func() {
			in := fuse.ReadIn{InHeader: header(f.node, uint32(thread)), Fh: f.fh, Size: 4}
			_, status := k.bridge.Read(signal, &in, make([]byte, 4))
			done <- status
		}()
		<-store.asked
		close(signal)
		<-store.asked // it goes on
		return done
	}
	lives, dies := stopped(t), stopped(t)
	going := read(lives.Process.Pid)
	if err := lives.Process.Signal(syscall.SIGURG); err != nil {
		t.Fatal(err)
	}
	given := read(dies.Process.Pid)
	if err := dies.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if status := <-given; status != fuse.EINTR {
		t.Errorf("who is dying waits for %v", status)
	}
	select {
	case status := <-going:
		t.Errorf("who lives on is answered %v", status)
	default:
	}
	close(store.answer)
	if status := <-going; !status.Ok() {
		t.Errorf("who lives on is answered %v", status)
	}
}

// stopped is a process that has the signals it is sent before it: it does not run.
func stopped(t *testing.T) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	if err := cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	var status syscall.WaitStatus
	if _, err := syscall.Wait4(cmd.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
		t.Fatalf("it is %x instead of stopped (%v)", status, err)
	}
	return cmd
}
