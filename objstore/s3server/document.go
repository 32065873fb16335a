package s3server

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3xml"
)

// readBody reads a small body whole and compares it with its checksums.
func (c *call) readBody(body *payload, bytesMax int64) ([]byte, error) {
	if body.length > bytesMax {
		return nil, s3code.MaxMessageLengthExceeded.With("")
	}
	text, err := io.ReadAll(body)
	if err == nil {
		_, err = body.finish()
	}
	if err != nil {
		return nil, body.refusal(err)
	}
	return text, nil
}

// readChecked reads a body that changes much at once, which must come with a checksum.
func (c *call) readChecked(bytesMax int64) ([]byte, error) {
	body, err := c.newPayload(false)
	if err != nil {
		return nil, err
	}
	if w := body.wanted; w.MD5 == "" && w.Value == nil && w.Trailer == 0 {
		return nil, s3code.InvalidRequest.With("Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
	}
	return c.readBody(body, bytesMax)
}

// readDocument is readChecked for XML.
func readDocument[T s3xml.Request](c *call, bytesMax int64) (*T, error) {
	text, err := c.readChecked(bytesMax)
	if err != nil {
		return nil, err
	}
	return decodeDocument[T](text)
}

func decodeDocument[T s3xml.Request](text []byte) (*T, error) {
	return s3xml.Decode[T](bytes.NewReader(text), int64(len(text))+1)
}

// decodeJSON reads the one value that r has, which must have no members that v lacks.
func decodeJSON(r io.Reader, v any) error {
	decoder := json.NewDecoder(r)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(v); err != nil {
		return err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return errors.New("there is something behind the JSON")
	}
	return nil
}
