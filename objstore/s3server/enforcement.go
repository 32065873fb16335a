package s3server

import (
	"strconv"
	"strings"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
	"github.com/etagfs/etagfs/objstore/s3server/internal/sigv4"
)

// creates reports whether the operation makes an object, in the sense of s3:ObjectCreationOperation:
// those that only prepare one, all allowed by s3:PutObject too, do not.
func (c *call) creates() bool {
	switch c.op.name {
	case "PutObject", "CopyObject", "CompleteMultipartUpload", "PostObject", "RenameObject":
		return true
	default:
		return false
	}
}

// conditionKeys are what a policy can ask of the conditions. A header that a presigned address does not
// sign could have been added by anyone, so for a policy it is not there.
func (c *call) conditionKeys() map[string]string {
	keys := make(map[string]string, 3)
	for name, key := range map[string]string{hdrIfMatch: "s3:if-match", hdrIfNoneMatch: "s3:if-none-match"} {
		if value := joined(c.r.Header, name); value != "" && c.trusted(name) {
			keys[key] = value
		}
	}
	return keys
}

// trusted reports whether a header is the signer's own.
func (c *call) trusted(name string) bool {
	return c.signed.Source != sigv4.Query || c.signed.Covers(strings.ToLower(name))
}

func (c *call) creationKeys() map[string]string {
	keys := c.conditionKeys()
	keys["s3:ObjectCreationOperation"] = strconv.FormatBool(c.creates())
	return keys
}

// permitCondition asks what conditions need beyond the operation itself: the right to read, for
// who may say If-Match can find out what an object is; and what the bucket requires.
func (c *call) permitCondition() error {
	switch c.op.action {
	case "s3:PutObject":
		if !c.creates() {
			return nil
		}
		if err := c.permitProbe(hdrIfMatch); err != nil {
			return err
		}
		return c.requireCondition()
	case "s3:DeleteObject":
		if tagsOf(c.r.Header, hdrIfMatch).any {
			return c.permitProbe()
		}
		return c.permitProbe(hdrIfMatch)
	}
	return nil
}

// permitProbe asks for the right to read if one of the given headers is there, or one that this server
// has besides, or If-None-Match with ETags.
func (c *call) permitProbe(names ...string) error {
	probes := len(tagsOf(c.r.Header, hdrIfNoneMatch).tags) > 0
	for _, name := range append(names, hdrIfVersionMatch, hdrIfMatchSize, hdrIfMatchModified) {
		probes = probes || joined(c.r.Header, name) != ""
	}
	if !probes {
		return nil
	}
	return c.permitKey("s3:GetObject", accessRead, c.key)
}

// permitKey decides about one key of the bucket of the request.
func (c *call) permitKey(action string, a access, key objstore.Key) error {
	return c.permit(action, a, c.bucket, key, string(key), noKeys)
}

// requireCondition is the bucket option require-conditions, which binds everyone.
func (c *call) requireCondition() error {
	keys := c.conditionKeys()
	_, match := keys["s3:if-match"]
	_, noneMatch := keys["s3:if-none-match"]
	match = match || c.r.Header.Get(hdrIfVersionMatch) != "" && c.trusted(hdrIfVersionMatch)
	ok := true
	switch c.conf.options.RequireConditions {
	case "create":
		ok = noneMatch
	case "cas":
		ok = match
	case "any":
		ok = match || noneMatch
	}
	if !ok {
		return s3code.AccessDenied.With("The bucket requires conditional writes.")
	}
	return nil
}
