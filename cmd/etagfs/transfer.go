package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/etagfs/etagfs/objstore"
)

// standardStream is the file name that stands for standard input or output.
const standardStream = "-"

func catCommand(t *terminal) *cobra.Command {
	at := location{reads: true}
	var cond condition
	c := &cobra.Command{
		Use:   "cat STORE KEY...",
		Short: "Print the bytes of objects",
		Args:  keyed(2, -1, -1),
		RunE: func(c *cobra.Command, args []string) error {
			if err := t.bytesOnly(); err != nil {
				return err
			}
			return at.with(c.Context(), args[0], func(bucket objstore.Store) error {
				for _, key := range args[1:] {
					if _, err := read(c.Context(), bucket, objstore.Key(key), cond, t.out); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	at.flags(c)
	cond.readFlags(c)
	return c
}

func getCommand(t *terminal) *cobra.Command {
	at := location{reads: true}
	var cond condition
	c := &cobra.Command{
		Use:   "get STORE KEY [FILE]",
		Short: "Write an object to FILE (its last name by default; - is standard output)",
		Long: `Write an object to FILE. The file appears with all of the bytes, or not at
all; without FILE it is called like the last component of KEY.`,
		Args: keyed(2, 3, 1),
		RunE: func(c *cobra.Command, args []string) error {
			key := objstore.Key(args[1])
			file := path.Base(args[1])
			if len(args) == 3 {
				file = args[2]
			}
			switch file {
			case "":
				return usageErrorf("the name of the file is empty")
			case ".", "..", "/":
				return usageErrorf("get %s: a file cannot be called %s: give FILE", readable(args[1]), file)
			}
			if file == standardStream {
				if err := t.bytesOnly(); err != nil {
					return err
				}
			}
			return at.with(c.Context(), args[0], func(bucket objstore.Store) error {
				if file == standardStream {
					_, err := read(c.Context(), bucket, key, cond, t.out)
					return err
				}
				var info objstore.Info
				err := writeFile(file, func(w io.Writer) (err error) {
					info, err = read(c.Context(), bucket, key, cond, w)
					return err
				})
				if err != nil || !t.json {
					return err
				}
				return t.printJSON(objectJSON(key, info))
			})
		},
	}
	at.flags(c)
	cond.readFlags(c)
	return c
}

// bytesOnly refuses --json where it could only be ignored.
func (t *terminal) bytesOnly() error {
	if t.json {
		return usageErrorf("--json describes objects, and this prints the bytes of one: leave it out, or see etagfs stat")
	}
	return nil
}

// newKey is a key as a command line may make it. One that exists may be longer.
func newKey(key string) (objstore.Key, error) {
	if len(key) > objstore.KeyBytesMax {
		return "", usageErrorf("the key has %d bytes: one that is made here has at most %d", len(key), objstore.KeyBytesMax)
	}
	return objstore.Key(key), nil
}

// read copies one version of key to w and says which.
func read(ctx context.Context, bucket objstore.Store, key objstore.Key, c condition, w io.Writer) (objstore.Info, error) {
	cond, err := c.existing(ctx, bucket, key, objstore.Unconditional())
	if err != nil {
		return objstore.Info{}, err
	}
	reader, err := bucket.Get(ctx, key, cond)
	if err != nil {
		return objstore.Info{}, c.unmet(key, err)
	}
	if err := c.differs(key, reader.Info().ETag); err != nil {
		return objstore.Info{}, errors.Join(err, reader.Close())
	}
	if err := errors.Join(copyContent(ctx, reader, w), reader.Close()); err != nil {
		return objstore.Info{}, fmt.Errorf("get %s: %w", key, err)
	}
	return reader.Info(), nil
}

func copyContent(ctx context.Context, reader objstore.Reader, w io.Writer) error {
	body := reader.Stream(ctx, 0, -1)
	_, err := io.Copy(w, body)
	return errors.Join(err, body.Close())
}

// writeFile makes what fill writes the content of the named file, in one
// step. What exists and is no regular file (a pipe, a device) is written to.
func writeFile(name string, fill func(io.Writer) error) error {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return fillFile(name, os.O_WRONLY, fill)
	}
	dir, last := filepath.Split(name)
	suffix := fmt.Sprintf(".%d.part", os.Getpid())
	part := dir + last[:min(len(last), objstore.NameBytesMax-len(suffix))] + suffix // what has a longest name has a part
	if len(last) > objstore.NameBytesMax {
		return &iofs.PathError{Op: "write", Path: name, Err: syscall.ENAMETOOLONG}
	}
	err := fillFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fill)
	var failed *iofs.PathError
	if errors.As(err, &failed) && failed.Path == part { // the name that was given is the one to know
		return &iofs.PathError{Op: "write", Path: name, Err: failed.Err}
	}
	if err != nil {
		return err
	}
	if err := os.Rename(part, name); err != nil {
		os.Remove(part)
		return err
	}
	return nil
}

// fillFile opens a file and fills it. One that it made does not stay behind
// after a failure.
func fillFile(name string, flags int, fill func(io.Writer) error) error {
	f, err := os.OpenFile(name, flags, 0o666)
	if err != nil {
		return err
	}
	err = errors.Join(fill(f), f.Close())
	if err != nil && flags&os.O_EXCL != 0 {
		os.Remove(name)
	}
	return err
}

func putCommand(t *terminal) *cobra.Command {
	var at location
	var cond condition
	var contentType string
	c := &cobra.Command{
		Use:   "put STORE KEY [FILE]",
		Short: "Make the bytes of FILE (standard input by default) the content of an object",
		Long: `Make the bytes of FILE, or of standard input, the content of an object, in
one durable step at its end, and print the new ETag.`,
		Args: keyed(2, 3, 1),
		RunE: func(c *cobra.Command, args []string) error {
			key, err := newKey(args[1])
			if err != nil {
				return err
			}
			body, err := t.source(c.Context(), args[2:])
			if err != nil {
				return err
			}
			defer body.Close()
			return at.with(c.Context(), args[0], func(bucket objstore.Store) error {
				when, err := cond.write(c.Context(), bucket, key)
				if err != nil {
					return err
				}
				source := &reading{from: body}
				info, err := bucket.Put(c.Context(), key, source, when, objstore.PutOptions{ContentType: contentType})
				if err != nil {
					return cmp.Or(source.failed, cond.unmet(key, err))
				}
				if err := t.printStored(key, info); err != nil {
					return fmt.Errorf("%s is stored, but its ETag %s could not be printed: %w", key, info.ETag, err)
				}
				return nil
			})
		},
	}
	at.flags(c)
	c.Flags().BoolVar(&at.create, "create", false, "make the store if there is none")
	c.Flags().StringVar(&contentType, "content-type", "", "media type of the object")
	cond.matchFlag(c)
	cond.noneMatchFlag(c)
	return c
}

func (t *terminal) printStored(key objstore.Key, info objstore.Info) error {
	if t.json {
		return t.printJSON(objectJSON(key, info))
	}
	_, err := fmt.Fprintln(t.out, info.ETag)
	return err
}

// reading remembers why a body could not be read: to the store that is an
// invalid body, to a person it is the file.
type reading struct {
	from   io.Reader
	failed error
}

// Read reads from the body.
func (r *reading) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	if err != nil && err != io.EOF {
		r.failed = err
	}
	return n, err
}

// source is the file named in args, or standard input.
func (t *terminal) source(ctx context.Context, args []string) (io.ReadCloser, error) {
	if len(args) == 0 || args[0] == standardStream {
		return io.NopCloser(t.in), nil
	}
	if args[0] == "" {
		return nil, usageErrorf("the name of the file is empty")
	}
	file, err := os.Open(args[0])
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{&input{from: file, interrupted: ctx.Done()}, file}, nil // it may be a pipe
}
