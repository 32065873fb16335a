package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/etagfs/etagfs/objstore"
)

// overtaken puts a file of a mount, and while it is written another program commits text to it: overtaken DIR NAME TEXT.
// The put loses, and says so.
func overtaken(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: overtaken DIR NAME TEXT")
	}
	dir := ts.MkAbs(args[0])
	name := filepath.Join(dir, args[1])
	files := mountFiles{filepath.Join(dir, controlDefault)}
	reader, err := files.Get(context.Background(), objstore.Key(name), objstore.Unconditional())
	ts.Check(err)
	ts.Check(reader.Close())
	body := io.MultiReader(strings.NewReader("mine"), readerFunc(func([]byte) (int, error) {
		ts.Check(os.WriteFile(name, []byte(args[2]+"\n"), 0o644))
		return 0, io.EOF
	}))
	_, err = files.Put(context.Background(), objstore.Key(name), body, objstore.IfVersion(reader.Info().Version), objstore.PutOptions{})
	if objstore.KindOf(err) != objstore.ErrPrecondition {
		ts.Fatalf("the put was told %v", err)
	}
}

// readerFunc is a function as an [io.Reader].
type readerFunc func(p []byte) (int, error)

// Read implements [io.Reader].
func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
