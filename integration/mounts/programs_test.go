package mounts

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// program is a script that must succeed in the mount, with $TREE a directory of files elsewhere.
type program struct {
	name   string
	needs  []string
	script string
	want   string // output; empty: none expected
}

func programs() []program {
	return []program{
		{"cp and mv", nil, `cp -a "$TREE" a; cp -r a b; mv b c; diff -r "$TREE" c; cp c/1/5 c/1/6 c; mv a/1 d; diff -r "$TREE/1" d; mv c "$TREE.back"; diff -r "$TREE.back/1" "$TREE/1"`, ""},
		{"tar", []string{"tar"}, `tar -C "$TREE" -c . | tar -x; tar -c . | tar -d -C "$TREE" -f - >/dev/null; tar -czf t.tgz 1; tar -tzf t.tgz | wc -l`, "21\n"},
		{"rsync", []string{"rsync"}, `rsync -a "$TREE/" a/; rsync -ac --delete --itemize-changes "$TREE/" a/; echo x > a/1/5; rsync -a --inplace -c "$TREE/" a/; diff -r "$TREE" a`, ""},
		{"git", []string{"git"}, `export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
git init -q r; cp -r "$TREE"/. r; cd r; git add .; git commit -qm one; echo more >> 1/5; git commit -qam two; git gc -q; git fsck 2>&1
cd ..; git clone -q r s; cd s; git status --porcelain; git log --format=%s; git checkout -qb other HEAD~1; diff -r -x .git "$TREE" .`, "two\none\n"},
		{"sqlite3", []string{"sqlite3"}, `sqlite3 db "create table t(n integer primary key, s text); begin; with recursive c(n) as (select 1 union all select n+1 from c where n < 2000) insert into t select n, hex(randomblob(50)) from c; commit"
for i in 1 2 3 4 5; do sqlite3 db "update t set s = 'x' where n % 5 = $i; delete from t where n % 7 = $i"; done; sqlite3 db "pragma integrity_check; vacuum; select count(*) from t"`, "ok\n570\n"},
		{"sed and editors", nil, `seq 100 > f; sed -i 's/^50$/fifty/' f; grep -c fifty f; perl -i -pe 's/^60$/sixty/' f; grep -c sixty f; cp f f~; (grep -v sixty f > f.new; mv f.new f); wc -l < f; stat -c %h f`, "1\n1\n99\n1\n"},
		{"python", []string{"python3"}, `/usr/bin/env python3 - <<'END'
import os, tempfile, mmap, json, shutil
json.dump({"a": 1}, open("j", "w")); print(json.load(open("j")))
with tempfile.NamedTemporaryFile(dir=".", mode="w+") as t:
    t.write("x" * 100000); t.flush(); print(os.stat(t.name).st_size, len(open(t.name).read()))
with open("m", "w+b") as f:
    f.truncate(8192)
    with mmap.mmap(f.fileno(), 0) as m:
        m[5000:5003] = b"abc"; m.flush()
print(open("m", "rb").read().count(b"abc"), sorted(os.listdir(".")))
shutil.copyfile("m", "n"); shutil.move("n", "o"); os.replace("o", "m"); shutil.rmtree
END`, "{'a': 1}\n100000 100000\n1 ['j', 'm']\n"},
		{"go", []string{"go"}, `mkdir p; cd p; printf 'module example.com/p\n' > go.mod; printf 'package main\n\nfunc main() { println("built on the mount") }\n' > main.go
go build -o p . && ./p 2>&1; gofmt -l .`, "built on the mount\n"},
		{"compiler", []string{"cc"}, `printf '#include <stdio.h>\nint main(void) { puts("compiled"); }\n' > a.c; cc -o a a.c; ./a; cp a b; ./b`, "compiled\ncompiled\n"},
		{"sort, split, dd, gzip", nil, `seq 20000 | shuf > f; sort -n -o f f; split -l 5000 f part.; cat part.* | cmp - f; gzip -k f; gunzip -c f.gz | cmp - f
dd if=f of=g bs=1000 conv=fsync status=none; cmp f g; dd if=g of=g bs=1 seek=3 count=2 conv=notrunc status=none; head -c 8 g | od -c | head -1; truncate -s 1M s; stat -c %s s; install -m 700 f h; stat -c %a h`,
			"0000000   1  \\n   2   1  \\n  \\n   4  \\n\n1048576\n700\n"},
		{"links and special files", nil, `echo x > f; ln f g; ln -s f l; ln -s missing d; mkfifo p; stat -c %h f; readlink l d; cat l g; test -p p; rm f; cat g; stat -c %h g; ! cat d 2>/dev/null; find . -type l | sort`,
			"2\nf\nmissing\nx\nx\nx\n1\n./d\n./l\n"},
		{"locks", []string{"flock"}, `exec 3> lock; flock 3; ! flock -n lock true; exec 3>&-; flock -n lock echo free`, "free\n"},
	}
}

