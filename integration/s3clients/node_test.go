package s3clients_test

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/integration/internal/foreign"
	"github.com/etagfs/etagfs/integration/mounttest"
)

// @aws-sdk/client-s3, which sends CRC32 trailers on its own.
func TestJavaScriptSDK(t *testing.T) {
	mounttest.Need(t, "binary", "node", "npm")
	if version := newClient(t, "node").run("--version"); strings.HasPrefix(version, "v1") {
		t.Skipf("needs node-20: %s", version)
	}
	modules := filepath.Join(cached(t, "node-"+lockDigest(t), "npm", installNode), "node_modules")
	each(t, func(t *testing.T, s *server) { runJavaScript(t, s, modules) })
}

func runJavaScript(t *testing.T, s *server, modules string) {
	d := newSamples(t)
	work := t.TempDir()
	if err := os.Symlink(modules, filepath.Join(work, "node_modules")); err != nil {
		t.Fatal(err)
	}
	script := must(os.ReadFile(filepath.Join("testdata", "node", "client.mjs")))(t)
	if err := os.WriteFile(filepath.Join(work, "client.mjs"), script, 0o600); err != nil {
		t.Fatal(err)
	}
	out := newClient(t, "node", "NODE_EXTRA_CA_CERTS="+s.authority).run("--preserve-symlinks", filepath.Join(work, "client.mjs"), s.URL, bucket, d.dir)
	if !strings.HasSuffix(out, "done") {
		t.Errorf("%s", out)
	}
	d.same("big.back", "big")
	s.stored(d, "big", "big")
}

// lockDigest names what is installed.
func lockDigest(t *testing.T) string {
	t.Helper()
	sum := sha256.Sum256(must(os.ReadFile(filepath.Join("testdata", "node", "package-lock.json")))(t))
	return hex.EncodeToString(sum[:8])
}

// installNode installs what the lock file says.
func installNode(dir string) error {
	for _, name := range []string{"package.json", "package-lock.json"} {
		text, err := os.ReadFile(filepath.Join("testdata", "node", name))
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return err
		}
	}
	cmd := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = dir
	return foreign.Quietly(cmd)
}
