package mount

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/etagfs/etagfs/objstore"
)

// processes answers package fs from /proc. Nothing it reads touches a mount, nor needs the right to
// trace: execve(2) holds a lock which such reads wait for (the links in fd, stat, exe, cwd) while it
// closes descriptors, which is when we are asked.
type processes struct {
	mu     sync.Mutex
	device string // of our mount, "major:minor"; guarded by mu; empty until mounted
}

// firstPIDNamespace is the number every kernel gives it.
const firstPIDNamespace = "pid:[4026531836]"

// seesEverybody reports whether every process has a number here. Callers in other namespaces than those below ours have none.
func seesEverybody() bool {
	namespace, err := os.Readlink("/proc/self/ns/pid")
	return err == nil && namespace == firstPIDNamespace
}

// mountedOn notes our device.
func (p *processes) mountedOn(device string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.device = device
}

func (p *processes) ourDevice() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.device
}

// ThreadGroup implements [fs.Processes].
func (p *processes) ThreadGroup(thread uint32) (process uint32, known bool) {
	if thread == 0 {
		return 0, false
	}
	value, ok := procField(filepath.Join("/proc", decimal(thread), "status"), "Tgid:")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(value, 10, 32)
	return uint32(n), err == nil
}

// startedField is starttime in /proc/PID/stat, counted from behind the name, which may have blanks.
const startedField = 19

// Started implements [fs.Processes].
func (p *processes) Started(process uint32) (at uint64, running bool) {
	text, err := os.ReadFile(filepath.Join("/proc", decimal(process), "stat"))
	if err != nil {
		return 0, false
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) <= startedField {
		return 0, false
	}
	at, err = strconv.ParseUint(string(fields[startedField]), 10, 64)
	return at, err == nil
}

// Name implements [fs.Processes].
func (p *processes) Name(process uint32) string {
	comm, err := os.ReadFile(filepath.Join("/proc", decimal(process), "comm"))
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(string(comm), "\n")
}

// Groups implements [fs.Processes]; there are none if the thread cannot be seen from here.
func (p *processes) Groups(thread uint32) []uint32 { return groupsOf(thread) }

// descriptorsAsked is how many of a process's descriptors HoldsOther looks at, lowest first, each for some
// microseconds: a duplicate made for a command is standard output or little above it, and a process that closes
// thousands of new files must not have all of them looked at for each.
const descriptorsAsked = 64

// descriptorInfoSize has room for what every descriptor has in /proc, some four lines.
const descriptorInfoSize = 256

// HoldsOther implements [fs.Processes]. The descriptor being closed has left
// the process's table before the request is made.
func (p *processes) HoldsOther(thread uint32, object objstore.ID) bool {
	device := p.ourDevice()
	if thread == 0 || device == "" {
		return false
	}
	dir := filepath.Join("/proc", decimal(thread))
	buffer := make([]byte, descriptorInfoSize)
	for _, fd := range lowestDescriptors(dir) {
		if info := descriptorInfo(dir, fd, buffer); writes(info, object) && onDevice(info, dir, device) {
			return true
		}
	}
	return false
}

// lowestDescriptors names the first descriptorsAsked descriptors of the process whose /proc directory is dir,
// in the order the kernel lists them, which is by number; none if they cannot be read.
func lowestDescriptors(dir string) []string {
	table, err := os.Open(filepath.Join(dir, "fd"))
	if err != nil {
		return nil
	}
	defer table.Close()
	names, _ := table.Readdirnames(descriptorsAsked) // with an error, what came before it
	return names
}

// writes reports whether a descriptor is open for writing on an inode of this number.
func writes(info []byte, object objstore.ID) bool {
	inode, ok := field(info, "ino:")
	if !ok || string(inode) != strconv.FormatUint(uint64(object), 10) {
		return false
	}
	value, _ := field(info, "flags:")
	flags, err := strconv.ParseUint(string(value), 8, 64)
	return err == nil && flags&syscall.O_ACCMODE != syscall.O_RDONLY
}

// onDevice reports whether a descriptor's mount, as the process whose /proc directory is dir sees it, is of device.
func onDevice(info []byte, dir, device string) bool {
	mount, ok := field(info, "mnt_id:")
	if !ok {
		return false
	}
	table, err := mountTable(filepath.Base(dir))
	if err != nil {
		return false
	}
	for _, m := range table {
		if strconv.Itoa(m.id) == string(mount) {
			return m.device == device
		}
	}
	return false
}

// descriptorInfo reads into buffer what /proc tells of a descriptor, as far as there is room: what every
// descriptor has comes first. It is a third of what os.ReadFile costs, many times in one close.
func descriptorInfo(dir, fd string, buffer []byte) []byte {
	file, err := syscall.Open(dir+"/fdinfo/"+fd, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer syscall.Close(file)
	n, err := syscall.Read(file, buffer)
	if err != nil {
		return nil
	}
	return buffer[:n]
}

// field is the value of a "name: value" line of text.
func field(text []byte, name string) (value []byte, found bool) {
	for line := range bytes.Lines(text) {
		if value, found = bytes.CutPrefix(line, []byte(name)); found {
			return bytes.TrimSpace(value), true
		}
	}
	return nil, false
}

// procField is the value of a "name: value" line.
func procField(path, name string) (string, bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", false
	}
	value, found := field(text, name)
	return string(value), found
}

func decimal(n uint32) string { return strconv.FormatUint(uint64(n), 10) }
