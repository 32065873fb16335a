// Command benchs3 measures etagfs serve beside MinIO and versitygw on the same disk, and beside a
// plain file server of net/http.
//
//	benchs3 [-etagfs bin/etagfs] [-dir DIR] [-rounds N] [-rows REGEXP] [-signed] [-quick] [-bars] [-upload MIB]
//
// MinIO and versitygw are built from their Go modules, at versions that are fixed here, and run as
// processes of their own; nothing of them is linked.
//
// # How it measures
//
// A round takes the objects of one shape (a size and a number of clients) through put, get, head,
// list and delete on every server; each round begins with another server. Each operation is a row.
// Before each, everything written so far is synced and the servers have come to rest. One more round
// goes before the measured ones.
//
// The client shares the processors with the servers. It costs as little as it can: requests are made
// and signed before the clock runs, connections are kept alive, and what comes back is skipped, not
// looked at beyond status and length. It is the same for all. Still a rate is that of
// client and server together; the server's own cost is its processor time per request.
//
// # How to read it
//
//   - What is read was written by the same round: large objects that are still in memory since etagfs took their
//     checksums it leaves to the kernel at once; others only after a first look at every byte.
//   - MinIO syncs what it writes, as etagfs does. versitygw does not, and neither does the file server:
//     a put there is a promise less.
//   - A rate is requests per second: the median of the rounds, then the least and the most.
//   - "CPU per request" is what /proc/PID/stat counts in steps of 10 ms while the row ran, divided by
//     its requests.
//   - "etagfs vs it" is the rate of etagfs divided by this server's, formed round by round; more than 1
//     means that etagfs is faster. "CPU vs it" is the same of CPU per request; less is better.
//   - "syncs per put" counts fsync, fdatasync, syncfs and msync of puts of 4 KiB, one after the other. Counting needs
//     root and a kernel with trace events of system calls.
//   - "memory" is the most anonymous memory of etagfs while 64 objects of 1 GiB are put at the same time; of
//     less, if they would take more than a quarter of what is free on the disk. With "-upload 1024 -rows ^memory" and a
//     directory on a file system that compresses they are of 1 GiB wherever that is.
//   - With -bars a table at the end says which of the project's bars are met. The better of MinIO and
//     versitygw is the one with the better median of the row.
//
// # What it does not do
//
// It empties no cache: what is read was just written. It leaves nothing behind but the programs of the others in the
// user's cache directory.
package main
