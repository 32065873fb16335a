package packaging

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// bootLimit is how long a machine may take from its start to its end, in seconds.
const bootLimit = "300"

// boot starts systemd as the first process of a container in the directory $1, whose /usr is this machine's with what is installed in
// $2 on top of it, and waits until it is switched off. systemd-nspawn wants a directory of its own in memory.
const boot = `
set -eu
mkdir -p /run/systemd/nspawn
mount -t tmpfs none /run/systemd/nspawn
autofs=
if [ -e /dev/autofs ]; then autofs=--bind=/dev/autofs; fi
exec systemd-nspawn --quiet --register=no --keep-unit --private-network --bind=/dev/fuse $autofs --console=pipe --machine=etagfs-live \
	--directory="$1" --overlay-ro="/usr:$2/usr:/usr" --boot systemd.unit=live.service </dev/null`

// machine is a root directory in which systemd can be started, and what it ran has said.
type machine struct {
	t         *testing.T
	root      string
	installed string
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{t, t.TempDir(), t.TempDir()}
	command(t, "make", "install-files", "DESTDIR="+m.installed, "PREFIX=/usr", "MOUNTDIR=/usr/sbin", "BINARY="+mounttest.Binary())
	for _, dir := range []string{"usr", "root", "etc/etagfs", "etc/systemd/system", "var/log/journal", "mnt/far", "mnt/near", "mnt/files", "mnt/auto"} {
		if err := os.MkdirAll(filepath.Join(m.root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"bin", "sbin", "lib", "lib64"} {
		link(t, filepath.Join(m.root, name), "usr/"+name)
	}
	m.copy("/usr/lib/os-release", "etc/os-release")
	m.copy("/etc/passwd", "etc/passwd")
	m.copy("/etc/group", "etc/group")
	m.copy("testdata/live.service", "etc/systemd/system/live.service")
	m.copy("testdata/units.sh", "root/units.sh")
	m.write("etc/hosts", "127.0.0.1 localhost\n")
	m.write("etc/machine-id", strings.Repeat("1", 32)+"\n") // without one systemd takes the boot for its first and enables every unit
	return m
}

func (m *machine) copy(from, to string) {
	m.t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		m.t.Fatal(err)
	}
	m.write(to, string(text))
}

func (m *machine) write(name, text string) {
	m.t.Helper()
	if err := os.WriteFile(filepath.Join(m.root, name), []byte(text), 0o644); err != nil {
		m.t.Fatal(err)
	}
}

// run switches the machine on and has it run a script, after which it switches itself off.
func (m *machine) run(script string) {
	m.t.Helper()
	m.write("root/said", "")
	m.copy("testdata/"+script, "root/script")
	cmd := mounttest.Apart(m.t, "", "timeout", "--kill-after=10", bootLimit, "sh", "-c", boot, "sh", m.root, m.installed)
	cmd.Stderr = nil
	out, err := cmd.CombinedOutput()
	said, errSaid := os.ReadFile(filepath.Join(m.root, "root/said"))
	if errSaid == nil && len(said) == 0 && script == "first.sh" {
		m.t.Skipf("needs systemd-nspawn: it starts no systemd here: %v\n%s", err, out)
	}
	if err != nil || errSaid != nil || !strings.HasSuffix(string(said), "\nthat is all\n") {
		m.t.Fatalf("%s: %v, %v\n%s%s", script, err, errSaid, out, said)
	}
}

// Under a systemd that runs, the units do what the documents say: users and keys, begin again after kill -9, wait for servers, give up on
// what is wrong, end well when the machine is switched off, and are back when it is switched on.
func TestUnitsWorkUnderSystemd(t *testing.T) {
	mounttest.Need(t, "binary", "fuse", "root", "make", "openssl", "systemd-nspawn")
	m := newMachine(t)
	command(t, "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30", "-subj", "/CN=localhost",
		"-addext", "subjectAltName=DNS:localhost", "-keyout", m.root+"/etc/etagfs/tls.key", "-out", m.root+"/etc/etagfs/tls.crt")
	m.run("first.sh")
	m.run("second.sh")
}
