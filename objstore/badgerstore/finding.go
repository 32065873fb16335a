package badgerstore

import (
	"github.com/etagfs/etagfs/objstore"
)

// Finding is one thing a [Engine.Check] found wrong.
type Finding struct {
	Kind   FindingKind
	Bucket string       // of the object it is about; empty if that is not known
	Key    objstore.Key // of that object
	Text   string       // what is wrong, without a full stop
	Remedy string       // what Repair does about it; empty: nothing, or all there is to it follows from another finding
}

// FindingKind is what sort of thing is wrong. The list is closed.
type FindingKind uint8

// The kinds of findings. Up to FindingNumber they are damage: something is lost or may come to be.
// The rest is garbage: space that nothing uses and nothing will free.
const (
	FindingRecord       FindingKind = iota + 1 // a record that does not decode
	FindingBucket                              // a bucket without a directory of its own
	FindingEntry                               // an entry that leads to no object, or to a wrong one
	FindingObject                              // an object to which no entry leads
	FindingDirectory                           // a directory to which no bucket leads
	FindingChildren                            // a directory with other entries than it counts
	FindingLinks                               // a file with other names than it counts, or than are listed
	FindingConflict                            // a kept copy of no bucket
	FindingContent                             // a content whose bytes are not where it says
	FindingExtent                              // a content with bytes from outside of a payload
	FindingBytes                               // a content whose bytes are not those that were written
	FindingMissing                             // a page or payload that is referred to and not there
	FindingUndercounted                        // a payload that would be removed while it is in use
	FindingQueue                               // garbage that is in use, or says what is not so
	FindingMark                                // durable commits that are not there
	FindingTotal                               // files and directories, other than are counted
	FindingUpload                              // an upload, a part, a document, or a list of parts that belongs to nothing, or is lost
	FindingTable                               // a file of Badger's that does not match its checksums
	FindingNumber                              // a number that may be given out once more
	FindingOvercounted                         // a payload that would stay for ever
	FindingUnreferenced                        // a page or payload nothing refers to
	FindingOrphan                              // a payload file no record refers to
	FindingOutcome                             // an outcome that never expires, or expires and is not there
	FindingSession                             // staged bytes of a process that is gone
	FindingStray                               // a file that is nothing of the store's
)

var findingNames = [...]string{
	FindingRecord: "record", FindingBucket: "bucket", FindingEntry: "entry", FindingObject: "object",
	FindingDirectory: "directory", FindingChildren: "children", FindingLinks: "links",
	FindingConflict: "conflict", FindingContent: "content", FindingExtent: "extent", FindingBytes: "bytes",
	FindingMissing: "missing", FindingUndercounted: "undercounted", FindingQueue: "queue",
	FindingMark: "mark", FindingTotal: "total", FindingUpload: "upload", FindingTable: "table", FindingNumber: "number", FindingOvercounted: "overcounted",
	FindingUnreferenced: "unreferenced", FindingOrphan: "orphan", FindingOutcome: "outcome",
	FindingSession: "session", FindingStray: "stray",
}

// String is the name of the kind, which programs may rely on.
func (k FindingKind) String() string {
	if int(k) < len(findingNames) && findingNames[k] != "" {
		return findingNames[k]
	}
	return "unknown"
}

// IsDamage reports whether something is lost or may come to be, and not only space is wasted.
func (k FindingKind) IsDamage() bool { return k <= FindingNumber }

// Severity is "damage" or "garbage".
func (k FindingKind) Severity() string {
	if k.IsDamage() {
		return "damage"
	}
	return "garbage"
}

// String is for messages.
func (f Finding) String() string {
	s := f.Kind.Severity() + " " + f.Kind.String() + ": "
	if f.Bucket != "" {
		s += f.Bucket + "/" + string(f.Key) + ": "
	}
	return s + f.Text
}
