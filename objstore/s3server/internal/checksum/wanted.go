package checksum

import (
	"net/http"
	"strings"

	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
)

// Wanted is what the headers of an upload say of its checksums.
type Wanted struct {
	MD5       string    // digest of Content-MD5; empty if not given
	Value     *Value    // to verify; nil if not given
	Trailer   Algorithm // of the value that comes in the trailer; 0 for none
	Algorithm Algorithm // to compute and keep: the one given, else CRC64NVME
}

// FromHeader reads Content-MD5, x-amz-checksum-*, x-amz-sdk-checksum-algorithm
// and x-amz-trailer: InvalidDigest, InvalidRequest.
func FromHeader(h http.Header) (Wanted, error) {
	w := Wanted{Algorithm: CRC64NVME}
	var err error
	if text := h.Get("Content-Md5"); text != "" || len(h.Values("Content-Md5")) > 0 {
		if w.MD5, err = ParseMD5(text); err != nil {
			return Wanted{}, err
		}
	}
	if w.Value, err = headerValue(h); err != nil {
		return Wanted{}, err
	}
	if w.Trailer, err = trailerAlgorithm(h); err != nil {
		return Wanted{}, err
	}
	switch {
	case w.Value != nil && w.Trailer != 0:
		return Wanted{}, severalValues()
	case w.Value != nil:
		w.Algorithm = w.Value.Algorithm
	case w.Trailer != 0:
		w.Algorithm = w.Trailer
	}
	return w, w.checkAnnounced(h)
}

func severalValues() error {
	return s3code.InvalidRequest.With("Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
}

// headerValue finds the one x-amz-checksum- header that has a value.
func headerValue(h http.Header) (*Value, error) {
	names := valueHeaders(h)
	if len(names) == 0 {
		return nil, nil
	}
	for _, name := range names {
		if _, ok := OfHeader(name); !ok {
			return nil, s3code.InvalidRequest.With("The algorithm type you specified in x-amz-checksum- header is invalid.")
		}
	}
	if len(names) > 1 || len(h[names[0]]) != 1 {
		return nil, severalValues()
	}
	a, _ := OfHeader(names[0])
	v, err := ParseValue(a, h[names[0]][0])
	if err != nil {
		return nil, err
	}
	if v.Type == Composite {
		return nil, s3code.InvalidRequest.With("Value for " + a.Header() + " header is invalid.")
	}
	return &v, nil
}

// valueHeaders are the names of the headers that look like having a value.
func valueHeaders(h http.Header) (names []string) {
	for name := range h {
		kind, ok := strings.CutPrefix(name, "X-Amz-Checksum-")
		if ok && kind != "Type" && kind != "Algorithm" && kind != "Mode" {
			names = append(names, name)
		}
	}
	return names
}

// trailerAlgorithm understands x-amz-trailer. Only a body of a mode with a trailer can have one.
func trailerAlgorithm(h http.Header) (Algorithm, error) {
	text := strings.TrimSpace(h.Get("X-Amz-Trailer"))
	if text == "" {
		return 0, nil
	}
	a, ok := OfHeader(text)
	if !ok || !strings.HasSuffix(h.Get("X-Amz-Content-Sha256"), "-TRAILER") {
		return 0, s3code.InvalidRequest.With("The value specified in the x-amz-trailer header is not supported")
	}
	return a, nil
}

// checkAnnounced holds x-amz-sdk-checksum-algorithm against what was given.
func (w Wanted) checkAnnounced(h http.Header) error {
	text := h.Get("X-Amz-Sdk-Checksum-Algorithm")
	if text == "" {
		return nil
	}
	a, ok := Parse(text)
	switch {
	case !ok || (w.Value != nil || w.Trailer != 0) && a != w.Algorithm:
		return s3code.InvalidRequest.With("Value for x-amz-sdk-checksum-algorithm header is invalid.")
	case w.Value == nil && w.Trailer == 0:
		return s3code.InvalidRequest.With("x-amz-sdk-checksum-algorithm specified, but no corresponding " +
			"x-amz-checksum-* or x-amz-trailer headers were found.")
	}
	return nil
}
