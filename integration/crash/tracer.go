package crash

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// tracer stands between a worker and the kernel: before each system call of
// the worker that changes files it is asked whether that call is still made.
type tracer struct {
	// live is told of each call, on the tracer's thread while the caller is
	// stopped. The worker is killed before the first for which it is false.
	live func(fileCall) bool
}

// fileCall is a system call that changes files.
type fileCall struct {
	name string
	path string // of the file, or what is known of it
}

func (c fileCall) String() string { return c.name + " " + c.path }

// tracedCalls are the system calls that change files, by what their arguments are.
var tracedCalls = map[int]struct {
	name string
	kind int
}{
	unix.SYS_OPENAT:          {"openat", pathAt},
	unix.SYS_UNLINKAT:        {"unlinkat", pathAt},
	unix.SYS_MKDIRAT:         {"mkdirat", pathAt},
	unix.SYS_RENAMEAT:        {"renameat", pathAt},
	unix.SYS_RENAMEAT2:       {"renameat2", pathAt},
	unix.SYS_LINKAT:          {"linkat", pathAt},
	unix.SYS_FTRUNCATE:       {"ftruncate", descriptor},
	unix.SYS_FALLOCATE:       {"fallocate", descriptor},
	unix.SYS_WRITE:           {"write", descriptor},
	unix.SYS_PWRITE64:        {"pwrite", descriptor},
	unix.SYS_FSYNC:           {"fsync", descriptor},
	unix.SYS_FDATASYNC:       {"fdatasync", descriptor},
	unix.SYS_SYNC_FILE_RANGE: {"sync_file_range", descriptor},
	unix.SYS_MSYNC:           {"msync", mapping},
}

const (
	pathAt     = iota // the second argument is a path
	descriptor        // the first argument is a descriptor
	mapping           // the first argument is an address
)

// letTrace installs in every thread of this process the filter that makes
// the kernel ask the tracer. Without one these calls fail.
func letTrace() error {
	const dataNumber = 0 // struct seccomp_data begins with the number of the call
	filter := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: dataNumber}}
	for number := range tracedCalls {
		filter = append(filter,
			unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: uint32(number)},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_TRACE})
	}
	filter = append(filter, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC,
		uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return fmt.Errorf("seccomp: %w", errno)
	}
	return nil
}

// start starts a process and traces it until it ends. wait returns then.
func (t *tracer) start(executable string, attr *os.ProcAttr) (pid int, wait func() (syscall.WaitStatus, error), err error) {
	started := make(chan error)
	type end struct {
		status syscall.WaitStatus
		err    error
	}
	ended := make(chan end, 1)
	go func() {
		runtime.LockOSThread() // a tracer is a thread; this one ends with the goroutine
		attr.Sys = &syscall.SysProcAttr{Ptrace: true}
		process, err := os.StartProcess(executable, []string{executable}, attr)
		if err == nil {
			pid = process.Pid
			err = begin(pid)
		}
		started <- err
		if err == nil {
			var e end
			e.status, e.err = t.follow(pid)
			ended <- e
		}
	}()
	if err := <-started; err != nil {
		return 0, nil, err
	}
	return pid, func() (syscall.WaitStatus, error) {
		e := <-ended
		return e.status, e.err
	}, nil
}

// begin lets a process go that has stopped at its first instruction.
func begin(pid int) error {
	var status unix.WaitStatus
	if _, err := unix.Wait4(pid, &status, 0, nil); err != nil {
		return err
	}
	options := unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACESECCOMP | unix.PTRACE_O_EXITKILL
	if err := unix.PtraceSetOptions(pid, options); err != nil {
		return err
	}
	return unix.PtraceCont(pid, 0)
}

// follow waits for stops of all threads until the process is gone.
func (t *tracer) follow(pid int) (syscall.WaitStatus, error) {
	dead := false
	for {
		var status unix.WaitStatus
		thread, err := unix.Wait4(-1, &status, unix.WALL|unix.WNOTHREAD, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return 0, err
		case status.Stopped() && !dead:
			signal := status.StopSignal()
			if signal == unix.SIGTRAP && status.TrapCause() == unix.PTRACE_EVENT_SECCOMP {
				dead = !t.allows(thread)
			}
			if dead {
				unix.Kill(pid, unix.SIGKILL)
				continue
			}
			if signal == unix.SIGTRAP || signal == unix.SIGSTOP { // ours; new threads begin with a stop
				signal = 0
			}
			unix.PtraceCont(thread, int(signal)) // fails if the thread was killed meanwhile
		case thread == pid && (status.Exited() || status.Signaled()):
			return syscall.WaitStatus(status), nil
		}
	}
}

// allows asks whether the call a thread is about to make is made.
func (t *tracer) allows(thread int) bool {
	var info syscallInfo
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_GET_SYSCALL_INFO, uintptr(thread),
		unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)), 0, 0)
	if errno != 0 {
		return true // killed meanwhile
	}
	traced := tracedCalls[int(info.number)]
	call := fileCall{name: traced.name}
	switch traced.kind {
	case pathAt:
		call.path = readString(thread, uintptr(info.args[1]))
		if info.number == unix.SYS_OPENAT && info.args[2]&(unix.O_CREAT|unix.O_TRUNC) == 0 {
			return true
		}
	case descriptor:
		call.path, _ = os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", thread, info.args[0]))
	case mapping:
		call.path = mappedFile(thread, info.args[0])
	}
	return t.live(call)
}

// syscallInfo is struct ptrace_syscall_info of a stop by the filter.
type syscallInfo struct {
	_      [8]byte
	_      [2]uint64
	number uint64
	args   [6]uint64
	_      uint32
}

// readString reads a string from the memory of a stopped thread.
func readString(thread int, address uintptr) string {
	b := make([]byte, unix.PathMax)
	n, _ := unix.PtracePeekData(thread, address, b)
	return unix.ByteSliceToString(b[:n])
}

// mappedFile is the file mapped at an address.
func mappedFile(thread int, address uint64) string {
	maps, _ := os.ReadFile(fmt.Sprintf("/proc/%d/maps", thread))
	for line := range strings.Lines(string(maps)) {
		var low, high uint64
		var rest, offset, device, inode, path string
		n, _ := fmt.Sscanf(line, "%x-%x %s %s %s %s %s", &low, &high, &rest, &offset, &device, &inode, &path)
		if n == 7 && low <= address && address < high {
			return path
		}
	}
	return ""
}
