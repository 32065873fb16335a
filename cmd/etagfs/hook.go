package main

import (
	"bytes"
	"context"
	"log/slog"
	"path/filepath"
	"strconv"
	"time"

	"github.com/etagfs/etagfs/fs"
	"github.com/etagfs/etagfs/objstore"
)

// The bounds of a hook: a conflict never waits for it.
const (
	hookQueue    = 64 // conflicts that wait while it runs
	hookTimeout  = 30 * time.Second
	hookGrace    = 2 * time.Second // between SIGTERM and SIGKILL
	hookSaidMost = 500             // bytes of its output that are logged
)

// conflictHook runs a command for each conflict of a mount, one at a time.
type conflictHook struct {
	// Constant.
	command string
	point   string // where the mount is
	control string // its control directory's name
	log     *slog.Logger
	cancel  context.CancelFunc
	done    chan struct{}

	queue chan objstore.Conflict
}

// newConflictHook has command run for each conflict it is told of.
func newConflictHook(command, point, control string, log *slog.Logger) *conflictHook {
	if control == "" {
		control = controlDefault
	}
	h := &conflictHook{
		command: command, point: point, control: control, log: log,
		done: make(chan struct{}), queue: make(chan objstore.Conflict, hookQueue),
	}
	ctx, cancel := context.WithCancel(context.Background())
	h.cancel = cancel
	go h.loop(ctx)
	return h
}

// teller is happened; nil if there is no hook.
func (h *conflictHook) teller() func(objstore.Conflict) {
	if h == nil {
		return nil
	}
	return h.happened
}

// happened tells of a conflict. It does not wait.
func (h *conflictHook) happened(c objstore.Conflict) {
	why := "too many conflicts wait for it"
	select {
	case <-h.done:
		why = "the mount is ending"
	default:
		select {
		case h.queue <- c:
			return
		default:
		}
	}
	h.log.Warn("the conflict hook was not run", "reason", why, "conflict", c.ID, "path", c.Path)
}

// Close ends the command that runs. Conflicts that wait for it stay listed, as all do. No hook can be closed too.
func (h *conflictHook) Close() {
	if h == nil {
		return
	}
	h.cancel()
	<-h.done
	if n := len(h.queue); n > 0 {
		h.log.Warn("the conflict hook was not run", "reason", "the mount is ending", "conflicts", n)
	}
}

func (h *conflictHook) loop(ctx context.Context) {
	defer close(h.done)
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case c := <-h.queue:
			h.run(ctx, c)
		}
	}
}

func (h *conflictHook) run(ctx context.Context, c objstore.Conflict) {
	ctx, cancel := context.WithTimeout(ctx, hookTimeout)
	defer cancel()
	var said bytes.Buffer
	err := childCommand{
		words: []string{"/bin/sh", "-c", h.command}, grace: hookGrace, complaints: &said,
		env: []string{
			"ETAGFS_CONFLICT=" + string(c.ID),
			"ETAGFS_CONFLICT_DIR=" + filepath.Join(h.point, h.control, conflictsName, string(c.ID)),
			"ETAGFS_REASON=" + fs.ReasonText(c.Reason),
			"ETAGFS_KEY=" + c.Path,
			"ETAGFS_PATH=" + filepath.Join(h.point, c.Path),
			"ETAGFS_UID=" + strconv.FormatUint(uint64(c.UID), 10),
			"ETAGFS_PID=" + strconv.FormatUint(uint64(c.PID), 10),
		},
	}.run(ctx, nil, &said)
	if err != nil {
		text := said.String()
		h.log.Warn("the conflict hook failed", "conflict", c.ID, "path", c.Path, "error", err, "output", text[:min(len(text), hookSaidMost)])
	}
}
