package posix

// deviations are the trials in which a mount is known to differ from a local disk, with the reasons. An asterisk stands for
// any text without a slash; a row may take in trials that agree, but not only such.
func deviations() map[string]string {
	const (
		xattrs    = "extended attributes cannot be set"
		tmpfile   = "a file without a name cannot be made"
		untouched = "a chown(2) that changes nothing has no effect"
		setID     = "set-user-id and set-group-id stay on what is no file, and where fallocate(2) or those out of the group change it"
	)
	return map[string]string{
		"TestWhoMayDoWhat: *xattr*":                     xattrs,
		"TestOpenFlags: *TMPFILE*":                      tmpfile,
		"TestCallsOnEveryKindOfPath: chown of nothing*": untouched,
		"TestSetIDBits: *":                              setID,
		"TestExecutedFilesAreBusy: run while open*":     "what is open for writing can be run: the version before",
	}
}
