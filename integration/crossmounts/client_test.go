package crossmounts

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// What a client calls. Each is one operation of the model.
const (
	opRead    = "read"    // open to read, read, close
	opStat    = "stat"    // is there something?
	opEdit    = "edit"    // write to a handle that has read Base, and close it
	opPut     = "put"     // open with O_CREAT and O_TRUNC, write, close
	opCreate  = "create"  // open with O_EXCL, close
	opInstall = "install" // rename a new file over the name
	opUnlink  = "unlink"
	opMove    = "move"     // rename Name to To
	opMoveNew = "move-new" // the same with RENAME_NOREPLACE
)

// What it is answered, where that is no content.
const (
	done    = "ok"
	busy    = "busy"
	gone    = "absent"
	exists  = "exists"
	present = "present"
	unknown = "unknown" // another error, or none before the client was killed
)

// call is an operation of a client, and what came of it.
type call struct {
	Client, Mount int
	Op            string
	Name, To      int
	Base, Value   string // contents
	Answer        string
	Problem       string // the error behind an answer that is unknown
	Began, Ended  int64  // on one clock
	Opened        int64  // when the handle of an edit began to be opened
	Moving        bool   // see meets
	Blind         bool   // an unlink has no condition
}

// mix is how often operations are called.
type mix []string

// sharedMix is for several clients of one mount: nothing in it shows what is not committed to others of the mount.
// In it files move.
func sharedMix() mix {
	return mix{
		opRead, opRead, opRead, opStat, opEdit, opEdit, opEdit, opEdit, opInstall, opInstall, opCreate, opUnlink, opMove, opMove, opMoveNew,
	}
}

// stayingMix is sharedMix without moves.
func stayingMix() mix {
	return mix{opRead, opRead, opRead, opStat, opEdit, opEdit, opEdit, opEdit, opInstall, opInstall, opCreate, opUnlink}
}

// soloMix is for one client of each mount.
func soloMix() mix {
	return mix{opRead, opRead, opRead, opStat, opEdit, opEdit, opEdit, opPut, opPut, opPut, opInstall, opCreate, opUnlink}
}

// orders tell a client what to do.
type orders struct {
	Dir           string
	Client, Mount int
	Seed          uint64
	Calls         int
	Names         int
	Group         int // moves stay within groups of so many names
	Mix           mix
}

// contentBytes is the size of every content but the empty one: an edit is one write, and nothing is left of what was there.
const contentBytes = 6000

// content is recognised as a whole, and who wrote it.
func content(value string) []byte {
	line := value + "\n"
	return []byte(strings.Repeat(line, contentBytes/len(line)+1)[:contentBytes])
}

// valueOf is the value of a content, and something no client has written if it is none.
func valueOf(got []byte) string {
	if len(got) == 0 {
		return ""
	}
	value, _, _ := strings.Cut(string(got), "\n")
	if string(got) != string(content(value)) {
		return fmt.Sprintf("torn: %d bytes, %.40q... %.40q", len(got), got, got[max(0, len(got)-40):])
	}
	return value
}

// client is a process that works in a directory of a mount.
type client struct {
	orders
	dir    int // its descriptor: it stays with the mount
	random *rand.Rand
	out    *json.Encoder
	wrote  int // values
}

// work is the role of a client: it tells of each call before it and after it.
func work(args []string) error {
	c := &client{out: json.NewEncoder(os.Stdout)}
	if err := json.Unmarshal([]byte(args[0]), &c.orders); err != nil {
		return err
	}
	c.random = rand.New(rand.NewPCG(c.Seed, uint64(c.Client)))
	var err error
	if c.dir, err = unix.Open(c.Dir, unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err != nil {
		return err
	}
	if err := c.out.Encode(call{Op: "ready"}); err != nil {
		return err
	}
	for range c.Calls {
		switch err := c.step(); {
		case errors.Is(err, errMountGone):
			return nil
		case err != nil:
			return err
		}
	}
	return nil
}

// now is the time on a clock that all processes share.
func now() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		panic(err)
	}
	return ts.Nano()
}

// record tells of a call before and after it.
func (c *client) record(op call, do func() (string, error)) (call, error) {
	op.Client, op.Mount, op.Began = c.Client, c.Mount, now()
	if err := c.out.Encode(op); err != nil {
		return op, err
	}
	var answered error
	if op.Answer, answered = do(); answered != nil {
		op.Answer, op.Problem = answerTo(answered), answered.Error()
	}
	op.Ended = now()
	err := c.out.Encode(op)
	if errors.Is(answered, unix.ENOTCONN) || errors.Is(answered, unix.ECONNABORTED) {
		err = errors.Join(err, errMountGone)
	}
	return op, err
}

