package packaging

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// mount(8) mounts by a line of fstab, refuses what it does not know, and umount(8) returns when the store is free: with a full path
// if the mount has an option that mount(8) keeps, since else it does not look for umount.fuse.etagfs. All that happens in a mount namespace of its own, in which /usr/sbin has nothing but the programs of mount(8).
func TestFstabLineMountsAndUmountWaits(t *testing.T) {
	mounttest.Need(t, "root", "fuse", "binary", "flock")
	if _, err := os.Stat("/sbin/mount.etagfs"); err == nil {
		t.Skip("needs a machine on which etagfs is not installed")
	}
	if real, err := filepath.EvalSymlinks("/sbin"); err != nil || real != "/usr/sbin" {
		t.Skip("needs /sbin to be /usr/sbin")
	}
	dir := t.TempDir()
	const script = `
set -eu
cd "$1"
mount -t tmpfs none /usr/sbin
for name in mount.etagfs mount.fuse.etagfs umount.fuse.etagfs; do ln -s "$2" /usr/sbin/$name; done
mkdir mnt
echo "$1/store $1/mnt etagfs noauto,nofail,_netdev,noatime,user,x-systemd.automount,umask=077 0 0" >fstab

env -u HOME mount -T fstab "$1/mnt"
echo hello >mnt/f
test "$(stat -c %a mnt/f)" = 600
grep -q " $1/mnt .*nosuid.* fuse.etagfs $1/store " /proc/self/mountinfo
umount "$1/mnt"
test ! -e store/etagfs.sock
flock --nonblock store/lock true

if mount -t etagfs store mnt -o rw,nonsense 2>said; then exit 9; fi
grep -q 'mount option nonsense is not known' said
mount -t etagfs store mnt -o rw,sloppy=1 -s
umount mnt

mount -t etagfs "$1/store" "$1/mnt" -o x-etagfs.wait
umount "$1/mnt"
test ! -e store/etagfs.sock
flock --nonblock store/lock true

mount -t fuse.etagfs store mnt -o ro
test "$(cat mnt/f)" = hello
sleep 1000 <mnt/f &
if umount mnt 2>said; then exit 9; fi
grep -q 'mnt is busy: ' said
umount -l mnt
test ! -e mnt/f
kill $!
`
	cmd := mounttest.Apart(t, "", "sh", "-c", script, "sh", dir, mounttest.Binary())
	cmd.Stderr = nil
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// The units name what is there, and the server's is exposed to little: systemd-analyze gives 0 to the safest and 10 to
// what has no protection at all.
func TestUnitsAreGoodAndTheServerIsHardened(t *testing.T) {
	mounttest.Need(t, "make", "systemd-analyze")
	dir := t.TempDir()
	command(t, "make", "install-files", "PREFIX="+dir, "MOUNTDIR="+dir+"/sbin", "BINARY="+stand(t))
	units := dir + "/lib/systemd/system/"
	instance := units + "etagfs-mount@main.service"
	if err := os.Rename(units+"etagfs-mount@.service", instance); err != nil {
		t.Fatal(err)
	}
	for _, unit := range []string{units + "etagfs-serve.service", instance, dir + "/share/doc/etagfs/examples/mnt-files.mount"} {
		if said := command(t, "systemd-analyze", "verify", "--man=no", unit); strings.Contains(said, filepath.Base(unit)) {
			t.Errorf("systemd-analyze verify: %s", said)
		}
	}
	command(t, "systemd-analyze", "security", "--offline=true", "--threshold=20", units+"etagfs-serve.service")
}
