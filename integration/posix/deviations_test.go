package posix

// deviations are the trials in which a mount is known to differ from a local disk, with the reasons, which mount/DEVIATIONS.md has too. An asterisk stands for
// any text without a slash; a row may take in trials that agree, but not only such.
func deviations() map[string]string {
	return map[string]string{
		"TestSetIDBits: other chown of nothing*": "the kernel sends the same request before a write, which is allowed; nothing is changed",
	}
}
