package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"

	"golang.org/x/sys/unix"
)

const (
	smallBytes = 4 << 10
	chunkBytes = 1 << 20
)

// file is a descriptor used by plain system calls. An os.File would also be
// offered to epoll, which costs a FUSE mount a request that no other program sends.
type file int

func openFile(path string, flags int) (file, error) {
	for {
		fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0o644)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return -1, fmt.Errorf("open %s: %w", path, err)
		}
		return file(fd), nil
	}
}

// transfer repeats an interrupted read or write and refuses a short one.
func transfer(verb string, want int, call func() (int, error)) error {
	for {
		n, err := call()
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return fmt.Errorf("%s: %w", verb, err)
		case n != want:
			return fmt.Errorf("%s: %d of %d bytes: %w", verb, n, want, io.ErrUnexpectedEOF)
		}
		return nil
	}
}

func (f file) write(p []byte) error {
	return transfer("write", len(p), func() (int, error) { return unix.Write(int(f), p) })
}

func (f file) writeAt(p []byte, off int64) error {
	return transfer("pwrite", len(p), func() (int, error) { return unix.Pwrite(int(f), p, off) })
}

func (f file) read(p []byte) error {
	return transfer("read", len(p), func() (int, error) { return unix.Read(int(f), p) })
}

func (f file) readAt(p []byte, off int64) error {
	return transfer("pread", len(p), func() (int, error) { return unix.Pread(int(f), p, off) })
}

func (f file) sync() error {
	if err := unix.Fsync(int(f)); err != nil {
		return fmt.Errorf("fsync: %w", err)
	}
	return nil
}

// close is where a commit happens; its error counts.
func (f file) close() error {
	if err := unix.Close(int(f)); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	return nil
}

// with opens path, runs use and closes; the first error counts.
func with(path string, flags int, use func(file) error) error {
	f, err := openFile(path, flags)
	if err != nil {
		return err
	}
	err = use(f)
	if closeErr := f.close(); err == nil {
		err = closeErr
	}
	return err
}

// writeWhole writes p to a file that is created or truncated.
func writeWhole(path string, p []byte) error {
	return with(path, unix.O_WRONLY|unix.O_CREAT|unix.O_TRUNC, func(f file) error { return f.write(p) })
}

// content is bytes that do not compress and differ from call to call.
type content struct {
	bytes []byte
	count uint64
}

func newContent(r *rand.Rand, n int) *content {
	c := &content{bytes: make([]byte, n)}
	for i := 0; i+8 <= n; i += 8 {
		binary.LittleEndian.PutUint64(c.bytes[i:], r.Uint64())
	}
	return c
}

func (c *content) next() []byte {
	c.count++
	binary.LittleEndian.PutUint64(c.bytes, c.count)
	return c.bytes
}
