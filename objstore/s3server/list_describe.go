package s3server

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3xml"
)

// describe adds to what is listed the headers with which a HEAD of each would be answered. What the caller may not read goes without, and
// what cannot be read: a HEAD says why.
func (c *call) describe(page objstore.ListPage, objects []s3xml.Object, prefixes []s3xml.CommonPrefix) {
	for _, e := range page.Entries {
		description := c.description(e)
		if e.Prefix {
			prefixes[0].Description, prefixes = description, prefixes[1:]
		} else {
			objects[0].Description, objects = description, objects[1:]
		}
	}
}

// description is that of the object of a key; empty if there is none, as there may be of a common prefix, nil if it is not told.
func (c *call) description(e objstore.ListEntry) *string {
	if c.permit("s3:GetObject", accessRead, c.bucket, e.Key, string(e.Key), noKeys) != nil {
		return nil
	}
	if e.Prefix {
		info, err := c.store.Head(c.ctx(), e.Key)
		if objstore.KindOf(err) == objstore.ErrNotFound {
			return new(string)
		}
		if err != nil {
			return nil
		}
		e.Info = info
	}
	text := headersText(e.Info)
	return &text
}

// headersText is the headers of an object as a query has names and values. Values are as a header can have them.
func headersText(info objstore.Info) string {
	h := make(http.Header)
	showObject(h, info)
	h.Del("Accept-Ranges")
	h.Set("Content-Length", strconv.FormatInt(info.Size, 10))
	inLine := strings.NewReplacer("\n", " ", "\r", " ")
	for _, values := range h {
		values[0] = strings.Trim(inLine.Replace(values[0]), " \t")
	}
	return url.Values(h).Encode()
}
