package mount

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/etagfs/etagfs/fs"
)

// Options are the choices of who mounts. The zero value is the default of each.
type Options struct {
	FS     fs.Options
	Bucket string // empty: the store's first, "main"

	NoExec, NoSUID, NoDev bool
	AllowOther            bool // let other users in; a mount by root does so anyway
	Strict                bool // integrity=strict: every byte served is verified first

	ScrubEvery     ScrubEvery // how often all of the store is verified
	ScrubRateBytes int64      // that are read in a second for it; 0: the default

	MemoryBytes int64 // that the process may take; 0: what its control group allows
}

// ScrubEvery is a time that may be set.
type ScrubEvery struct {
	Set   bool
	Value time.Duration // 0: never
}

// choice is a value of an option that takes one of a few.
type choice struct {
	value string
	set   func(*Options)
}

// option is one word of -o.
type option struct {
	name    string
	help    string                               // one line
	flag    func(*Options)                       // takes no value
	value   func(o *Options, value string) error // takes any value
	choices []choice
}

func options() []option {
	return []option{
		{name: "ro", help: "nothing can be changed", flag: func(o *Options) { o.FS.ReadOnly = true }},
		{name: "rw", help: "the default", flag: func(o *Options) { o.FS.ReadOnly = false }},
		{name: "noexec", help: "programs cannot be run from it", flag: func(o *Options) { o.NoExec = true }},
		{name: "nosuid", help: "set-user-id and set-group-id mean nothing", flag: func(o *Options) { o.NoSUID = true }},
		{name: "nodev", help: "device nodes mean nothing", flag: func(o *Options) { o.NoDev = true }},
		{name: "allow_other", help: "lets other users in; a mount by root does so anyway", flag: func(o *Options) { o.AllowOther = true }},
		{name: "uid", help: "a user id, shown as owner of everything (default: each file has its own)", value: func(o *Options, v string) error { return number(&o.FS.UID, v, 10, "a user id") }},
		{name: "gid", help: "a group id, likewise", value: func(o *Options, v string) error { return number(&o.FS.GID, v, 10, "a group id") }},
		{name: "umask", help: "octal: these bits are taken off every mode shown (default 0)", value: func(o *Options, v string) error { return number(&o.FS.Umask, v, 8, "octal, like 022") }},
		{name: "bucket", help: "the bucket of the store (default main)", value: setBucket},
		{name: "control", help: "the name of the control directory (default .etagfs)", value: setControl},
		{name: "durability", help: "who waits until bytes survive a loss of power: fsync(2), or close(2) too", choices: []choice{
			{value: "fsync", set: func(o *Options) { o.FS.Durability = fs.DurableFsync }},
			{value: "close", set: func(o *Options) { o.FS.Durability = fs.DurableClose }},
		}},
		{name: "append", help: "what becomes of bytes that were only appended when another commit came first: appended to that, or EBUSY as for others", choices: []choice{
			{value: "rebase", set: func(o *Options) { o.FS.Append = fs.AppendRebase }},
			{value: "strict", set: func(o *Options) { o.FS.Append = fs.AppendStrict }},
		}},
		{name: "follow", help: "read-only descriptors see what later commits append, or nothing", choices: []choice{
			{value: "append", set: func(o *Options) { o.FS.Follow = fs.FollowAppend }},
			{value: "none", set: func(o *Options) { o.FS.Follow = fs.FollowNone }},
		}},
		{name: "atimes", help: "opening a file to read it leaves its atime alone, or moves it as relatime does elsewhere, if the mount's process has the store", choices: []choice{
			{value: "none", set: func(o *Options) { o.FS.Relatime = false }},
			{value: "relatime", set: func(o *Options) { o.FS.Relatime = true }},
		}},
		{name: "integrity", help: "every byte that is served is verified first; else a mount by root has the kernel read large files by itself for an hour after they were verified", choices: []choice{
			{value: "strict", set: func(o *Options) { o.Strict = true }},
		}},
		{name: "scrub-every", help: "how often all of the store is read and compared with its checksums, as 72h; 0 is never (default 168h)", value: setScrubEvery},
		{name: "scrub-rate", help: "bytes that are read in a second for that, at most (default 16M)", value: setScrubRate},
		{name: "memory", help: "bytes the process may take, as 512M (default, and at most: what its control group allows)", value: func(o *Options, v string) (err error) { o.MemoryBytes, err = ParseMemory(v); return err }},
		{name: "isolation", help: "two descriptors are as separate as two machines, or those of one mount share what they write, as on a local disk (SQLite in WAL mode needs that)", choices: []choice{
			{value: "handle", set: func(o *Options) { o.FS.Isolation = fs.IsolateHandles }},
			{value: "mount", set: func(o *Options) { o.FS.Isolation = fs.IsolateMount }},
		}},
		{name: "guard", help: "which version a change is conditional on: that of the open, or, where a name is replaced, removed or made anew, also the one the same process read there last", choices: []choice{
			{value: "open", set: func(o *Options) { o.FS.Guard = fs.GuardOpen }},
			{value: "process", set: func(o *Options) { o.FS.Guard = fs.GuardProcess }},
		}},
	}
}

