package mount

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

func TestMountTableIsRead(t *testing.T) {
	got, err := parseMounted(`36 35 98:0 /mnt1 /a\040b\134c rw,noatime master:1 shared:7 - fuse.etagfs /the\040store rw,user_id=1000,group_id=5`)
	want := mounted{id: 36, device: "98:0", dir: `/a b\c`, fsType: "fuse.etagfs", source: "/the store", user: "1000"}
	if err != nil || got != want {
		t.Errorf("got %+v (%v), want %+v", got, err, want)
	}
	if _, err := parseMounted("36 35 98:0 /"); err == nil {
		t.Error("a short line is read")
	}
	if m, found, err := mountedAt("/proc"); err != nil || !found || m.fsType != "proc" {
		t.Errorf("/proc is %+v (%v)", m, err)
	}
}

// HoldsOther wants certainty: the inode, on our device, open for writing.
func TestHoldsOther(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var st syscall.Stat_t
	if err := syscall.Fstat(int(f.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	ours := fmt.Sprintf("%d:%d", st.Dev>>8&0xfff, st.Dev&0xff)
	self, inode := uint32(os.Getpid()), objstore.ID(st.Ino)
	for _, c := range []struct {
		name   string
		device string
		thread uint32
		object objstore.ID
		want   bool
	}{
		{"held", ours, self, inode, true},
		{"another object", ours, self, inode + 1, false},
		{"another device", "0:1", self, inode, false},
		{"thread unknown", ours, 0, inode, false},
		{"not mounted", "", self, inode, false},
	} {
		p := &processes{}
		p.mountedOn(c.device)
		if got := p.HoldsOther(c.thread, c.object); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	f.Close()
	p := &processes{}
	p.mountedOn(ours)
	if p.HoldsOther(self, inode) {
		t.Error("held after close")
	}
}

// A close is answered in the same time however many descriptors its process has: those it opened last are not
// looked at, and count as not held, so that the close commits.
func TestHoldsOtherLooksAtTheLowestDescriptors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	held, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	var st syscall.Stat_t
	if err := syscall.Fstat(int(held.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	p := &processes{}
	p.mountedOn(fmt.Sprintf("%d:%d", st.Dev>>8&0xfff, st.Dev&0xff))
	self, inode := uint32(os.Getpid()), objstore.ID(st.Ino)
	for range descriptorsAsked {
		other, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
	}
	if !p.HoldsOther(self, inode) {
		t.Error("a low descriptor is not found beside many others")
	}
	last, err := syscall.Dup(int(held.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(last)
	held.Close()
	if last < descriptorsAsked {
		t.Fatalf("descriptor %d is among the lowest %d", last, descriptorsAsked)
	}
	if p.HoldsOther(self, inode) {
		t.Errorf("descriptor %d is found behind %d others", last, descriptorsAsked)
	}
}

func TestProcessesByThread(t *testing.T) {
	p := &processes{}
	self := uint32(os.Getpid())
	if process, known := p.ThreadGroup(uint32(syscall.Gettid())); !known || process != self {
		t.Errorf("this thread belongs to %d (%v)", process, known)
	}
	if _, known := p.ThreadGroup(0); known {
		t.Error("thread 0 is known")
	}
	if p.Name(self) == "" || p.Name(0) != "" {
		t.Errorf("names are %q and %q", p.Name(self), p.Name(0))
	}
}
