package s3server

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"syscall"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
	"github.com/etagfs/etagfs/objstore/s3server/internal/sigv4"
)

// getObject is GetObject and HeadObject: they differ in the body only.
func (c *call) getObject() error {
	overrides, err := c.overrides()
	if err != nil {
		return err
	}
	if c.r.Method == http.MethodHead && !c.query.Has("partNumber") {
		info, err := c.store.Head(c.ctx(), c.key)
		if err != nil {
			return c.hideMissing(err)
		}
		return c.sendObject(info, nil, part{}, overrides)
	}
	reader, p, err := c.open()
	if err != nil {
		return c.hideMissing(err)
	}
	return errors.Join(c.sendObject(reader.Info(), reader, p, overrides), reader.Close())
}

// open pins the object, and finds the part that is asked for in the same version.
func (c *call) open() (objstore.Reader, part, error) {
	for attempt := 1; ; attempt++ {
		p, err := c.partAsked()
		if err != nil {
			return nil, part{}, err
		}
		cond := objstore.Unconditional()
		if p.number > 0 {
			cond = objstore.IfVersion(p.info.Version)
		}
		reader, err := c.store.Get(c.ctx(), c.key, cond)
		if err == nil || attempt == attemptsMax || objstore.KindOf(err) != objstore.ErrPrecondition {
			return reader, p, err
		}
	}
}

// hideMissing makes a missing key look forbidden to who may not know what keys there are.
func (c *call) hideMissing(err error) error {
	if objstore.KindOf(err) != objstore.ErrNotFound {
		return err
	}
	return c.missingKey(c.bucket, c.key, err)
}

// missingKey is err, which says that a key is not there, to who may know what keys there are: who may list those that begin with it.
func (c *call) missingKey(bucket string, key objstore.Key, err error) error {
	keys := func() map[string]string { return map[string]string{"s3:prefix": string(key)} }
	if c.permit("s3:ListBucket", accessRead, bucket, "", string(key), keys) != nil {
		return s3code.AccessDenied
	}
	return err
}

// overrides are the headers a signed request wants to be answered with.
func (c *call) overrides() (map[string]string, error) {
	if len(c.query) == 0 {
		return nil, nil
	}
	headers := make(map[string]string)
	for _, name := range []string{"Content-Type", "Content-Language", "Expires", "Cache-Control", "Content-Disposition", "Content-Encoding"} {
		if value := c.query.Get("response-" + strings.ToLower(name)); value != "" {
			if !isHeaderValue(value) {
				return nil, s3code.InvalidArgument.With("No header can have this value.", s3code.Detail{Name: "ArgumentName", Value: "response-" + strings.ToLower(name)})
			}
			headers[name] = value
		}
	}
	if len(headers) > 0 && c.signed.Source == sigv4.Anonymous {
		return nil, s3code.InvalidRequest.With("Request specific response headers cannot be used for anonymous GET requests.")
	}
	return headers, nil
}

// sendObject answers with an object, or with the part of it that was asked for, if the conditions of
// the request hold. A nil reader means that only the headers are wanted.
func (c *call) sendObject(info objstore.Info, reader objstore.Reader, p part, overrides map[string]string) error {
	if header := readTests(c.r.Header).failing(stateOf(info), c.now()); header != "" {
		return c.failRead(header, info)
	}
	span, partial, err := c.spanOf(info, p)
	if err != nil {
		return err
	}
	c.showObject(info)
	h := c.w.Header()
	setAll(h, overrides)
	if strings.EqualFold(c.r.Header.Get(hdrChecksumMode), "enabled") {
		c.showSpanChecksum(info, p, partial)
	}
	h.Set("Content-Length", strconv.FormatInt(span.length, 10))
	status := http.StatusOK
	if partial {
		h.Set("Content-Range", span.contentRange(info.Size))
		status = http.StatusPartialContent
	}
	if p.number > 0 && info.PartCount > 0 {
		h.Set("x-amz-mp-parts-count", strconv.Itoa(info.PartCount))
	}
	c.w.WriteHeader(status)
	if reader == nil || c.r.Method == http.MethodHead || span.length == 0 {
		return nil
	}
	return c.sendSpan(reader, span)
}

