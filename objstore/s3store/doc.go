// Package s3store is an [objstore.Store] over one bucket, or a prefix of one, of any store that speaks S3.
//
// # Words
//
//   - Our server is a server of this program. Others are foreign.
//   - A probe is a set of trials with throw-away keys; a [Finding] is what one of them showed.
//   - A write is silent once a request of it may have reached the store and was not answered for certain.
//   - The lineage of an object is what its user metadata says of the writes before it.
//
// # Versions and conditions
//
// Of our server a version is its version, which never comes back, and conditions are sent on it. Of a foreign store it is
// the ETag, and conditions are If-Match and If-None-Match; where ETags follow the content the same bytes are the same
// version again, and Capabilities.UniqueVersions says so. Conditions go with the write and are decided by the store, never by
// looking first. What the store honours is found out, with a hundred small requests, when it is opened for writing ([Store.Findings]); what it does not is ErrUnsupported,
// as IfPresent of puts is everywhere but on our server. [Store.Writable] tells whether files can be written.
//
// # Answers, and silence
//
// The SDK sends every request once. Reads, parts and whatever else may be done twice are asked again here, with a
// growing wait. For a mutation, 412, and 404 where an object was demanded, are lost conditions; 409 is tried again. Where it stays
// for the completion of an upload, the key was written since the upload began: the condition is lost, or a new upload is needed,
// which is ErrConflict with the cause KeyChanged. 429, SlowDown and their like did nothing and are tried again. So
// is, three times, a write whose key is said to be a directory: versitygw answers that too where a delete of the last key beside it took their
// directory away in that moment. A server
// error, a broken connection or an answer nobody can read is silence, and so is a store that stalls: that does not begin to answer, or
// sends or takes nothing more, for Options.Patience.
//
// A silent write of our server is sent again with the id it has: the server recognises it and answers as it
// answered the first. On foreign stores an object carries, in its user metadata, the id of the write that made it and its
// lineage: ids and ETags of up to [lineageMax] predecessors, newest first. Who heard nothing looks there, until the store answers or half a minute has passed. If its id is
// found, the write was applied, whoever wrote since. If the version the write is conditional on is there still, it is sent
// again. That it was not applied follows only where versions are unique, and only from a lineage without a gap: a write that was
// not conditional on the version before it leaves one. Anything else is ErrUnknown, and nothing is sent again: the repetition of
// a create could bring back what another deleted. Where ETags come back, a writer can restore the very bytes and ETag in the
// moment between a look and the repetition; conditions on such a store cannot see that, with or without repetitions.
//
// Completions of uploads are repeated everywhere: an upload is completed once. Renames are where the store recognises
// their token. Silent appends and, where versions may come back, silent deletes of foreign stores stay ErrUnknown.
//
// # Reading
//
// A reader keeps objects of up to Options.PrefetchBytes in memory. Ranges of larger ones are asked for by version id in a versioned
// bucket, and with If-Match otherwise. Once the object was replaced or deleted they are ErrPrecondition or ErrNotFound, for without
// version ids S3 has no pins. Some stores evaluate If-Match first and open the object then, which may be another by now: an answer of
// another ETag or of an object of another size is ErrPrecondition like a 412. Bodies that end early are continued.
//
// # Listings
//
// S3 lists sizes, ETags and times; user metadata, in which the types and attributes of files are, takes a head of each key. Our server adds
// to each entry, on request, what that head would be answered: [objstore.ListEntry.Described]. That is no capability which is
// probed: what an entry does not say is asked for as on any store.
//
// # Deletes
//
// Some stores, Ceph among them, answer the conditional delete of a missing object as if they had deleted it. There the
// object is looked at before, to tell who comes too late; the condition is sent nevertheless, so no other version is ever deleted,
// but of two who delete the same version at the same time both may be told that they did: Capabilities.OneDelete.
//
// # Notes
//
// What a probe found, about a hundred requests, may be noted by who opens the store ([Notes]). An [Open] with notes makes a handful: it tries with a key of its
// own whether puts and deletes still honour a condition that holds and one that does not, and whether versions still differ. What contradicts the notes, another
// name of the server, or [NotesAge] ends them, and all is probed again; that a store cannot be written to is never noted. So
// a bucket behind the same name that has lost its conditions is seen at once. One that only began to look first and then write,
// under the same name of its server, is seen within a day.
//
// # Uploads of the dead
//
// Bodies larger than Options.PartBytes are sent in parts. A killed writer leaves its parts behind, and pays for them.
// [Store.SweepUploads] removes those this program began, which have a mark of their own: a part that is never named. Where the
// probe finds that such a part keeps an upload from being completed, as on Ceph, there are no marks and nothing is swept.
//
// # What it does not do
//
// Tags, new headers, digests and attributes. Content is protected by the SDK's checksums on
// the way to the store; ranges that are read are not verified.
package s3store
