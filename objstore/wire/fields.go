package wire

// Code implements [Message].
func (*None) Code(*Coder) {}

// Code implements [Message].
func (m *Hello) Code(c *Coder) {
	text(c, &m.Session)
	number(c, &m.Root)
	capabilities(c, &m.Capabilities)
	number(c, &m.Lease)
	number(c, &m.LockLease)
	text(c, &m.Boot)
}

// Code implements [Message].
func (m *Resolve) Code(c *Coder) { number(c, &m.ID) }

// Code implements [Message].
func (m *Resolved) Code(c *Coder) {
	flag(c, &m.Known)
	blob(c, &m.Reply)
}

// Code implements [Message].
func (m *Release) Code(c *Coder) { list(c, &m.Handles, number) }

// Code implements [Message].
func (m *Watch) Code(c *Coder) { number(c, &m.After) }

// Code implements [Message].
func (m *Lease) Code(c *Coder) {
	number(c, &m.Told)
	flag(c, &m.Extend)
}

// Code implements [Message].
func (m *Leased) Code(c *Coder) { number(c, &m.Remaining) }

// Code implements [Message].
func (m *Event) Code(c *Coder) {
	number(c, &m.Number)
	change(c, &m.Change)
	list(c, &m.Infos, info)
	number(c, &m.Awaited)
}

// Code implements [Message].
func (m *Read) Code(c *Coder) {
	number(c, &m.Handle)
	number(c, &m.Offset)
	number(c, &m.Length)
}

// Code implements [Message].
func (m *Seek) Code(c *Coder) {
	number(c, &m.Handle)
	number(c, &m.Offset)
	flag(c, &m.Hole)
}

// Code implements [Message].
func (m *Offset) Code(c *Coder) { number(c, &m.Offset) }

// Code implements [Message].
func (m *Count) Code(c *Coder) { number(c, &m.Count) }

// Code implements [Message].
func (m *Object) Code(c *Coder) { number(c, &m.ID) }

// Code implements [Message].
func (m *Text) Code(c *Coder) { text(c, &m.Text) }

// Code implements [Message].
func (m *Name) Code(c *Coder) {
	number(c, &m.Parent)
	text(c, &m.Name)
	cond(c, &m.Cond)
	number(c, &m.Durability)
}

// Code implements [Message].
func (m *ReadDir) Code(c *Coder) {
	number(c, &m.Dir)
	text(c, &m.After)
	number(c, &m.Max)
}

// Code implements [Message].
func (m *Entries) Code(c *Coder) {
	list(c, &m.Entries, dirEntry)
	flag(c, &m.More)
}

// Code implements [Message].
func (m *Open) Code(c *Coder) {
	number(c, &m.ID)
	text(c, &m.Want)
	number(c, &m.Prefetch)
}

// Code implements [Message].
func (m *Opened) Code(c *Coder) {
	number(c, &m.Handle)
	info(c, &m.Info)
	blob(c, &m.Data)
}

// Code implements [Message].
func (m *Make) Code(c *Coder) {
	r := &m.Request
	number(c, &r.Parent)
	text(c, &r.Name)
	number(c, &r.Type)
	newAttr(c, &r.Attr)
	text(c, &r.Target)
	number(c, &r.Rdev)
	table(c, &r.Xattrs, blob)
	number(c, &r.Durability)
}

// Code implements [Message].
func (m *Link) Code(c *Coder) {
	number(c, &m.ID)
	number(c, &m.Parent)
	text(c, &m.Name)
	number(c, &m.Durability)
}

// Code implements [Message].
func (m *Info) Code(c *Coder) { info(c, &m.Info) }

// Code implements [Message].
func (m *Removed) Code(c *Coder) {
	info(c, &m.Result.Removed)
	flag(c, &m.Result.Gone)
}

// Code implements [Message].
func (m *Move) Code(c *Coder) { moveRequest(c, &m.Request) }

// Code implements [Message].
func (m *Moved) Code(c *Coder) { moveResult(c, &m.Result) }

