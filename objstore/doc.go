// Package objstore holds the words and contracts of a conditional object
// store: what a key, an ETag, a version and a condition are, what a store
// and a namespace promise, and how failure is told. It depends on the
// standard library only.
//
// # Words
//
//   - An object is a file id, a content and attributes. Its [ID] is permanent:
//     renames, attribute changes and commits keep it.
//   - A [Version] names one content. Every content commit makes a new one and no
//     store that claims UniqueVersions ever uses one twice, not even after a
//     crash or for the same bytes. Renames and attribute changes keep it.
//   - An [ETag] is what people and S3 see of a version: hash of the content,
//     "-v", the version.
//   - A [Cond] says when a mutation may happen. It is a positional parameter
//     and its zero value is refused, so that a blind overwrite is visible in
//     the source.
//   - A [Store] is flat and speaks S3's meaning. A [Namespace] is the same objects
//     seen as a tree: lookup by parent, directories, attributes, rename.
//   - A [Stage] holds the bytes of one writer until they are committed, kept
//     as a conflict, or dropped.
//   - [Digests] are what clients are told about one content, its ETag and checksum; they go with it. [Headers], content
//     type, user metadata and tags belong to the object and stay.
//   - [Uploads], [Appender], [Tagger], [Documents], [Answers] and [Feed] are what a store may offer besides; its
//     [Capabilities] say which.
//   - A commit is visible once every later read sees it, durable once it
//     survives the loss of power ([Durability]).
//
// # Guarantees
//
// Mutations of one store are linearizable: each takes effect at one moment
// between its call and its return, and its condition is evaluated at that
// moment. A failed condition leaves no trace. Readers are pinned: a [Reader]
// returns bytes of the one version it was opened on, whatever is committed,
// renamed or deleted meanwhile.
//
// # Errors
//
// Every failure is an [*Error] whose [Kind] comes from a closed list and says
// whether the mutation was applied: yes, no, or unknown. A store resolves
// unknown outcomes itself where it can; [ErrUnknown] is what remains.
//
// # What it does not do
//
// No HTTP, no errno, no retries, no caching, no paths: these live above.
package objstore
