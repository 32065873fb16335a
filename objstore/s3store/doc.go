// Package s3store is an [objstore.Store] over one bucket, or a prefix of one, of any store that speaks S3.
//
// # Versions and conditions
//
// A version is the ETag. Conditions are sent with the write and decided by the store, never by looking first. What the
// store honours is found out when it is opened, with throw-away keys ([Store.Probe]); what it does not is
// ErrUnsupported. IfPresent has no form in S3, except of
// the source of a copy or rename, which has to be there anyway.
//
// # Lost replies
//
// Writes are never retried by the SDK. Each has an id. A server of this program recognises the id and
// answers a repetition as it answered the first. On other stores an object carries, in its user metadata, the id of
// the write that made it and its lineage: ids and ETags of up to [lineageMax] predecessors, newest first. Who lost a
// reply repeats a conditional write, which cannot be applied twice, and if the condition is lost then looks
// for its id in what is there. An unconditional write is not repeated: it could undo a second writer's. What
// cannot be decided is ErrUnknown.
//
// A lineage proves that a write was applied wherever its id is found. That one was not applied follows only if
// every write since was conditional on the version before it; one that was not leaves a gap in the lineage.
//
// # Reading
//
// A reader keeps objects of up to Options.PrefetchBytes in memory. Ranges of larger ones are asked for with If-Match; once the object
// was replaced or deleted they are ErrPrecondition or ErrNotFound: S3 has no pins. Bodies that end early are continued.
//
// # What it does not do
//
// Appends, uploads by part, tags, headers, digests and attributes. Content is protected by the SDK's checksums on
// the way to the store; ranges that are read are not verified.
package s3store
