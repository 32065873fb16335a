package badgerstore

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

// C11: a record that goes bad in a table of a running store, after that was verified, and that a compaction is the first to
// read, is damage to who asks for it, in its value as in its key: what is compacted says what it said before, no name is
// lost without an error, and a check says so.
func TestBitThatACompactionIsTheFirstToReadIsTold(t *testing.T) {
	for what, in := range map[string]func(name string, body []byte) []byte{
		"value": func(_ string, body []byte) []byte { return body },
		"key":   func(name string, _ []byte) []byte { return []byte(name)[8:] }, // the begin may be that of the key before
	} {
		t.Run(what, func(t *testing.T) {
			parts := testParts(t)
			parts.sizes = smallSizes()
			dir := filepath.Join(testDir(t), "store")
			e, err := Open(t.Context(), dir, Options{Create: true}, parts)
			must(t, err)
			b := mainBucket(t, e)
			name, body := "a-name-that-is-found-once", []byte("a body that is found once, too")
			mustPut(t, b, objstore.Key("d/"+name), body)
			fillTables(t, e, func() bool { return e.db.Levels()[0].NumTables > 0 })
			flipInTables(t, dir, in(name, body))
			fillTables(t, e, func() bool { return compactedTables(e) > 0 })
			must(t, e.Sync(t.Context()))
			e.cache.empty()
			if _, err := getAll(t.Context(), b, objstore.Key("d/"+name)); objstore.KindOf(err) != objstore.ErrCorrupt {
				t.Errorf("read: %v", err)
			}
			all, err := e.findings(CheckOptions{Payload: true})
			if err == nil && len(all) == 0 {
				t.Error("a check finds nothing")
			}
			if p, err := getAll(t.Context(), b, "filled/1"); err != nil || len(p) == 0 {
				t.Errorf("another: %v", err)
			}
			must(t, e.Close())
		})
	}
}

// fillTables puts until it is enough.
func fillTables(t *testing.T, e *Engine, enough func() bool) {
	b := mainBucket(t, e)
	for i := 0; !enough(); i++ {
		mustPut(t, b, objstore.Key(fmt.Sprintf("filled/%d", i%500)), bytes.Repeat([]byte{byte(i)}, 1500))
	}
}

// compactedTables is how many tables there are that were compacted.
func compactedTables(e *Engine) (n int) {
	for _, l := range e.db.Levels()[1:] {
		n += l.NumTables
	}
	return n
}

// flipInTables flips a bit where the tables of a store have these bytes, which must be somewhere.
func flipInTables(t *testing.T, dir string, p []byte) {
	names, err := filepath.Glob(filepath.Join(dir, badgerName, "*"+tableSuffix))
	must(t, err)
	found := 0
	for _, name := range names {
		table, err := os.ReadFile(name)
		must(t, err)
		if off := bytes.Index(table, p); off >= 0 {
			flip(t, name, int64(off))
			found++
		}
	}
	if found == 0 {
		t.Fatalf("no table has %q", p)
	}
}

// flatten compacts all there is, and again what comes: nobody verifies it any more.
func flatten(t *testing.T, e *Engine) {
	t.Helper()
	endVerifier(e)
	must(t, e.db.Flatten(1))
}

// endVerifier lets Badger compact when it likes.
func endVerifier(e *Engine) {
	e.verifier.close()
	e.verifier = &verifier{stop: make(chan struct{}), done: e.verifier.done}
}
