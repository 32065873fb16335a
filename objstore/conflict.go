package objstore

import (
	"context"
	"encoding/hex"
	"io"
	"time"
)

// ConflictID is the UTC time and 8 hex digits, "20260102T030405Z-1a2b3c4d": it
// sorts by time and is safe as a file name.
type ConflictID string

const conflictTime = "20060102T150405Z"

// NewConflictID makes an id for a conflict of that time. Another may have it by chance.
func NewConflictID(at time.Time, random io.Reader) (ConflictID, error) {
	var b [4]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return "", &Error{Op: "make conflict id", Kind: ErrUnavailable, Err: err}
	}
	return ConflictID(at.UTC().Format(conflictTime) + "-" + hex.EncodeToString(b[:])), nil
}

// IsValid reports whether id looks like one.
func (id ConflictID) IsValid() bool {
	const digits = 8
	at := len(conflictTime)
	if len(id) != at+1+digits || id[at] != '-' {
		return false
	}
	for _, c := range id[at+1:] {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	_, err := time.Parse(conflictTime, string(id[:at]))
	return err == nil
}

// ConflictReason says why bytes were kept.
type ConflictReason uint8

// The reasons. Stores keep these numbers.
const (
	ReasonLost    ConflictReason = iota + 1 // another commit came first
	ReasonFailed                            // the commit failed otherwise
	ReasonUnknown                           // whether the commit was applied is unknown
	ReasonCrash                             // found in a stage whose process is gone
)

// ConflictSide names one of the contents of a conflict.
type ConflictSide uint8

// The sides.
const (
	SideMine   ConflictSide = iota + 1 // the loser's bytes
	SideBase                           // what the loser started from
	SideTheirs                         // what won
)

// ContentRef points to a content a conflict holds on to.
type ContentRef struct {
	Exists  bool // false: there was no object
	Held    bool // the bytes can be opened
	Version Version
	ETag    ETag
	Size    int64
}

// Conflict is a kept copy and what is known about it.
type Conflict struct {
	ID        ConflictID
	Reason    ConflictReason
	Path      string // where the loser wrote, from the root
	Object    ID
	UID       uint32
	GID       uint32
	Mode      uint32
	PID       uint32
	Host      string
	Time      time.Time
	Operation string // "close", "fsync", "release", "truncate", ...
	Base      ContentRef
	Theirs    ContentRef
	Bytes     int64
	Detail    string // the failure in words
	Gaps      bool   // zeros stand in mine for bytes that could not be had; Detail names them
}

// Replaces reports whether c is another state of the copy old, whose id it has, and not of one that has it by chance.
func (c Conflict) Replaces(old Conflict) bool {
	return c.ID == old.ID && c.Host == old.Host && (c.Object == old.Object || c.Path == old.Path)
}

// Conflicts is the area where losers' bytes are kept. Conflicts hold on to
// the contents they refer to: those survive overwrites and restarts.
type Conflicts interface {
	// ListConflicts returns all in the order in which they were kept: what the clocks of those who keep say may be wrong.
	ListConflicts(ctx context.Context) ([]Conflict, error)
	Conflict(ctx context.Context, id ConflictID) (Conflict, error)
	// OpenConflict opens one side; ErrNotFound if its bytes are not held.
	OpenConflict(ctx context.Context, id ConflictID, side ConflictSide) (Reader, error)
	// DropConflict forgets one and lets its bytes go, durably.
	DropConflict(ctx context.Context, id ConflictID) error
}
