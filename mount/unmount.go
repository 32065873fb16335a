package mount

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// BusyError says who keeps a mount from being unmounted.
type BusyError struct {
	Dir     string
	Holders []Holder // empty if nobody the caller may know of
}

// Error is one sentence.
func (e *BusyError) Error() string {
	if len(e.Holders) == 0 {
		return fmt.Sprintf("%s is busy: a process of another user has it open", e.Dir)
	}
	who := make([]string, len(e.Holders))
	for i, h := range e.Holders {
		who[i] = h.String()
	}
	return fmt.Sprintf("%s is busy: %s", e.Dir, strings.Join(who, "; "))
}

// Unmount takes the mount at dir out of the tree if nothing is open in it, and a [*BusyError] says what is. It
// returns the store that was mounted. Its daemon then ends on its own: it
// still has to release the store. A mount whose daemon is gone is taken away, open or not.
func Unmount(dir string, gone Gone) (source string, err error) {
	point, err := resolve(dir)
	if err != nil {
		return "", err
	}
	m, found, err := mountedAt(point)
	switch {
	case err != nil:
		return "", err
	case !found:
		return "", fmt.Errorf("nothing is mounted at %s", point)
	case m.fsType != fsType:
		return "", fmt.Errorf("%s is no mount of etagfs but %s of type %s", point, m.source, m.fsType)
	case os.Geteuid() != 0 && m.user != strconv.Itoa(os.Getuid()):
		return "", fmt.Errorf("%s was mounted by user %s: only that user and root can unmount it: %w", point, m.user, syscall.EPERM)
	}
	if err := removeDead(point, gone); err != nil {
		return "", err
	}
	if below, found, err := mountedAt(point); err != nil || !found || below.id != m.id {
		return m.source, err // its daemon was gone
	}
	return m.source, take(point)
}

// take unmounts point unless it is busy.
func take(point string) error {
	var err error
	if os.Geteuid() == 0 {
		err = syscall.Unmount(point, 0)
	} else {
		err = fusermount("-u", point)
	}
	if err == nil {
		return nil
	}
	holders, listErr := Holders(point)
	if errors.Is(err, syscall.EBUSY) || len(holders) > 0 {
		return errors.Join(&BusyError{point, holders}, listErr)
	}
	return fmt.Errorf("unmount %s: %w", point, err)
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}
