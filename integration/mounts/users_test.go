package mounts

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// nobody is a user without rights.
const nobody = 65534

// as runs a script in the mount as a user, and returns output and success.
func as(m *mounttest.Mount, user uint32, script string) (string, error) {
	cmd := m.As(user, "bash", "-euc", "cd "+m.Dir+"; "+script)
	cmd.Dir = "/"
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// A mount by root is open to other users, who have the rights the modes give them.
func TestRootsMountIsSharedWithPermissions(t *testing.T) {
	shortIsParallel(t)
	mounttest.Need(t, "fuse", "root")
	m := start(t)
	open(t, m.Path("secret"), os.O_CREATE|os.O_WRONLY).Close()
	shell(t, m, `chmod 711 "$(dirname "$PWD")" "$(dirname "$(dirname "$PWD")")"
chmod 600 secret; echo public > public; mkdir -m 777 open; mkdir -m 1777 sticky; echo x > sticky/roots`)
	for _, c := range []struct {
		script string
		allow  bool
	}{
		{"cat public", true},
		{"cat secret", false},
		{"echo x >> public", false},
		{"touch here", false},
		{"chmod 777 public", false},
		{"chown nobody public", false},
		{"echo x > open/mine; chmod 640 open/mine; stat -c %u:%a open/mine | grep -x 65534:640", true},
		{"rm open/mine", true},
		{"rm -f sticky/roots", false},
		{"umask 027; mkdir open/d; stat -c %a open/d | grep -x 750", true},
	} {
		out, err := as(m, nobody, c.script)
		if (err == nil) != c.allow {
			t.Errorf("%q as nobody: %v, %s", c.script, err, out)
		}
	}
}

// An unprivileged user mounts through fusermount3, for nobody else.
func TestUserMountsPrivately(t *testing.T) {
	shortIsParallel(t)
	m := mounttest.Start(t, mounttest.Options{User: nobody})
	out, err := as(m, nobody, `echo one > f; cat f; exec 3<> f 4<> f; echo AAA >&3; echo BBB >&4; exec 3>&-; exec 4>&- || true; cat f; ls -A .etagfs/conflicts | wc -l; id -u; stat -c %u f`)
	if err != nil || out != "one\nAAA\n1\n65534\n65534\n" {
		t.Errorf("%v\n%s", err, out)
	}
	if _, err := os.ReadDir(m.Dir); err == nil {
		t.Error("root sees a private mount of somebody else")
	}
}

// Set-group-id directories pass their group on; a write clears set-user-id.
func TestSetIDBits(t *testing.T) {
	shortIsParallel(t)
	mounttest.Need(t, "fuse", "root")
	m := start(t)
	out := shell(t, m, `mkdir d; chgrp 1234 d; chmod 2775 d; touch d/f; mkdir d/e; stat -c '%g %a' d/f d/e
echo x > p; chmod 6755 p; chown nobody p; stat -c %a p; chmod 6755 p; chmod 711 "$(dirname "$PWD")" "$(dirname "$(dirname "$PWD")")"`)
	if out != "1234 644\n1234 2755\n755\n" {
		t.Errorf("%q", out)
	}
	if out, err := as(m, nobody, `echo y >> p; stat -c %a p`); err != nil || strings.TrimSpace(out) != "755" {
		t.Errorf("after a write by its owner: %s (%v)", out, err)
	}
}

func TestReadOnlyAndOwnerOptions(t *testing.T) {
	shortIsParallel(t)
	m := start(t)
	m.Unmount()
	m.RestartWith("ro,uid=1234,gid=5678,umask=022")
	if err := os.WriteFile(m.Path("f"), nil, 0o644); err == nil || !strings.Contains(err.Error(), "read-only") {
		t.Errorf("write: %v", err)
	}
	if out := shell(t, m, `stat -c '%u %g %a' .`); out != "1234 5678 755\n" {
		t.Errorf("%q", out)
	}
}

// C4: what was kept of a user's file is for that user and root alone.
func TestKeptCopiesArePrivate(t *testing.T) {
	shortIsParallel(t)
	mounttest.Need(t, "fuse", "root")
	m := start(t)
	shell(t, m, `chmod 711 "$(dirname "$PWD")" "$(dirname "$(dirname "$PWD")")"; mkdir -m 777 open`)
	const list = `ls -A .etagfs/conflicts | wc -l; cat .etagfs/conflicts/*/mine 2>/dev/null || true`
	if out, err := as(m, nobody, `cd open; echo base > f; exec 3<> f 4<> f; echo AAA >&3; echo BBB >&4; exec 3>&-; exec 4>&- || true`); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for user, want := range map[uint32]string{0: "1\nBBB\n\n", nobody: "1\nBBB\n\n", 1234: "0\n"} {
		if out, err := as(m, user, list); err != nil || out != want {
			t.Errorf("user %d sees %q (%v), want %q", user, out, err, want)
		}
	}
}

// C4: what a crash leaves of a user's writing is that user's and root's, whoever has the file, and says which process wrote it, and where.
func TestC4WhatACrashLeavesIsTheWriters(t *testing.T) {
	shortIsParallel(t)
	mounttest.Need(t, "fuse", "root", "binary", "python3")
	for _, isolation := range []string{"handle", "mount"} {
		t.Run(isolation, func(t *testing.T) {
			shortIsParallel(t)
			m := mounttest.Start(t, mounttest.Options{Mount: "isolation=" + isolation})
			shell(t, m, `chmod 711 "$(dirname "$PWD")" "$(dirname "$(dirname "$PWD")")"; echo base > f; chmod 666 f`)
			writer, pid := holds(t, m, nobody, `import os, ctypes; f = os.open("f", os.O_RDWR); os.write(f, b"AAA\n"); ctypes.CDLL(None).syncfs(f)`)
			m.Kill()
			writer()
			if err := unix.Unmount(m.Dir, unix.MNT_DETACH); err != nil {
				t.Fatal(err)
			}
			m.Restart()
			host, err := os.Hostname()
			if err != nil {
				t.Fatal(err)
			}
			want := fmt.Sprintf("AAA\n\n%d %d %s\n", nobody, pid, host)
			const list = `cat .etagfs/conflicts/*/mine; /usr/bin/python3 -c 'import json, glob; i = json.load(open(glob.glob(".etagfs/conflicts/*/info.json")[0])); print(i["uid"], i["pid"], i["host"])'`
			for _, user := range []uint32{0, nobody} {
				if out, err := as(m, user, list); err != nil || out != want {
					t.Errorf("user %d sees %q (%v), want %q", user, out, err, want)
				}
			}
			if out, err := as(m, 1234, `ls -A .etagfs/conflicts`); err != nil || out != "" {
				t.Errorf("another user sees %q (%v)", out, err)
			}
		})
	}
}

// C4: of a working copy that several users change a crash leaves what is not committed to who wrote that.
func TestC4WhatACrashLeavesOfAWorkingCopyIsTheLastWriters(t *testing.T) {
	shortIsParallel(t)
	mounttest.Need(t, "fuse", "root", "binary", "python3")
	m := mounttest.Start(t, mounttest.Options{Mount: "isolation=mount"})
	shell(t, m, `chmod 711 "$(dirname "$PWD")" "$(dirname "$(dirname "$PWD")")"; echo base > f; chmod 666 f`)
	first, _ := holds(t, m, 0, `import os; f = os.open("f", os.O_RDWR); os.write(f, b"ROOT"); os.fsync(f)`)
	second, _ := holds(t, m, nobody, `import os, ctypes; f = os.open("f", os.O_RDWR); os.write(f, b"AAA"); ctypes.CDLL(None).syncfs(f)`)
	m.Kill()
	first()
	second()
	if err := unix.Unmount(m.Dir, unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	m.Restart()
	for user, want := range map[uint32]string{0: "ROOT\nAAAT\n", nobody: "ROOT\nAAAT\n", 1234: "ROOT\n"} {
		if out, err := as(m, user, `cat f; cat .etagfs/conflicts/*/mine 2>/dev/null || true`); err != nil || out != want {
			t.Errorf("user %d sees %q (%v), want %q", user, out, err, want)
		}
	}
}

// holds runs a program of Python as a user, and leaves its process there until end is called.
func holds(t *testing.T, m *mounttest.Mount, user uint32, script string) (end func(), pid int) {
	t.Helper()
	cmd := m.As(user, "/usr/bin/python3", "-c", script+"; print(os.getpid(), flush=True); import sys; sys.stdin.readline()")
	cmd.Dir = m.Dir
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end = sync.OnceFunc(func() {
		in.Close()
		cmd.Wait() // what it says is not asked: its mount may be dead
	})
	t.Cleanup(end)
	if _, err := fmt.Fscan(out, &pid); err != nil {
		t.Fatalf("%q as user %d: %v", script, user, err)
	}
	return end, pid
}
