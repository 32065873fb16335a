package programs

// fileUses are of the tools that make, copy and look at files.
func fileUses() []use {
	return []use{
		{name: "cp -a", script: `cp -a "$TREE" a; cp -a a b; diff -r "$TREE" b; cp -al a hard; stat -c %h a/0/1 hard/0/1; cp -u a/0/1 b/0/1; cp --backup=numbered a/0/2 b/0/1; ls b/0`},
		{name: "cp --sparse", script: `truncate -s 3M s; echo end >> s; printf x | dd of=s bs=1 seek=1000000 conv=notrunc status=none
cp --sparse=always s t; cmp s t; cp --sparse=auto s u; cmp s u; cp --sparse=never s v; cmp s v; test $(du -k t | cut -f1) -lt 1000`},
		{name: "cp --reflink", script: `seq 100000 > f; cp --reflink=auto f g; cmp f g; echo more >> g; tail -1 f; cat "$TREE/2/9" > h; cp --reflink=auto h f; cmp f h`},
		{name: "mv", script: `cp -r "$TREE" a; mv a/0 a/3; mv a b; mv b/1/1 b/1/2; mv -n b/1/3 b/1/4; mv -b b/1/5 b/1/6; mv b "$OUT/c"; mv "$OUT/c" d; mkdir e; mv d/2 d/3 e; find . | sort; mv -T e/2 f`},
		{name: "install", script: `install -d -m 700 a/b/c; install -m 755 "$TREE/0/3" a/b/p; install -b -m 640 "$TREE/0/4" a/b/p; install -D -t x/y "$TREE/0/5" "$TREE/0/6"; stat -c '%a %s' a/b/p* x/y/*; stat -c %a a/b/c`},
		{name: "ln", script: `echo x > f; ln f g; ln -s f l; ln -sf g l; ln -sfn missing d; ln -sr f m; ln -f g h; ! ln f g 2>/dev/null; rm f; cat g h; readlink l d m; stat -c %h g; ! cat d 2>/dev/null`},
		{name: "mktemp", script: `t=$(mktemp -p .); stat -c '%a %s' "$t"; echo x > "$t"; d=$(mktemp -d ./dXXXX); stat -c %a "$d"; cp "$t" "$d/f"; cat "$d/f"; rm -r "$t" "$d"; ls -A`},
		{name: "rm", script: `cp -r "$TREE" a; rm -rf a/0; rm a/1/1; ! rmdir a/1 2>/dev/null; rm -r a/1/*; rmdir a/1; mkdir -p p/q/r; rmdir -p p/q/r; touch -- -f; rm -- -f; find . | sort`},
		{name: "dd", script: `seq 30000 > f; dd if=f of=g bs=1000 conv=fsync status=none; cmp f g; dd if=/dev/zero of=g bs=1 seek=3 count=2 conv=notrunc status=none; head -c 8 g | od -c
dd if=f of=h bs=4096 oflag=append conv=notrunc status=none; dd if=f of=h bs=4096 oflag=append conv=notrunc status=none; wc -c h; dd if=/dev/zero of=s bs=1 count=0 seek=1M status=none; stat -c %s s
dd if=f of=d bs=4096 count=3 oflag=direct status=none; dd if=d bs=4096 iflag=direct status=none | cmp - <(head -c 12288 f); dd if=f of=y bs=64k oflag=sync status=none; cmp f y`},
		{name: "truncate", script: `truncate -s 1M s; stat -c %s s; echo x >> s; truncate -s -1 s; truncate -s 10 s; od -c s; seq 100 > f; truncate -s 20 f; cat f; truncate -r f g; truncate -s +5 g; truncate -s %4096 g; stat -c %s g; truncate -c -s 5 no; ls`},
		{name: "fallocate", needs: "fallocate", script: `fallocate -l 100K a; stat -c %s a; seq 30000 > f; fallocate -p -o 4096 -l 8192 f; od -An -tx1 -j 4090 -N 10 f; stat -c %s f; fallocate -z -o 0 -l 100 f; fallocate -n -o 1M -l 1M f; stat -c %s f; cp f g; fallocate -d g; cmp f g`},
		{name: "touch", script: `touch -d '2001-02-03 04:05:06.123456789' f; stat -c %y f; touch -r f g; touch -m -d 2002-01-01 g; stat -c '%x %y' g; touch -a -d 2003-01-01 g; stat -c '%x %y' g; mkdir d; touch -d 1960-01-01 d; stat -c %y d
ln -s f l; touch -h -d 2004-01-01 l; stat -c %y l f; touch -c no; ls; touch -d 2101-01-01 g; stat -c %Y g`},
		{name: "find", script: `cp -a "$TREE" a; find a -name '[1-3]' -type f | sort; find a -type f -size +2k -newer a/0/1 | sort; find a -perm -u+x -type f | sort; find a -links 1 -type l -delete; find a -empty; find a -name 5 -exec mv {} {}.old \;; find a -name '*.old' -print0 | xargs -0 rm; find a -depth -type d -exec sh -c 'rm -f "$1"/0 2>/dev/null' _ {} \; ; find a | sort`},
		{name: "xargs -P", script: `mkdir d; seq 60 | xargs -P 6 -I{} sh -c 'echo {} > d/{}; cp d/{} d/{}.copy; mv d/{}.copy d/{}.moved'; cat d/*.moved | sort -n | tail -1; ls d | wc -l; seq 60 | xargs -P 6 -n 10 rm -f d/1; ls d | xargs -P 4 -n 5 sh -c 'cd d; sha256sum "$@"' _ | sort | sha256sum`},
		{name: "du and df", script: `cp -a "$TREE" a; du -b a/0/* | sort -k2; truncate -s 10M s; du --apparent-size -k s; test $(du -k s | cut -f1) -lt 100; df . | wc -l; df -i . | wc -l; stat -f -c %l .; test $(stat -f -c %a .) -gt 0; du -sh --inodes a`},
		{name: "ls", script: `cp -a "$TREE" a; touch .hidden 'a b' $'new\nline' "$(printf 'x%.0s' $(seq 255))"; ls -A | od -c | tail -3; ls -lR --time-style=+%Y a/0 a/1 | sed 's/^total.*//' | awk '{print $1,$2,$5,$7}'; ls -i a | wc -l; ls -U a | sort; ls -Q; ls -t a/0/1 a/1/2 .hidden`},
		{name: "diff -r", script: `cp -a "$TREE" a; cp -a a b; echo x >> b/0/1; rm b/1/1; mkdir b/n; ! diff -rq a b; ! diff -ru a/0 b/0 | sed 's/\t.*//'; cmp a/2/9 b/2/9; ! cmp a/0/1 b/0/1`},
		{name: "sha256sum -c", script: `cp -a "$TREE" a; find a -type f | sort | xargs sha256sum > sums; sha256sum -c --quiet sums; echo x >> a/0/0; ! sha256sum -c sums 2>&1 | grep -v OK; md5sum a/2/9; cksum a/2/8; b2sum a/2/7`},
		{name: "special files", needs: "root", script: `mkfifo p; (echo through > p &); cat p; mknod n c 1 3; echo gone > n; stat -c '%F %t %T' n p; /usr/bin/env python3 -c 'import socket; s = socket.socket(socket.AF_UNIX); s.bind("s")'; test -S s; rm n; mknod z c 1 5; head -c 4 z | od -An -tx1`},
		{name: "readlink and realpath", script: `mkdir -p a/b; ln -s a/b c; ln -s ../.. a/b/up; realpath --relative-to=. c/up/c; readlink -f c/up/a | sed 's|.*/a|a|'; ln -s loop loop; ! cat loop; cd c; pwd -P | sed 's|.*/a|a|'; cd ..; basename "$(pwd)"; test c -ef a/b; pwd -L | grep -c readlink`},
	}
}
