package main

import (
	"context"
	"errors"
	iofs "io/fs"
	"strings"
	"syscall"

	"github.com/etagfs/etagfs/objstore"
)

// sentence is err in one line, without secrets. Who lost a condition is told what is there instead.
func sentence(err error) string {
	if errors.Is(err, context.Canceled) && exitCode(err) == exitFailed {
		err = errInterrupted // which of the things that waited said so is no news
	}
	text := withoutSecrets(inLine(strings.ReplaceAll(err.Error(), "\n", "; "))) // joined errors have lines
	var e *objstore.Error
	if errors.As(err, &e) && e.Winner != "" && e.Detail == "" {
		text += ": its ETag is " + string(e.Winner)
	}
	if out := wayOut(err); out != "" {
		text += ": " + out
	}
	return text
}

// wayOut is what to do about what the operating system says of a path, in which it names only what is wrong; empty if
// there is nothing to add, or if whoever had the error has said it.
func wayOut(err error) string {
	var path *iofs.PathError
	if !errors.As(err, &path) || explained(err) {
		return ""
	}
	switch {
	case errors.Is(path, syscall.ENOTDIR):
		return "a file is where the path has a directory: name another path"
	case errors.Is(path, syscall.ENOENT) && (path.Op == "mkdir" || path.Op == "write"):
		return "create the directory it is to be in first"
	case errors.Is(path, syscall.EISDIR):
		return "name a file"
	case errors.Is(path, syscall.ENAMETOOLONG):
		return "a name in a path has at most 255 bytes, and a path 4,095: choose a shorter one"
	case errors.Is(path, syscall.EACCES):
		return "run it as a user who may, or let this one (chmod, chown)"
	case errors.Is(path, syscall.ENOTCONN):
		return "that is in a mount whose daemon is gone: etagfs unmount takes it away, and etagfs mount mounts it again"
	}
	return ""
}

// explained reports whether an error of a store has more to say than its kind.
func explained(err error) bool {
	for e := (*objstore.Error)(nil); errors.As(err, &e); err = e.Err {
		if e.Detail != "" {
			return true
		}
	}
	return false
}

// noSuchKey is err in words that say where to look, if it is that the store has no such object.
func noSuchKey(store string, err error) error {
	var e *objstore.Error
	if objstore.KindOf(err) != objstore.ErrNotFound || !errors.As(err, &e) || e.Key == "" || explained(err) {
		return err
	}
	return &objstore.Error{
		Op: e.Op, Key: e.Key, Kind: e.Kind,
		Detail: "there is no such object: etagfs ls " + readable(store) + " lists those there are",
	}
}

// noSuchBucket is err in words that say what to name, if it is that the store has no such bucket.
func noSuchBucket(bucket, wayOut string, err error) error {
	if objstore.KindOf(err) != objstore.ErrNotFound || explained(err) {
		return err
	}
	return &objstore.Error{
		Op: "open bucket", Key: bucket, Kind: objstore.ErrNotFound,
		Detail: "there is no such bucket: " + wayOut,
	}
}

// absentError is a sentence about something that is not there.
type absentError string

// Error is the sentence.
func (e absentError) Error() string { return string(e) }

// Unwrap makes it [iofs.ErrNotExist].
func (e absentError) Unwrap() error { return iofs.ErrNotExist }