func number(to *fs.Override, value string, base int, what string) error {
	n, err := strconv.ParseUint(value, base, 32)
	if err != nil || base == 8 && n > 0o777 {
		return fmt.Errorf("is not %s", what)
	}
	*to = fs.Override{Set: true, Value: uint32(n)}
	return nil
}

func setBucket(o *Options, value string) error {
	if value == "" {
		return fmt.Errorf("names no bucket")
	}
	o.Bucket = value
	return nil
}

func setControl(o *Options, value string) error {
	if value == "" || value == "." || value == ".." || strings.ContainsAny(value, "/\x00") || len(value) > 255 {
		return fmt.Errorf("is not a name for a directory")
	}
	o.FS.Control = value
	return nil
}

func setScrubEvery(o *Options, value string) error {
	every, err := time.ParseDuration(value)
	if err != nil || every < 0 {
		return fmt.Errorf("is no time, like 72h")
	}
	o.ScrubEvery = ScrubEvery{Set: true, Value: every}
	return nil
}

func setScrubRate(o *Options, value string) (err error) {
	if o.ScrubRateBytes, err = ParseBytes(value); err == nil && o.ScrubRateBytes == 0 {
		err = fmt.Errorf("must not be 0; scrub-every=0 is for never")
	}
	return err
}

// memoryBytesMin is the least a mount works with.
const memoryBytesMin = 64 << 20

// ParseMemory reads the bytes a process may take.
func ParseMemory(text string) (int64, error) {
	n, err := ParseBytes(text)
	if err == nil && n < memoryBytesMin {
		err = fmt.Errorf("is too little: it takes 64M")
	}
	return n, err
}

// ParseBytes reads a number of bytes with a unit: none, K, M, G or T, of 1,024.
func ParseBytes(text string) (int64, error) {
	const units = "KMGT"
	digits, shift := text, 0
	if n := len(text); n > 0 {
		if i := strings.IndexByte(units, text[n-1]); i >= 0 {
			digits, shift = text[:n-1], 10*(i+1)
		}
	}
	n, err := strconv.ParseUint(digits, 10, 63-shift)
	if err != nil {
		return 0, fmt.Errorf("is no number of bytes, like 20M")
	}
	return int64(n) << shift, nil
}

// ParseOptions reads the comma-separated list of mount -o. Each error is one
// sentence that names the option.
func ParseOptions(list string) (Options, error) {
	var o Options
	for word := range strings.SplitSeq(list, ",") {
		if word == "" {
			continue
		}
		if err := o.apply(word); err != nil {
			return Options{}, err
		}
	}
	if o.FS.Guard == fs.GuardProcess && o.FS.Isolation == fs.IsolateMount {
		return Options{}, fmt.Errorf("mount option guard=process needs isolation=handle: what the processes of a mount share has no versions of its own")
	}
	return o, nil
}

func (o *Options) apply(word string) error {
	name, value, assigned := strings.Cut(word, "=")
	known := options()
	for _, option := range known {
		if option.name != name {
			continue
		}
		if err := option.set(o, value, assigned); err != nil {
			return fmt.Errorf("mount option %s %w", word, err)
		}
		return nil
	}
	names := make([]string, len(known))
	for i := range known {
		names[i] = known[i].name
	}
	return fmt.Errorf("mount option %s is not known; there are %s", name, strings.Join(names, ", "))
}

func (p option) set(o *Options, value string, assigned bool) error {
	switch {
	case p.flag != nil && assigned:
		return fmt.Errorf("takes no value")
	case p.flag != nil:
		p.flag(o)
		return nil
	case !assigned:
		return fmt.Errorf("needs a value: %s=VALUE", p.name)
	case p.value != nil:
		return p.value(o, value)
	default:
		return p.choose(o, value)
	}
}

func (p option) choose(o *Options, value string) error {
	var values []string
	for _, c := range p.choices {
		if c.value == value {
			c.set(o)
			return nil
		}
		values = append(values, c.value)
	}
	return fmt.Errorf("is none of %s", strings.Join(values, ", "))
}
