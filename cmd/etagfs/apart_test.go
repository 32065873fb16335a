package main

import (
	"fmt"
	"os"
	"os/exec"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/mount"
)

// runApart is a program of the scripts: apart PROGRAM ARGS... runs another in a mount namespace of its own, in which nothing
// of etagfs is mounted. Mounts of other tests would not end while it has them. Its thread is that of the whole process,
// which package main sees to.
func runApart() {
	err := forgetMounts()
	if err == nil {
		var program string
		if program, err = exec.LookPath(os.Args[1]); err == nil {
			err = unix.Exec(program, os.Args[1:], os.Environ())
		}
	}
	fmt.Fprintln(os.Stderr, "apart:", err)
	os.Exit(1)
}

func forgetMounts() error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return err
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	points, err := mount.Points()
	for _, point := range slices.Backward(points) {
		unix.Unmount(point, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW) // an error means that it has ended, or is below another mount
	}
	return err
}
