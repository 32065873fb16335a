// Package disk is the file system as the store uses it: few operations, each
// of which a test can make fail, skip or be the last one before a crash.
//
// # Words
//
//   - A file is durable once Sync returned on it *and* SyncDir on its
//     directory, and, where the directory is new, SyncDir on that one's.
//   - Write-back is the start of writing dirty pages to the disk. It makes a
//     later Sync short and promises nothing.
//   - A pool has many files open with few descriptors.
//
// # Guarantees
//
// Errors are those of package os: errors.Is finds fs.ErrNotExist, fs.ErrExist
// and the errno. Nothing is retried but calls interrupted by a signal; a failed Sync above all is final.
// [Hooked] lets tests stand between the store and the disk.
//
// # What it does not do
//
// No paths are built here and no policy is: which file to sync when is the business of the caller.
package disk
