package containers

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// fixture is a store of the first released format, made by makeFixture.
const fixture = "testdata/store-first-format.tar.gz"

// A store of the first released format is served, read, written and sound under this version.
func TestStoreOfTheFirstFormatIsUpgradedInPlace(t *testing.T) {
	if os.Getenv("ETAGFS_MAKE_FIXTURE") == "1" {
		makeFixture(t)
		return
	}
	dir := t.TempDir()
	must(t, exec.Command("tar", "-xzf", fixture, "-C", dir))
	s := newSite(t)
	server := s.serve(spec{places: map[string]place{"store": {dir: dir}}})
	one := s.mount(spec{name: "one"}, server)
	w := one.hands()
	w.expect(one.file("small"), "small")
	w.expect(one.file("d", "large"), strings.Repeat(string(whole("large", 0)), 20))
	w.expect(one.file("link"), "linked")
	one.expectKept("lost")
	w.put(one.file("small"), "written by a later version")
	w.do(order{Call: "rename", Path: one.file("d"), To: one.file("e")})
	w.expect(one.file("e", "large"), strings.Repeat(string(whole("large", 0)), 20))
	server.kill()
	server.restart()
	w.expect(one.file("small"), "written by a later version")
	if err := one.end(); err != nil {
		t.Error(err)
	}
	if err := server.end(); err != nil {
		t.Error(err)
	}
	must(t, exec.Command(os.Getenv("ETAGFS_BIN"), "check", "--payload", dir))
}

// makeFixture writes the fixture: ETAGFS_MAKE_FIXTURE=1 go test -run FirstFormat, with ETAGFS_BIN a program of the version whose
// format is to be kept. It was made once; another would be no longer of the first format.
func makeFixture(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	s := newSite(t)
	server := s.serve(spec{places: map[string]place{"store": {dir: dir}}})
	one := s.mount(spec{name: "one"}, server)
	a, b := one.hands(), one.hands()
	a.put(one.file("small"), "small")
	a.do(order{Call: "mkdir", Path: one.file("d")})
	a.put(one.file("d", "large"), strings.Repeat(string(whole("large", 0)), 20))
	a.put(one.file("linked"), "linked")
	a.do(order{Call: "link", Path: one.file("linked"), To: one.file("link")})
	a.put(one.file("contended"), "base")
	a.open(0, one.file("contended"), os.O_RDWR)
	b.put(one.file("contended"), "won!")
	a.write(0, "lost")
	a.try(order{Call: "close", Handle: 0})
	one.expectKept("lost")
	if err := one.end(); err != nil {
		t.Error(err)
	}
	if err := server.end(); err != nil {
		t.Error(err)
	}
	if err := os.MkdirAll(filepath.Dir(fixture), 0o755); err != nil {
		t.Fatal(err)
	}
	must(t, exec.Command("tar", "--sparse", "-czf", fixture, "--exclude", "*.sock", "--exclude", "./ballast", "-C", dir, "."))
}
