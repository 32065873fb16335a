// Package mount makes a namespace a directory of Linux.
//
// # Words
//
//   - A node is what the kernel knows by a nodeid. It stands for a view of an object, never
//     for a name: each version of a file that is in use has a node of its own, and
//     so has each writer's working copy. st_ino is the object, so programs do
//     not notice.
//   - A file is an open file of the kernel; a description is the handle of package fs behind it.
//   - To claim a node is to open it for writing: its pages and size are the writer's from then on.
//   - To refuse is to answer ESTALE: the kernel looks the path up again, once, and repeats the operation.
//   - A reserved node is made for that second attempt, on which refusing would be
//     an error the application sees. Its pin holds what the name stood for when it was looked up.
//
// # Guarantees
//
// A writer never shares a node with another writer, nor with a reader that does not
// read its working copy: pages and sizes of two versions never mix. An open sees what is
// current, however long the kernel was allowed to remember a name: OPEN of an old node is
// refused. ESTALE reaches no application because others are busy with the same name: once the second attempt has looked it
// up, what follows succeeds on what is current or, if that is gone from the name, on what was found, as
// if it had been asked for before. A CREATE makes the file or opens it.
//
// What the kernel remembers is told to it when it changes, before the change is acknowledged to
// who made it. Of a rename that another process makes through this one ([Mount.Moving]) it forgets both names before that, and believes
// neither until it was told: else it could believe that the new one is absent, and find the old one gone. Only requests the kernel makes with a directory locked do not wait for that, and those it
// makes with a file locked (FSYNC, SETATTR, a synchronous WRITE) do not wait long: a name is dropped with
// its directory locked, and a rename, link or unlink that has it may be waiting for the file. An entry that
// shows a claimed node is left alone for a moment: until then stat(2) by others may show what the
// writer is doing; opens never do.
//
// The listing of a directory is kept by the kernel until a name in it changes, by whomever, and then listed again without a request; see
// listing.go. What has been opened after the change lists what there is, and so does what is rewound.
//
// A mount in which something is open is never taken away behind its users' backs by [Unmount], and one whose daemon
// is gone always is: by the next [Prepare] too, even if daemon and kernel wait for each other (removeDead). [Mount.Close], for a
// daemon that was told to end, does not wait for open files.
//
// A namespace without Capabilities.Watch changes without notice: then the kernel keeps no name, listing or attribute, and asks each time.
// One that other processes change under a lease (Config.Trust) is asked for names and listings each time, too, and the kernel keeps attributes no longer
// than the lease. To forget a name the kernel takes the lock of its directory, and two mounts that change names in the same
// directory would each have it while they wait for the other to forget.
//
// A mount by root lets the kernel read large files past it (passthrough; see through.go), if the store has verified or written them lately and they
// lie in one of its files as they are. Writers, and readers beside a lock, never get that.
//
// With isolation=mount a file has one node for everybody, and truncating opens arrive as two requests; see sharing.go.
//
// # Lock order
//
//	description.refreshing  over calls of package fs and the kernel
//	handles.mu
//	directory.mu            over what package fs knows of a listing by itself
//	description.mu
//	notifier.mu
//	table.mu                over pruner.mu, when a node is made that is one too many; a namespace that forgets may hold its own over both
//	pruner.mu
//	namings.mu
//	requestLog.mu           over table.mu and calls of package fs that ask for paths
//
// No two of the others are held at once, and none of them while package fs or the kernel is called. What is counted of requests
// takes no lock (activity.go); requestLog.mu is of who reads that.
//
// # What it does not do
//
// It keeps no state of files and takes no decision about their contents: these are package fs's.
// It knows nothing of stores except kinds of errors, and that a stream of a version may be that of a file.
//
// Locks are advisory and of a whole object, whatever version a handle shows. A lock refreshes an unchanged handle that is alone on its node: the
// kernel has dropped its pages and attributes before the lock is granted. Releasing one commits, after stores through
// mappings have been fetched. A file that has been locked is opened with a node per handle from then on,
// until the kernel forgets it; those who were reading it together before stay at what they read.
//
// # Memory
//
// Every file the kernel knows takes about 160 bytes of heap here, and a process's heap is up to twice what is in use; where the kernel can be
// asked (Linux 6.18), it is made to forget files nobody has open beyond 131,072 of them, or fewer: an eighth of the memory the process may
// take is for them (crowd.go). What a bucket's namespace knows of a name goes then too, unless a node is of it, or a request that is being
// answered was told of it (namings.go). Nodes are links of the tables that find them (chains.go), and have what only open files need behind a
// pointer (node.go).
//
// Where a mount differs from a local disk, and why, is in DEVIATIONS.md beside this file.
package mount
