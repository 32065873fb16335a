package mounts

import (
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/etagfs/etagfs/integration/mounttest"
)

// BenchmarkAttached is what a mount costs that uses the store through another process, and one that nobody shares beside it.
// ETAGFS_BIN chooses the program.
func BenchmarkAttached(b *testing.B) {
	b.Run("alone", func(b *testing.B) { benchmarkCreate(b, together(b, "socket", 1)[0]) })
	for _, way := range ways() {
		b.Run(way, func(b *testing.B) {
			m := together(b, way, 2)
			b.Run("create", func(b *testing.B) { benchmarkCreate(b, m[1]) })
			b.Run("overwrite", func(b *testing.B) { benchmarkOverwrite(b, m[1]) })
			b.Run("rename", func(b *testing.B) { benchmarkRename(b, m[1]) })
			b.Run("stat", func(b *testing.B) { benchmarkStat(b, m[1]) })
			b.Run("open", func(b *testing.B) { benchmarkOpen(b, m[1]) })
			b.Run("list", func(b *testing.B) { benchmarkList(b, m[1]) })
			b.Run("follow", func(b *testing.B) { benchmarkFollow(b, m[0], m[1]) })
			b.Run("other", func(b *testing.B) { benchmarkCreate(b, m[0]) })
		})
	}
}

// benchmarkCreate makes small files: open, write, close.
func benchmarkCreate(b *testing.B, m *mounttest.Mount) {
	dir, err := os.MkdirTemp(m.Dir, "")
	if err != nil {
		b.Fatal(err)
	}
	for i := 0; b.Loop(); i++ {
		if err := os.WriteFile(dir+"/"+strconv.Itoa(i), []byte("content"), 0o644); err != nil {
			b.Fatal(err)
		}
	}
}

// benchmarkOverwrite truncates and writes files that are there.
func benchmarkOverwrite(b *testing.B, m *mounttest.Mount) {
	files := someFiles(b, m)
	for i := 0; b.Loop(); i++ {
		if err := os.WriteFile(files[i%len(files)], []byte("content"), 0o644); err != nil {
			b.Fatal(err)
		}
	}
}

// benchmarkRename moves a file to a name nobody has had.
func benchmarkRename(b *testing.B, m *mounttest.Mount) {
	name := someFiles(b, m)[0]
	for i := 0; b.Loop(); i++ {
		next := name + "." + strconv.Itoa(i)
		if err := os.Rename(name, next); err != nil {
			b.Fatal(err)
		}
		if err := os.Rename(next, name); err != nil {
			b.Fatal(err)
		}
	}
}

// someFiles are a hundred small files, by their paths.
func someFiles(b *testing.B, m *mounttest.Mount) []string {
	dir, err := os.MkdirTemp(m.Dir, "")
	if err != nil {
		b.Fatal(err)
	}
	all := make([]string, 100)
	for i := range all {
		all[i] = dir + "/" + strconv.Itoa(i)
		if err := os.WriteFile(all[i], []byte("content"), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	return all
}

func benchmarkStat(b *testing.B, m *mounttest.Mount) {
	files := someFiles(b, m)
	for i := 0; b.Loop(); i++ {
		if _, err := os.Stat(files[i%len(files)]); err != nil {
			b.Fatal(err)
		}
	}
}

// benchmarkOpen opens, reads and closes.
func benchmarkOpen(b *testing.B, m *mounttest.Mount) {
	files := someFiles(b, m)
	for i := 0; b.Loop(); i++ {
		if _, err := os.ReadFile(files[i%len(files)]); err != nil {
			b.Fatal(err)
		}
	}
}

func benchmarkList(b *testing.B, m *mounttest.Mount) {
	dir := m.Path("list")
	if err := os.RemoveAll(dir); err != nil {
		b.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		b.Fatal(err)
	}
	for i := range 100 {
		if err := os.WriteFile(dir+"/"+strconv.Itoa(i), nil, 0o644); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != 100 {
			b.Fatal(len(entries), err)
		}
		for _, e := range entries {
			if _, err := e.Info(); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// benchmarkFollow tells how soon after a close on one mount begins stat(2) on the other shows the new size, which it does
// at the latest when the close returns, and how long that takes.
func benchmarkFollow(b *testing.B, from, to *mounttest.Mount) {
	var closes, follows []time.Duration
	for i := 0; b.Loop(); i++ {
		if info, err := os.Stat(to.Path("followed")); err == nil && info.Size() == int64(i+1) {
			b.Fatal("it was there before")
		}
		f, err := os.OpenFile(from.Path("followed"), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := f.Write(make([]byte, i+1)); err != nil {
			b.Fatal(err)
		}
		begun := time.Now()
		if err := f.Close(); err != nil {
			b.Fatal(err)
		}
		closed := time.Now()
		info, err := os.Stat(to.Path("followed"))
		if err != nil || info.Size() != int64(i+1) {
			b.Fatalf("stat after the close: %v, %v", info, err)
		}
		closes, follows = append(closes, closed.Sub(begun)), append(follows, time.Since(closed))
	}
	b.ReportMetric(float64(percentile(closes, 50).Microseconds()), "µs-close-p50")
	b.ReportMetric(float64(percentile(follows, 50).Microseconds()), "µs-follow-p50")
	b.ReportMetric(float64(percentile(follows, 99).Microseconds()), "µs-follow-p99")
}

func percentile(all []time.Duration, p int) time.Duration {
	slices.Sort(all)
	return all[(len(all)-1)*p/100]
}
