package mounttest

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// Damage flips a bit in every place of a store where a text is.
func Damage(t testing.TB, store, text string) {
	t.Helper()
	places := 0
	err := filepath.WalkDir(store, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		at := bytes.Index(content, []byte(text))
		if at < 0 {
			return nil
		}
		places++
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteAt([]byte{content[at+5] ^ 1}, int64(at)+5)
		return errors.Join(err, f.Close())
	})
	if err != nil || places == 0 {
		t.Fatalf("%q is damaged in %d places (%v)", text, places, err)
	}
}
