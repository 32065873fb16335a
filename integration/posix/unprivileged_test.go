package posix

import (
	"testing"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// System calls on a mount of a user's own, through fusermount3, are those on the native filesystem, as far as they need no other user.
func TestCallsOfAUserAreThoseOnTheNativeFilesystem(t *testing.T) {
	mounttest.RunAsUser(t, "^Test(Copies|CallsOn|LargestFile|Holes$|Listing|ReadOnly|OpenFlags|Executed|Rename|Files|ExtendedAttributes|"+
		"Resolutions|Answers|Walk|Mappings|Names|WhatIsOpen|Pipes|Bytes|Allocations|Commands|Statx|Times|Vectors|Leases|Direct|NoWait|Ranges|Cached|Waits)",
		"TestCopiesBetweenFiles", "TestCallsOnOpenFiles", "TestListingAgreesWithStat", "TestReadOnlyMount", "TestRenameAmongRelatives",
		"TestCallsOnPathsThatAreOpen", "TestResolutionsOfOpenat2", "TestAnswersThatHaveLittleRoom", "TestWalkOfAChangingDirectory",
		"TestMappingsAtAndBeyondTheEnd", "TestNamesThatEndInSlashesAndDots", "TestPipesToAndFromFiles",
		"TestAllocationsOfEveryModeAndRange", "TestLeasesOfAnotherProcess", "TestDirectIsSetByFcntl", "TestCommandsOfFcntl", "TestStatxOfEverything",
		"TestTimesAtTheirEdges", "TestFilesWithoutANameGetOne", "TestWaitsForWhatIsOpen", "TestVectorsAndTheirFlags", "TestExtendedAttributesOfOpenFiles")
}
