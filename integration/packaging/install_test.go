package packaging

import (
	"bytes"
	"debug/elf"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/integration/mounttest"
)

const top = "../.."

// command runs a program at the top of the tree and returns what it says.
func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = top
	// The variables of a make around the test are not for the make in it.
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "MAKE") || strings.HasPrefix(v, "MFLAGS") }), "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// stand is a small program in place of the built one, which it runs: what is packed is packed quickly.
func stand(t *testing.T) string {
	t.Helper()
	mounttest.Need(t, "binary")
	path := filepath.Join(t.TempDir(), "etagfs")
	if err := os.WriteFile(path, []byte("#!/bin/sh\nexec '"+mounttest.Binary()+"' \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// files lists what is no directory below dir.
func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			names = append(names, strings.TrimPrefix(path, dir))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// installed is some of what there must be below PREFIX=/usr.
func installed() []string {
	return []string{
		"/usr/bin/etagfs", "/usr/sbin/mount.etagfs", "/usr/sbin/mount.fuse.etagfs", "/usr/sbin/umount.etagfs", "/usr/sbin/umount.fuse.etagfs",
		"/usr/share/man/man1/etagfs.1", "/usr/share/man/man1/etagfs-mount.1", "/usr/share/man/man8/mount.etagfs.8", "/usr/share/man/man8/umount.etagfs.8",
		"/usr/share/bash-completion/completions/etagfs", "/usr/share/zsh/site-functions/_etagfs", "/usr/share/fish/vendor_completions.d/etagfs.fish",
		"/usr/lib/systemd/system/etagfs-serve.service", "/usr/lib/systemd/system/etagfs-mount@.service",
		"/usr/share/doc/etagfs/README.md", "/usr/share/doc/etagfs/LICENSE", "/usr/share/doc/etagfs/cmd/etagfs/UPGRADING.md", "/usr/share/doc/etagfs/cmd/etagfs/dashboard.json",
		"/usr/share/doc/etagfs/examples/mnt-files.mount", "/usr/share/doc/etagfs/examples/etagfs-serve-tls.conf",
	}
}

// Documents are installed with what they link to.
func TestInstallPutsEverythingBelowDestdirAndUninstallTakesItAway(t *testing.T) {
	mounttest.Need(t, "make")
	dir := t.TempDir()
	to := []string{"DESTDIR=" + dir, "PREFIX=/usr", "BINARY=" + stand(t)}
	command(t, "make", append([]string{"install-files"}, to...)...)
	got := files(t, dir)
	for _, name := range installed() {
		if !slices.Contains(got, name) {
			t.Errorf("%s is not installed", name)
		}
	}
	if said := command(t, filepath.Join(dir, "/usr/bin/etagfs"), "version"); !strings.HasPrefix(said, "etagfs ") {
		t.Errorf("the program says %q", said)
	}
	if target, err := os.Readlink(filepath.Join(dir, "/usr/sbin/mount.etagfs")); target != "/usr/bin/etagfs" || err != nil {
		t.Errorf("mount.etagfs is %q, %v", target, err)
	}
	if _, err := exec.LookPath("bash"); err == nil {
		command(t, "bash", "-n", filepath.Join(dir, "/usr/share/bash-completion/completions/etagfs"))
	}
	unit, err := os.ReadFile(filepath.Join(dir, "/usr/lib/systemd/system/etagfs-serve.service"))
	if err != nil || !bytes.Contains(unit, []byte("ExecStart=/usr/bin/etagfs serve")) {
		t.Errorf("the unit does not run the program: %v", err)
	}
	linksLead(t, dir, slices.DeleteFunc(got, func(name string) bool { return filepath.Ext(name) != ".md" }))
	command(t, "make", append([]string{"uninstall"}, to...)...)
	if left := files(t, dir); len(left) > 0 {
		t.Errorf("uninstall leaves %q", left)
	}
}

func TestPackagesAreReproducibleAndCanBeInstalled(t *testing.T) {
	mounttest.Need(t, "make", "dpkg-deb", "tar")
	program, dirs := stand(t), [2]string{t.TempDir(), t.TempDir()}
	for _, dir := range dirs {
		command(t, "cmd/etagfs/packaging/package", program, "amd64", dir)
	}
	packages := files(t, dirs[0])
	if len(packages) != 2 {
		t.Fatalf("there are %q", packages)
	}
	for _, name := range packages {
		a, errA := os.ReadFile(dirs[0] + name)
		b, errB := os.ReadFile(dirs[1] + name)
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("%s differs when it is made again (%v, %v)", name, errA, errB)
		}
	}
	deb, archive := dirs[0]+packages[1], dirs[0]+packages[0]
	if filepath.Ext(deb) != ".deb" {
		deb, archive = archive, deb
	}
	if said := command(t, "dpkg-deb", "--info", deb); !strings.Contains(said, "Package: etagfs") || !strings.Contains(said, "Architecture: amd64") {
		t.Errorf("dpkg-deb says %q", said)
	}
	contents := command(t, "dpkg-deb", "--contents", deb)
	for _, name := range installed() {
		if !strings.Contains(contents, "."+name) {
			t.Errorf("%s is not in the package", name)
		}
	}
	if said := command(t, "tar", "-tzf", archive); !strings.Contains(said, "/bin/etagfs\n") || !strings.Contains(said, "/sbin/mount.etagfs\n") {
		t.Errorf("the tarball has %q", said)
	}
	unpack(t, deb)
}

// unpack has dpkg install a package in a directory of its own, and remove it.
func unpack(t *testing.T, deb string) {
	mounttest.Need(t, "root", "dpkg")
	root := t.TempDir()
	for _, dir := range []string{"updates", "info", "triggers"} {
		if err := os.MkdirAll(filepath.Join(root, "var/lib/dpkg", dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"status", "available"} {
		if err := os.WriteFile(filepath.Join(root, "var/lib/dpkg", name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	dpkg := []string{"--root=" + root, "--force-script-chrootless", "--force-architecture"}
	command(t, "dpkg", append(dpkg, "--install", deb)...)
	if said := command(t, filepath.Join(root, "usr/bin/etagfs"), "version"); !strings.HasPrefix(said, "etagfs ") {
		t.Errorf("the program says %q", said)
	}
	command(t, "dpkg", append(dpkg, "--purge", "etagfs")...)
	if _, err := os.Stat(filepath.Join(root, "usr/bin/etagfs")); err == nil {
		t.Error("dpkg --purge leaves the program")
	}
}

// The whole of make dist: static programs of both architectures with their commit in them, packages whose checksums hold, and the same again.
func TestDistHasBothArchitectures(t *testing.T) {
	if os.Getenv("ETAGFS_LONG") == "" {
		t.Skip("long: make distcheck builds the program for two machines, twice")
	}
	mounttest.Need(t, "make", "dpkg-deb", "go", "git")
	command(t, "make", "dist")
	first := command(t, "cat", "bin/dist/SHA256SUMS")
	if got := strings.Count(first, "\n"); got != 4 {
		t.Errorf("there are %d packages", got)
	}
	command(t, "sh", "-c", "cd bin/dist && sha256sum --check --strict SHA256SUMS")
	command(t, "make", "dist")
	if second := command(t, "cat", "bin/dist/SHA256SUMS"); second != first {
		t.Errorf("make dist is not reproducible:\n%s%s", first, second)
	}
	for arch, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		expectStatic(t, filepath.Join(top, "bin/etagfs-linux-"+arch), machine)
	}
	commit := strings.TrimSpace(command(t, "git", "rev-parse", "HEAD"))
	if said := command(t, "bin/etagfs-linux-"+runtime.GOARCH, "version"); !strings.Contains(said, "("+commit+" of ") && !strings.Contains(said, "("+commit+" with changes of ") {
		t.Errorf("the program says %q, and the commit is %s", said, commit)
	}
}

// expectStatic expects a program for a kind of machine that needs no other file.
func expectStatic(t *testing.T, name string, machine elf.Machine) {
	t.Helper()
	program, err := elf.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer program.Close()
	if program.Machine != machine {
		t.Errorf("%s is for %s", name, program.Machine)
	}
	for _, part := range program.Progs {
		if part.Type == elf.PT_INTERP || part.Type == elf.PT_DYNAMIC {
			t.Errorf("%s is not static: it has %s", name, part.Type)
		}
	}
}
