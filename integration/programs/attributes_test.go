package programs

// attributeUses are of modes, owners, lists of rights and attributes.
func attributeUses() []use {
	return []use{
		{name: "chmod -R", script: `cp -a "$TREE" a; chmod -R u=rwX,go=rX a; find a -printf '%m %p\n' | sort; chmod -R g+s a; chmod 1777 a/0; mkdir a/1/sub; stat -c %a a/0 a/1/sub; chmod --reference=a/0/1 a/0/2; chmod u+s a/0/3; echo x >> a/0/3; stat -c %a a/0/2 a/0/3; umask 077; touch m; mkdir n; stat -c %a m n`},
		{name: "chown -R", needs: "root", script: `cp -a "$TREE" a; chown -R 1234:2345 a; find a -printf '%U:%G %p\n' | sort | uniq -c | wc -l; chown -h 5:6 a/0/link; stat -c %u:%g a/0/link a/0/1; chgrp 7 a/0/2; chmod 6755 a/0/2; chown 8 a/0/2; stat -c '%u:%g %a' a/0/2; chown --from=1234 9 a/0/3 a/0/2; stat -c %u a/0/2 a/0/3; find a -uid 9`},
		{name: "getfattr and setfattr", needs: "setfattr", script: `echo x > f; setfattr -n user.one -v 1 f; setfattr -n user.two -v 0x0001ff f; setfattr -n user.empty f; getfattr -d f; getfattr -n user.two -e hex f; setfattr -x user.one f; getfattr -d f; ! getfattr -n user.one f; cp -a f g; getfattr -d g; cp --preserve=xattr f h; getfattr --only-values -n user.two -e hex h | od -c
getfattr -d -R . > "$OUT/all"; setfattr -x user.two g; setfattr --restore="$OUT/all"; getfattr -d g; mkdir d; setfattr -n user.d -v "$(seq -s' ' 500)" d; getfattr --only-values -n user.d d | wc -c; mv f d/f; getfattr -d d/f`},
		{name: "getfacl and setfacl", needs: "setfacl root", script: `echo x > f; setfacl -m u:1234:rw,g:2345:r f; getfacl -n f; stat -c %a f; chmod 600 f; getfacl -nc f; setfacl -x u:1234 f; setfacl -b f; getfacl -nc f; mkdir d; setfacl -d -m u:1234:rwx,g::r-x d; touch d/f; mkdir d/s; getfacl -nc d/f d/s; cp -p d/f d/g; getfacl -nc d/g; getfacl -nR d > "$OUT/all"; setfacl -Rb d; setfacl --restore="$OUT/all"; getfacl -nc d/s; setfacl -k d; getfacl -nc d`},
		{name: "unknown ioctls", needs: "perl", script: `echo x > f; perl -e 'open F, "<", "f"; $a = "\0" x 8; ioctl(F, 0x12345678, $a) or print "$!\n"'`},
		{name: "users", needs: "root setpriv", script: `as() { setpriv --reuid=1234 --regid=2345 --groups=77 "$@"; }
mkdir d t; chmod 755 .; chmod 700 d; chmod 1777 t; ! as ls d; as sh -c 'echo mine > t/f'; stat -c '%u:%g' t/f; echo root > t/g; ! as rm t/g; ! as sh -c 'echo x > t/g'; chgrp 77 t/g; chmod 660 t/g; as sh -c 'echo group >> t/g'; cat t/g; as chmod 600 t/f; ! as chown 5 t/f; ! as chgrp 5 t/f; as chgrp 77 t/f; stat -c '%u:%g %a' t/f; ! as touch -d 2001-01-01 t/g; as touch t/g; as test -w t/g; ! as mknod t/n c 1 3; as mkfifo t/p; stat -c %F t/p`},
	}
}
