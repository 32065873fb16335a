package posix

import (
	"runtime"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// user is who makes a call.
type user struct {
	name     string
	uid, gid int
	groups   []uint32
}

// The ids of the trials.
const (
	ownerID = 2001
	groupID = 2002
	otherID = 2003
)

func root() user     { return user{name: "root"} }
func owner() user    { return user{"owner", ownerID, ownerID, nil} }
func member() user   { return user{"member", otherID, groupID, nil} }
func supplied() user { return user{"supplementary", otherID, otherID, []uint32{5, groupID}} }
func other() user    { return user{"other", otherID, otherID, nil} }

func everyone() []user { return []user{root(), owner(), member(), supplied(), other()} }

// as calls f as u. Credentials are a thread's, so it is one that nobody else uses.
func as(t *testing.T, u user, f func() error) error {
	t.Helper()
	if u.uid == 0 {
		return again(f)
	}
	runtime.LockOSThread()
	become(t, u.groups, u.uid, u.gid)
	err := again(f)
	become(t, nil, 0, 0)
	runtime.UnlockOSThread()
	return err
}

// become changes the thread's credentials; the saved ids stay root's, to come back.
func become(t *testing.T, groups []uint32, uid, gid int) {
	t.Helper()
	if uid == 0 {
		raw(t, unix.SYS_SETRESUID, 0, 0, 0)
	}
	var list unsafe.Pointer
	if len(groups) > 0 {
		list = unsafe.Pointer(&groups[0])
	}
	raw(t, unix.SYS_SETGROUPS, uintptr(len(groups)), uintptr(list), 0)
	raw(t, unix.SYS_SETRESGID, uintptr(gid), uintptr(gid), 0)
	if uid != 0 {
		raw(t, unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), 0)
	}
}

func raw(t *testing.T, number, a, b, c uintptr) {
	t.Helper()
	if _, _, errno := unix.RawSyscall(number, a, b, c); errno != 0 {
		panic(errno) // the thread's credentials are unknown
	}
}
