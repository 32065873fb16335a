package programs

// copyUses are of rsync.
func copyUses() []use {
	sync := func(name, more, script string) use {
		return use{name: "rsync " + name, needs: "rsync " + more, script: script, varies: "^batch"}
	}
	return []use{
		sync("-a", "", `rsync -a "$TREE/" a/; rsync -a --itemize-changes "$TREE/" a/; echo x > a/1/5; rsync -ai "$TREE/" a/; diff -r "$TREE" a; rsync -a a b; touch -d 2001-01-01 b/a/0/1; rsync -ain a/ b/a/ | grep -v '/$'; find a -printf '%m %p %T@\n' | sort > "$OUT/a"; find "$TREE" -printf '%m %p %T@\n' | sed "s|$TREE|a|" | sort | diff - "$OUT/a"`),
		sync("--inplace", "", `cp "$TREE/2/9" f; mkdir b; cp f b/f; ln b/f b/hard; sed -i 's/9/87/' f; exec 4< b/f; rsync --inplace --no-whole-file f b/f; cmp f b/f; cmp f b/hard; head -c 3000 f > g; rsync --append-verify f g; cmp f g; rsync --partial --inplace -c f g`),
		sync("--delete", "", `cp -a "$TREE" a; rsync -a a/ b/; rm -r a/0; echo n > a/1/new; mv a/2 a/3; rsync -aO --delete --itemize-changes a/ b/ | sort; diff -r --no-dereference a b; rsync -a --delete-after --backup --suffix=.old --exclude=1 a/1/ b/3/; ls b/3; rsync -a --remove-source-files a/1/ c/; find a/1; rsync -r --existing --ignore-existing a/ b/`),
		sync("-S", "", `truncate -s 3M s; echo x | dd of=s bs=1 seek=1500000 conv=notrunc status=none; rsync -aS s t; cmp s t; test $(du -k t | cut -f1) -lt 500; rsync -a --preallocate s u; cmp s u; rsync -aS --inplace s u; cmp s u; rsync -aW s v; cmp s v`),
		sync("-HAX --link-dest", "setfattr setfacl", `cp -a "$TREE" a; ln a/0/1 a/1/hard; setfattr -n user.k -v v a/0/2; setfacl -m u:1234:r a/0/3; rsync -aHAX a/ b/; stat -c %h b/1/hard; getfattr -d b/0/2; getfacl -nc b/0/3; echo x >> a/0/4; rsync -aHAX --link-dest=../b a/ c/; stat -c %h c/0/5 c/0/4; rsync -aHAXi a/ c/; rsync -a --compare-dest=../b a/ d/; find d -type f`),
		sync("--delay-updates", "", `cp -r "$TREE" a; rsync -a a/ b/; for f in 1 2 3; do echo $f >> a/0/$f; done; rsync -a --delay-updates --fuzzy a/ b/; diff -r a b; rsync -a --temp-dir="$PWD" -c a/ b/; rsync -a --write-batch=batch a/ c/; mkdir d; rsync -a --read-batch=batch d/; diff -r a d; rsync -az --checksum -T . a/ e/; diff -r a e; ls -A | grep -v batch`),
	}
}
