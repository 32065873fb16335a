package posix

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"

	"testing"

	"golang.org/x/sys/unix"
)

// flag is one of open(2) by name.
type flag struct {
	name string
	bits int
}

// decisive are the flags that decide what an open does to names; the others say how the file is used.
func decisive() []flag {
	return []flag{
		{"CREAT", unix.O_CREAT}, {"EXCL", unix.O_EXCL}, {"TRUNC", unix.O_TRUNC}, {"DIRECTORY", unix.O_DIRECTORY},
		{"NOFOLLOW", unix.O_NOFOLLOW}, {"PATH", unix.O_PATH}, {"TMPFILE", unix.O_TMPFILE &^ unix.O_DIRECTORY},
	}
}

func usages() []flag {
	return []flag{
		{"APPEND", unix.O_APPEND}, {"DIRECT", unix.O_DIRECT}, {"SYNC", unix.O_SYNC}, {"DSYNC", unix.O_DSYNC}, {"NOATIME", unix.O_NOATIME},
	}
}

// drawn is how many combinations with the other flags the short form opens on each target.
const drawn = 250

// combinations are the flags to open with: all that are decisive, and with the others all or some.
func combinations(random *rand.Rand) []flag {
	all := crossed([]flag{{"RDONLY", unix.O_RDONLY}, {"WRONLY", unix.O_WRONLY}, {"RDWR", unix.O_RDWR}, {"3", 3}}, decisive())
	whole := crossed(all, usages())
	if long() {
		return whole
	}
	chosen := make(map[string]bool)
	for range drawn {
		if f := whole[random.IntN(len(whole))]; !chosen[f.name] {
			chosen[f.name] = true
		}
	}
	for _, f := range all {
		chosen[f.name] = false
	}
	for _, f := range whole {
		if chosen[f.name] {
			all = append(all, f)
		}
	}
	return all
}

// crossed is every one of from with every subset of flags.
func crossed(from []flag, flags []flag) []flag {
	for _, f := range flags {
		for _, c := range from {
			from = append(from, flag{c.name + "|" + f.name, c.bits | f.bits})
		}
	}
	return from
}

// target is what is opened: at name, made anew if an open may have changed it.
type target struct {
	name string
	make func(t *testing.T, dir string)
}

func targets() []target {
	return []target{
		{"absent", nothing},
		{"file", func(t *testing.T, dir string) { put(t, dir+"/x") }},
		{"directory", func(t *testing.T, dir string) { must(t, os.Mkdir(dir+"/x", 0o755)) }},
		{"link to a file", func(t *testing.T, dir string) { put(t, dir+"/f"); must(t, os.Symlink("f", dir+"/x")) }},
		{"link to a directory", func(t *testing.T, dir string) {
			must(t, os.Mkdir(dir+"/d", 0o755))
			must(t, os.Symlink("d", dir+"/x"))
		}},
		{"dangling link", func(t *testing.T, dir string) { must(t, os.Symlink("f", dir+"/x")) }},
		{"link to itself", func(t *testing.T, dir string) { must(t, os.Symlink("x", dir+"/x")) }},
		{"fifo", func(t *testing.T, dir string) { must(t, unix.Mkfifo(dir+"/x", 0o644)) }},
		{"socket", func(t *testing.T, dir string) { must(t, unix.Mknod(dir+"/x", unix.S_IFSOCK|0o644, 0)) }},
	}
}

// shownFlags are those F_GETFL tells of; O_LARGEFILE depends on the machine.
const shownFlags = unix.O_ACCMODE | unix.O_APPEND | unix.O_DIRECT | unix.O_SYNC | unix.O_PATH | unix.O_NOATIME

// tryOpen opens dir/x and says what it got.
func tryOpen(t *testing.T, dir string, flags int) string {
	t.Helper()
	var fd int
	err := again(func() (err error) {
		fd, err = unix.Open(dir+"/x", flags|unix.O_NONBLOCK|unix.O_CLOEXEC, 0o3640)
		return err
	})
	if err != nil {
		return outcome(err)
	}
	var st unix.Stat_t
	text := outcome(unix.Fstat(fd, &st))
	got, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	text += sprint(" %s %o %s", describe(st), got&shownFlags, outcome(err))
	if flags&unix.O_PATH == 0 && st.Mode&unix.S_IFMT == unix.S_IFREG {
		_, err := unix.Write(fd, nil)
		text += " write " + outcome(err)
	}
	return text + " close " + outcome(unix.Close(fd))
}

// names describes what is in a directory.
func names(t *testing.T, dir string) string {
	t.Helper()
	s := stateOf(t, dir)
	delete(s, "")
	return s.since(s)
}

// Every combination of the flags of open(2) does on every kind of target what it does on a local disk.
func TestOpenFlags(t *testing.T) {
	seed := seedOf(t)
	compare(t, func(t *testing.T, dir string) lines {
		all := make(lines)
		chosen := combinations(rand.New(rand.NewPCG(seed, 0)))
		for i, on := range targets() {
			made := filepath.Join(dir, strconv.Itoa(i))
			must(t, os.Mkdir(made, 0o755))
			on.make(t, made)
			was := names(t, made)
			for _, f := range chosen {
				text := tryOpen(t, made, f.bits)
				if f.bits&(unix.O_CREAT|unix.O_TRUNC|unix.O_TMPFILE) != 0 {
					now := names(t, made)
					if text += ": " + now; now != was {
						empty(t, made)
						on.make(t, made)
					}
				}
				all.add(t, on.name+": "+f.name, text)
			}
		}
		return all
	})
}

// empty removes everything in a directory.
func empty(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		must(t, os.RemoveAll(filepath.Join(dir, e.Name())))
	}
}

// seedOf is what the trials are drawn with: ETAGFS_SEED, or a new one, which is printed.
func seedOf(t *testing.T) uint64 {
	t.Helper()
	seed, err := strconv.ParseUint(os.Getenv("ETAGFS_SEED"), 10, 64)
	if err != nil {
		seed = rand.Uint64()
	}
	t.Logf("run again with ETAGFS_SEED=%d", seed)
	return seed
}

// A file that was opened to be executed cannot be written, and the other way round.
func TestExecutedFilesAreBusy(t *testing.T) {
	compare(t, func(t *testing.T, dir string) lines {
		all := make(lines)
		program := dir + "/sleep"
		bin, err := os.ReadFile("/bin/sleep")
		must(t, err)
		must(t, os.WriteFile(program, bin, 0o755))
		running := started(t, program)
		for _, flags := range []flag{{"RDONLY", unix.O_RDONLY}, {"WRONLY", unix.O_WRONLY}, {"RDWR", unix.O_RDWR}, {"TRUNC", unix.O_WRONLY | unix.O_TRUNC}} {
			fd, err := unix.Open(program, flags.bits, 0)
			all.add(t, "open of what runs: "+flags.name, outcome(err))
			if err == nil {
				unix.Close(fd)
			}
		}
		all.add(t, "truncate of what runs", outcome(unix.Truncate(program, 5)))
		all.add(t, "unlink of what runs", outcome(unix.Unlink(program)))
		running()
		must(t, os.WriteFile(program, bin, 0o755))
		for _, flags := range []flag{{"RDONLY", unix.O_RDONLY}, {"WRONLY", unix.O_WRONLY}, {"RDWR", unix.O_RDWR}} {
			fd, err := unix.Open(program, flags.bits|unix.O_CLOEXEC, 0)
			must(t, err)
			all.add(t, "run while open: "+flags.name, runs(program))
			unix.Close(fd)
			all.add(t, "run after close: "+flags.name, runs(program))
		}
		return all
	})
}
