package posix

// deviations are the trials in which a mount is known to differ from a local disk, with the reasons, which mount/DEVIATIONS.md has too. An asterisk stands for
// any text without a slash; a row may take in trials that agree, but not only such.
func deviations() map[string]string {
	return map[string]string{
		"TestRenameOfEverythingOntoEverything: 4 *":                     "RENAME_WHITEOUT is for the upper layer of an overlay alone, and refused",
		"TestRenameOfEverythingOntoEverything: 5 *":                     "RENAME_WHITEOUT is for the upper layer of an overlay alone, and refused",
		"TestObjectsByTheirHandles/handle: *":                           "a handle would mean a version, which nobody has open",
		"TestSetIDBits: other chown of nothing*":                        "the kernel sends the same request before a write, which is allowed; nothing is changed",
		"TestVectorsAndTheirFlags/*: APPEND write NOAPPEND of*":         "the request to write says O_APPEND all the same",
		"TestMappingsAtAndBeyondTheEnd/*: * store behind the end and *": "the kernel does not zero what it has of the last page when the file grows",
		"TestTimesOfOpenFiles/handle: * truncated by path *":            "a truncation by path is a commit, and who has the file open keeps what he opened, with its time",
		"TestListenersToOtherProcesses/handle: fanotify *":              "the kernel opens the node of another process's writer, and does not look again",
		"TestListenersToWhatIsBeingRead/handle: inotify of the file":    "the watch is one of the node, which is the reader's",
		"TestProcessAccounting/handle: to file":                         "the kernel opens the file again, and does not look again",
		"TestProcessAccounting/handle: to two names":                    "the kernel opens the file again, and does not look again",
		"TestWaitsForWhatIsOpen/*: epoll file *":                        "the kernel asks no daemon whether a file can be waited for",
		"TestWaitsForWhatIsOpen/*: epoll two names *":                   "the kernel asks no daemon whether a file can be waited for",
	}
}
