package posix

import (
	"testing"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// System calls on a mount of a user's own, through fusermount3, are those on the native filesystem, as far as they need no other user.
func TestCallsOfAUserAreThoseOnTheNativeFilesystem(t *testing.T) {
	mounttest.RunAsUser(t, "^Test(Copies|CallsOnOpenFiles|LargestFile|Holes|Listing|ReadOnly|OpenFlags|Executed|Rename|Files|ExtendedAttributesOf)",
		"TestCopiesBetweenFiles", "TestCallsOnOpenFiles", "TestListingAgreesWithStat", "TestReadOnlyMount", "TestRenameAmongRelatives")
}
