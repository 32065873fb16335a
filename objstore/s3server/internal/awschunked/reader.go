package awschunked

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"strconv"

	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
)

const (
	bufferBytes    = 4 << 10 // longest line, too
	lineBytesMax   = 256     // of a chunk: size and signature need less than 100
	chunkBytesMin  = 8192    // of all but the last with bytes
	signatureChars = 2 * sha256.Size
)

// Reader decodes one body. It is not safe for concurrent use.
type Reader struct {
	body    *bufio.Reader
	options Options // constant

	digest    hash.Hash // of the current chunk; nil unless chunks are signed
	signature string    // of the current chunk
	chunks    int       // begun
	size      int64     // of the current chunk
	left      int64     // bytes of it to come
	total     int64     // bytes of all chunks begun
	value     string    // of the trailer
	err       error     // once set, for good
}

// NewReader decodes body.
func NewReader(body io.Reader, o Options) *Reader {
	r := &Reader{body: bufio.NewReaderSize(body, bufferBytes), options: o}
	if o.Payload.SignedChunks() {
		r.digest = sha256.New()
	}
	return r
}

// Trailer is the trailer; both are empty before io.EOF or without one.
func (r *Reader) Trailer() (name, value string) {
	if r.err != io.EOF || r.value == "" {
		return "", ""
	}
	return r.options.Trailer, r.value
}

// Read yields decoded bytes.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 || r.err != nil {
		return 0, r.err
	}
	if r.left == 0 {
		if r.err = r.nextChunk(); r.err != nil {
			return 0, r.err
		}
	}
	n, err := r.body.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	if r.digest != nil {
		r.digest.Write(p[:n]) // never fails
	}
	if err != nil {
		r.err = cutShort(err)
	}
	return n, r.err
}

// nextChunk ends the current chunk and begins one with bytes in it, or ends the body: io.EOF.
func (r *Reader) nextChunk() error {
	if r.chunks > 0 {
		if err := r.endChunk(); err != nil {
			return err
		}
	}
	size, signature, err := r.readHeader()
	if err != nil {
		return err
	}
	if size > 0 && r.chunks > 0 && r.size < chunkBytesMin {
		return s3code.InvalidChunkSizeError.With("",
			s3code.Detail{Name: "Chunk", Value: strconv.Itoa(r.chunks)},
			s3code.Detail{Name: "BadChunkSize", Value: strconv.FormatInt(r.size, 10)})
	}
	if size > r.options.DecodedBytes-r.total {
		return r.tooLong()
	}
	r.chunks++
	r.size, r.left, r.signature = size, size, signature
	r.total += size
	if size == 0 {
		return r.endBody()
	}
	return nil
}

// endChunk reads the line end behind the bytes of a chunk and checks its signature.
func (r *Reader) endChunk() error {
	if err := r.readLineEnd(); err != nil {
		return err
	}
	return r.checkChunk()
}

func (r *Reader) checkChunk() error {
	if r.digest == nil {
		return nil
	}
	var sum [sha256.Size]byte
	r.digest.Sum(sum[:0])
	r.digest.Reset()
	return r.options.Chain.Chunk(sum, r.signature)
}

// readHeader reads the line before the bytes of a chunk.
func (r *Reader) readHeader() (size int64, signature string, err error) {
	line, err := r.body.ReadSlice('\n')
	if err != nil {
		return 0, "", cutShort(err)
	}
	text, ok := bytes.CutSuffix(line, []byte("\r\n"))
	if !ok || len(text) > lineBytesMax {
		return 0, "", unexpectedEnd()
	}
	if r.digest != nil {
		var found bool
		var tag []byte
		text, tag, found = bytes.Cut(text, []byte(";chunk-signature="))
		if !found || len(tag) != signatureChars {
			return 0, "", unexpectedEnd()
		}
		signature = string(tag)
	}
	n, err := strconv.ParseUint(string(text), 16, 63)
	if err != nil {
		return 0, "", unexpectedEnd()
	}
	return int64(n), signature, nil
}

// tooLong says whether a chunk that claims to go beyond the declared length
// does, or only has a wrong size: S3 tells them apart.
func (r *Reader) tooLong() error {
	if _, err := io.CopyN(io.Discard, r.body, r.options.DecodedBytes-r.total); err != nil {
		return cutShort(err)
	}
	next, err := r.body.Peek(2)
	if err != nil {
		return cutShort(err)
	}
	if string(next) == "\r\n" {
		return unexpectedEnd()
	}
	return s3code.IncompleteBody.With("")
}

// endBody reads what follows the last chunk's header. It returns io.EOF if all is well.
func (r *Reader) endBody() error {
	if r.total != r.options.DecodedBytes {
		return s3code.IncompleteBody.With("")
	}
	if err := r.checkChunk(); err != nil {
		return err
	}
	var err error
	if r.options.Payload.Trailer() {
		err = r.readTrailer()
	} else {
		err = r.readLineEnd()
	}
	if err != nil {
		return err
	}
	return r.expectEnd()
}

// expectEnd returns io.EOF if there is nothing more.
func (r *Reader) expectEnd() error {
	switch _, err := r.body.Peek(1); {
	case err == nil:
		return unexpectedEnd()
	case err == io.EOF:
		return io.EOF
	default:
		return cutShort(err)
	}
}

func (r *Reader) readLineEnd() error {
	end, err := r.body.Peek(2)
	if err != nil {
		return cutShort(err)
	}
	if string(end) != "\r\n" {
		return unexpectedEnd()
	}
	_, err = r.body.Discard(2) // they are in the buffer
	return err
}

func unexpectedEnd() error {
	return s3code.IncompleteBody.With("The request body terminated unexpectedly")
}

// cutShort is an error of the body: its end comes too early wherever it comes.
func cutShort(err error) error {
	if err == io.EOF || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, bufio.ErrBufferFull) {
		return unexpectedEnd()
	}
	return err
}
