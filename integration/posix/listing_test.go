package posix

import (
	"encoding/binary"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// listed is an entry of getdents(2): where the walk goes on after it, and what it is.
type listed struct {
	name string
	ino  uint64
	kind byte
	next int64
}

// readSome is one getdents(2).
func readSome(t *testing.T, fd, bytes int) (all []listed) {
	t.Helper()
	buf := make([]byte, bytes)
	var n int
	must(t, again(func() (err error) { n, err = unix.Getdents(fd, buf); return err }))
	for rest := buf[:n]; len(rest) > 0; {
		size := binary.NativeEndian.Uint16(rest[16:])
		name, _, _ := strings.Cut(string(rest[19:size]), "\x00")
		all = append(all, listed{
			name: name, kind: rest[18],
			ino: binary.NativeEndian.Uint64(rest), next: int64(binary.NativeEndian.Uint64(rest[8:])),
		})
		rest = rest[size:]
	}
	return all
}

func openDirectory(t *testing.T, dir string) int {
	t.Helper()
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	must(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// walk lists all that is left.
func walk(t *testing.T, fd, bytes int) (all []listed) {
	t.Helper()
	for {
		some := readSome(t, fd, bytes)
		if len(some) == 0 {
			return all
		}
		all = append(all, some...)
	}
}

// fill makes files, some of them not committed yet.
func fill(t *testing.T, dir string, count int) (open []*os.File) {
	t.Helper()
	for i := range count {
		f, err := os.OpenFile(sprint("%s/%05d", dir, i), os.O_CREATE|os.O_WRONLY, 0o644)
		must(t, err)
		if i%20 == 0 {
			open = append(open, f)
		} else {
			must(t, f.Close())
		}
	}
	return open
}

// A walk through a directory that others change all the time lists what was there throughout exactly once, and nothing twice.
func TestWalkOfAChangingDirectory(t *testing.T) {
	random := rand.New(rand.NewPCG(seedOf(t), 0))
	dir := mounted(t)
	const count = 1000
	open := fill(t, dir, count)
	stays := make(map[string]bool)
	for i := range count {
		stays[sprint("%05d", i)] = true
	}
	fd := openDirectory(t, dir)
	seen := make(map[string]int)
	for {
		some := readSome(t, fd, 400+random.IntN(3000))
		if len(some) == 0 {
			break
		}
		for _, e := range some {
			seen[e.name]++
		}
		changeDirectory(t, random, dir, stays)
		if len(open) > 0 {
			must(t, open[0].Close())
			open = open[1:]
		}
	}
	for _, f := range open {
		must(t, f.Close())
	}
	for name := range stays {
		if seen[name] != 1 {
			t.Errorf("%s, which stayed, was listed %d times", name, seen[name])
		}
	}
	for name, times := range seen {
		if times > 1 {
			t.Errorf("%s was listed %d times", name, times)
		}
	}
}

// changeDirectory makes, removes and renames some names.
func changeDirectory(t *testing.T, random *rand.Rand, dir string, stays map[string]bool) {
	t.Helper()
	names := slices.Sorted(maps.Keys(stays))
	gone, moved := names[random.IntN(len(names))], names[random.IntN(len(names))]
	delete(stays, gone)
	delete(stays, moved)
	if gone != moved {
		must(t, os.Rename(dir+"/"+moved, sprint("%s/moved%d", dir, random.Uint64())))
	}
	must(t, os.Remove(dir+"/"+gone))
	put(t, sprint("%s/new%d", dir, random.Uint64()))
}

// Wherever a walk has been it can go back to, with seekdir(3), and lists the same again; rewound, it lists what is there then.
func TestWalkGoesBackToWhereItWas(t *testing.T) {
	random := rand.New(rand.NewPCG(seedOf(t), 0))
	dir := mounted(t)
	const count = 500
	for _, f := range fill(t, dir, count) {
		must(t, f.Close())
	}
	fd := openDirectory(t, dir)
	all := walk(t, fd, 1000)
	if len(all) != count+2 {
		t.Fatalf("%d entries listed, not %d", len(all), count+2)
	}
	for range 50 {
		i := random.IntN(len(all))
		if _, err := unix.Seek(fd, all[i].next, 0); err != nil {
			t.Fatal(err)
		}
		if rest := walk(t, fd, 500+random.IntN(5000)); !slices.Equal(rest, all[i+1:]) {
			t.Fatalf("after %s: %d entries, not %d", all[i].name, len(rest), len(all)-i-1)
		}
	}
	must(t, os.Remove(dir+"/00000"))
	put(t, dir+"/later")
	if _, err := unix.Seek(fd, 0, 0); err != nil {
		t.Fatal(err)
	}
	again := walk(t, fd, 4000)
	has := func(name string) bool {
		return slices.ContainsFunc(again, func(e listed) bool { return e.name == name })
	}
	if len(again) != count+2 || has("00000") || !has("later") {
		t.Errorf("rewound: %d entries, the removed one is listed: %v, the new one: %v", len(again), has("00000"), has("later"))
	}
}

// A listing says of each entry the number and type that lstat(2) says.
func TestListingAgreesWithStat(t *testing.T) {
	dir := mounted(t)
	for thing, make := range things() {
		make(t, dir+"/"+thing)
	}
	must(t, unix.Mknod(dir+"/socket", unix.S_IFSOCK|0o644, 0))
	if os.Geteuid() == 0 { // else it is EPERM
		must(t, unix.Mknod(dir+"/device", unix.S_IFBLK|0o644, 0x7f00))
	}
	all := walk(t, openDirectory(t, dir), 4096)
	for _, e := range all {
		var st unix.Stat_t
		must(t, unix.Lstat(dir+"/"+e.name, &st))
		if e.ino != st.Ino || uint32(e.kind) != st.Mode&unix.S_IFMT>>12 {
			t.Errorf("%s: number %d and type %d are listed, stat says %d and %d", e.name, e.ino, e.kind, st.Ino, st.Mode&unix.S_IFMT>>12)
		}
	}
	if len(all) < 10 {
		t.Errorf("%d entries", len(all))
	}
}

// Everything that would change a mount that is read-only is EROFS, and everything that would not works.
func TestReadOnlyMount(t *testing.T) {
	m := readOnly(t)
	for _, d := range deeds() {
		err := d.do(m + "/d/f")
		want := "EROFS"
		switch d.name {
		case "read", "read without atime", "path", "access r", "access x", "access f", "stat":
			want = "ok"
		case "rmdir", "below", "enter", "make below":
			want = "ENOTDIR"
		case "getxattr":
			want = "ENODATA"
		}
		if got := outcome(err); got != want && !(d.name == "rmdir" && got == "EROFS") {
			t.Errorf("%s: %s, not %s", d.name, got, want)
		}
	}
}
