package load

import (
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/etagfs/etagfs/integration/mounttest"
)

func TestMain(m *testing.M) { mounttest.Main(m, nil) }

// long is whether there is time.
func long() bool { return os.Getenv("ETAGFS_LONG") != "" }

// either is the first in the long form, else the second.
func either(longer, otherwise time.Duration) time.Duration {
	if long() {
		return longer
	}
	return otherwise
}

// number is one from the environment, or otherwise.
func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	given := os.Getenv(name)
	if given == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(given, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// forEachIsolation mounts once for each.
func forEachIsolation(t *testing.T, use func(t *testing.T, m *mounttest.Mount)) {
	t.Helper()
	for _, isolation := range []string{"handle", "mount"} {
		t.Run("isolation="+isolation, func(t *testing.T) {
			use(t, mounttest.Start(t, mounttest.Options{Mount: "isolation=" + isolation, Deadline: time.Hour}))
		})
	}
}
