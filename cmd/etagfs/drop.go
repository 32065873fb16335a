package main

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// identity is a user of this machine, by numbers.
type identity struct {
	uid, gid int
	groups   []int
}

// identityOf finds a user by name.
func identityOf(name string) (identity, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return identity{}, usageErrorf("--user %s: there is no such user", name)
	}
	texts, err := u.GroupIds()
	if err != nil {
		return identity{}, fmt.Errorf("groups of %s: %w", name, err)
	}
	numbers := make([]int, 0, 2+len(texts))
	for _, text := range append([]string{u.Uid, u.Gid}, texts...) {
		number, err := strconv.Atoi(text)
		if err != nil {
			return identity{}, fmt.Errorf("user %s: %w", name, err)
		}
		numbers = append(numbers, number)
	}
	return identity{numbers[0], numbers[1], numbers[2:]}, nil
}

// assume makes this process, which is root's, one of that user, for good and with no capability.
func (id identity) assume() error {
	steps := []struct {
		name string
		call func() error
	}{
		{"setgroups", func() error { return syscall.Setgroups(id.groups) }},
		{"setresgid", func() error { return syscall.Setresgid(id.gid, id.gid, id.gid) }},
		{"setresuid", func() error { return syscall.Setresuid(id.uid, id.uid, id.uid) }},
	}
	for _, step := range steps {
		if err := step.call(); err != nil {
			return fmt.Errorf("become user %d: %s: %w", id.uid, step.name, err)
		}
	}
	return nil
}

// give makes a directory that was just made the user's. Its parent may be somebody's who has put something else in its place
// meanwhile: a link is not followed, and what is not root's is not given away.
func (id identity) give(dir string) error {
	fd, err := unix.Open(filepath.Clean(dir), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: dir, Err: err}
	}
	d := os.NewFile(uintptr(fd), dir)
	defer d.Close()
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return &os.PathError{Op: "stat", Path: dir, Err: err}
	}
	if stat.Uid != 0 || stat.Mode&0o7777 != 0o700 {
		return fmt.Errorf("%s was made and is another directory now: choose a place where nobody else can write", dir)
	}
	return d.Chown(id.uid, id.gid)
}

// dropPrivileges has the server go on as --user, once it has what only root may have: its port and its secrets. A store
// that does not exist yet is made for that user.
func (s server) dropPrivileges(dir string) error {
	if s.user == "" {
		return nil
	}
	if os.Geteuid() != 0 {
		return usageErrorf("--user is for a server that root starts")
	}
	id, err := identityOf(s.user)
	if err != nil {
		return err
	}
	if s.create {
		err = os.Mkdir(dir, 0o700)
		if err == nil {
			err = id.give(dir)
		}
		if err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return id.assume()
}
