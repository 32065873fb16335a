package s3xml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"

	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
)

const (
	depthMax      = 8
	elementsMax   = 100_000 // 10,000 parts with a number, a tag and several checksums
	byteOrderMark = "\ufeff"
)

// Request is a document that clients send.
type Request interface {
	Delete | CompleteMultipartUpload | CreateBucketConfiguration | Tagging | VersioningConfiguration | CORSConfiguration
}

// document is a Request that takes its values from its root element.
type document interface {
	root() string
	fill(n *node) error
}

// Every Request is a document.
var (
	_ document = (*Delete)(nil)
	_ document = (*CompleteMultipartUpload)(nil)
	_ document = (*CreateBucketConfiguration)(nil)
	_ document = (*Tagging)(nil)
	_ document = (*VersioningConfiguration)(nil)
	_ document = (*CORSConfiguration)(nil)
)

// Decode reads a document of at most limitBytes. Errors of r pass through.
func Decode[T Request](r io.Reader, limitBytes int64) (*T, error) {
	text, err := io.ReadAll(io.LimitReader(r, limitBytes+1))
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > limitBytes {
		return nil, s3code.MaxMessageLengthExceeded.With("")
	}
	root, err := parse(text)
	if err != nil {
		return nil, err
	}
	v := new(T)
	d := any(v).(document)
	if root.name != d.root() {
		return nil, malformed(nil)
	}
	if err := d.fill(root); err != nil {
		return nil, err
	}
	return v, nil
}

func malformed(cause error) error {
	return &s3code.Error{Code: s3code.MalformedXML, Err: cause}
}

// node is an element.
type node struct {
	name     string
	text     []byte // its own, between its elements
	children []*node
}

// parser builds the elements of a document.
type parser struct {
	decoder  *xml.Decoder
	elements int
}

// parse reads a whole document; it returns its root.
func parse(text []byte) (*node, error) {
	p := parser{decoder: xml.NewDecoder(bytes.NewReader(bytes.TrimPrefix(text, []byte(byteOrderMark))))}
	outside := &node{}
	if err := p.parseInto(outside, 0); err != nil {
		return nil, malformed(err)
	}
	if len(outside.children) != 1 || len(bytes.TrimSpace(outside.text)) > 0 {
		return nil, malformed(nil)
	}
	return outside.children[0], nil
}

// errRefused are the forms XML has and these documents do not.
var errRefused = errors.New("a document type, or too many or too deep elements")

// parseInto reads what is inside n, and its end.
func (p *parser) parseInto(n *node, depth int) error {
	for {
		token, err := p.decoder.Token()
		if err == io.EOF && depth == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		switch token := token.(type) {
		case xml.StartElement:
			p.elements++
			if depth == depthMax || p.elements > elementsMax {
				return errRefused
			}
			child := &node{name: token.Name.Local}
			n.children = append(n.children, child)
			if err := p.parseInto(child, depth+1); err != nil {
				return err
			}
		case xml.EndElement:
			return nil
		case xml.CharData:
			n.text = append(n.text, token...)
		case xml.Directive:
			return errRefused
		}
	}
}
