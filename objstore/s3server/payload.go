package s3server

import (
	"errors"
	"io"
	"strconv"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/s3server/internal/awschunked"
	"github.com/etagfs/etagfs/objstore/s3server/internal/checksum"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
	"github.com/etagfs/etagfs/objstore/s3server/internal/sigv4"
)

// payload is the body of a request on its way into a store: unwrapped, counted and hashed.
type payload struct {
	src     io.Reader
	chunked *awschunked.Reader // nil: the body is not in chunks
	hashes  *checksum.Hashes
	wanted  checksum.Wanted
	signed  *sigv4.Signed
	md5     bool  // the ETag is the MD5
	err     error // what ended the body, if it did not end well

	length             int64 // negative: not known; else that of src, which says so itself if it ends before or after
	bytesMin, bytesMax int64
}

// newPayload checks what the headers say of the body, which must have at most PutBytes.
// md5 asks for an ETag of that shape.
func (c *call) newPayload(md5 bool) (*payload, error) {
	wanted, err := checksum.FromHeader(c.r.Header)
	if err != nil {
		return nil, err
	}
	return c.payloadOf(wanted, md5)
}

// contentOf is payloadOf for a body that becomes content, whose length has to be said. HTTP/1 takes a request that does not say
// it for one without a body: what a client sends until it closes would be lost behind a success.
func (c *call) contentOf(wanted checksum.Wanted, md5 bool) (*payload, error) {
	if c.r.ContentLength == 0 && c.r.ProtoMajor < 2 && len(c.r.Header["Content-Length"]) == 0 {
		return nil, s3code.MissingContentLength.With("")
	}
	return c.payloadOf(wanted, md5)
}

// payloadOf is newPayload for a body whose checksums are not, or not only, those of the headers.
func (c *call) payloadOf(wanted checksum.Wanted, md5 bool) (*payload, error) {
	src, length := io.Reader(c.r.Body), c.r.ContentLength
	var chunked *awschunked.Reader
	if c.signed.Payload.Chunked() {
		o, err := awschunked.OptionsOf(c.r.Header, c.signed)
		if err != nil {
			return nil, err
		}
		chunked = awschunked.NewReader(c.r.Body, o)
		src, length = chunked, o.DecodedBytes
	}
	if length < 0 {
		return nil, s3code.MissingContentLength.With("")
	}
	p := c.hashed(src, length, wanted, md5)
	p.chunked = chunked
	if length > p.bytesMax {
		return nil, p.tooLarge(s3code.Detail{Name: "ProposedSize", Value: strconv.FormatInt(length, 10)})
	}
	return p, nil
}

// hashed is a payload of a length, or of one that only its end tells if length is negative.
func (c *call) hashed(src io.Reader, length int64, wanted checksum.Wanted, md5 bool) *payload {
	p := &payload{wanted: wanted, signed: c.signed, length: length, md5: md5, bytesMax: c.opt.Limits.PutBytes}
	p.hashes = checksum.NewHashes(p.algorithms()...)
	p.src = p.hashes.Reader(src)
	return p
}

func (p *payload) algorithms() []checksum.Algorithm {
	algorithms := []checksum.Algorithm{p.wanted.Algorithm}
	if p.md5 || p.wanted.MD5 != "" {
		algorithms = append(algorithms, checksum.MD5)
	}
	if p.signed.Payload == sigv4.PayloadDigest {
		algorithms = append(algorithms, checksum.SHA256)
	}
	return algorithms
}

// Read implements [io.Reader]. The end is only told if it is one: that of the last chunk and its trailer.
func (p *payload) Read(b []byte) (int, error) {
	n, err := p.src.Read(b)
	if p.hashes.Bytes() > p.bytesMax {
		err = p.tooLarge() // by how much is not known: the rest is not read
	}
	if err != nil && err != io.EOF {
		p.err = err
	}
	return n, err
}

func (p *payload) tooLarge(details ...s3code.Detail) error {
	return s3code.EntityTooLarge.With("", append(details, s3code.Detail{Name: "MaxSizeAllowed", Value: strconv.FormatInt(p.bytesMax, 10)})...)
}

// finish compares what was read with what was promised, before anything of it can be seen.
func (p *payload) finish() (objstore.Digests, error) {
	value, err := p.verify()
	if err != nil {
		p.err = err
		return objstore.Digests{}, &objstore.Error{Op: "verify body", Kind: objstore.ErrInvalid, Err: err}
	}
	d := objstore.Digests{Checksum: objstore.Checksum{Algorithm: value.Algorithm.String(), Value: value.String()}}
	if p.md5 {
		d.ETag = md5ETag(p.hashes.Sum(checksum.MD5).Digest)
	}
	return d, nil
}

func (p *payload) verify() (checksum.Value, error) {
	if n := p.hashes.Bytes(); n < p.bytesMin {
		return checksum.Value{}, s3code.EntityTooSmall.With("", s3code.Detail{Name: "ProposedSize", Value: strconv.FormatInt(n, 10)},
			s3code.Detail{Name: "MinSizeAllowed", Value: strconv.FormatInt(p.bytesMin, 10)})
	}
	if p.signed.Payload == sigv4.PayloadDigest {
		if err := p.hashes.VerifySHA256(p.signed.Digest); err != nil {
			return checksum.Value{}, err
		}
	}
	if p.wanted.MD5 != "" {
		if err := p.hashes.VerifyMD5(p.wanted.MD5); err != nil {
			return checksum.Value{}, err
		}
	}
	if err := p.verifyValue(); err != nil {
		return checksum.Value{}, err
	}
	return p.hashes.Sum(p.wanted.Algorithm), nil
}

// verifyValue compares the checksum that came in a header or in the trailer.
func (p *payload) verifyValue() error {
	if p.wanted.Value != nil {
		return p.hashes.Verify(*p.wanted.Value)
	}
	if p.wanted.Trailer == 0 {
		return nil
	}
	if p.chunked == nil {
		return s3code.MalformedTrailerError.With("")
	}
	_, text := p.chunked.Trailer()
	value, err := checksum.ParseTrailer(p.wanted.Trailer, text)
	if err != nil {
		return err
	}
	return p.hashes.Verify(value)
}

// refusal is why the body was refused, or err where the body is not to blame.
func (p *payload) refusal(err error) error {
	switch {
	case p.err == nil:
		return err
	case errors.Is(p.err, io.ErrUnexpectedEOF):
		return s3code.IncompleteBody.With("")
	default:
		return p.err
	}
}

// checksumOf is a stored checksum in the words of the checksum package; ok is false if there is none.
func checksumOf(c objstore.Checksum) (v checksum.Value, ok bool) {
	a, ok := checksum.Parse(c.Algorithm)
	if !ok {
		return checksum.Value{}, false
	}
	v, err := checksum.ParseValue(a, c.Value)
	return v, err == nil
}
