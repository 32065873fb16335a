package mount

import (
	"cmp"
	"fmt"
	"strconv"

	"github.com/etagfs/etagfs/fs"
)

// InForce are the options as they are, by name: a flag is "true" or "false", a number or a time that was not given is empty.
func (o Options) InForce() map[string]string {
	all := map[string]string{
		"ro": strconv.FormatBool(o.FS.ReadOnly), "noexec": strconv.FormatBool(o.NoExec), "nosuid": strconv.FormatBool(o.NoSUID),
		"nodev": strconv.FormatBool(o.NoDev), "allow_other": strconv.FormatBool(o.AllowOther),
		"uid": override(o.FS.UID, "%d"), "gid": override(o.FS.GID, "%d"), "umask": override(o.FS.Umask, "%03o"),
		"bucket": o.Bucket, "control": cmp.Or(o.FS.Control, controlDefault),
		"scrub-every": "", "scrub-rate": "", "memory": "",
		"durability": "fsync", "append": "rebase", "follow": "append", "atimes": "none", "integrity": "", "isolation": "handle", "guard": "open",
	}
	for _, changed := range []struct {
		so          bool
		name, value string
	}{
		{o.FS.Durability == fs.DurableClose, "durability", "close"},
		{o.FS.Append == fs.AppendStrict, "append", "strict"},
		{o.FS.Follow == fs.FollowNone, "follow", "none"},
		{o.FS.Relatime, "atimes", "relatime"},
		{o.ScrubEvery.Set, "scrub-every", o.ScrubEvery.Value.String()},
		{o.ScrubRateBytes > 0, "scrub-rate", strconv.FormatInt(o.ScrubRateBytes, 10)},
		{o.MemoryBytes > 0, "memory", strconv.FormatInt(o.MemoryBytes, 10)},
		{o.Strict, "integrity", "strict"},
		{o.FS.Guard == fs.GuardProcess, "guard", "process"},
		{o.FS.Isolation == fs.IsolateMount, "isolation", "mount"},
	} {
		if changed.so {
			all[changed.name] = changed.value
		}
	}
	return all
}

func override(o fs.Override, format string) string {
	if !o.Set {
		return ""
	}
	return fmt.Sprintf(format, o.Value)
}
