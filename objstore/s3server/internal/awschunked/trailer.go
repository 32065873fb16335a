package awschunked

import (
	"bytes"
	"crypto/sha256"
	"io"
	"strings"

	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
	"github.com/etagfs/etagfs/objstore/s3server/internal/sigv4"
)

const signatureName = "x-amz-trailer-signature:"

// readTrailer reads the trailer, its signature and the empty line behind them.
func (r *Reader) readTrailer() error {
	line, err := r.readTrailerLine()
	if err != nil {
		return err
	}
	if line == "" && r.options.Trailer == "" && r.options.Payload == sigv4.PayloadUnsignedTrailer {
		return nil // none announced, none sent
	}
	name, value, ok := strings.Cut(line, ":")
	if !ok || r.options.Trailer == "" || strings.ToLower(name) != r.options.Trailer {
		return s3code.MalformedTrailerError.With("")
	}
	value = strings.Trim(value, " \t")
	if r.options.Payload.SignedChunks() {
		err = r.readTrailerSignature(sha256.Sum256([]byte(name + ":" + value + "\n")))
	} else {
		err = r.readTrailerEnd()
	}
	if err == nil {
		r.value = value
	}
	return err
}

// readTrailerLine reads a line of the trailer. Some clients end it with a mere line feed.
func (r *Reader) readTrailerLine() (string, error) {
	line, err := r.body.ReadSlice('\n')
	if err != nil {
		return "", cutShort(err)
	}
	line = bytes.TrimSuffix(line[:len(line)-1], []byte("\r"))
	if bytes.ContainsRune(line, '\r') {
		return "", unexpectedEnd()
	}
	return string(line), nil
}

// readTrailerEnd reads the empty line behind an unsigned trailer. The client that ends trailers with a mere
// line feed sends two of them.
func (r *Reader) readTrailerEnd() error {
	if err := r.readLineEnd(); err != nil {
		return err
	}
	if _, err := r.body.Peek(1); err == io.EOF {
		return nil
	}
	return r.readLineEnd()
}

// readTrailerSignature reads and checks the signature of a trailer. An empty line
// may stand before it; the one behind it may be missing.
func (r *Reader) readTrailerSignature(digest [sha256.Size]byte) error {
	line, err := r.readTrailerLine()
	if err == nil && line == "" {
		line, err = r.readTrailerLine()
	}
	if err != nil {
		return err
	}
	signature, ok := strings.CutPrefix(line, signatureName)
	if !ok || len(signature) != signatureChars {
		return unexpectedEnd()
	}
	if _, err := r.body.Peek(1); err != io.EOF {
		if err := r.readLineEnd(); err != nil {
			return err
		}
	}
	return r.options.Chain.Trailer(digest, signature)
}
