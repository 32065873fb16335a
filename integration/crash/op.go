package crash

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
)

// opKind says what a call does.
type opKind string

const (
	opWrite     opKind = "write"     // Path gets Size new bytes, whatever it had
	opEdit      opKind = "edit"      // Size bytes at Off of an existing Path are replaced
	opTruncate  opKind = "truncate"  // an existing Path gets the size Size
	opRename    opKind = "rename"    // Path becomes To, over what is there; directories end in "/"
	opRemove    opKind = "remove"    // the file Path goes
	opMkdir     opKind = "mkdir"     // the directory Path comes
	opSync      opKind = "sync"      // everything acknowledged before is durable
	opHold      opKind = "hold"      // Size new bytes are staged for Path and not committed
	opRelease   opKind = "release"   // what is held for Path is committed, or kept if Path changed since
	opIncrement opKind = "increment" // the shared counter gets the value Size if it still has the one before
)

// counterPath is the one name all lanes write, conditionally.
const counterPath = "counter"

// op is one call. Its bytes follow from Lane and Seq.
type op struct {
	Lane    int
	Seq     int // unique in its lane, also across restarts
	Kind    opKind
	Path    string `json:",omitempty"`
	To      string `json:",omitempty"`
	Off     int64  `json:",omitempty"`
	Size    int64  `json:",omitempty"`
	Durable bool   `json:",omitempty"` // acknowledged once it survives a power cut
	ByKey   bool   `json:",omitempty"` // through the flat store, not the namespace
}

func (o op) String() string {
	s := fmt.Sprintf("%d/%d %s %s", o.Lane, o.Seq, o.Kind, o.Path)
	if o.To != "" {
		s += " -> " + o.To
	}
	switch o.Kind {
	case opEdit:
		s += fmt.Sprintf(" [%d,+%d)", o.Off, o.Size)
	case opWrite, opTruncate, opHold, opIncrement:
		s += fmt.Sprintf(" %d", o.Size)
	}
	if o.Durable {
		s += " durable"
	}
	return s
}

// bytes are what the call writes.
func (o op) bytes() []byte {
	rng := rand.New(rand.NewPCG(uint64(o.Lane)+1, uint64(o.Seq)+1))
	b := make([]byte, o.Size+7)
	for i := 0; i+8 <= len(b); i += 8 {
		word := rng.Uint64()
		for j := range 8 {
			b[i+j] = byte(word >> (8 * j))
		}
	}
	return b[:o.Size]
}

// increment is the content of the counter at a value: it names its writer.
func (o op) increment() []byte { return fmt.Appendf(nil, "%d %d %d", o.Size, o.Lane, o.Seq) }

// digest tells contents apart. It is the same in every process.
type digest string

func digestOf(b []byte) digest {
	sum := sha256.Sum256(b)
	return digest(hex.EncodeToString(sum[:8]))
}
