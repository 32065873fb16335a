package objstore

// Cond says when a mutation may happen. Build one with [Unconditional],
// [IfAbsent], [IfPresent] or [IfVersion]; the zero Cond is invalid.
type Cond struct {
	op      condOp
	version Version
}

type condOp uint8

const (
	condInvalid condOp = iota
	condUnconditional
	condIfAbsent
	condIfPresent
	condIfVersion
)

// Unconditional overwrites or deletes whatever is there.
func Unconditional() Cond { return Cond{op: condUnconditional} }

// IfAbsent holds when there is no object (HTTP's If-None-Match: *).
func IfAbsent() Cond { return Cond{op: condIfAbsent} }

// IfPresent holds when there is an object, whatever its version (If-Match: *).
func IfPresent() Cond { return Cond{op: condIfPresent} }

// IfVersion holds when the object's current version is v (If-Match: etag). An
// empty v makes an invalid Cond.
func IfVersion(v Version) Cond {
	if v == "" {
		return Cond{}
	}
	return Cond{op: condIfVersion, version: v}
}

// Version is the version an [IfVersion] asks for.
func (c Cond) Version() (Version, bool) { return c.version, c.op == condIfVersion }

// IsIfAbsent reports whether c was made by [IfAbsent].
func (c Cond) IsIfAbsent() bool { return c.op == condIfAbsent }

// IsUnconditional reports whether c was made by [Unconditional].
func (c Cond) IsUnconditional() bool { return c.op == condUnconditional }

// Valid reports whether c was made by a constructor.
func (c Cond) Valid() bool { return c.op != condInvalid }

// Check evaluates c against the current state; current counts only if exists.
// It returns nil, [ErrPrecondition], [ErrNotFound] where an object was demanded and there is
// none (S3 answers 404, not 412, there), or [ErrInvalid] for the zero Cond.
// Both of the former are a lost condition.
func (c Cond) Check(current Version, exists bool) error {
	switch c.op {
	case condUnconditional:
		return nil
	case condIfAbsent:
		if exists {
			return ErrPrecondition
		}
		return nil
	case condIfPresent, condIfVersion:
		if !exists {
			return ErrNotFound
		}
		if c.op == condIfVersion && current != c.version {
			return ErrPrecondition
		}
		return nil
	default:
		return ErrInvalid
	}
}

// String is for messages: "unconditional", "if-absent", "if-present", "if-version=1a".
func (c Cond) String() string {
	switch c.op {
	case condUnconditional:
		return "unconditional"
	case condIfAbsent:
		return "if-absent"
	case condIfPresent:
		return "if-present"
	case condIfVersion:
		return "if-version=" + string(c.version)
	default:
		return "invalid"
	}
}
