package fs

import (
	"context"
	"fmt"
	"strconv"
	"testing"
)

// BenchmarkCreateWriteClose is what the daemon does for a small new file: create,
// write 4 KiB, flush, release.
func BenchmarkCreateWriteClose(b *testing.B) {
	fs := benchMount(b)
	p := make([]byte, 4096)
	ctx := context.Background()
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		h, _, err := fs.Create(ctx, alice, fs.Root(), strconv.Itoa(n), writeOnly, 0o644)
		if err != nil {
			b.Fatal(err)
		}
		finishBench(ctx, b, h, p)
	}
}

// BenchmarkOverwrite is open with O_TRUNC, write 4 KiB, flush, release.
func BenchmarkOverwrite(b *testing.B) {
	fs := benchMount(b)
	p := make([]byte, 4096)
	ctx := context.Background()
	h, _, err := fs.Create(ctx, alice, fs.Root(), "f", writeOnly, 0o644)
	if err != nil {
		b.Fatal(err)
	}
	finishBench(ctx, b, h, p)
	b.ReportAllocs()
	for b.Loop() {
		finishBench(ctx, b, openBench(ctx, b, fs, truncate), p)
	}
}

// BenchmarkOpenRead is lookup, open, read 4 KiB, release.
func BenchmarkOpenRead(b *testing.B) {
	fs := benchMount(b)
	p := make([]byte, 4096)
	ctx := context.Background()
	h, _, err := fs.Create(ctx, alice, fs.Root(), "f", writeOnly, 0o644)
	if err != nil {
		b.Fatal(err)
	}
	finishBench(ctx, b, h, p)
	b.ReportAllocs()
	for b.Loop() {
		h := openBench(ctx, b, fs, readOnly)
		if n, err := h.ReadAt(ctx, p, 0); n != len(p) || err != nil {
			b.Fatal(n, err)
		}
		h.Release(ctx)
	}
}

// BenchmarkOpenBesideReaders is lookup, open and release of a file that others have open to read: it takes the same however many they are.
func BenchmarkOpenBesideReaders(b *testing.B) {
	for _, options := range []Options{{}, {Isolation: IsolateMount}} {
		for _, readers := range []int{0, 20_000} {
			b.Run(fmt.Sprintf("%v/%d", options.Isolation, readers), func(b *testing.B) {
				fs, ctx := benchMountWith(b, options), context.Background()
				h, _, err := fs.Create(ctx, alice, fs.Root(), "f", writeOnly, 0o644)
				if err != nil {
					b.Fatal(err)
				}
				finishBench(ctx, b, h, []byte("text"))
				open := func() *Handle { return openBench(ctx, b, fs, readOnly) }
				for range readers {
					defer open().Release(ctx)
				}
				for b.Loop() {
					open().Release(ctx)
				}
			})
		}
	}
}

// BenchmarkOpenBesideWriters is lookup, open and release of a file that others, each in a process of its own, have open to write:
// it takes the same however many they are, and little for each that has written something.
func BenchmarkOpenBesideWriters(b *testing.B) {
	for _, changed := range []bool{false, true} {
		for _, mode := range []OpenMode{readOnly, writeOnly} {
			for _, writers := range []int{0, 64, 512, 4096} {
				b.Run(fmt.Sprintf("changed=%v/write=%v/%d", changed, mode.Write, writers), func(b *testing.B) {
					benchBesideWriters(b, writers, changed, mode)
				})
			}
		}
	}
}

