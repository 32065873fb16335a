package main

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/etagfs/etagfs/fs"
	"github.com/etagfs/etagfs/mount"
	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/cas"
)

// The exit codes are an interface: scripts rely on them, so none changes its meaning.
const (
	exitOK         = 0
	exitFailed     = 1
	exitUsage      = 2
	exitNotFound   = 3
	exitConflict   = 4
	exitInUse      = 5
	exitPermission = 6
	exitNoSpace    = 7
	exitCorrupt    = 8
	exitUnknown    = 9
	exitLeaseLost  = 10
)

type exitCodeText struct {
	code int
	text string
}

var exitCodeTexts = []exitCodeText{
	{exitOK, "done"},
	{exitFailed, "failed otherwise, or interrupted"},
	{exitUsage, "the command line makes no sense"},
	{exitNotFound, "there is no such object, conflict, store or directory"},
	{exitConflict, "a condition did not hold: the object is not what was expected"},
	{exitInUse, "another process owns the store"},
	{exitPermission, "permission denied, or the store is read-only"},
	{exitNoSpace, "no space left"},
	{exitCorrupt, "stored bytes do not match their checksums"},
	{exitUnknown, "the change may or may not have been made: look before trying again"},
	{exitLeaseLost, "etagfs lock: the lease was lost while the command ran, which was ended"},
}

func exitCodesTopic() *cobra.Command {
	var text strings.Builder
	text.WriteString("Every etagfs command ends with one of these exit codes. They are stable.\n\n")
	for _, row := range exitCodeTexts {
		fmt.Fprintf(&text, "%3d  %s\n", row.code, row.text)
	}
	text.WriteString("\nupdate and lock end as the command they ran, if that failed: with its code, or 128 and the number of the signal that ended it.\n")
	return &cobra.Command{Use: "exit-codes", Short: "What each exit code means", Long: text.String()}
}

// exitCode is the code for err: that of its usage error, its kind, or the
// operating system's errors it wraps.
func exitCode(err error) int {
	var usage *usageError
	var background *mount.StartError
	var command *commandEnded
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &background):
		return background.ExitCode
	case errors.Is(err, cas.Lost):
		return exitLeaseLost
	case errors.As(err, &command):
		return command.code
	}
	switch fs.KindOf(err) {
	case fs.ErrBusy, fs.ErrExists:
		return exitConflict
	case fs.ErrNotPermitted:
		return exitPermission
	}
	if kind := objstore.KindOf(err); kind != 0 {
		return kindExitCode(kind)
	}
	switch {
	case errors.Is(err, iofs.ErrNotExist):
		return exitNotFound
	case errors.Is(err, iofs.ErrPermission), errors.Is(err, syscall.EROFS):
		return exitPermission
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return exitNoSpace
	case errors.Is(err, syscall.EBUSY): // a commit through a mount that lost
		return exitConflict
	}
	return exitFailed
}

func kindExitCode(kind objstore.Kind) int {
	switch kind {
	case objstore.ErrNotFound:
		return exitNotFound
	case objstore.ErrPrecondition, objstore.ErrConflict:
		return exitConflict
	case objstore.ErrInUse:
		return exitInUse
	case objstore.ErrPermission, objstore.ErrReadOnly:
		return exitPermission
	case objstore.ErrNoSpace:
		return exitNoSpace
	case objstore.ErrCorrupt:
		return exitCorrupt
	case objstore.ErrUnknown:
		return exitUnknown
	case objstore.ErrInvalid:
		return exitUsage
	default:
		return exitFailed
	}
}
