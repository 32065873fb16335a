package s3xml

import (
	"github.com/etagfs/etagfs/objstore/s3server/internal/checksum"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
)

// Response is a document clients get. The list is closed.
type Response interface {
	write(w *writer)
}

const (
	declaration = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"
	namespace   = ` xmlns="http://s3.amazonaws.com/doc/2006-03-01/"`
)

// Encode writes a document.
func Encode(r Response) []byte {
	w := &writer{b: make([]byte, 0, 1024)}
	w.b = append(w.b, declaration...)
	r.write(w)
	return w.b
}

// within writes a root element with what body writes in it.
func (w *writer) within(name string, body func()) {
	w.open(name + namespace)
	body()
	w.close(name)
}

// EncodeError writes a refusal. Empty ids are left out. It is always well-formed: who is refused must be
// able to read why, so a character that XML 1.0 cannot say becomes U+FFFD.
func EncodeError(e *s3code.Error, resource, requestID, hostID string) []byte {
	w := &writer{b: make([]byte, 0, 512)}
	w.b = append(w.b, declaration...)
	w.open("Error")
	w.text("Code", e.Code.String())
	w.open("Message")
	w.b = appendMessage(w.b, e.Text())
	w.close("Message")
	for _, d := range e.Details {
		w.text(d.Name, sayable(d.Value))
	}
	w.given("Resource", sayable(resource))
	w.given("RequestId", requestID)
	w.given("HostId", hostID)
	w.close("Error")
	return w.b
}

// Checksum is a checksum in a document; the zero value is none.
type Checksum struct {
	Algorithm checksum.Algorithm
	Text      string // base64, and "-N" of a composite one
	Type      string // "FULL_OBJECT", "COMPOSITE" or empty
}

func checksumElement(a checksum.Algorithm) string { return "Checksum" + a.String() }

func (w *writer) checksum(c Checksum) {
	if c.Algorithm != 0 {
		w.text(checksumElement(c.Algorithm), c.Text)
	}
	w.given("ChecksumType", c.Type)
}

// Owner is who a bucket or an object belongs to.
type Owner struct{ ID, DisplayName string }

func (w *writer) owner(name string, o Owner) {
	w.open(name)
	w.text("ID", o.ID)
	w.given("DisplayName", o.DisplayName)
	w.close(name)
}

// CommonPrefix stands for all keys it is a prefix of.
type CommonPrefix struct {
	Prefix      string
	Description *string // nil: not shown
}

func (w *writer) prefixes(all []CommonPrefix) {
	for _, p := range all {
		w.open("CommonPrefixes")
		w.text("Prefix", p.Prefix)
		w.description(p.Description)
		w.close("CommonPrefixes")
	}
}

// description is no element of S3's.
func (w *writer) description(text *string) {
	if text != nil {
		w.text("EtagfsDescription", *text)
	}
}
