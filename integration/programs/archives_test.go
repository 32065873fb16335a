package programs

// archiveUses are of programs that pack and unpack.
func archiveUses() []use {
	return []use{
		{name: "tar", needs: "tar", script: `cp -a "$TREE" a; ln a/0/1 a/0/hard; tar -cf t.tar --sort=name a; mkdir b; tar -xpf t.tar -C b; diff -r a b/a; stat -c '%h %a %y' b/a/0/hard; tar -df t.tar; echo x >> a/0/2; tar -rf t.tar a/0/2; tar -uf t.tar a; tar -tf t.tar | wc -l; tar -czf - a | tar -tzf - | wc -l; tar --delete -f t.tar a/1; tar -tf t.tar | grep -c a/1 || true
tar -xf t.tar -C b --overwrite; tar -xf t.tar -C b --recursive-unlink; tar -xf t.tar -C b --keep-newer-files 2>/dev/null; tar -cf i.tar -g snap a; echo y > a/0/n; tar -cf j.tar -g snap a; tar -tf j.tar | grep -v '/$'`, varies: `\.tar$|^snap$`},
		{name: "tar of holes", needs: "tar setfattr setfacl", script: `truncate -s 5M s; echo middle | dd of=s bs=1 seek=2000000 conv=notrunc status=none; tar -Scf s.tar s; test $(stat -c %s s.tar) -lt 100000; mkdir b; tar -xf s.tar -C b; cmp s b/s; test $(du -k b/s | cut -f1) -lt 500
echo x > f; setfattr -n user.k -v v f; setfacl -m u:1234:r f; tar --xattrs --acls -cf f.tar f; tar --xattrs --acls -xf f.tar -C b; getfattr -d b/f; getfacl -nc b/f`, varies: `\.tar$`},
		{name: "cpio", needs: "cpio", script: `cp -a "$TREE" a; ln a/0/1 a/0/hard; find a -depth | sort -r | cpio -o --quiet -H newc > c; mkdir b; (cd b; cpio -idm --quiet < ../c); diff -r a b/a; stat -c %h b/a/0/hard; find a -depth | cpio -pdm --quiet d; diff -r a d/a; cpio -it --quiet < c | wc -l; mkdir l; (cd a; find . -type f | cpio -pdl --quiet ../l); stat -c %h l/1/1`, varies: "^c$"},
		{name: "zip", needs: "zip unzip", script: `cp -a "$TREE" a; zip -qr z a; unzip -tq z; mkdir b; unzip -q z -d b; diff -r a b/a; echo x >> a/0/1; zip -qu z a/0/1; zip -qd z a/1/1; unzip -l z | tail -1 | awk '{print $2}'; unzip -p z a/0/1 | tail -1; zip -qm y a/2/1; test ! -e a/2/1; unzip -qo z -d b; cat b/a/0/1; zip -q --symlinks -r w a; unzip -Z1 w | wc -l`, varies: `\.zip$`},
		{name: "ar and ld", needs: "ar ld strip cc", script: `for f in a b; do echo "int $f(void) { return 1; }" > $f.c; cc -c $f.c; done; echo 'int a(void), b(void); int main(void) { return a() + b() - 2; }' > m.c; ar rcs lib.a a.o; ar q lib.a b.o; ranlib lib.a; ar t lib.a; ar d lib.a a.o; ar r lib.a a.o; cc -c m.c; cc -o m m.o lib.a; ./m; ld -r -o all.o a.o b.o; strip -g m; ./m; strip m; ./m; strip -o n m; ./n; objcopy --only-section=.text m t; cc -shared -fPIC -o libs.so a.c b.c; cc -o d m.c -L. -ls -Wl,-rpath,'$ORIGIN'; ./d; nm lib.a | grep -c T`},
	}
}
