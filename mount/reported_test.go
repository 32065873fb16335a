package mount

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"syscall"
	"testing"

	"github.com/etagfs/etagfs/fs"
	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/memstore"
)

// spoiled is a namespace in which every commit meets damage.
type spoiled struct{ objstore.Namespace }

func (s spoiled) NewStage(ctx context.Context, spec objstore.StageSpec) (objstore.Stage, error) {
	stage, err := s.Namespace.NewStage(ctx, spec)
	return spoiledStage{stage}, err
}

type spoiledStage struct{ objstore.Stage }

func (spoiledStage) Commit(context.Context, objstore.CommitRequest) (objstore.CommitResult, error) {
	return objstore.CommitResult{}, &objstore.Error{Op: "commit", Kind: objstore.ErrCorrupt}
}

// C10: damage that a commit meets is one line of the log, which tells whose bytes are where, and not a second of the EIO it is answered
// with. Other damage has no line but that.
func TestDamageIsOneLineOfTheLog(t *testing.T) {
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	k := newKernelLogged(t, spoiled{memstore.NewBucket(memstore.Options{})}, fs.Options{}, logger)
	f, errno := k.create(1, "f", syscall.O_WRONLY)
	k.must(errno)
	k.must(f.write(0, "text"))
	for range 2 { // fsync, and close tries again
		if errno := f.flush(); errno != syscall.EIO {
			t.Errorf("close: %v", errno)
		}
	}
	if said := log.String(); strings.Count(said, "\n") != 1 || !strings.Contains(said, "commit failed") || !strings.Contains(said, "path=f") {
		t.Errorf("the log says\n%s", said)
	}
	log.Reset()
	k.bridge.status("read", &objstore.Error{Op: "read", Kind: objstore.ErrCorrupt})
	if said := log.String(); strings.Count(said, "\n") != 1 || !strings.Contains(said, "op=read") {
		t.Errorf("of a read the log says\n%s", said)
	}
	f.release()
}
