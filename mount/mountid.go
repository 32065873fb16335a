package mount

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What statmount(2) and listmount(2) are asked with and answer, by the kernel's linux/mount.h.
const (
	mountRequestBytes = 24          // size, 0, id, parameter: the first form of the request, which every kernel knows
	mountsFromRoot    = ^uint64(0)  // an id: the root of this mount namespace
	mountBasics       = uint64(0x2) // a parameter: of a mount, its ids
	mountAnswerBytes  = 512
	answeredAt        = 8  // which parts of an answer there are
	numberAt          = 56 // the id that mountinfo has, which the next mount may get
	mountsPerList     = 256
)

// uniqueID is the id that the kernel gives no other mount until it ends, of the one with a number in mountinfo. Mounts are not
// touched: one may be silent, or another user's. It is false before Linux 6.8, and where a sandbox refuses the question.
func uniqueID(number int) (id uint64, ok bool) {
	ids := make([]uint64, mountsPerList)
	last := uint64(0)
	for {
		n, err := askMounts(unix.SYS_LISTMOUNT, mountsFromRoot, last, unsafe.Pointer(&ids[0]), len(ids))
		if err != nil || n == 0 {
			return 0, false
		}
		for _, id := range ids[:n] {
			var answer [mountAnswerBytes]byte
			if _, err := askMounts(unix.SYS_STATMOUNT, id, mountBasics, unsafe.Pointer(&answer[0]), len(answer)); err != nil {
				continue // it is gone
			}
			has := binary.NativeEndian.Uint64(answer[answeredAt:])&mountBasics != 0
			if has && binary.NativeEndian.Uint32(answer[numberAt:]) == uint32(number) {
				return id, true
			}
		}
		last = ids[n-1]
	}
}

// askMounts calls one of the two, with room for an answer of n.
func askMounts(call uintptr, id, parameter uint64, answer unsafe.Pointer, n int) (count int, err error) {
	var request [mountRequestBytes]byte
	binary.NativeEndian.PutUint32(request[:], mountRequestBytes)
	binary.NativeEndian.PutUint64(request[8:], id)
	binary.NativeEndian.PutUint64(request[16:], parameter)
	got, _, errno := unix.Syscall6(call, uintptr(unsafe.Pointer(&request[0])), uintptr(answer), uintptr(n), 0, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(got), nil
}
