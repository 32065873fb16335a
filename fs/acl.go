package fs

import (
	"encoding/binary"

	"github.com/etagfs/etagfs/objstore"
)

// POSIX ACLs are extended attributes: the one that decides about an object, of which the mode shows a part, and the one of a directory
// that what is made in it begins with.
const (
	xattrAccessACL  = "system.posix_acl_access"
	xattrDefaultACL = "system.posix_acl_default"
)

// Their form is that of acl(5) on Linux: a version, then a tag, permissions and an id for each entry.
const (
	aclVersion     = 2
	aclHeaderBytes = 4
	aclEntryBytes  = 8

	aclUserObject  = 0x01
	aclGroupObject = 0x04
	aclMask        = 0x10
	aclOther       = 0x20
)

// acl is one in that form. It is never changed, but for copies.
type acl []byte

// valid reports whether a value has the form of an ACL. That it makes sense the kernel has checked.
func (a acl) valid() bool {
	return len(a) > aclHeaderBytes && (len(a)-aclHeaderBytes)%aclEntryBytes == 0 && binary.LittleEndian.Uint32(a) == aclVersion
}

// each calls f with each entry's tag and permissions, and sets the permissions to what it returns.
func (a acl) each(f func(tag uint16, perm uint32) uint32) {
	for at := aclHeaderBytes; at+aclEntryBytes <= len(a); at += aclEntryBytes {
		perm := binary.LittleEndian.Uint16(a[at+2:])
		binary.LittleEndian.PutUint16(a[at+2:], uint16(f(binary.LittleEndian.Uint16(a[at:]), uint32(perm))))
	}
}

// has reports whether there is an entry with the tag.
func (a acl) has(tag uint16) (found bool) {
	for at := aclHeaderBytes; at+aclEntryBytes <= len(a); at += aclEntryBytes {
		found = found || binary.LittleEndian.Uint16(a[at:]) == tag
	}
	return found
}

// minimal reports whether a says no more than the permission bits of a mode.
func (a acl) minimal() bool { return len(a) == aclHeaderBytes+3*aclEntryBytes }

// groupClass is the tag of the entry that the group's bits of a mode show.
func (a acl) groupClass() uint16 {
	if a.has(aclMask) {
		return aclMask
	}
	return aclGroupObject
}

// shifts are where an entry is in a mode; ok is false for one that is not.
func (a acl) shift(tag uint16) (bits int, ok bool) {
	switch tag {
	case aclUserObject:
		return 6, true
	case a.groupClass():
		return 3, true
	case aclOther:
		return 0, true
	default:
		return 0, false
	}
}

// mode is mode with the permission bits of a.
func (a acl) mode(mode uint32) uint32 {
	a.copy().each(func(tag uint16, perm uint32) uint32 {
		if bits, ok := a.shift(tag); ok {
			mode = mode&^(7<<bits) | perm<<bits
		}
		return perm
	})
	return mode
}

// withMode is what a becomes by chmod(2).
func (a acl) withMode(mode uint32) acl {
	changed := a.copy()
	changed.each(func(tag uint16, perm uint32) uint32 {
		if bits, ok := a.shift(tag); ok {
			return mode >> bits & 7
		}
		return perm
	})
	return changed
}

// inherited is what an object has that is made with this mode where a is the default: an ACL and a mode, neither of which
// permits what the other does not.
func (a acl) inherited(mode uint32) (acl, uint32) {
	child := a.copy()
	child.each(func(tag uint16, perm uint32) uint32 {
		bits, ok := a.shift(tag)
		if !ok {
			return perm
		}
		perm &= mode >> bits
		mode = mode&^(7<<bits) | perm<<bits
		return perm
	})
	return child, mode
}

func (a acl) copy() acl { return append(acl(nil), a...) }

// inherit gives something new in parent the parent's default ACL, or else takes the umask off its mode.
func inherit(c Caller, parent objstore.Info, attr *objstore.NewAttr, t objstore.FileType) map[string][]byte {
	preset := acl(parent.Xattrs[xattrDefaultACL])
	switch {
	case t == objstore.TypeSymlink:
		return nil
	case !preset.valid():
		attr.Mode &^= c.Umask
		return nil
	}
	var access acl
	access, attr.Mode = preset.inherited(attr.Mode)
	xattrs := make(map[string][]byte)
	if !access.minimal() {
		xattrs[xattrAccessACL] = access
	}
	if t == objstore.TypeDir {
		xattrs[xattrDefaultACL] = preset
	}
	return xattrs
}

// accessChange is the change of mode and attributes that makes value the access ACL; nil removes it.
func accessChange(info objstore.Info, value acl, clearSetGID bool) (objstore.AttrChange, error) {
	set := objstore.AttrChange{Xattrs: map[string][]byte{xattrAccessACL: nil}}
	if value == nil {
		return set, nil
	}
	if !value.valid() {
		return set, &objstore.Error{Op: "setxattr", Key: xattrAccessACL, Kind: objstore.ErrInvalid}
	}
	mode := value.mode(info.Attr.Mode)
	if clearSetGID {
		mode &^= modeSetGID
	}
	set.Mode = &mode
	if !value.minimal() {
		set.Xattrs[xattrAccessACL] = value
	}
	return set, nil
}

// chmodACL makes a change of the mode one of the access ACL, if there is one.
func chmodACL(xattrs map[string][]byte, set *objstore.AttrChange) {
	access := acl(xattrs[xattrAccessACL])
	if set.Mode == nil || !access.valid() {
		return
	}
	changed := map[string][]byte{xattrAccessACL: access.withMode(*set.Mode)}
	for name, value := range set.Xattrs {
		changed[name] = value
	}
	set.Xattrs = changed
}
