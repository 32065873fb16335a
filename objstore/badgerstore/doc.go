// Package badgerstore is the embedded engine: an [objstore.Store] and
// [objstore.Namespace] in one directory of a local file system. Badger holds records and small
// payloads; larger payloads are immutable blob files beside it. FORMAT.md has the byte tables.
//
// # Words
//
//   - A batch is the mutations that are committed together, as one transaction of
//     Badger at one timestamp. Timestamps count batches and never leave this package.
//   - Published is the timestamp readers use, durable the one up to which batches survive the
//     loss of power. The durable mark is the latter as the disk has it, outside of Badger.
//   - A number is an id, a version, or the name of a payload: all come from one
//     sequence, leased before use, and none is ever given out twice.
//   - An entry is a name in a directory, kept under (directory, stored name). The stored name of
//     a directory ends in "/". An object with one name lives in its entry, one with several, or
//     a directory, under its id.
//   - Garbage is what a replaced or deleted content leaves behind. It goes once its
//     commit is durable and nobody reads what used it. A lineage is the sequence of contents of one
//     object, or one side of a conflict; a pin holds one version of a lineage.
//   - An upload has parts, each a content and a lineage of its own. An assembly is a content that
//     refers to the payloads of other contents, of parts or ranges: completing an upload moves no bytes.
//
// # The way of a mutation
//
// The caller makes all it can beforehand: it stages bytes, hashes them, links blobs into
// the tree. Then it queues an operation. One of the callers leads: it runs the queued operations in
// order, each on the state the ones before it left (a [tx] over an [overlay]), where paths
// are resolved and conditions evaluated; writes the result as one batch; publishes it; tells the watchers; and
// wakes the others. Who wants durability waits for the [syncer], which works
// beside the leaders: a batch is published before it is durable.
//
// # Guarantees
//
//   - After a crash of the process every acknowledged mutation is there.
//   - After a loss of power the batches that are left are a prefix of those that
//     were published, and every one acknowledged as durable is among them. Each batch writes a sequence record;
//     recovery takes back what lies behind the first that is missing or whose blobs are damaged.
//   - A failed sync is final: the store takes no more writes, reads go on, and
//     nothing is ever synced a second time.
//   - Every byte is verified on its way out. A damaged record, a payload that is gone and a name
//     that vanished from a directory are ErrCorrupt. (Names are counted when a
//     directory is first listed to its end, and the first time a name is not found in one of up to 262,144 entries.)
//   - Open readers, and stages with what they are based on, keep their bytes whatever
//     is committed.
//   - What clients of this process were reading can be opened again in the next one ([Bucket.Reopen]), as long as
//     they are expected. What they remember has run out before a change is acknowledged in that (Options.TrustLasts).
//   - What a process had staged and not committed when it died becomes a conflict at the next open,
//     once, with its bytes and those of its base. Bytes of a base or a file that is missing after a
//     loss of power are zeros, and the conflict names them. On btrfs, where a file that is synced does not bring
//     along which others were removed before, a loss of power may also make conflicts of what had been committed.
//   - A stage over a base that is damaged cannot be committed, and is kept with zeros for what cannot be read, which the conflict names.
//
// # Lock order
//
// A leader, of which there is one at a time, may take any other lock. Otherwise
//
//	stage.commitMu, collector.working
//	  staging's own
//	  filled.mu
//	  committer.mu
//	clients.mu
//	watchers.telling
//	  watchers.mu
//	syncer.mu, collector.mu, merger.mu, pins.mu, epochs.mu, numbers.mu, cacheShard.mu, compactions.mu, Engine.mu
//
// where those of the last line are leaves. numbers.mu is held over a sync of the marks,
// Engine.needs, under which no other lock is taken, over one of the file FORMAT.
//
// # Full disks
//
// Badger writes logs and tables through mappings, and a page that finds no block is the end of the process. So
// every log has its blocks before it is written to ([logBlocks]), whoever fills the disk;
// and a table is only begun, when Badger goes on to the next log, compacts, opens or closes, while there is room for it
// and for more. What is left is an outsider who takes all of that
// within the milliseconds a table is written in; nothing acknowledged is lost by that either. On file systems that copy on write
// blocks cannot be had ahead for good, and the reserve is all there is.
//
// # Failing disks
//
// A page of a mapping that the file system refuses to have written, as one that has shut itself down does, is the end of the process,
// too. So the leader writes to the pages of the log the next commit goes to before Badger does, without changing them, where
// being refused is an error ([logBlocks.touch]): the store stops, and is read. What is left is a disk that fails within the
// microseconds in which Badger goes on to another log, and a compaction that reads a table which is not in memory.
//
// # Damaged files of Badger
//
// Badger panics over damaged blocks, and in goroutines of its own where nobody can catch that. So the manifest, and of every table
// the index and the last block, are looked at before Badger does: the marks say how much of the manifest must be
// there, which is noted moments after Badger made or compacted tables. All blocks of a table are verified moments before a
// compaction may read them ([verifier], [compactions]): compactions are held until a level is full, and begin once what they will
// read is verified; while they go on, so is what comes next. Besides, all tables are verified when the store is opened, or,
// beyond 64 MiB, in the background before anything is compacted. Who reads what Badger panics over gets ErrCorrupt; then, as when a
// table is found unusable, the store takes no more writes and does not compact, reads go on, and the next open verifies
// everything. What is left is a block that goes bad in the moments, at most a minute under load, between being verified
// and being compacted. If the bit is in a key or a value the record says so, compacted or not, and the directory
// its name is missing in; one in what Badger has around them may end the process. Nothing acknowledged is lost by that, and the next
// open, or what it begins in the background, says which file it is. Badger flushes from memory and reads no table when it commits.
//
// Verifying costs a part of what compacting the same bytes does. A store that is idle, or not full enough, verifies nothing again.
//
// # Repair
//
// [Repair] mends what [Engine.Check] finds, as REPAIR.md says, after it has written damaged tables anew (package sst). A content that is lost and cannot be read can be replaced and removed; what it
// may have referred to stays until a repair finds it.
//
// # Read-only file systems
//
// A store that was closed can be opened there to be read, any number of times: the lock is shared then and names nobody. One that was not
// closed has logs to replay, which Badger does not do read-only, and is refused until it was opened for writing once.
//
// # Time to open
//
// After a crash a store opens in what it takes to open its tables, to verify 64 MiB of them, to replay a log or two and to
// look at the batches of the last second: with a million objects of 100 bytes (330 MB of tables) 0.3 to 0.5 s measured, 0.5 to 0.7 s
// if nothing of it is in the page cache; with 200,000 of 4 KiB (0.9 GB) 0.1 and 0.3 s, with 60,000 in blobs 0.1 s. The size of blobs makes no difference.
//
// # How it is checked
//
// [Engine.Check] walks everything and says what is wrong, in a closed list of kinds. Tests end with it; a new kind of record,
// and whatever refers to payloads, has to become known to it.
//
// # Garbage
//
// What replaced and deleted contents leave behind is noted with the commit that does it, and goes once that commit is durable,
// nobody reads it and nobody has changed the store for a moment: the end of a large file is long work for a disk that is
// told of free blocks, and a sync meanwhile waits. Under changes without a pause it goes half a second late, and
// without waiting for a pause while there is little room. Who finds no space has it go at once, and asks again.
//
// # Merging
//
// A commit leaves about 128 extents in a block of 4 MiB that it changes, where it consolidates (package staging), 1,024 where it has changed a little of
// many: it writes a bounded multiple of what it changes. The [merger] writes blocks with more than a few
// of them together once the file was left alone for half a minute and nobody has it open, and [Engine.Merge] does so in all of the store: up to 16 blocks at once into one
// payload, which the content then refers to instead. Version, ETag and times stay, and holes do. Bytes are verified as for any reader, and
// against the digest of their block, before they get checksums of their own: damage stays where it is. If the content was replaced meanwhile the payload
// goes. What was merged is garbage of the same version, so that it waits for readers of it; a stage that starts from it
// commits as if nothing had happened, and brings the scattered blocks back. Blocks whose pages are shared with other contents are left alone.
// The merger copies 64 MiB a second, 8 MiB while others commit, and syncs what it has copied before it commits that. It knows
// what this process has scattered, of up to 4,096 files.
//
// # Backups
//
// [Engine.Backup] copies the state after one commit while mutations go on, [Restore] makes a store of it. BACKUP.md says
// what is promised and how it lies on the disk.
//
// # What it does not do
//
// It does not scrub on a schedule of its own; it does
// not listen on a socket. Tables that are all in one level are not rewritten to make a store smaller. Badger's files are the one thing that does not go through package disk.
package badgerstore
