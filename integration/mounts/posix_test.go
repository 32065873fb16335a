package mounts

import (
	"maps"
	"slices"
	"testing"

	"github.com/hanwen/go-fuse/v2/posixtest"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// pending are the cases of posixtest for what is not offered yet, and one the suite leaves out of
// its own run on native filesystems. Any other that skips itself is a failure of the test report.
func pending() map[string]string {
	return map[string]string{
		"FcntlFlockLocksFile": "wants record locks of one process to exclude each other, which POSIX does not have",
	}
}

func TestPOSIX(t *testing.T) {
	shortIsParallel(t)
	for _, name := range slices.Sorted(maps.Keys(posixtest.All)) {
		t.Run(name, func(t *testing.T) {
			if why := pending()[name]; why != "" {
				t.Skip("pending: " + why)
			}
			posixtest.All[name](t, mounttest.Start(t, mounttest.Options{}).Dir)
		})
	}
}
