package badgerstore

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

// What a line of the file FORMAT that this program does not know means for it.
func TestFormatLines(t *testing.T) {
	cases := []struct {
		line string
		kind objstore.Kind // 0: the store opens
	}{
		{"origin elsewhere", 0},
		{"needs segments", objstore.ErrNewerFormat},
	}
	for _, c := range cases {
		dir := filepath.Join(testDir(t), "store")
		e, err := Open(t.Context(), dir, Options{Create: true}, testParts(t))
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		name := filepath.Join(dir, formatName)
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, append(text, c.line+"\n"...), 0o600); err != nil {
			t.Fatal(err)
		}
		e, err = Open(t.Context(), dir, Options{}, testParts(t))
		if err == nil {
			err = e.Close()
		}
		if objstore.KindOf(err) != c.kind || c.kind != 0 && !strings.Contains(err.Error(), "segments") {
			t.Errorf("%q: %v", c.line, err)
		}
	}
}
