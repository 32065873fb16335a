package badgerstore

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

// LockOwner is who has a store open. It is in the lock file as JSON, for people and programs.
type LockOwner struct {
	PID        int       `json:"pid"`
	Host       string    `json:"host"`
	Program    string    `json:"program"`
	MountPoint string    `json:"mount_point,omitempty"`
	Since      time.Time `json:"since"`
}

// String is for messages: "etagfs (process 12 on host), mounted at /mnt, since ...".
func (o LockOwner) String() string {
	s := fmt.Sprintf("%s (process %d on %s)", o.Program, o.PID, o.Host)
	if o.MountPoint != "" {
		s += ", mounted at " + o.MountPoint
	}
	return s + ", since " + o.Since.Format(time.RFC3339)
}

// lockStore takes the store's lock or says who has it. On a file system that is read-only nobody can say who that is, and any
// number may read.
func lockStore(fs disk.FS, dir string, owner LockOwner, readOnly bool) (disk.File, error) {
	name := filepath.Join(dir, lockName)
	f, err := lockAlone(fs, name)
	if readOnly && errors.Is(err, syscall.EROFS) {
		if f, err = fs.LockToRead(name); err == nil {
			return f, nil
		}
	}
	if errors.Is(err, disk.ErrLocked) {
		return nil, &objstore.Error{Op: "open store", Key: dir, Kind: objstore.ErrInUse,
			Detail: "the store is in use by " + readOwner(fs, name)}
	}
	if errors.Is(err, syscall.EROFS) {
		return nil, &objstore.Error{Op: "open store", Key: dir, Kind: objstore.ErrReadOnly,
			Detail: "it is on a read-only file system: it can be read, and mounted with -o ro, but not written to"}
	}
	if err != nil {
		return nil, disk.Error("lock store", err)
	}
	p, err := json.Marshal(owner)
	if err == nil {
		err = errors.Join(f.Truncate(0), writeAll(f, append(p, '\n')))
	}
	if err != nil {
		return nil, errors.Join(disk.Error("lock store", err), f.Close())
	}
	return f, nil
}

// lockAlone takes the lock as soon as those who only look who has it ([Owner]) have looked: they share it for a moment.
func lockAlone(fs disk.FS, name string) (disk.File, error) {
	ticks := time.NewTicker(releaseInterval)
	defer ticks.Stop()
	for looks := 1; ; looks++ {
		f, err := fs.Lock(name)
		if !errors.Is(err, disk.ErrLocked) || looks == looksMax {
			return f, err
		}
		shared, notShared := fs.LockToRead(name)
		if notShared != nil {
			return nil, err
		}
		if err := shared.Close(); err != nil {
			return nil, err
		}
		<-ticks.C
	}
}

func writeAll(f disk.File, p []byte) error {
	_, err := f.WriteAt(p, 0)
	return err
}

// readOwner is best effort: the owner may be about to write its name.
func readOwner(fs disk.FS, name string) string {
	p, err := readFile(fs, name)
	var owner LockOwner
	if err != nil || json.Unmarshal(p, &owner) != nil || owner.PID == 0 {
		return "another process"
	}
	return owner.String()
}

func readFile(fs disk.FS, name string) ([]byte, error) {
	f, err := fs.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	p := make([]byte, info.Size)
	n, err := f.ReadAt(p, 0)
	if n < len(p) {
		return nil, err
	}
	return p, nil
}

// owner is this process.
func (o Options) owner(now time.Time) LockOwner {
	host, err := os.Hostname()
	if err != nil {
		host = "this host"
	}
	program := o.Program
	if program == "" {
		program = filepath.Base(strings.TrimSpace(os.Args[0]))
	}
	return LockOwner{PID: os.Getpid(), Host: host, Program: program, MountPoint: o.MountPoint, Since: now}
}
