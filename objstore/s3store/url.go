package s3store

import (
	"net/url"
	"strings"

	"github.com/etagfs/etagfs/objstore"
)

// noKeys says where to put them instead.
const noKeys = "keys do not belong into a URL, where others see them: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"

// ParseURL understands s3://bucket/prefix?endpoint=URL&region=NAME&anonymous=true and
// http(s)://host:port/bucket/prefix?region=NAME. Its errors repeat nothing that may be a key.
func ParseURL(text string) (Options, error) {
	place := "" // which is not repeated before it is known to hold no keys
	refuse := func(why string) (Options, error) {
		return Options{}, &objstore.Error{Op: "open store", Key: place, Kind: objstore.ErrInvalid, Detail: why}
	}
	u, err := url.Parse(text)
	switch {
	case err != nil && strings.Contains(text, "@"): // a key with a slash in it, for one
		return refuse(noKeys)
	case err != nil:
		return refuse("it is no URL")
	}
	place = (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
	if u.User != nil {
		return refuse(noKeys)
	}
	if u.Fragment != "" {
		return refuse("# does not belong into it; write %23")
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
				return "endpoint= is no URL of a server; write endpoint=http://host:port"
			}
			if endpoint.User != nil || endpoint.RawQuery != "" || endpoint.Fragment != "" {
				return "endpoint= is more than the address of a server: " + noKeys
			}
			o.Endpoint = value
		default:
			return "?" + name + "= means nothing here; there are endpoint=URL (of s3://), region=NAME and anonymous=true"
		}
	}
	return ""
}
