package mount

import (
	"os"
	"os/exec"
	"slices"
	"syscall"
	"testing"

	"github.com/etagfs/etagfs/fs"
)

func TestOpeningByModeBits(t *testing.T) {
	read, write := fs.OpenMode{Read: true}, fs.OpenMode{Write: true}
	both := fs.OpenMode{Read: true, Write: true}
	for _, c := range []struct {
		name     string
		bits     uint32
		uid, gid uint32
		groups   []uint32
		mode     fs.OpenMode
		want     bool
	}{
		{"root", 0, 0, 0, nil, both, true},
		{"owner", 0o600, 1, 9, nil, both, true},
		{"owner without the right that all others have", 0o066, 1, 2, nil, read, false},
		{"owner who may only read", 0o400, 1, 9, nil, both, false},
		{"group", 0o060, 5, 2, nil, both, true},
		{"group that others exceed", 0o606, 5, 2, nil, read, false},
		{"supplementary group", 0o060, 5, 6, []uint32{3, 2}, both, true},
		{"supplementary group that others exceed", 0o606, 5, 6, []uint32{2}, read, false},
		{"other groups", 0o660, 5, 6, []uint32{3, 4}, read, false},
		{"others", 0o002, 5, 6, []uint32{3}, write, true},
	} {
		a := fs.Attr{UID: 1, GID: 2, Mode: c.bits}
		if got := permits(&a, fs.Caller{UID: c.uid, GID: c.gid}, c.groups, c.mode); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

func TestSupplementaryGroupsOfAThread(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: to become a member of groups")
	}
	process := exec.Command("cat")
	process.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534, Groups: []uint32{7, 7777}}}
	in, err := process.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	if got := groupsOf(uint32(process.Process.Pid)); !slices.Equal(got, []uint32{7, 7777}) {
		t.Errorf("%v", got)
	}
	if got := groupsOf(0); got != nil {
		t.Errorf("nobody is in %v", got)
	}
	if err := in.Close(); err != nil {
		t.Error(err)
	}
	if err := process.Wait(); err != nil {
		t.Error(err)
	}
}
