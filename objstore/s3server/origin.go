package s3server

import (
	"maps"
	"net/http"

	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
)

// preflight answers a browser that asks whether it may ask. It has no signature.
func (c *call) preflight() error {
	origin, method := c.r.Header.Get("Origin"), c.r.Header.Get("Access-Control-Request-Method")
	if origin == "" {
		return s3code.BadRequest.With("Insufficient information. Origin request header needed.")
	}
	if method == "" {
		return s3code.BadRequest.With("Invalid Access-Control-Request-Method: null")
	}
	if c.bucket == "" {
		return s3code.AccessForbidden.With("")
	}
	conf, err := c.settingsOf(c.bucket)
	if err != nil {
		return err
	}
	if conf.cors == nil {
		return s3code.AccessForbidden.With("CORSResponse: CORS is not enabled for this bucket.")
	}
	headers, err := conf.cors.Preflight(origin, method, joined(c.r.Header, "Access-Control-Request-Headers"))
	if err != nil {
		return err
	}
	maps.Copy(c.w.Header(), headers)
	return c.done(http.StatusOK)
}

// allowOrigin tells a browser whether its page may see the answer, also if that is a refusal. A request
// that asks what a preflight asks is told what a preflight is told, as S3 does.
func (c *call) allowOrigin() {
	origin, asked := c.r.Header.Get("Origin"), c.r.Header.Get("Access-Control-Request-Method")
	if origin == "" || c.conf.cors == nil {
		return
	}
	headers := c.conf.cors.Actual(origin, c.r.Method)
	if asked != "" {
		headers, _ = c.conf.cors.Preflight(origin, asked, joined(c.r.Header, "Access-Control-Request-Headers")) // no rule, no headers
	}
	maps.Copy(c.w.Header(), headers)
}
