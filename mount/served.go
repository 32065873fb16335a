package mount

import "fmt"

// Served is what mount of etagfs is at dir: its full path and its store. Whether its daemon answers is not asked: that may take forever.
func Served(dir string) (point, source string, err error) {
	if point, err = resolve(dir); err != nil {
		return "", "", err
	}
	m, found, err := mountedAt(point)
	switch {
	case err != nil:
		return "", "", err
	case !found && !exists(point):
		return "", "", absentError(point + " does not exist: nothing is mounted there")
	case !found:
		return "", "", absentError("nothing is mounted at " + point)
	case m.fsType != fsType:
		return "", "", fmt.Errorf("%s is a mount of type %s, not one of etagfs", point, m.fsType)
	}
	return point, m.source, nil
}
