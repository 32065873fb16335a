package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/etagfs/etagfs/mount"
)

// cacheOfSystem is where a mount has its local copies that is made for no user, as at boot.
const cacheOfSystem = "/var/cache/etagfs"

// word8 is an option of mount(8) that is no option of ours.
type word8 struct {
	undoes  string // the option before it that it takes back
	refused string // not empty: why it cannot be had
}

// words8 are those mount(8) has for every filesystem. Most are for mount(8) itself or for the order of booting.
func words8() map[string]word8 {
	words := map[string]word8{
		"suid":        {undoes: "nosuid"},
		"dev":         {undoes: "nodev"},
		"exec":        {undoes: "noexec"},
		"sync":        {refused: "a commit is at close: for one that survives a loss of power give durability=close"},
		"dirsync":     {refused: "names are durable after fsync of the directory"},
		"strictatime": {refused: "for times of reading there is atimes=relatime"},
		"lazytime":    {refused: "times are committed with what they are times of"},
		"remount":     {},
	}
	for _, name := range []string{
		"defaults", "auto", "noauto", "user", "nouser", "users", "nousers", "owner", "noowner", "group", "nogroup",
		"_netdev", "nofail", "comment", "async", "atime", "noatime", "diratime", "nodiratime", "relatime", "norelatime", "nostrictatime",
		"nolazytime", "silent", "loud", "mand", "nomand",
	} {
		words[name] = word8{}
	}
	return words
}

// list8 is an -o list of mount(8), taken apart.
type list8 struct {
	options     []string // ours
	cache       string
	takeover    bool
	credentials string // a file of variables
}

// parseList8 takes a list apart. What nobody knows is an error of [mount.ParseOptions] later, or left out if sloppy.
func parseList8(list string, sloppy bool) (list8, error) {
	l, generic := list8{takeover: true}, words8()
	for word := range strings.SplitSeq(list, ",") {
		name, value, _ := strings.Cut(word, "=")
		of8, known := generic[name]
		switch {
		case word == "" || strings.HasPrefix(name, "x-") || strings.HasPrefix(name, "X-"):
		case known && of8.refused != "":
			return list8{}, usageErrorf("mount option %s is not available: %s", word, of8.refused)
		case known:
			l.options = slices.DeleteFunc(l.options, func(o string) bool { return o == of8.undoes })
		case name == "cache" && value != "":
			l.cache = value
		case name == "credentials" && value != "":
			l.credentials = value
		case word == "notakeover":
			l.takeover = false
		case sloppy && !isMountOption(name):
		default:
			l.options = append(l.options, word)
		}
	}
	return l, nil
}

func isMountOption(name string) bool {
	return slices.ContainsFunc(mount.OptionWords(), func(word string) bool { return word == name || strings.HasPrefix(word, name+"=") })
}

func mount8Command(t *terminal) *cobra.Command {
	var words []string
	var fake, sloppy, verbose bool
	c := alone(&cobra.Command{
		Use:   "mount.etagfs STORE DIR [-sfnv] [-N NAMESPACE] [-o OPTIONS] [-t TYPE]",
		Short: "Mount a store at DIR for mount(8)",
		Long:  mount8Text(),
		Args:  arguments(2, 2),
		RunE: func(c *cobra.Command, args []string) error {
			list := strings.Join(words, ",")
			if all := strings.Split(list, ","); slices.Contains(all, "remount") && !fake {
				return remount8(args[1], all)
			}
			l, err := parseList8(list, sloppy)
			if err != nil {
				return err
			}
			if _, err := mount.ParseOptions(strings.Join(l.options, ",")); err != nil {
				return usageErrorf("%v", err)
			}
			if verbose {
				fmt.Fprintf(t.out, "mount.etagfs: %s at %s with %s\n", args[0], args[1], strings.Join(l.options, ","))
			}
			if fake {
				return nil
			}
			if err := l.variables(); err != nil {
				return err
			}
			d, err := newDaemon(args[0], args[1])
			if err != nil {
				return err
			}
			d.options, d.cache, d.takeover = strings.Join(l.options, ","), l.cacheDir(), l.takeover
			return t.startBackground(c.Context(), d)
		},
	})
	f := c.Flags()
	f.StringArrayVarP(&words, "options", "o", nil, "mount options, separated by commas")
	f.BoolVarP(&fake, "fake", "f", false, "say whether the options make sense, and mount nothing")
	f.BoolVarP(&sloppy, "sloppy", "s", false, "leave out options nobody knows")
	f.BoolVarP(&verbose, "verbose", "v", false, "say what is mounted")
	f.BoolP("no-mtab", "n", false, "changes nothing")
	f.StringP("namespace", "N", "", "changes nothing: mount(8) has entered it")
	f.StringP("types", "t", "", "changes nothing")
	return c
}

