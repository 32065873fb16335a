package programs

import (
	"os"
	"testing"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// unprivileged are the uses that a user carries out in the short form: of each kind of program one or two.
const unprivileged = "^TestProgramsDoWhatTheyDoOnTheNativeFilesystem$/^uses$/^(cp_-a|mv|rm|ls|sed_-i|vim_backupcopy=auto|git_rebase|tar|rsync_-a|flock)$"

// What programs do on a mount of a user's own, through fusermount3, is what they do on the native filesystem.
func TestProgramsOfAUserDoWhatTheyDoOnTheNativeFilesystem(t *testing.T) {
	pattern := unprivileged
	if os.Getenv("ETAGFS_LONG") != "" {
		pattern = "^TestProgramsDoWhatTheyDoOnTheNativeFilesystem$"
	}
	mounttest.RunAsUser(t, pattern, "TestProgramsDoWhatTheyDoOnTheNativeFilesystem/uses/mv")
}
