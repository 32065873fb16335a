package main

import (
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/etagfs/etagfs/mount"
)

// unanswering is why a path says nothing, cause, if the mount of etagfs that the path is in is why; otherwise nil.
func unanswering(path string, cause error) error {
	gone := mount.ConnectionEnded(cause)
	if !gone && !errors.Is(cause, unix.EIO) {
		return nil
	}
	point, found := pointAbove(path)
	switch {
	case gone:
		return goneDaemon(point)
	case found:
		return fmt.Errorf("%s is a mount that cannot get at its store (%w): look whether its server, or its disk, answers", point, unix.EIO)
	}
	return nil
}

// pointAbove is where the mount of etagfs is that a path is in, by the mount table; the path itself if there is none. No mount is asked.
func pointAbove(path string) (point string, found bool) {
	at, err := filepath.Abs(path)
	if err != nil {
		return path, false
	}
	points, err := mount.Points()
	if err != nil {
		return at, false
	}
	for _, p := range points {
		if inside(at, p) && len(p) > len(point) {
			point, found = p, true
		}
	}
	if !found {
		point = at
	}
	return point, found
}

func goneDaemon(dir string) error {
	return fmt.Errorf("%s is a mount whose daemon is gone: etagfs unmount %s takes it away, and etagfs mount mounts it again", dir, dir)
}