// mount8Text is the help of mount.etagfs.
func mount8Text() string {
	return `mount(8) calls this program for the types etagfs and fuse.etagfs:

  mount -t etagfs /var/lib/files /mnt/files -o durability=close

A line of /etc/fstab that mounts a directory at boot, one that mounts a bucket of
etagfs serve as soon as it is used, and one a user may mount:

  /var/lib/files         /mnt/files  etagfs  x-etagfs.wait  0  0
  http://host:9000/main  /mnt/main   etagfs  noauto,_netdev,x-systemd.automount,credentials=/etc/etagfs/main.env  0  0
  /home/ana/files        /home/ana/f etagfs  noauto,user  0  0

umount DIR waits until everything is committed and the store is free, if the mount
has an option that mount(8) keeps for itself: _netdev, user, or any x-..., like
x-etagfs.wait. Without one root's umount of a full path does not call etagfs, and
returns while the daemon is releasing the store. etagfs unmount always waits.

Options that only mount.etagfs has:

  cache=DIR
      directory for local copies of a store that is elsewhere or another process's
      (default etagfs in the user's cache directory, or ` + cacheOfSystem + `)
  credentials=FILE
      a file with lines like ETAGFS_ACCESS_KEY=..., which nobody else may read:
      variables ETAGFS_* and AWS_* that name keys
  notakeover
      do not become the owner of STORE when the mount that has it open ends

Options of every filesystem mean what they mean to mount(8): ro, rw, noexec, nosuid,
nodev, exec, suid, dev, defaults, auto, noauto, user, users, owner, group, _netdev, nofail,
x-... Those about times of reads, like noatime and relatime, change nothing: atimes
says what they do. sync, dirsync, strictatime and lazytime are refused. With remount, by root, ro, noexec,
nosuid, nodev and what undoes them are changed; with other options it is refused.

Options of etagfs, of which those without a value are off unless they are given:

` + strings.TrimRight(mount.OptionsHelp(), "\n")
}

// cacheDir is a mount's own, the user's, or the system's if there is no user.
func (l list8) cacheDir() string {
	if l.cache != "" {
		return l.cache
	}
	if _, err := os.UserCacheDir(); err != nil {
		return cacheOfSystem
	}
	return ""
}

// variables puts those of the credentials file where the daemon finds them: its command line is everybody's to read.
func (l list8) variables() error {
	if l.credentials == "" {
		return nil
	}
	info, err := os.Stat(l.credentials)
	if err != nil {
		return fmt.Errorf("credentials file %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return usageErrorf("credentials file %s has mode %04o, so that others can use it; chmod it to 0600", l.credentials, info.Mode().Perm())
	}
	text, err := os.ReadFile(l.credentials)
	if err != nil {
		return fmt.Errorf("credentials file %w", err)
	}
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		if !ok || !strings.HasPrefix(name, "ETAGFS_") && !strings.HasPrefix(name, "AWS_") {
			return usageErrorf("credentials file %s: line %d is not ETAGFS_NAME=VALUE or AWS_NAME=VALUE", l.credentials, number)
		}
		if err := os.Setenv(name, strings.Trim(value, `"`)); err != nil {
			return err
		}
	}
	return nil
}
