package objstore

import (
	"encoding/hex"
	"hash/fnv"
	"strings"
)

// escapeMark begins every escaped name. A component that begins with it is
// itself escaped, so that no two components share a name.
const escapeMark = "%etagfs:"

// EscapeName is the name under which a key's component appears in a directory.
// Components that POSIX can have appear as they are. Others:
//
//	empty component ("a//b")                  %etagfs:empty
//	"." and ".."                              %etagfs:dot, %etagfs:dotdot
//	an object beside a directory of its name  %etagfs:file:NAME
//	longer than 255 bytes, or with a NUL      %etagfs:long:HASH  (FNV-1a 128 of the component, hex)
//	beginning with "%etagfs:"                 %etagfs:literal:NAME
//
// An escape that would itself be too long takes the "long" form. Names are found again by
// comparing escapes, see [Unescape].
func EscapeName(component string, besideDir bool) string {
	var name string
	switch {
	case besideDir:
		name = escapeMark + "file:" + component
	case component == "":
		return escapeMark + "empty"
	case component == ".":
		return escapeMark + "dot"
	case component == "..":
		return escapeMark + "dotdot"
	case strings.HasPrefix(component, escapeMark):
		name = escapeMark + "literal:" + component
	default:
		name = component
	}
	if len(name) > NameBytesMax || strings.ContainsRune(name, 0) {
		return escapeMark + "long:" + nameHash(name)
	}
	return name
}

// IsEscape reports whether a name in a directory has the form of an escape. Whether a new entry can
// have it only the store can tell.
func IsEscape(name string) bool { return strings.HasPrefix(name, escapeMark) }

// Unescape is the component behind a name in a directory. With hashed set the
// name stands for a component that must be found by listing: the one whose escape is the name.
func Unescape(name string) (component string, besideDir, hashed bool) {
	rest, escaped := strings.CutPrefix(name, escapeMark)
	if !escaped {
		return name, false, false
	}
	switch rest {
	case "empty":
		return "", false, false
	case "dot":
		return ".", false, false
	case "dotdot":
		return "..", false, false
	}
	if c, ok := strings.CutPrefix(rest, "file:"); ok {
		return c, true, false
	}
	if c, ok := strings.CutPrefix(rest, "literal:"); ok {
		return c, false, false
	}
	if strings.HasPrefix(rest, "long:") {
		return "", false, true
	}
	return name, false, false
}

func nameHash(s string) string {
	h := fnv.New128a()
	h.Write([]byte(s)) // never fails
	return hex.EncodeToString(h.Sum(nil))
}