// tree makes a directory of files of all sizes.
func tree(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tree")
	for d := range 3 {
		if err := os.MkdirAll(filepath.Join(dir, fmt.Sprint(d)), 0o755); err != nil {
			t.Fatal(err)
		}
		for f := range 20 {
			put(t, filepath.Join(dir, fmt.Sprint(d), fmt.Sprint(f)), strings.Repeat(fmt.Sprintln(d, f), 1<<f/8))
		}
	}
	return dir
}

func TestProgramsWork(t *testing.T) {
	shortIsParallel(t)
	for _, p := range programs() {
		t.Run(p.name, func(t *testing.T) {
			mounttest.Need(t, p.needs...)
			m := start(t)
			t.Setenv("TREE", tree(t))
			if out := shell(t, m, p.script); out != p.want {
				t.Errorf("it says %q, want %q", out, p.want)
			}
			checkKept(t, m)
		})
	}
}

func TestRedirections(t *testing.T) {
	shortIsParallel(t)
	m := start(t)
	shell(t, m, `for i in $(seq 100); do /bin/echo "line $i of one hundred"; done > f; test $(wc -l < f) = 100
for i in $(seq 100); do /bin/echo "line $i of one hundred" >> g; done; cmp f g
{ /bin/echo one; /bin/echo two >&2; } > both 2>&1; test "$(cat both)" = $'one\ntwo'
echo x > e; sh -c 'echo y >> /dev/stderr' 2>> e; test "$(cat e)" = $'x\ny'`)
	checkKept(t, m)
}

// A hundred commands that write to one redirection, each of which commits, cost what
// they write, not a hundred times the file.
func TestManyCommandsIntoOneRedirectionCostTheirBytes(t *testing.T) {
	shortIsParallel(t)
	m := onDisk(t)
	const fileBytes = 8 << 20
	put(t, m.Path("f"), strings.Repeat("0123456789abcde\n", fileBytes/16))
	before := bytesBelow(t, m.Store)
	shell(t, m, `for i in $(seq 100); do /bin/echo "line $i of one hundred"; done >> f`)
	if grown := bytesBelow(t, m.Store) - before; grown > 3*fileBytes {
		t.Errorf("the store grew by %d bytes", grown)
	}
	if info, err := os.Stat(m.Path("f")); err != nil || info.Size() != fileBytes+2292 {
		t.Errorf("the file has %d bytes (%v)", info.Size(), err)
	}
}

// bytesBelow is the space the files below a directory take.
func bytesBelow(t *testing.T, dir string) int64 {
	t.Helper()
	var total int64
	err := filepath.WalkDir(dir, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			total += info.Sys().(*syscall.Stat_t).Blocks * 512
		}
		return nil // a file that went meanwhile takes no space
	})
	if err != nil {
		t.Fatal(err)
	}
	return total
}