func benchBesideWriters(b *testing.B, writers int, changed bool, mode OpenMode) {
	fs, ctx := benchMount(b), context.Background()
	h, _, err := fs.Create(ctx, alice, fs.Root(), "f", writeOnly, 0o644)
	if err != nil {
		b.Fatal(err)
	}
	finishBench(ctx, b, h, []byte("text"))
	for n := range writers {
		entry, err := fs.LookupCommitted(ctx, alice, fs.Root(), "f")
		if err != nil {
			b.Fatal(err)
		}
		w, _, err := fs.Open(ctx, Caller{Thread: uint32(100 * (n + 10))}, entry.View, writeOnly)
		if err != nil {
			b.Fatal(err)
		}
		if changed {
			if _, err := w.WriteAt(ctx, []byte("t"), 0, WriteMode{}); err != nil {
				b.Fatal(err)
			}
			defer fs.detach(w.file, w.tx.base) // that they need not be kept
		}
		defer w.Release(ctx)
	}
	b.ReportAllocs()
	for b.Loop() {
		openBench(ctx, b, fs, mode).Release(ctx)
	}
}

// openBench opens f by its name.
func openBench(ctx context.Context, b *testing.B, fs *FS, mode OpenMode) *Handle {
	b.Helper()
	entry, err := fs.Lookup(ctx, alice, fs.Root(), "f")
	if err != nil {
		b.Fatal(err)
	}
	h, _, err := fs.Open(ctx, alice, entry.View, mode)
	if err != nil {
		b.Fatal(err)
	}
	return h
}

func finishBench(ctx context.Context, b *testing.B, h *Handle, p []byte) {
	if _, err := h.WriteAt(ctx, p, 0, WriteMode{}); err != nil {
		b.Fatal(err)
	}
	if err := h.Flush(ctx, alice); err != nil {
		b.Fatal(err)
	}
	h.Release(ctx)
}

func benchMount(b *testing.B) *FS { return benchMountWith(b, Options{}) }

func benchMountWith(b *testing.B, options Options) *FS {
	fs, err := New(context.Background(), Config{Namespace: newStore(b), Processes: &fakeProcesses{}, Options: options})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := fs.Close(context.Background()); err != nil {
			b.Error(err)
		}
	})
	return fs
}

// BenchmarkBesideWriters is what others do to a file that many are writing: it takes the same however many they are.
func BenchmarkBesideWriters(b *testing.B) {
	for name, test := range map[string]struct {
		made bool // the file is not made yet
		call func(ctx context.Context, fs *FS, v View) error
	}{
		"lookup": {true, func(ctx context.Context, fs *FS, _ View) error {
			_, err := fs.Lookup(ctx, bob, fs.Root(), "f")
			return err
		}},
		"chmod": {false, func(ctx context.Context, fs *FS, v View) error {
			mode := uint32(0o600)
			_, err := fs.SetAttr(ctx, bob, v, nil, Change{Mode: &mode})
			return err
		}},
		"setcap": {false, func(ctx context.Context, fs *FS, v View) error {
			return fs.SetXattr(ctx, root, v, xattrCapability, []byte("c"), XattrMode{})
		}},
	} {
		for _, writers := range []int{1, 64, 4096} {
			b.Run(fmt.Sprintf("%s/%d", name, writers), func(b *testing.B) {
				fs, ctx := benchMount(b), context.Background()
				h, _, err := fs.Create(ctx, alice, fs.Root(), "f", readWrite, 0o644)
				if err != nil {
					b.Fatal(err)
				}
				v := View{Object: h.file.id}
				if !test.made {
					finishBench(ctx, b, h, []byte("text"))
				}
				for n := range writers {
					c := Caller{UID: 1000, Thread: uint32(1000 + n)}
					at := v
					if !test.made {
						entry, err := fs.LookupCommitted(ctx, c, fs.Root(), "f")
						if err != nil {
							b.Fatal(err)
						}
						at = entry.View
					}
					h, _, err := fs.Open(ctx, c, at, readWrite)
					if err != nil {
						b.Fatal(err)
					}
					if _, err := h.WriteAt(ctx, []byte("w"), 0, WriteMode{}); err != nil {
						b.Fatal(err)
					}
				}
				if err := test.call(ctx, fs, v); err != nil { // who has opened it is asked once
					b.Fatal(err)
				}
				for b.Loop() {
					if err := test.call(ctx, fs, v); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
