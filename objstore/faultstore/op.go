package faultstore

import "fmt"

// Kind is which operation of a store, a namespace, a reader or a stage.
type Kind uint8

// The operations.
const (
	OpGet Kind = iota + 1
	OpHead
	OpPut
	OpDelete
	OpCopy
	OpRename
	OpList
	OpSync
	OpRead   // Reader.ReadAt
	OpStream // Reader.Stream: faults strike its body
	OpNewID
	OpLookup
	OpStat
	OpParent
	OpPath
	OpReadDir
	OpReadlink
	OpOpen
	OpMake
	OpLink
	OpUnlink
	OpRmdir
	OpMove
	OpSetAttr
	OpUsage
	OpNewStage
	OpStageRead
	OpStageWrite
	OpStageTruncate
	OpStageAllocate
	OpStageSeek // NextData and NextHole
	OpCommit
	OpKeep
	OpListConflicts
	OpConflict
	OpOpenConflict
	OpDropConflict
	OpCreateUpload
	OpPutPart
	OpCopyPart
	OpListParts
	OpListUploads
	OpCompleteUpload
	OpAbortUpload
	OpAbortUploadsBefore
	OpParts
	OpAppend
	OpSetTags
	OpDocument
	OpSetDocument
	OpDeleteDocument
	OpAnswer
	kindEnd
)

// String is the kind in rules and errors.
func (k Kind) String() string {
	names := [...]string{
		"", "get", "head", "put", "delete", "copy", "rename", "list", "sync", "read", "stream",
		"new-id", "lookup", "stat", "parent", "path", "readdir", "readlink", "open", "make", "link",
		"unlink", "rmdir", "move", "set-attr", "usage", "new-stage", "stage-read", "stage-write",
		"stage-truncate", "stage-allocate", "stage-seek", "commit", "keep", "list-conflicts", "conflict",
		"open-conflict", "drop-conflict", "create-upload", "put-part", "copy-part", "list-parts", "list-uploads",
		"complete-upload", "abort-upload", "abort-uploads-before", "parts", "append", "set-tags", "document",
		"set-document", "delete-document", "answer",
	}
	if k == 0 || int(k) >= len(names) {
		return fmt.Sprintf("kind-%d", uint8(k))
	}
	return names[k]
}

// Kinds lists every kind.
func Kinds() []Kind {
	all := make([]Kind, 0, kindEnd-1)
	for k := Kind(1); k < kindEnd; k++ {
		all = append(all, k)
	}
	return all
}

// Mutates reports whether operations of this kind change what others see.
func (k Kind) Mutates() bool {
	switch k {
	case OpPut, OpDelete, OpCopy, OpRename, OpMake, OpLink, OpUnlink, OpRmdir, OpMove, OpSetAttr, OpCommit, OpKeep, OpDropConflict,
		OpCreateUpload, OpPutPart, OpCopyPart, OpCompleteUpload, OpAbortUpload, OpAbortUploadsBefore, OpAppend, OpSetTags,
		OpSetDocument, OpDeleteDocument:
		return true
	default:
		return false
	}
}

// Phase is the moment a fault strikes.
type Phase uint8

// The phases.
const (
	Before Phase = iota + 1 // the operation does not begin
	After                   // it is done; its reply is lost
	Body                    // between the bytes it moves
)

// String is the phase in rules.
func (p Phase) String() string {
	switch p {
	case Before:
		return "before"
	case After:
		return "after"
	case Body:
		return "body"
	default:
		return "any"
	}
}

// Op is one operation at one phase.
type Op struct {
	Kind   Kind
	Key    string // key, name or path; decimal for ids; empty if there is none
	Nth    int64  // the number of the operation among all of the wrapper, from 1
	Phase  Phase
	Offset int64 // Body: bytes moved so far; reads and stage writes: where they are
	Err    error // After: what the operation returned
}
