package wire

// Protocol is the version of what is spoken here. A server answers no other.
const Protocol = 5

// Method is what a request asks for.
type Method uint8

// The methods. Their numbers stay.
const (
	MethodHello Method = iota + 1
	MethodGoodbye
	MethodPing
	MethodResolve
	MethodRelease
	MethodWatch
	MethodRead
	MethodSeek

	MethodNewIDs
	MethodLookup
	MethodStat
	MethodParent
	MethodPath
	MethodReadDir
	MethodReadlink
	MethodOpen
	MethodMake
	MethodLink
	MethodUnlink
	MethodRmdir
	MethodMove
	MethodSetAttr
	MethodPush
	MethodUsage
	MethodSync

	MethodListConflicts
	MethodConflict
	MethodOpenConflict
	MethodDropConflict

	MethodGet
	MethodHead
	MethodPut
	MethodDelete
	MethodCopy
	MethodRename
	MethodList
	MethodAnswer

	MethodLease
	MethodLock
	MethodAwaitLock
	MethodReclaim
	methodEnd
)

// Known reports whether m is a method.
func (m Method) Known() bool { return m > 0 && m < methodEnd }

// Mutates reports whether m changes the store.
func (m Method) Mutates() bool {
	switch m {
	case MethodMake, MethodLink, MethodUnlink, MethodRmdir, MethodMove, MethodSetAttr, MethodPush, MethodDropConflict,
		MethodPut, MethodDelete, MethodCopy, MethodRename:
		return true
	default:
		return false
	}
}

// Once reports whether m has an effect once, however often it arrives.
func (m Method) Once() bool {
	return m.Mutates() || m == MethodLock || m == MethodAwaitLock || m == MethodReclaim
}

// Writes reports whether m needs the right to write.
func (m Method) Writes() bool {
	return m.Mutates() || m == MethodNewIDs || m == MethodResolve || m == MethodAnswer
}

// Head begins every request.
type Head struct {
	Protocol uint8
	Method   Method
	Session  string // empty: MethodHello
	ID       uint64 // of this request in its session, the same in every attempt
	Oldest   uint64 // of the client's requests that are not yet answered: outcomes before it may be forgotten
}

// Code implements [Message].
func (m *Head) Code(c *Coder) {
	number(c, &m.Protocol)
	number(c, &m.Method)
	text(c, &m.Session)
	number(c, &m.ID)
	number(c, &m.Oldest)
}

// State begins every reply.
type State struct {
	Lost    bool   // there is no such session: it ended, or the server began anew
	Changes uint64 // that the session was told of, or will be
	Failure Failure
}

// Code implements [Message].
func (m *State) Code(c *Coder) {
	flag(c, &m.Lost)
	number(c, &m.Changes)
	m.Failure.Code(c)
}
