package mount

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/etagfs/etagfs/fs"
)

// Options are the choices of who mounts. The zero value is the default of each.
type Options struct {
	FS     fs.Options
	Bucket string // empty: the store's first, "main"

	NoExec, NoSUID, NoDev bool
	AllowOther            bool // let other users in; a mount by root does so anyway
	Strict                bool // integrity=strict: every byte served is verified first
}

// choice is a value of an option that takes one of a few.
type choice struct {
	value string
	set   func(*Options)
	later string // not empty: known, and why it is refused
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
		{name: "integrity", help: "every byte that is served is verified first", choices: []choice{
			{value: "strict", set: func(o *Options) { o.Strict = true }},
		}},
		{name: "isolation", help: "two descriptors are as separate as two machines, or those of one mount share what they write, as on a local disk (SQLite in WAL mode needs that)", choices: []choice{
			{value: "handle", set: func(o *Options) { o.FS.Isolation = fs.IsolateHandles }},
			{value: "mount", set: func(o *Options) { o.FS.Isolation = fs.IsolateMount }},
		}},
		{name: "guard", help: "which version a change is conditional on: that of the open", choices: []choice{
			{value: "open", set: func(*Options) {}},
			{value: "process", later: "renames are not conditional on what a process read yet"},
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
		switch {
		case c.value != value && c.later == "":
			values = append(values, c.value)
		case c.value != value:
		case c.later != "":
			return fmt.Errorf("is not available: %s", c.later)
		default:
			c.set(o)
			return nil
		}
	}
	return fmt.Errorf("is none of %s", strings.Join(values, ", "))
}
