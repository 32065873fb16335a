package s3store

import (
	"net/url"
	"strings"

	"github.com/etagfs/etagfs/objstore"
)

// ParseURL understands s3://bucket/prefix?endpoint=URL&region=NAME&anonymous=true and
// http(s)://host:port/bucket/prefix?region=NAME.
func ParseURL(text string) (Options, error) {
	refuse := func(why string) (Options, error) {
		return Options{}, &objstore.Error{Op: "open store", Key: text, Kind: objstore.ErrInvalid, Detail: why}
	}
	u, err := url.Parse(text)
	if err != nil {
		return refuse("it is no URL")
	}
	if u.User != nil {
		text = u.Redacted()
		return refuse("keys do not belong into a URL, where others see them: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
	}
	var opt Options
	switch u.Scheme {
	case "s3":
		opt.Bucket, opt.Prefix = u.Host, strings.Trim(u.Path, "/")
	case "http", "https":
		opt.Bucket, opt.Prefix, _ = strings.Cut(strings.Trim(u.Path, "/"), "/")
		opt.Endpoint = u.Scheme + "://" + u.Host
	default:
		return refuse("it is neither s3://bucket/prefix nor http://host:port/bucket")
	}
	if opt.Bucket == "" || u.Host == "" {
		return refuse("it names no bucket; write s3://bucket/prefix or http://host:port/bucket")
	}
	if why := opt.take(u.Scheme, u.Query()); why != "" {
		return refuse(why)
	}
	return opt, nil
}

// take reads the query of a URL, and says what is wrong with it.
func (o *Options) take(scheme string, query url.Values) (why string) {
	for name, values := range query {
		value := values[len(values)-1]
		switch {
		case name == "region":
			o.Region = value
		case name == "anonymous" && (value == "true" || value == "false"):
			o.Anonymous = value == "true"
		case name == "endpoint" && scheme == "s3":
			endpoint, err := url.Parse(value)
			if err != nil || endpoint.Host == "" || endpoint.Scheme != "http" && endpoint.Scheme != "https" {
				return "endpoint=" + value + " is no URL of a server; write endpoint=http://host:port"
			}
			o.Endpoint = value
		default:
			return "?" + name + "=" + value + " means nothing here; there are endpoint=URL (of s3://), region=NAME and anonymous=true"
		}
	}
	return ""
}
