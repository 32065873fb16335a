package badgerstore

import (
	"io"
	"log/slog"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/disk"
	"github.com/etagfs/etagfs/objstore/badgerstore/internal/space"
)

// MainBucket exists in every store from the start.
const MainBucket = "main"

// Profile is a set of sizes.
type Profile uint8

// The profiles. Both can open each other's stores.
const (
	ProfileMount  Profile = iota // little memory, quick to open
	ProfileServer                // more of both, for more writes
)

// Options say how to open a store. They are comparable; the zero value opens
// an existing store for one mount.
type Options struct {
	Profile  Profile
	Create   bool // make the store if the directory is absent or empty
	ReadOnly bool // take no mutations

	NewFile objstore.NewAttr // of files made by a put; zero: mode 0644
	NewDir  objstore.NewAttr // of directories that keys imply; zero: mode 0755

	// ScrubAge is how long bytes that were read and verified may be sent by the kernel alone, out of
	// the file they lie in; 0: never, not even a moment after. It is the same with those that were committed and are still in memory.
	ScrubAge time.Duration

	// TrustLasts is how long clients of an earlier process ([Engine.ClientsExpected]) may answer from what they remember once that
	// is gone. For so long nothing that is changed is acknowledged, if there may be any. 0: they do not.
	TrustLasts time.Duration

	// MemoryBytes is what the process may take; 0: any. Where the sizes of the profile would take much of it, they are less.
	MemoryBytes int64

	Program    string // who opens, for the lock file; empty: the name of the executable
	MountPoint string // where it will be mounted, for the lock file; may be empty

	repairing bool // records may be damaged: only what Repair needs is begun, and nothing is removed
}

// Parts are what a store works with. The zero value is good.
type Parts struct {
	Logger *slog.Logger     // nil: none
	Clock  func() time.Time // nil: time.Now
	Rand   io.Reader        // of conflict ids; nil: crypto/rand
	Disk   disk.FS          // nil: the machine's; Badger's own files do not go through it

	sizes       *sizes                      // of tests; nil: those of the profile
	closeWithin time.Duration               // of tests; 0: a minute
	salvaged    func(Finding) error         // of Repair, which is told of damaged tables; nil: nobody
	after       func(time.Duration, func()) // of tests, calls what it is given later; nil: [time.AfterFunc]
}

// sizes are what a profile stands for.
type sizes struct {
	inlineBytes   int
	memTableBytes int64
	memTables     int
	compactors    int
	tablesL0      int // gathered before they are compacted: a compaction takes processors from those who commit
	tablesL0Stall int
	batchOps      int
	batchBytes    int
	cacheBytes    int
	space         space.Profile
	mergeQuiet    time.Duration // since the last commit to a file that is merged
	// mergePiecesMin extents are the most a block has that is not worth merging.
	mergePiecesMin int
}

func (p Profile) sizes() sizes {
	if p == ProfileServer {
		return sizes{
			inlineBytes: 32 << 10, memTableBytes: 64 << 20, memTables: 3, compactors: 4,
			tablesL0: 5, tablesL0Stall: 15, batchOps: 4000, batchBytes: 4 << 20,
			cacheBytes: 64 << 20, space: space.Server(), mergeQuiet: mergeQuiet, mergePiecesMin: mergePiecesMin,
		}
	}
	return sizes{
		inlineBytes: 16 << 10, memTableBytes: 8 << 20, memTables: 2, compactors: 2,
		tablesL0: 10, tablesL0Stall: 20, batchOps: 1000, batchBytes: 512 << 10,
		cacheBytes: 8 << 20, space: space.Mount(), mergeQuiet: mergeQuiet, mergePiecesMin: mergePiecesMin,
	}
}

// within are sizes of which memory tables and the cache take at most a third of so many bytes, or those of
// a mount, which are the smallest.
func (s sizes) within(bytes int64) sizes {
	least := ProfileMount.sizes()
	if bytes <= 0 || s.memoryBytes() <= bytes/3 {
		return s
	}
	least.inlineBytes, least.space = s.inlineBytes, s.space
	least.cacheBytes = min(least.cacheBytes, int(bytes/16))
	return least
}

// memoryBytes is what memory tables, one more than there may be full ones, and the cache take.
func (s sizes) memoryBytes() int64 { return int64(s.memTables+1)*s.memTableBytes + int64(s.cacheBytes) }

// valueThreshold is how large a value Badger moves to its value log.
func (s sizes) valueThreshold() int64 { return min(1<<20, s.memTableBytes/10) }

// valueBytesMax is the most a value may weigh, which is about what it takes.
func (s sizes) valueBytesMax() int { return min(512<<10, int(s.valueThreshold()*5/8)) }

const vlogBytes = 1 << 20 // the least Badger takes; nothing is ever written there

// badgerOptions never let a value reach the value log: its space does not come
// back. Checksums are off in Badger, whose on-read mode turns one flipped bit
// into thousands of keys lost without an error; every record has its own.
func badgerOptions(dir string, s sizes, readOnly bool, log badger.Logger) badger.Options {
	return badger.DefaultOptions(dir).
		WithReadOnly(readOnly).
		WithLogger(log).
		WithSyncWrites(false).
		WithDetectConflicts(false).
		WithNumVersionsToKeep(1).
		WithCompression(options.None).
		WithBlockCacheSize(0).
		WithIndexCacheSize(0).
		WithMetricsEnabled(false).
		WithChecksumVerificationMode(options.NoVerification).
		WithCompactL0OnClose(false).
		WithMemTableSize(s.memTableBytes).
		WithNumMemtables(s.memTables).
		WithValueThreshold(s.valueThreshold()).
		WithValueLogFileSize(vlogBytes).
		WithNumCompactors(s.compactors).
		WithNumLevelZeroTables(s.tablesL0).
		WithNumLevelZeroTablesStall(s.tablesL0Stall)
}
