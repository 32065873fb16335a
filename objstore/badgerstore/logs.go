package badgerstore

import (
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
)

const (
	logSuffix      = ".mem"
	valueLogSuffix = ".vlog" // nothing is ever written there
)

// badgerLogs makes Badger's write-ahead logs durable. Badger itself syncs the
// current one at most, and none when it goes on to the next; it maps them into memory, and
// syncing another descriptor of the same file writes those pages too.
//
// Why a round covers all that was committed before it: commits go to the log with the highest
// number, so those since the last round went to the highest log of that round or to
// later ones, all of which are synced. A log that is gone by now was flushed: Badger
// removes it after it has synced the table and the manifest that replace it, and we sync the directory
// that names the table.
//
// A log may outlive its table: Badger removes it a moment after it was flushed, or much later if somebody
// reads from it, and if the process dies before, the next open replays it. What it brings back
// is there already, or newer versions of it are, unless a compaction has dropped those: a deleted
// key would come back for good. So nothing is dropped that a log there is may hold older versions of.
type badgerLogs struct {
	fs    disk.FS
	dir   string
	first int // log number: lower ones were found

	// Owned by the syncer.
	highest   int               // log number at the last round
	names     []string          // in the directory at the last round
	listing   logListing        // of the directory
	open      map[int]disk.File // of the last round
	begins    map[int]uint64    // by number of a log of the last round: all its commits are later
	published uint64            // before the last round
}

// newBadgerLogs looks after the logs in dir. The log with the number active has commits after
// begin only, and so have all that follow it. Steps is how many logs were made or begun so far.
func newBadgerLogs(fs disk.FS, dir string, active int, begin uint64, steps func() uint64) *badgerLogs {
	return &badgerLogs{
		fs: fs, dir: dir, first: active, open: map[int]disk.File{}, listing: logListing{now: time.Now, steps: steps},
		begins: map[int]uint64{active: begin}, published: begin,
	}
}

// sync makes everything durable that was written to the logs before the call,
// the commit published among it.
func (l *badgerLogs) sync(published uint64) error {
	names, all, err := l.listing.of(l.fs, l.dir)
	if err != nil {
		return disk.Error("list logs", err)
	}
	numbers, err := l.used(all)
	if err != nil {
		return err
	}
	for _, n := range numbers {
		if n >= l.highest {
			if err := l.syncLog(n); err != nil {
				return err
			}
		}
	}
	if !slices.Equal(names, l.names) {
		if err := l.fs.SyncDir(l.dir); err != nil {
			return disk.Error("sync directory of logs", err)
		}
		l.names = names
	}
	if len(numbers) > 0 {
		l.highest = numbers[len(numbers)-1]
	}
	l.note(numbers, published)
	return l.closeBelow(l.highest)
}

// logListing is what the directory has. It is made again when the directory was modified: one of many tables takes long.
type logListing struct {
	now      func() time.Time
	steps    func() uint64 // logs made or begun so far
	names    []string
	numbers  []int     // of the logs among them, ascending
	modified time.Time // the directory, before it was listed
	since    time.Time // when it was first seen as modified then
	made     time.Time
	step     uint64 // before it was made
}

const (
	// stampsMax is the longest time after which another change of a directory certainly has another time of modification: that of
	// file systems whose times are even seconds, and more.
	stampsMax = 3 * time.Second
	// listedMax is how long at most the name of a table goes unseen that was made with the time of the change before it.
	listedMax = 250 * time.Millisecond
)

// of lists a directory, unless nothing can have changed since that was done, but for what a log that is flushed leaves: where times
// of modification do not tell, that no log was made or begun tells that what was written since is in the log in use. Its clock and that
// of the file system need not agree. What is returned is not to be changed.
func (l *logListing) of(fs disk.FS, dir string) (names []string, numbers []int, err error) {
	step := l.steps()
	info, err := fs.Stat(dir)
	if err != nil {
		return nil, nil, err
	}
	now := l.now()
	switch {
	case !info.Modified.Equal(l.modified):
		l.modified, l.since = info.Modified, now
	case l.made.Sub(l.since) > stampsMax, step == l.step && now.Sub(l.made) < listedMax:
		return l.names, l.numbers, nil
	}
	if names, err = fs.ReadDir(dir); err != nil {
		return nil, nil, err
	}
	l.made, l.step, l.names, l.numbers = now, step, names, logNumbers(names)
	return l.names, l.numbers, nil
}

// note remembers which logs there are. One that was not there in the last round got its first
// commit after what was published then; those found at the open may begin anywhere.
func (l *badgerLogs) note(numbers []int, published uint64) {
	begins := map[int]uint64{}
	for _, n := range numbers {
		begin, known := l.begins[n]
		if !known && n >= l.first {
			begin = l.published
		}
		begins[n] = begin
	}
	l.begins, l.published = begins, published
}

