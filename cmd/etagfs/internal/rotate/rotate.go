// Package rotate writes a log file that stays small: when the next write
// would make it too long, the file becomes FILE.1, what was FILE.1 becomes
// FILE.2, and so on; the oldest goes.
//
// A write is never split between two files. Rotation that fails is reported by
// the write, and the file goes on growing: losing lines would be worse.
package rotate

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"syscall"
)

// File is the newest file of a rotated log. Its methods may be called concurrently.
type File struct {
	// Constant.
	path     string
	bytesMax int64
	kept     int
	opened   func(*os.File) error

	mu sync.Mutex
	// Guarded by mu.
	file  *os.File
	bytes int64 // length of file
}

// Open opens the log at path for appending, readable by its owner only. It must be a regular file, and no link. A file
// holds bytesMax bytes unless a single write is longer; kept older ones stay. Each new
// file is shown to opened before it is written to, if that is not nil.
func Open(path string, bytesMax int64, kept int, opened func(*os.File) error) (*File, error) {
	f := &File{path: path, bytesMax: bytesMax, kept: kept, opened: opened}
	if err := f.open(); err != nil {
		return nil, err
	}
	return f, nil
}

func (f *File) open() error {
	const flags = os.O_WRONLY | os.O_APPEND | os.O_CREATE | syscall.O_NOFOLLOW | syscall.O_NONBLOCK // a pipe without a reader fails
	file, err := os.OpenFile(f.path, flags, 0o600)
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: f.path, Err: errors.New("it is no regular file: remove it")}
	}
	if err == nil && f.opened != nil {
		err = f.opened(file)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("open log: %w", err), file.Close())
	}
	f.file, f.bytes = file, info.Size()
	return nil
}

// Write appends p to the newest file.
func (f *File) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var rotated error
	if f.bytes > 0 && f.bytes+int64(len(p)) > f.bytesMax {
		rotated = f.rotate()
	}
	n, err := f.file.Write(p)
	f.bytes += int64(n)
	return n, errors.Join(rotated, err)
}

// rotate moves every file on by one and starts a new one; on failure f.file
// stays usable.
func (f *File) rotate() error {
	for n := f.kept; n > 0; n-- {
		err := os.Rename(f.numbered(n-1), f.numbered(n))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("rotate log: %w", err)
		}
	}
	if f.kept == 0 {
		if err := os.Remove(f.path); err != nil {
			return fmt.Errorf("rotate log: %w", err)
		}
	}
	old := f.file
	if err := f.open(); err != nil {
		return err
	}
	return old.Close()
}

// numbered is the path of the n-th older file; the 0th is the newest.
func (f *File) numbered(n int) string {
	if n == 0 {
		return f.path
	}
	return fmt.Sprintf("%s.%d", f.path, n)
}

// Close closes the newest file.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.file.Close()
}