// showSpanChecksum shows a checksum only with the bytes it is of.
func (c *call) showSpanChecksum(info objstore.Info, p part, partial bool) {
	switch {
	case p.number > 0 && info.PartCount > 0:
		showChecksum(c.w.Header(), p.checksum)
		c.w.Header().Set(hdrChecksumType, "COMPOSITE")
		if v, ok := checksumOf(info.Checksum); ok {
			c.w.Header().Set(hdrChecksumType, v.Type.String())
		}
	case !partial:
		showChecksum(c.w.Header(), info.Checksum)
	}
}

// The least that is worth a file to send from, and the most that is asked for at once: a store
// verifies that much before the kernel sends it.
const (
	windowBytesMin = 256 << 10
	windowBytes    = 4 << 20
)

func (c *call) sendSpan(reader objstore.Reader, span span) error {
	rest, err := c.sendFiles(reader, span)
	if err != nil || rest.length == 0 {
		return err
	}
	stream := reader.Stream(c.ctx(), rest.offset, rest.length)
	return errors.Join(c.send(stream, rest.length), stream.Close())
}

// sendFiles has the kernel send what lies in files, unless TLS needs the bytes here, and returns the rest.
func (c *call) sendFiles(reader objstore.Reader, rest span) (span, error) {
	for rest.length >= windowBytesMin && c.r.TLS == nil {
		length := min(rest.length, windowBytes)
		stream := reader.Stream(c.ctx(), rest.offset, length)
		if _, ok := stream.(syscall.Conn); !ok {
			return rest, stream.Close()
		}
		if err := errors.Join(c.w.sendFile(stream, length), stream.Close()); err != nil {
			return rest, err
		}
		rest = span{rest.offset + length, rest.length - length}
	}
	return rest, nil
}

// pieceBytesMax is the largest body that is held back to be sent with its head.
const pieceBytesMax = 64 << 10

func (c *call) send(stream io.Reader, length int64) error {
	conn := connOf(c.ctx())
	if conn == nil || length > pieceBytesMax || c.w.sent > 0 {
		return c.buffers.copy(c.w, stream)
	}
	return conn.inOnePiece(func() error { return errors.Join(c.buffers.copy(c.w, stream), c.w.deadlines.Flush()) })
}

// failRead answers 304 with what a cache needs, or 412.
func (c *call) failRead(header string, info objstore.Info) error {
	if !notModified(header) {
		return failedCondition(header)
	}
	h := c.w.Header()
	showVersion(h, info)
	h.Set("Last-Modified", httpDate(info.Modified))
	setAll(h, map[string]string{"Cache-Control": info.Headers.CacheControl, "Expires": info.Headers.Expires})
	return s3code.NotModified
}

// span is a range of an object's bytes.
type span struct{ offset, length int64 }

func (s span) contentRange(size int64) string {
	return "bytes " + strconv.FormatInt(s.offset, 10) + "-" + strconv.FormatInt(s.offset+s.length-1, 10) + "/" + strconv.FormatInt(size, 10)
}

// spanOf is the range the request asks for: that of a part, that of a Range header if its If-Range
// holds, or all.
func (c *call) spanOf(info objstore.Info, p part) (s span, partial bool, err error) {
	asked := c.r.Header.Get("Range")
	if p.number > 0 {
		if asked != "" {
			return s, false, s3code.InvalidRequest.With("Cannot specify both Range header and partNumber query parameter")
		}
		return p.span, p.span.length > 0, nil
	}
	all := span{0, info.Size}
	if asked == "" || !c.ifRange(info) {
		return all, false, nil
	}
	first, last, ok := parseRange(asked)
	if !ok {
		return all, false, nil
	}
	s, ok = satisfy(first, last, info.Size)
	if !ok {
		c.w.Header().Set("Content-Range", "bytes */"+strconv.FormatInt(info.Size, 10))
		return s, false, s3code.InvalidRange.With("", s3code.Detail{Name: "RangeRequested", Value: asked},
			s3code.Detail{Name: "ActualObjectSize", Value: strconv.FormatInt(info.Size, 10)})
	}
	return s, true, nil
}