// errMountGone ends a client whose daemon was killed.
var errMountGone = errors.New("the daemon of the mount is gone")

// answerTo is what an error says.
func answerTo(err error) string {
	switch {
	case errors.Is(err, unix.EBUSY):
		return busy
	case errors.Is(err, unix.ENOENT):
		return gone
	case errors.Is(err, unix.EEXIST):
		return exists
	}
	return unknown
}

// step is one call, or a read and an edit.
func (c *client) step() error {
	op := call{Op: c.Mix[c.random.IntN(len(c.Mix))], Name: c.random.IntN(c.Names)}
	switch op.Op {
	case opRead:
		_, err := c.record(op, func() (string, error) { return c.read(op.Name) })
		return err
	case opEdit:
		return c.edit(op.Name)
	case opPut:
		op.Value = c.value()
	case opInstall:
		op.Value = c.value()
		if !c.writeNew(op.Value) {
			return nil // there is nothing to install
		}
	case opMove, opMoveNew:
		op.To = op.Name/c.Group*c.Group + (op.Name+1+c.random.IntN(c.Group-1))%c.Group
	}
	_, err := c.record(op, func() (string, error) { return c.do(op) })
	return err
}

// do makes the calls that need no handle before.
func (c *client) do(op call) (string, error) {
	name := nameOf(op.Name)
	switch op.Op {
	case opStat:
		var st unix.Stat_t
		return present, unix.Fstatat(c.dir, name, &st, unix.AT_SYMLINK_NOFOLLOW)
	case opPut:
		return done, c.write(name, op.Value)
	case opCreate:
		fd, err := unix.Openat(c.dir, name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, 0o644)
		if err != nil {
			return "", err
		}
		return done, unix.Close(fd)
	case opInstall:
		return done, unix.Renameat(c.dir, "new-"+op.Value, c.dir, name)
	case opUnlink:
		return done, unix.Unlinkat(c.dir, name, 0)
	case opMove:
		return done, unix.Renameat(c.dir, name, c.dir, nameOf(op.To))
	case opMoveNew:
		return done, unix.Renameat2(c.dir, name, c.dir, nameOf(op.To), unix.RENAME_NOREPLACE)
	}
	return "", fmt.Errorf("%s: %w", op.Op, unix.EINVAL)
}

func nameOf(i int) string { return fmt.Sprint("n", i) }

// value is one nobody has written yet.
func (c *client) value() string {
	c.wrote++
	return fmt.Sprintf("%d.%d", c.Client, c.wrote)
}

func (c *client) writeNew(value string) bool { return c.write("new-"+value, value) == nil }

func (c *client) write(name, value string) error {
	fd, err := unix.Openat(c.dir, name, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC|unix.O_CLOEXEC, 0o644)
	if err != nil {
		return err
	}
	_, err = unix.Pwrite(fd, content(value), 0)
	return errors.Join(err, unix.Close(fd))
}

func (c *client) read(name int) (string, error) {
	fd, err := unix.Openat(c.dir, nameOf(name), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	return readValue(fd)
}

func readValue(fd int) (string, error) {
	got := make([]byte, contentBytes+1)
	n := 0
	for n < len(got) {
		m, err := unix.Pread(fd, got[n:], int64(n))
		if err != nil {
			return "", err
		}
		if m == 0 {
			break
		}
		n += m
	}
	return valueOf(got[:n]), nil
}

// edit reads a file through a handle, writes through it, and closes it. An empty file is left alone: it cannot be told from another one.
func (c *client) edit(name int) error {
	fd := -1
	read, err := c.record(call{Op: opRead, Name: name}, func() (string, error) {
		var err error
		if fd, err = unix.Openat(c.dir, nameOf(name), unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
			return "", err
		}
		return readValue(fd)
	})
	if err != nil || fd < 0 {
		return err
	}
	base := read.Answer
	if !isWritten(base) {
		unix.Close(fd) // nothing was changed
		return nil
	}
	value := c.value()
	_, err = c.record(call{Op: opEdit, Name: name, Base: base, Value: value, Opened: read.Began}, func() (string, error) {
		_, err := unix.Pwrite(fd, content(value), 0)
		return done, errors.Join(err, unix.Close(fd))
	})
	return err
}

// isWritten reports whether an answer to a read is a value.
func isWritten(answer string) bool {
	var client, n int
	_, err := fmt.Sscanf(answer, "%d.%d", &client, &n)
	return err == nil
}
