package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/etagfs/etagfs/mount"
)

// remount8 has the mount at dir be as a list of mount(8) says. Options of ours are among them if they were in fstab or on the first
// command line, and must be what they were.
func remount8(dir string, list []string) error {
	own, flags := remountWords(list)
	options, err := mount.ParseOptions(strings.Join(own, ","))
	if err != nil {
		return usageErrorf("%v", err)
	}
	asked := options.InForce()
	at, err := findMounted(dir, asked["control"])
	if err != nil {
		return err
	}
	now, err := at.config()
	if err != nil {
		return err
	}
	for _, word := range own {
		name, _, _ := strings.Cut(word, "=")
		if asked[name] != now.Options[name] {
			return fmt.Errorf("mount option %s cannot be changed while %s is mounted: unmount it, and mount it with the other options", word, at.root)
		}
	}
	if now.Options["ro"] == "true" && slices.Contains(flags, "rw") {
		return fmt.Errorf("%s was mounted read-only: unmount it, and mount it again", at.root)
	}
	return mount.Remount(dir, flags)
}

// remountWords are those of a list that say how a mount is to be from now on: our own, and those of every file system.
func remountWords(list []string) (own, flags []string) {
	generic := words8()
	for _, word := range list {
		of8, known := generic[word]
		name, _, _ := strings.Cut(word, "=")
		switch {
		case word == "" || word == "allow_other" || strings.HasPrefix(word, "x-") || strings.HasPrefix(word, "X-") || known && of8.undoes == "":
		case mount.IsRemountable(word) || !isMountOption(name):
			flags = append(flags, word)
		default:
			own = append(own, word)
		}
	}
	return own, flags
}
