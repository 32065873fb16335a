package mount

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// flagWord is an option of every file system that the kernel sees to, and can be changed while something is mounted.
type flagWord struct {
	flag uintptr
	set  bool
}

func flagWords() map[string]flagWord {
	return map[string]flagWord{
		"ro": {unix.MS_RDONLY, true}, "rw": {unix.MS_RDONLY, false},
		"nosuid": {unix.MS_NOSUID, true}, "suid": {unix.MS_NOSUID, false},
		"nodev": {unix.MS_NODEV, true}, "dev": {unix.MS_NODEV, false},
		"noexec": {unix.MS_NOEXEC, true}, "exec": {unix.MS_NOEXEC, false},
	}
}

// IsRemountable reports whether an option can be changed while something is mounted.
func IsRemountable(word string) bool {
	_, can := flagWords()[word]
	return can
}

// kernelWords are what /proc/self/mountinfo has among the options of each of our mounts, which mount(8) gives back to us.
func kernelWords() []string {
	return []string{"user_id", "group_id", "default_permissions", "allow_other", "max_read"}
}

// Remount changes ro and rw, nosuid, nodev and noexec, and what undoes them, of the mount at dir; words after others win. It
// takes root. Our own options stay what they were: one of those among words is an error, and nothing is changed. Files
// open for writing are EBUSY with ro.
func Remount(dir string, words []string) error {
	point, _, err := mountOfOurs(dir)
	if err != nil {
		return err
	}
	var now unix.Statfs_t
	if err := unix.Statfs(point, &now); err != nil {
		return fmt.Errorf("remount %s: %w", point, err)
	}
	flags := uintptr(now.Flags) & (unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC)
	for _, word := range words {
		name, _, _ := strings.Cut(word, "=")
		f, isFlag := flagWords()[word]
		switch {
		case isFlag && f.set:
			flags |= f.flag
		case isFlag:
			flags &^= f.flag
		case !slices.Contains(kernelWords(), name):
			return fmt.Errorf("mount option %s cannot be changed while %s is mounted: unmount it, and mount it with the other options", word, point)
		}
	}
	if err := unix.Mount("", point, "", unix.MS_REMOUNT|flags, ""); err != nil {
		return fmt.Errorf("remount %s: %w", point, err)
	}
	return nil
}
