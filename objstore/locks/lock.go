package locks

import (
	"math"
	"slices"
)

// SessionID names a client of a table. It is never used again.
type SessionID uint64

// Owner is who holds a lock: for fcntl(2) a process or, with OFD locks, an
// open file; for flock(2) an open file. IDs are those of one session; a [Session] fills itself in.
type Owner struct {
	Session SessionID
	ID      uint64
	Flock   bool
}

// Lock is a lock on the bytes from Start to End, both included.
type Lock struct {
	Owner      Owner
	Start, End uint64
	Exclusive  bool
	Process    uint32 // for F_GETLK and to be fair; 0: not known
}

// process is a process of a session.
type process struct {
	session SessionID
	id      uint32
}

func (k Lock) process() process { return process{k.Owner.Session, k.Process} }

// Whole is everything an owner may hold on an object.
func Whole(owner Owner) Lock { return Lock{Owner: owner, End: math.MaxUint64} }

func (k Lock) overlaps(other Lock) bool { return k.Start <= other.End && other.Start <= k.End }

func (k Lock) conflicts(other Lock) bool {
	return k.Owner.Flock == other.Owner.Flock && k.Owner != other.Owner &&
		(k.Exclusive || other.Exclusive) && k.overlaps(other)
}

// joins reports whether two locks are one: of one owner, alike, and without a byte between them.
func (k Lock) joins(other Lock) bool {
	if k.Owner != other.Owner || k.Exclusive != other.Exclusive || k.Process != other.Process {
		return false
	}
	return k.overlaps(other) || k.End != math.MaxUint64 && k.End+1 == other.Start || other.End != math.MaxUint64 && other.End+1 == k.Start
}

// without is what is left of k outside the range of other.
func (k Lock) without(other Lock) (left []Lock) {
	if before := k; k.Start < other.Start {
		before.End = min(k.End, other.Start-1)
		left = append(left, before)
	}
	if after := k; k.End > other.End {
		after.Start = max(k.Start, other.End+1)
		left = append(left, after)
	}
	return left
}

// Set is what is held on one object, by anybody.
type Set []Lock

// Add makes k held, in place of what its owner had there and as one with what it had beside.
func (s *Set) Add(k Lock) {
	s.Cut(k)
	*s = slices.DeleteFunc(*s, func(other Lock) bool {
		if !k.joins(other) {
			return false
		}
		k.Start, k.End = min(k.Start, other.Start), max(k.End, other.End)
		return true
	})
	*s = append(*s, k)
}

// Cut takes k's range out of the locks of its owner.
func (s *Set) Cut(k Lock) {
	var rest []Lock
	*s = slices.DeleteFunc(*s, func(other Lock) bool {
		if other.Owner != k.Owner || !other.overlaps(k) {
			return false
		}
		rest = append(rest, other.without(k)...)
		return true
	})
	*s = append(*s, rest...)
}

// Holds reports whether k's owner holds anything in k's range, and whether some of that is exclusive.
func (s Set) Holds(k Lock) (any, exclusive bool) {
	for _, other := range s {
		if other.Owner == k.Owner && other.overlaps(k) {
			any, exclusive = true, exclusive || other.Exclusive
		}
	}
	return any, exclusive
}
