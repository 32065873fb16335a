package programs

// textUses are of filters and of what shells do with files.
func textUses() []use {
	return []use{
		{name: "redirections", script: `for i in $(seq 50); do /bin/echo "line $i"; done > f; for i in $(seq 50); do /bin/echo "line $i" >> g; done; cmp f g
{ /bin/echo one; /bin/echo two >&2; } > both 2>&1; cat both; echo x > e; sh -c 'echo y >> /dev/stderr' 2>> e; cat e; exec 5<> e; echo z >&5; exec 5>&-; cat e; set -C; ! (echo no > e) 2>/dev/null; echo yes >| e; cat e; set +C; : > e; cat e`},
		{name: "here-documents", script: "cat > f <<END\n$(seq 5)\nEND\ncat >> f <<'END'\n$literal\nEND\ncat f; cat <<< word > g; cat g; read -r line < f; echo \"$line\"; mapfile -t lines < f; echo ${#lines[@]}; while read -r l; do echo \"$l\" >> h; done < f; cmp f h; . /dev/stdin < <(echo 'echo sourced')"},
		{name: "sort -o", script: `seq 20000 | tac > f; sort -n -o f f; head -3 f; sort -u -r -o f f; sort -c -r f; sort -S 64k -T . -n f | tail -1; sort -m f f | wc -l; comm -12 f f | wc -l; sort -n f | uniq -c | head -1; ls`},
		{name: "split", script: `seq 20000 > f; split -l 3000 f part.; cat part.* | cmp - f; split -n 4 -d f n.; ls -s --block-size=1M | wc -l; split -b 10k --filter='gzip > $FILE.gz' f z.; zcat z.*.gz | cmp - f; csplit -s f 100 '{2}'; wc -l xx*`, varies: `\.gz$`},
		{name: "tee", script: `seq 1000 | tee a b > c; cmp a b; cmp a c; seq 5 | tee -a a > /dev/null; tail -5 a; seq 3 | tee a | wc -l; cat a`},
		{name: "shuf", script: `seq 1000 > f; shuf -o f f; sort -n f | cmp - <(seq 1000); shuf --random-source=<(yes) f > g; sort -n g > f; sha256sum f`, varies: "^g$"},
		{name: "sed -i", script: `seq 100 > f; chmod 640 f; sed -i 's/^50$/fifty/' f; grep -n fifty f; sed -i.bak '/^6/d' f; wc -l f f.bak; ln -s f l; sed -i --follow-symlinks 's/fifty/50/' l; test -L l; cp "$TREE"/0/* .; sed -i -s 's/file/FILE/' [0-9]; cat 0; stat -c %a f; sed -n 'w out' f; cmp f out; sed -i 5q f`},
		{name: "perl -i", needs: "perl", script: `seq 100 > f; perl -i -pe 's/^60$/sixty/' f; grep -n sixty f; perl -i.orig -ne 'print if $. % 2' f; wc -l f f.orig; perl -e 'open F, "+<", "f"; seek F, 3, 0; print F "X"; close F or die; open G, ">>", "f"; print G "end\n"; close G or die; print -s "f", "\n"; rename "f", "g"; unlink "f.orig"'; cat g | tail -1`},
		{name: "gawk inplace", needs: "gawk", script: `seq 100 > f; gawk -i inplace '{ print $1 * 2 }' f; tail -1 f; gawk -i inplace -v inplace::suffix=.bak '$1 > 100' f; wc -l f f.bak; gawk '{ print > ("out." ($1 % 3)) } END { close("out.0"); while ((getline line < "out.0") > 0) n++; print n }' f; ls; gawk '{ print | "sort -rn > sorted" }' f; head -1 sorted`},
		{name: "patch", needs: "patch", script: `cp -r "$TREE" a; cp -r a b; sed -i 's/file/changed/' b/0/5; echo new > b/0/new; rm b/1/3; diff -ruN a b > p || true; cd a; patch -s -p1 < ../p; diff -r . ../b; patch -s -R -p1 < ../p; diff -r . "$TREE"; ! patch -s --dry-run -R -p1 < ../p > /dev/null; patch -b -p1 0/5 < <(cd ..; diff -u a/0/5 b/0/5); ls 0`, varies: "^p$"},
		{name: "ed", needs: "ed", script: `seq 20 > f; printf '5,10d\n1i\nfirst\n.\nw\nq\n' | ed -s f; cat f; printf '$a\nlast\n.\nw g\nr !echo shell\nw\nq\n' | ed -s f; tail -2 f; cmp f g || true`},
		{name: "cut and paste", script: `seq 10 > a; seq 11 20 > b; paste a b > c; cut -f2 c | cmp - b; join <(cat -n a) <(cat -n b) | head -1; tr '\t' , < c > d; nl d > e; fold -w 3 e | tail -1; tac e > f; rev f | head -1; od -x a | head -1; expand c > g; cat c >> c.all; cat c >> c.all; wc c.all; ! cat c.all >> c.all 2>/dev/null; iconv -f utf8 -t utf16le a -o h; strings -n 1 a | wc -l`, needs: "strings"},
		{name: "gzip in place", script: `cp "$TREE"/2/9 f; gzip -n f; ls; gunzip f.gz; cmp f "$TREE/2/9"; gzip -kn f; zcat f.gz | cmp - f; gzip -t f.gz; gzip -nc f >> g.gz; gzip -nc f >> g.gz; zcat g.gz | wc -c`},
		{name: "xz in place", needs: "xz", script: `cp "$TREE"/2/9 f; touch -d 2001-01-01 f; xz f; ls; stat -c %y f.xz; unxz f.xz; cmp f "$TREE/2/9"; xz -k -0 f; xz -t f.xz; xzcat f.xz | cmp - f; ! xz f`},
		{name: "zstd in place", needs: "zstd", script: `cp "$TREE"/2/9 f; zstd -q --rm f; ls; zstd -q -d --rm f.zst; cmp f "$TREE/2/9"; zstd -q -k -T2 f; zstd -q -t f.zst; truncate -s 1M s; zstd -q s; rm s; zstd -q -d --sparse s.zst; stat -c %s s`},
		{name: "bzip2 in place", needs: "bzip2", script: `cp "$TREE"/2/9 f; bzip2 f; bunzip2 -k f.bz2; cmp f "$TREE/2/9"; bzip2 -t f.bz2; bzcat f.bz2 | wc -c`},
		{name: "openssl", needs: "openssl", script: `cp "$TREE"/2/8 f; openssl enc -aes-256-cbc -pbkdf2 -k pw -S 0102030405060708 -in f -out f.enc; openssl enc -d -aes-256-cbc -pbkdf2 -k pw -S 0102030405060708 -in f.enc -out f.dec; cmp f f.dec; openssl dgst -sha256 f; openssl genpkey -algorithm ed25519 -out key 2>/dev/null; stat -c %a key; openssl pkey -in key -pubout -out pub; openssl pkeyutl -sign -inkey key -rawin -in f -out sig; openssl pkeyutl -verify -pubin -inkey pub -rawin -in f -sigfile sig`, varies: "^(key|pub|sig)$"},
	}
}