// Code implements [Message].
func (m *SetAttr) Code(c *Coder) {
	number(c, &m.ID)
	attrChange(c, &m.Change)
	number(c, &m.Durability)
}

func byteRange(c *Coder, v *Range) {
	number(c, &v.Offset)
	number(c, &v.Length)
}

// Code implements [Message].
func (m *Push) Code(c *Coder) {
	number(c, &m.Stage)
	number(c, &m.Base)
	flag(c, &m.Empty)
	owner(c, &m.Owner)
	number(c, &m.Fence)
	flag(c, &m.Bytes)
	number(c, &m.Cut)
	list(c, &m.Zeros, byteRange)
	list(c, &m.Data, byteRange)
	number(c, &m.Size)
	optional(c, &m.Commit, commitRequest)
	optional(c, &m.Keep, conflict)
}

// Code implements [Message].
func (m *Pushed) Code(c *Coder) {
	number(c, &m.Stage)
	m.Failure.Code(c)
	commitResult(c, &m.Result)
	conflict(c, &m.Kept)
}

// Code implements [Message].
func (m *Usage) Code(c *Coder) {
	number(c, &m.Usage.BytesTotal)
	number(c, &m.Usage.BytesFree)
	number(c, &m.Usage.Objects)
	number(c, &m.Usage.ObjectsMax)
	text(c, &m.Usage.Refusing)
}

// Code implements [Message].
func (m *Conflict) Code(c *Coder) {
	conflict(c, &m.Conflict)
	number(c, &m.Side)
}

// Code implements [Message].
func (m *Conflicts) Code(c *Coder) { list(c, &m.Conflicts, conflict) }

// Code implements [Message].
func (m *Key) Code(c *Coder) {
	text(c, &m.Key)
	cond(c, &m.Cond)
	number(c, &m.Durability)
	text(c, &m.WriteID)
	number(c, &m.Prefetch)
}

// Code implements [Message].
func (m *Put) Code(c *Coder) {
	text(c, &m.Key)
	cond(c, &m.Cond)
	putOptions(c, &m.Options)
}

// Code implements [Message].
func (m *BodyEnd) Code(c *Coder) {
	m.Failure.Code(c)
	digests(c, &m.Digests)
}

// Code implements [Message].
func (m *Copy) Code(c *Coder) { copyRequest(c, &m.Request) }

// Code implements [Message].
func (m *Rename) Code(c *Coder) { renameRequest(c, &m.Request) }

// Code implements [Message].
func (m *List) Code(c *Coder) { listOptions(c, &m.Options) }

// Code implements [Message].
func (m *Page) Code(c *Coder) {
	list(c, &m.Page.Entries, listEntry)
	flag(c, &m.Page.More)
}

// Code implements [Message].
func (m *Answer) Code(c *Coder) {
	m.Failure.Code(c)
	info(c, &m.Info)
}

// Code implements [Message].
func (m *Lock) Code(c *Coder) {
	number(c, &m.Verb)
	number(c, &m.Object)
	number(c, &m.Owner)
	flag(c, &m.Flock)
	number(c, &m.Start)
	number(c, &m.End)
	flag(c, &m.Exclusive)
	number(c, &m.Process)
	number(c, &m.Wait)
}

// Code implements [Message].
func (m *AwaitLock) Code(c *Coder) { number(c, &m.Wait) }

// Code implements [Message].
func (m *Locked) Code(c *Coder) {
	number(c, &m.State)
	number(c, &m.Wait)
	number(c, &m.Fence)
	m.Other.Code(c)
}

// Code implements [Message].
func (m *Reclaim) Code(c *Coder) {
	list(c, &m.Readers, func(c *Coder, p *Pinned) {
		number(c, &p.ID)
		text(c, &p.Version)
	})
	list(c, &m.Locks, func(c *Coder, k *Lock) { k.Code(c) })
}

// Code implements [Message].
func (m *Reclaimed) Code(c *Coder) {
	list(c, &m.Handles, number)
	list(c, &m.Held, flag)
	number(c, &m.Fence)
}
