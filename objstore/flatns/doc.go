// Package flatns makes an [objstore.Namespace] of any flat [objstore.Store] that honours conditional puts.
//
// # Words
//
//   - A stored name is a component of a key; that of a directory ends in "/". A directory exists if there is an object
//     of its key, its marker, or any key below. Without a marker it is implied.
//   - A node is what this mount knows under an id: where it is and of which type. Ids are given out as names are
//     seen; they stay with a file or directory that this mount renames, and end when its name is gone, or when whoever uses the
//     namespace says that nobody uses it any more.
//   - What was seen is the store's description of an object at a moment. It is only ever used to
//     put a condition on a write.
//   - The content version is what the namespace calls the version of a file. It is the store's version, unless
//     that came about by a change of attributes or a rename made by this package.
//
// # Attributes
//
// Owners, modes, times, xattrs and the type are in user metadata under the names s3fs uses: uid, gid, mode, mtime,
// atime, ctime, xattr; a symlink is an object of type S_IFLNK whose body is the target. Besides
// there are btime and [metaContent]. Objects without them have the attributes of Config.
//
// S3 has no way to change metadata alone. SetAttr copies the object onto itself on condition of the version it has
// seen, and where the store's copies have no conditions, reads and puts it. This makes a new version in the
// store. The object then says which content it is, and as this counts only if the hash in both ETags is the
// same, a program that keeps metadata while it changes bytes cannot lie with it. So a writer whose base had its mode
// changed by another mount is not told of a conflict: its commit is sent again on condition of the newer
// version, with the newer attributes (C9). Readers go on likewise. Stores whose ETag is an MD5 show no change. Where it
// is neither, as for objects made of parts on AWS, a change of attributes counts as one of content.
//
// # Listings
//
// What a name is, and its attributes, takes the description of its object. A store that lists descriptions, as our server, is asked once
// for a thousand names, whatever they are. Others are asked for each besides, 16 at a time, and an answer is given
// after 128 of them, so that the first names do not wait for the last. Names come in the order of
// components, keys in another: "a-b" comes before "a/". What could lie behind the last key of a page but belongs before it
// is left to the next page where that is little, and asked for otherwise.
//
// # Guarantees
//
// Every write is conditional on what was seen or on absence, and the store decides (C3, C6). Absent, present and
// unknown are three answers: ErrNotFound is returned only after the store has said for both a file and a directory that
// there is none. A reader is pinned: it asks for the version it was opened on, and if that
// is gone it fails with ErrPrecondition or ErrNotFound and never returns other bytes.
//
// A rename uses the store's where that is atomic. Otherwise it copies on condition of the target and then deletes on
// condition of the source; a writer that came in between is copied too. A directory is moved key
// by key in order. Its new marker says where it came from until the end, so that the same rename, made again
// after it broke off, goes on where it was. Capabilities say which it is.
//
// # Lock order
//
// Namespace.renaming and occupied names, over calls of the store; pin.mu, over calls of the store; Namespace.telling; Namespace.mu.
// With the last one held OnCrowd's function is called, and what Forget asks whether an id is used.
//
// # What it does not do
//
// Hard links, special files and RENAME_EXCHANGE are ErrUnsupported, and so are attributes of the root. A file and a
// directory of one name that two mounts make at the same moment both come into being, and the
// file is shown under its escape. A file that another mount creates in a directory while this one
// removes it implies the directory again. Times of directories do not move with their entries, and links to
// directories are not counted. Where the store has no conditional delete, a write that comes between the look
// and the delete of an unlink or rename goes with it. Watch tells what this mount did, not what
// others do. A commit with a rename of an existing file is two steps. Where directories are renamed by copies two mounts
// must not rename two of them into each other at the same time. A name that was forgotten and is seen again has another id.
package flatns
