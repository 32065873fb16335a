package wire

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"slices"
)

// FrameBytesMax is the longest frame: a message may be so long. Data goes in frames of at most PartBytes.
const (
	FrameBytesMax = 16 << 20
	PartBytes     = 256 << 10
)

const frameHeadBytes = 8

// ErrDamaged is what reading a frame ends with if it is not what was written.
var ErrDamaged = errors.New("damaged on the way")

// AppendFrame adds p to buf as one frame.
func AppendFrame(buf, p []byte) []byte {
	buf = binary.BigEndian.AppendUint32(buf, uint32(len(p)))
	buf = binary.BigEndian.AppendUint32(buf, crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli)))
	return append(buf, p...)
}

// AppendMessage adds messages to buf as one frame.
func AppendMessage(buf []byte, all ...Message) []byte { return AppendFrame(buf, Encode(all...)) }

// ReadFrame reads the next frame into buf, if that is long enough. What is cut off is [io.ErrUnexpectedEOF].
func ReadFrame(r io.Reader, buf []byte) ([]byte, error) {
	var head [frameHeadBytes]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, cutOff(err)
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > FrameBytesMax {
		return nil, ErrDamaged
	}
	buf, err := readBytes(r, buf, int(n))
	if err != nil {
		return nil, cutOff(err)
	}
	if crc32.Checksum(buf, crc32.MakeTable(crc32.Castagnoli)) != binary.BigEndian.Uint32(head[4:]) {
		return nil, ErrDamaged
	}
	return buf, nil
}

// readBytes takes memory as the bytes come, not as they are announced.
func readBytes(r io.Reader, buf []byte, n int) ([]byte, error) {
	buf = slices.Grow(buf[:0], min(n, PartBytes))[:0]
	for len(buf) < n {
		part := min(n-len(buf), PartBytes)
		buf = slices.Grow(buf, part)
		end := len(buf) + part
		if _, err := io.ReadFull(r, buf[len(buf):end]); err != nil {
			return nil, err
		}
		buf = buf[:end]
	}
	return buf, nil
}

func cutOff(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// ReadMessage reads a frame that is messages.
func ReadMessage(r io.Reader, all ...Message) error {
	p, err := ReadFrame(r, nil)
	if err != nil {
		return err
	}
	return Decode(p, all...)
}

// BodyReader reads a body, and then the message that ends it.
type BodyReader struct {
	src  io.Reader
	end  Message
	buf  []byte
	left []byte
	err  error
}

// NewBodyReader reads a body from src. At its end, end has been filled in.
func NewBodyReader(src io.Reader, end Message) *BodyReader { return &BodyReader{src: src, end: end} }

// Read implements [io.Reader]. [io.EOF] means that the end was reached, and not that something broke.
func (b *BodyReader) Read(p []byte) (int, error) {
	for len(b.left) == 0 && b.err == nil {
		b.next()
	}
	n := copy(p, b.left)
	b.left = b.left[n:]
	if n == 0 {
		return 0, b.err
	}
	return n, nil
}

func (b *BodyReader) next() {
	frame, err := ReadFrame(b.src, b.buf)
	if err != nil {
		b.err = err
		return
	}
	b.buf, b.left = frame, frame
	if len(frame) > 0 {
		return
	}
	if b.err = ReadMessage(b.src, b.end); b.err == nil {
		b.err = io.EOF
	}
}

// BodyWriter writes a body.
type BodyWriter struct {
	dst io.Writer
	buf []byte
}

// NewBodyWriter writes a body to dst.
func NewBodyWriter(dst io.Writer) *BodyWriter { return &BodyWriter{dst: dst} }

// Write implements [io.Writer].
func (b *BodyWriter) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		part := p[:min(len(p), PartBytes)]
		b.buf = AppendFrame(b.buf[:0], part)
		if _, err := b.dst.Write(b.buf); err != nil {
			return n, err
		}
		n += len(part)
		p = p[len(part):]
	}
	return n, nil
}

// End writes the end of the body.
func (b *BodyWriter) End(end Message) error {
	b.buf = AppendMessage(AppendFrame(b.buf[:0], nil), end)
	_, err := b.dst.Write(b.buf)
	return err
}