// ifRange reports whether the version of If-Range, if there is one, is this one.
func (c *call) ifRange(info objstore.Info) bool {
	value := strings.TrimSpace(c.r.Header.Get("If-Range"))
	if value == "" {
		return true
	}
	if t, ok := parseDate(value); ok {
		return t.Equal(stateOf(info).second())
	}
	tags := parseTags(value)
	return !tags.any && tags.strong(info.ETag)
}

// parseRange reads "bytes=first-last"; last is -1 if open, first is -1 for the last bytes. What is no
// single range of bytes counts as absent.
func parseRange(text string) (first, last int64, ok bool) {
	text, ok = strings.CutPrefix(text, "bytes=")
	if !ok {
		return 0, 0, false
	}
	from, to, ok := strings.Cut(text, "-")
	if !ok || from == "" && to == "" {
		return 0, 0, false
	}
	first, last = -1, -1
	if from != "" {
		if first, ok = position(from); !ok {
			return 0, 0, false
		}
	}
	if to != "" {
		if last, ok = position(to); !ok {
			return 0, 0, false
		}
	}
	return first, last, first < 0 || last < 0 || first <= last
}

// position reads digits; more than an int64 has mean its largest.
func position(s string) (n int64, ok bool) {
	if strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil || errors.Is(err, strconv.ErrRange)
}

// satisfy cuts a range to the size of the object; ok is false if nothing is left.
func satisfy(first, last, size int64) (s span, ok bool) {
	switch {
	case first < 0:
		length := min(last, size)
		return span{size - length, length}, length > 0
	case first >= size:
		return span{}, false
	case last < 0 || last >= size:
		return span{first, size - first}, true
	default:
		return span{first, last - first + 1}, true
	}
}

// part is the part of an object that a request asks for. Number 0 is none.
type part struct {
	number   int
	span     span
	info     objstore.Info
	checksum objstore.Checksum
}

// partAsked finds the part of ?partNumber=. An object that was not assembled from parts is its own part 1.
func (c *call) partAsked() (part, error) {
	if !c.query.Has("partNumber") {
		return part{}, nil
	}
	number, err := partNumber(c.query.Get("partNumber"))
	if err != nil {
		return part{}, err
	}
	info, parts, err := c.partsOf()
	if err != nil {
		return part{}, err
	}
	if len(parts) == 0 && number == 1 {
		return part{number: 1, span: span{0, info.Size}, info: info, checksum: info.Checksum}, nil
	}
	offset := int64(0)
	for _, p := range parts {
		if p.Number == number {
			return part{number, span{offset, p.Size}, info, p.Checksum}, nil
		}
		offset += p.Size
	}
	return part{}, s3code.InvalidPartNumber.With("The requested partnumber is not satisfiable",
		s3code.Detail{Name: "ActualPartCount", Value: strconv.Itoa(max(len(parts), 1))}, s3code.Detail{Name: "PartNumberRequested", Value: strconv.Itoa(number)})
}

// partsOf describes the object and its parts at one moment.
func (c *call) partsOf() (objstore.Info, []objstore.Part, error) {
	if uploads, ok := uploadsOf(c.store); ok {
		return uploads.Parts(c.ctx(), c.key, objstore.Unconditional())
	}
	info, err := c.store.Head(c.ctx(), c.key)
	return info, nil, err
}

func partNumber(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > objstore.PartNumberMax {
		return 0, s3code.InvalidArgument.With("Part number must be an integer between 1 and 10000, inclusive",
			s3code.Detail{Name: "ArgumentName", Value: "partNumber"}, s3code.Detail{Name: "ArgumentValue", Value: text})
	}
	return n, nil
}
