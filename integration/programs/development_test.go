package programs

// developmentUses are of compilers and of what brings packages.
func developmentUses() []use {
	return []use{
		{name: "gcc and make", needs: "cc make", script: `mkdir src; for i in 1 2 3 4; do echo "int f$i(void) { return $i; }" > src/f$i.c; done; printf '#include <stdio.h>\nint f1(void), f4(void);\nint main(void) { printf("%%d\\n", f1() + f4()); }\n' > src/main.c
printf 'p: $(patsubst src/%%.c,o/%%.o,$(wildcard src/*.c))\n\tcc -o $@ $^\no/%%.o: src/%%.c | o\n\tcc -MMD -c -o $@ $<\no:\n\tmkdir o\n-include o/*.d\nclean:\n\trm -rf o p\n' > Makefile
make -s -j4; ./p; make -q; touch -d '+2 seconds' src/f1.c; make -n 2>&1 | wc -l; sed -i 's/return 1/return 9/' src/f1.c; touch -d '+2 seconds' src/f1.c; make -s -j4 2>/dev/null; ./p; cc -pipe -g -O1 -save-temps -o q src/*.c; ./q; cp p r; ./r; make -s clean; ls`, varies: `^[qr]`},
		{name: "text file busy", needs: "cc", script: `echo 'int main(void) { char c; return __builtin_popcount(0) + (__extension__ ({ extern long read(int, void *, unsigned long); read(0, &c, 1); })) * 0; }' > a.c; cc -w -o a a.c; mkfifo in; ./a < in & exec 6> in; until [ "$(readlink /proc/$!/exe)" = "$PWD/a" ]; do :; done; ! (echo x > a) 2>/dev/null; cc -w -o a a.c; rm -f b; cp a b; exec 6>&-; wait; ./b < /dev/null`},
		{name: "go test with its cache", needs: "go", long: true, script: `export GOCACHE=$PWD/cache GOPATH=$PWD/gopath GOTMPDIR=$PWD/tmp GOFLAGS=-mod=mod GOPROXY=off GOTOOLCHAIN=local; mkdir p tmp; cd p; printf 'module example.com/p\n\ngo 1.21\n' > go.mod; printf 'package main\n\nimport "fmt"\n\nfunc add(a, b int) int { return a + b }\n\nfunc main() { fmt.Println(add(1, 2)) }\n' > main.go
printf 'package main\n\nimport "testing"\n\nfunc TestAdd(t *testing.T) {\n\tif add(1, 1) != 2 {\n\t\tt.Fatal()\n\t}\n}\n' > main_test.go; go build -o p .; ./p; go test . | cut -f1,2; go test . | grep -c cached; go vet .; gofmt -l .; sed -i 's/1, 2/2, 2/' main.go; go run .; go mod tidy; cat go.mod; go clean -testcache; go test -count=1 . | cut -f1,2; cd ..; ls tmp; chmod -R u+w cache gopath 2>/dev/null || true; rm -rf cache gopath tmp`, varies: "^p/p$"},
		{name: "go build", needs: "go", script: `mkdir p tmp; export GOTMPDIR=$PWD/tmp GOFLAGS=-trimpath GOTOOLCHAIN=local GOCACHE="$GO_CACHE"; cd p; printf 'module example.com/p\n\ngo 1.21\n' > go.mod; printf 'package main\n\nfunc main() { println("built here") }\n' > main.go; go build -o p .; ./p; go build -o p .; ./p; gofmt -w main.go`, varies: "^p/p$"},
		{name: "python venv", needs: "python3", long: true, script: `/usr/bin/env python3 -m venv --without-pip v; v/bin/python -c 'import sys; print(sys.prefix != sys.base_prefix)'; mkdir m; echo 'x = 5' > m/__init__.py; v/bin/python -c 'import m; print(m.x)'; v/bin/python -m compileall -q m; mkdir -p site; printf 'def f(): return 7\n' > site/n.py; site=$(v/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))'); cp site/n.py "$site"; v/bin/python -c 'import n; print(n.f())'; v/bin/python -m py_compile site/n.py`, varies: `__pycache__|^v/|\.zip$`},
		{name: "python", needs: "python3", script: `/usr/bin/env python3 - <<'END'
import os, tempfile, mmap, json, shutil, pathlib, shelve, pickle
json.dump({"a": 1}, open("j", "w")); print(json.load(open("j")))
with tempfile.NamedTemporaryFile(dir=".", mode="w+") as t:
    t.write("x" * 100000); t.flush(); print(os.stat(t.name).st_size, len(open(t.name).read()))
with tempfile.TemporaryFile(dir=".") as t: t.write(b"y" * 5000); t.seek(0); print(len(t.read()))
with open("m", "w+b") as f:
    f.truncate(8192)
    with mmap.mmap(f.fileno(), 0) as m: m[5000:5003] = b"abc"; m.flush()
print(open("m", "rb").read().count(b"abc"))
shutil.copyfile("m", "n"); shutil.move("n", "o"); os.replace("o", "m"); shutil.copytree(os.environ["TREE"], "tree", symlinks=True)
for p in sorted(p for p in pathlib.Path("tree").rglob("1") if p.is_file()): p.write_text(p.read_text().upper()); p.rename(p.with_suffix(".up"))
shutil.make_archive("arch", "tar", "tree"); shutil.unpack_archive("arch.tar", "again"); print(sorted(os.listdir("again/0")))
shutil.rmtree("again"); os.link("m", "hard"); print(os.stat("m").st_nlink, os.path.samefile("m", "hard"))
with open("big", "wb") as f: f.seek(1 << 33); f.write(b"!")
print(os.path.getsize("big")); os.unlink("big"); os.sendfile
src, dst = os.open("m", os.O_RDONLY), os.open("sent", os.O_WRONLY | os.O_CREAT)
print(os.sendfile(dst, src, 0, 8192), os.copy_file_range(src, dst, 100, 0)); os.close(dst); os.close(src)
END`, varies: `\.tar$`},
		{name: "mappings that outlive descriptors", needs: "python3", script: `/usr/bin/env python3 - <<'END'
import mmap, os
with open("f", "wb") as f: f.write(b"." * 10000)
fd = os.open("f", os.O_RDWR); m = mmap.mmap(fd, 10000); os.close(fd)
m[0:5] = b"after"; m.flush(); print(open("f", "rb").read(8))
m[9990:9995] = b"later"; m.close(); print(open("f", "rb").read()[9988:9997])
fd = os.open("f", os.O_RDONLY); r = mmap.mmap(fd, 10000, prot=mmap.PROT_READ); p = mmap.mmap(fd, 10000, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE); os.close(fd)
p[0:7] = b"private"; print(r[0:5], p[0:7], open("f", "rb").read(7)); os.unlink("f"); print(r[9990:9995])
END
ls`},
		{name: "npm", needs: "npm", long: true, script: `export npm_config_cache=$PWD/cache npm_config_offline=true npm_config_audit=false npm_config_fund=false npm_config_update_notifier=false; mkdir lib app; printf '{"name":"lib","version":"1.0.0","main":"i.js","bin":"cli.js"}' > lib/package.json; echo 'module.exports = 42' > lib/i.js; printf '#!/usr/bin/env node\nconsole.log("cli", require("./i.js"))\n' > lib/cli.js; (cd lib; npm pack --silent)
cd app; printf '{"name":"app","version":"1.0.0","scripts":{"start":"node -e \\"console.log(require(\x27lib\x27))\\""}}' > package.json; npm install --silent ../lib/lib-1.0.0.tgz; npm start --silent; node_modules/.bin/lib; npm ls | tail -2 | head -1; npm ci --silent; npm start --silent; npm uninstall --silent lib; ls node_modules 2>/dev/null || true
cd ..; mkdir -p w/packages/a w/packages/b; cd w; printf '{"name":"w","private":true,"workspaces":["packages/*"]}' > package.json; printf '{"name":"a","version":"1.0.0","dependencies":{"b":"1.0.0"}}' > packages/a/package.json; printf '{"name":"b","version":"1.0.0"}' > packages/b/package.json; npm install --silent; readlink node_modules/a node_modules/b`, varies: "^cache|node_modules/.package-lock.json|package-lock.json"},
		{name: "node", needs: "node", script: `node -e '
const fs = require("fs"); fs.writeFileSync("f", "a".repeat(5000)); fs.appendFileSync("f", "b"); console.log(fs.statSync("f").size);
fs.mkdirSync("d/e", { recursive: true }); fs.copyFileSync("f", "d/g"); fs.renameSync("d/g", "d/h"); fs.cpSync("d", "c", { recursive: true }); fs.rmSync("d", { recursive: true });
const w = fs.createWriteStream("s"); for (let i = 0; i < 5000; i++) w.write("line " + i + "\n"); w.end(() => { console.log(fs.readFileSync("s", "utf8").split("\n").length);
const watched = fs.watch(".", (e, name) => { console.log(name); watched.close(); }); fs.writeFileSync("new", ""); });'`},
	}
}
