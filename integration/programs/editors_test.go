package programs

// editorUses are of the ways editors save.
func editorUses() []use {
	vim := func(mode string) use {
		return use{name: "vim backupcopy=" + mode, needs: "vim", script: `seq 10 > f; chmod 640 f; ln f hard; ln -s f soft
vi() { vim -Nu NONE -i NONE -Es -c 'set backupcopy=` + mode + ` backup writebackup backupdir=. backupskip= nofsync' "$@"; }
vi -c '5s/5/five/' -c 'wq' f < /dev/null; cat f; cat f~; stat -c '%a %h' f; vi -c '$s/$/ last/' -c 'wq' soft < /dev/null; tail -1 f; stat -c %F soft; tail -1 hard
vi -c 'normal Onew' -c 'saveas! g' -c 'q' f < /dev/null; head -1 g; vi -c '1,2w >> g' -c 'q!' f < /dev/null; tail -1 g; vim -Nu NONE -i NONE -n -Es -c '%s/^/x/' -c 'x' g < /dev/null; head -2 g; ls -A`}
	}
	return []use{
		vim("yes"), vim("no"), vim("auto"),
		{name: "vim swap files", needs: "vim", script: `seq 10 > f; vim -Nu NONE -i NONE -Es -c 'set directory=. updatecount=1' -c '3d' -c 'preserve' -c 'call system("ls -A > names")' -c 'wq' f < /dev/null; cat names f; ls -A
vim -Nu NONE -i "$PWD/info" -Es -c 'set undofile undodir=.' -c '4d' -c 'wq' f < /dev/null; vim -Nu NONE -i "$PWD/info" -Es -c 'set undofile undodir=.' -c 'undo' -c 'wq' f < /dev/null; cat f`, varies: `info|\.un~$`},
		{name: "saves like emacs", needs: "python3", script: `seq 10 > f; chmod 640 f; ln f hard; /usr/bin/env python3 - <<'END'
import os, stat
def lock(f): os.symlink("me@host.1:2", ".#" + f)
def unlock(f): assert os.readlink(".#" + f).startswith("me@"); os.unlink(".#" + f)
def write(f, data, flags, mode=0o666):
    fd = os.open(f, os.O_WRONLY | os.O_CREAT | flags, mode); os.write(fd, data); os.fsync(fd); os.close(fd)
def autosave(f, data): write("#" + f + "#", data, os.O_TRUNC, 0o600)
def check(f, data): assert open(f, "rb").read() == data, f
lock("f"); autosave("f", b"auto\n")                       # the first save: the file becomes the backup
mode = stat.S_IMODE(os.stat("f").st_mode); os.rename("f", "f~"); write("f", b"one\n", os.O_TRUNC | os.O_EXCL, mode)
os.chmod("f", mode); os.unlink("#f#"); unlock("f"); check("f", b"one\n")
lock("f"); write("f", b"two, longer\n", os.O_TRUNC); unlock("f"); check("f", b"two, longer\n")   # later ones write in place
write("f~", open("f", "rb").read(), os.O_TRUNC); write("f", b"three\n", os.O_TRUNC)              # backup by copying
check("f~", b"two, longer\n"); check("f", b"three\n")
write("f.tmp", b"four\n", os.O_EXCL); os.chmod("f.tmp", mode); os.rename("f.tmp", "f"); check("f", b"four\n")  # file-precious-flag
fd = os.open("f", os.O_RDONLY); before = os.fstat(fd); os.close(fd); after = os.stat("f")
print(before.st_mtime_ns == after.st_mtime_ns, before.st_ino == after.st_ino, sorted(os.listdir(".")))
END
cat f f~ hard; stat -c '%a %h' f f~`},
		{name: "saves that truncate", needs: "python3", script: `echo one > f; /usr/bin/env python3 - <<'END'
import os
for i in range(5):
    with open("f", "r+") as f:
        old = f.read(); f.seek(0); f.truncate(); f.write(old + "line %d\n" % i); f.flush(); os.fsync(f.fileno())
    with open("f", "w") as f: f.write("".join(reversed(open("f").read() or "empty\n")))
    with open("f", "a+") as f: f.write("appended\n"); f.seek(0); print(f.read().count("\n"))
fd = os.open(".", os.O_TMPFILE | os.O_RDWR, 0o644); os.write(fd, b"linked\n"); os.link("self/fd/%d" % fd, "g", src_dir_fd=os.open("/proc", os.O_RDONLY), follow_symlinks=True); os.close(fd)
os.replace("g", "f"); print(open("f").read())
END`},
	}
}
