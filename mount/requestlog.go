package mount

import (
	"context"
	"encoding/json"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"

	"github.com/etagfs/etagfs/fs"
)

// The files of the control directory that this package fills. They tell of files of every user, so only who runs the mount may read them.
const (
	logName          = "operations"   // a line for each request that was answered, the last few thousand
	runningName      = "running"      // a line of JSON for each that is being answered
	transactionsName = "transactions" // a line of JSON for each file that is open for writing
	privateMode      = 0o400
)

// logBytesMax is how long the log becomes before it begins anew with what came since it was looked at last.
const logBytesMax = 1 << 20

// requestLog is what the kernel asked, as text. It is written when it is looked at, and only then costs anything.
type requestLog struct {
	// Constant.
	activity *activity
	bridge   *bridge
	control  string // name of the control directory

	mu   sync.Mutex
	next uint64 // the place that is looked at next; guarded by mu
	text []byte // only ever appended to, or replaced; guarded by mu
}

// controlFiles are l, and what else is told while something happens.
func (l *requestLog) controlFiles() []fs.ControlFile {
	private := func(name string, text func(context.Context) []byte) fs.ControlFile {
		return fs.ControlFile{Name: name, Mode: privateMode, UID: uint32(os.Geteuid()), GID: uint32(os.Getegid()), Text: text}
	}
	log := private(logName, l.now)
	log.Size = func(ctx context.Context) int64 { return int64(len(l.now(ctx))) }
	return []fs.ControlFile{log, private(runningName, l.running), private(transactionsName, l.transactions)}
}

// now is the log so far.
func (l *requestLog) now(ctx context.Context) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	newest := l.activity.ended.Load()
	var news []byte
	if oldest := newest - min(newest, recentSlots) + 1; l.next < oldest {
		if l.next > 0 {
			news = strconv.AppendUint(append(news, "# requests that nobody looked at in time: "...), oldest-l.next, 10)
			news = append(news, '\n')
		}
		l.next = oldest
	}
	names := l.naming(ctx)
	for ; l.next <= newest; l.next++ {
		r, ok := l.activity.take(l.next)
		if !ok && newest-l.next < recentSlots/2 {
			break // it is being written, or soon will be
		}
		if path, shown := names.path(r.node, r.name); ok && shown {
			news = r.appendLine(news, l.activity.epoch.Add(r.began), path)
		}
	}
	if len(l.text)+len(news) > logBytesMax {
		l.text = nil
	}
	l.text = append(l.text, news...)
	return l.text
}

// appendLine adds the line of a request.
func (r answered) appendLine(to []byte, began time.Time, path string) []byte {
	to = began.UTC().AppendFormat(append(to, "time="...), "2006-01-02T15:04:05.000000Z")
	to = append(append(to, " op="...), r.kind.String()...)
	to = strconv.AppendInt(append(to, " errno="...), int64(r.status), 10)
	to = append(append(to, " took="...), r.took.String()...)
	to = strconv.AppendInt(append(to, " bytes="...), int64(r.bytes), 10)
	to = strconv.AppendUint(append(to, " uid="...), uint64(r.uid), 10)
	to = strconv.AppendUint(append(to, " thread="...), uint64(r.thread), 10)
	to = strconv.AppendQuote(append(to, " path="...), path)
	return append(to, '\n')
}

// naming finds out what requests were about.
type naming struct {
	log   *requestLog
	ctx   context.Context
	paths map[uint64]string // of nodes
}

func (l *requestLog) naming(ctx context.Context) naming {
	return naming{l, ctx, make(map[uint64]string)}
}

// path is that of a node, or of a name in it. What is about the control directory is not shown: who looks at it would
// see that, again and again.
func (n naming) path(node uint64, name string) (path string, shown bool) {
	if node == fuse.FUSE_ROOT_ID && name == n.log.control {
		return "", false
	}
	dir, known := n.paths[node]
	if !known {
		view, ok := n.log.bridge.table.viewOf(node)
		switch {
		case !ok:
			dir = "?"
		case volatile(view.Object):
			dir = "/" + n.log.control
		default:
			dir = "/" + n.log.bridge.fs.Path(n.ctx, view.Object)
		}
		n.paths[node] = dir
	}
	switch {
	case dir == "/"+n.log.control:
		return "", false
	case name == "":
		return dir, true
	case len(name) == nameBytes:
		name += "..."
	}
	if dir == "/" {
		return dir + name, true
	}
	return dir + "/" + name, true
}

// runningLine is how a request that is being answered is told.
type runningLine struct {
	Operation string    `json:"op"`
	Path      string    `json:"path"`
	PathBytes []byte    `json:"path_base64,omitempty"` // if Path could not say it
	UID       uint32    `json:"uid"`
	Thread    uint32    `json:"thread"`
	Program   string    `json:"program,omitempty"`
	Began     time.Time `json:"began"`
	Seconds   float64   `json:"seconds"`
}

// running tells of requests that are being answered.
func (l *requestLog) running(ctx context.Context) []byte {
	names, now, about := l.naming(ctx), time.Since(l.activity.epoch), processes{}
	var text []byte
	for _, r := range l.activity.now() {
		path, shown := names.path(r.node, "")
		if !shown {
			continue
		}
		text = appendJSON(text, runningLine{
			Operation: r.kind.String(), Path: path, PathBytes: fs.PathBytes(path), UID: r.uid, Thread: r.thread, Program: about.Name(r.thread),
			Began: l.activity.epoch.Add(r.began).UTC(), Seconds: (now - r.began).Seconds(),
		})
	}
	return text
}

// transactions tells of files that are open for writing.
func (l *requestLog) transactions(ctx context.Context) (text []byte) {
	for _, t := range l.bridge.fs.Transactions(ctx) {
		text = appendJSON(text, t)
	}
	return text
}

// appendJSON adds a line.
func appendJSON(to []byte, v any) []byte {
	line, err := json.Marshal(v)
	if err != nil {
		line = strconv.AppendQuote(nil, err.Error()) // none of the fields can fail
	}
	return append(append(to, line...), '\n')
}
