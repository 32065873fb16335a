package mounts

import (
	"testing"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// unprivileged are the tests that a user runs who is not root: those of a mount of one's own, which nobody else sees.
const unprivileged = "^(TestPOSIX|TestRecordLocksEndWithTheirProcess|TestStoresThroughAMappingAreCommittedByTheUnlock)$"

// A mount by a user, through fusermount3, passes what a mount by root does. This program is started again as that user: what
// is in the mount is for that user alone.
func TestSuitesPassForAUserToo(t *testing.T) {
	mounttest.RunAsUser(t, unprivileged, "TestPOSIX", "TestRecordLocksEndWithTheirProcess")
}
