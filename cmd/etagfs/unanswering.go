package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

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
		return unreachable(point, unix.EIO)
	}
	return nil
}

// unreachable is that the store of the mount at point does not answer.
func unreachable(point string, why error) error {
	return fmt.Errorf("%s is a mount that cannot get at its store (%w): look whether its server, or its disk, answers", point, why)
}

// storePatience is how long a store may take to say that it has no file of a name.
const storePatience = 3 * time.Second

// storeAnswers fails unless the store of a mount does, soon.
func (m mountedTree) storeAnswers(ctx context.Context) error {
	patience, cancel := context.WithTimeout(ctx, storePatience)
	defer cancel()
	err := askApart(patience, m.root, askedAnswer)
	if err != nil && ctx.Err() == nil && patience.Err() != nil {
		return unreachable(m.root, noAnswer(storePatience))
	}
	return err
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
