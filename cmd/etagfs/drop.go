package main

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
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
			err = os.Chown(dir, id.uid, id.gid)
		}
		if err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return id.assume()
}
