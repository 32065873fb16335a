package mounttest

import (
	"bufio"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/mount"
)

// 1. A program with a mount namespace of its own has none of the mounts of etagfs that were there, but the one it asks for.
// 2. They stay where they were.
func TestProgramsApartHaveNoMountsOfOthers(t *testing.T) {
	Need(t, "root", "fuse")
	one, other := Start(t, Options{}), Start(t, Options{})
	for _, keep := range []string{"", one.Dir} {
		cmd := Apart(t, keep, "sh", "-c", "grep fuse.etagfs /proc/self/mountinfo || echo none; exec cat")
		in, out := StartPiped(t, cmd)
		lines := bufio.NewReader(out)
		seen, err := lines.ReadString('\n')
		if err != nil {
			t.Error(err)
		}
		if err := in.Close(); err != nil {
			t.Error(err)
		}
		rest, err := io.ReadAll(lines)
		if err != nil || len(rest) > 0 {
			t.Errorf("and it has %q (%v)", rest, err)
		}
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
		want := keep
		if keep == "" {
			want = "none"
		}
		if !strings.Contains(seen, want) {
			t.Errorf("with %q kept it has %q", keep, seen)
		}
	}
	points, err := mount.Points()
	if err != nil || !slices.Contains(points, one.Dir) || !slices.Contains(points, other.Dir) {
		t.Errorf("here are %q (%v)", points, err)
	}
}

// Where others have their mounts, none is taken away.
func TestMountsAreNotForgottenInASharedNamespace(t *testing.T) {
	Need(t, "fuse")
	m := Start(t, Options{})
	if err := ForgetMounts(""); err == nil || !strings.Contains(err.Error(), "not this process's own") {
		t.Errorf("%v", err)
	}
	if points, err := mount.Points(); err != nil || !slices.Contains(points, m.Dir) {
		t.Errorf("here are %q (%v)", points, err)
	}
}