// isFlushing reports whether there are logs that are to become tables: there were in the last round, or there was none.
func (l *badgerLogs) isFlushing() bool { return l.names == nil || len(l.begins) > 1 }

// flushed is a commit up to which no log holds anything, not after a loss of power either.
func (l *badgerLogs) flushed() uint64 {
	flushed := l.published
	for _, begin := range l.begins {
		flushed = min(flushed, begin)
	}
	return flushed
}

// used is numbers without the spare, which has no length until Badger goes on to it.
func (l *badgerLogs) used(numbers []int) ([]int, error) {
	if len(numbers) == 0 {
		return nil, nil
	}
	last := len(numbers) - 1
	info, err := l.fs.Stat(filepath.Join(l.dir, logName(numbers[last])))
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size == 0 {
		return numbers[:last], nil
	}
	return numbers, disk.Error("look at log", err)
}

// syncLog syncs one log; that it is gone is no error.
func (l *badgerLogs) syncLog(n int) error {
	f := l.open[n]
	if f == nil {
		var err error
		f, err = l.fs.Open(filepath.Join(l.dir, logName(n)))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return disk.Error("open log", err)
		}
		l.open[n] = f
	}
	return disk.Error("sync log", f.Sync())
}

// closeBelow closes the logs with lower numbers: nothing is written to them any more.
func (l *badgerLogs) closeBelow(highest int) error {
	var errs []error
	for n, f := range l.open {
		if n < highest {
			errs = append(errs, f.Close())
			delete(l.open, n)
		}
	}
	return errors.Join(errs...)
}

func (l *badgerLogs) close() error { return l.closeBelow(int(^uint(0) >> 1)) }

func logName(n int) string {
	digits := strconv.Itoa(n)
	return strings.Repeat("0", max(0, 5-len(digits))) + digits + logSuffix
}

// logNumbers are the numbers of the logs among names, ascending.
func logNumbers(names []string) []int {
	var numbers []int
	for _, name := range names {
		digits, ok := strings.CutSuffix(name, logSuffix)
		if n, err := strconv.Atoi(digits); ok && err == nil {
			numbers = append(numbers, n)
		}
	}
	slices.Sort(numbers)
	return numbers
}

// removeEmptyLogs removes logs of no length, of both kinds, which Badger leaves if it dies
// between making one and giving it its size, or between truncating and removing it, and cannot open.
func removeEmptyLogs(fsys disk.FS, dir string) error {
	names, err := fsys.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return disk.Error("list logs", err)
	}
	for _, name := range names {
		if ext := filepath.Ext(name); ext != logSuffix && ext != valueLogSuffix {
			continue
		}
		name = filepath.Join(dir, name)
		info, err := fsys.Stat(name)
		if err == nil && info.Size == 0 {
			err = fsys.Remove(name)
		}
		if err != nil {
			return disk.Error("remove empty log", err)
		}
	}
	return nil
}

// logDataBytes is about what the logs hold that Badger makes tables of when it opens.
func logDataBytes(fsys disk.FS, dir string) (bytes int64, err error) {
	names, err := fsys.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, disk.Error("list logs", err)
	}
	for _, n := range logNumbers(names) {
		f, err := fsys.Open(filepath.Join(dir, logName(n)))
		if err != nil {
			return 0, disk.Error("open log", err)
		}
		data, err := dataBytes(f)
		if err = errors.Join(err, f.Close()); err != nil {
			return 0, disk.Error("look at log", err)
		}
		bytes += data
	}
	return bytes, nil
}

// dataBytes is the size of a file without its holes.
func dataBytes(f disk.File) (bytes int64, err error) {
	for end := int64(0); ; {
		begin, err := f.NextData(end)
		if err == io.EOF {
			return bytes, nil
		}
		if err == nil {
			end, err = f.NextHole(begin)
		}
		if err != nil {
			return 0, err
		}
		bytes += end - begin
	}
}

// dropCachedLogs forgets cached pages of everything Badger has but tables, so that what is
// read is what the disk holds. It is for stores whose last sync may have failed. That of a table has not, if the manifest
// names it.
func dropCachedLogs(fsys disk.FS, dir string) error {
	names, err := fsys.ReadDir(dir)
	if err != nil {
		return disk.Error("list logs", err)
	}
	for _, name := range names {
		if filepath.Ext(name) == tableSuffix {
			continue
		}
		f, err := fsys.Open(filepath.Join(dir, name))
		if err == nil {
			err = errors.Join(f.DropCache(), f.Close())
		}
		if err != nil {
			return disk.Error("drop cached pages", err)
		}
	}
	return nil
}
