package s3server

import (
	"net/http"
	"strings"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3xml"
)

// getAttributes answers with those attributes that x-amz-object-attributes names.
func (c *call) getAttributes() error {
	asked, err := c.attributesAsked()
	if err != nil {
		return err
	}
	info, parts, err := c.partsOf()
	if err != nil {
		return c.hideMissing(err)
	}
	if header := readTests(c.r.Header).failing(stateOf(info), c.now()); header != "" {
		return c.failRead(header, info)
	}
	result := &s3xml.GetObjectAttributesOutput{}
	if asked["ETag"] {
		result.ETag = string(info.ETag)
	}
	if asked["Checksum"] {
		result.Checksum = shownChecksum(info.Checksum)
		result.Checksum.Text, _, _ = strings.Cut(result.Checksum.Text, "-") // of how many parts is said below
	}
	if asked["StorageClass"] {
		result.StorageClass = "STANDARD"
	}
	if asked["ObjectSize"] {
		result.ObjectSize = &info.Size
	}
	if asked["ObjectParts"] && len(parts) > 0 {
		if result.ObjectParts, err = c.objectParts(parts); err != nil {
			return err
		}
	}
	c.w.Header().Set("Last-Modified", httpDate(info.Modified))
	c.w.Header().Set(hdrVersion, string(info.Version))
	return c.answer(http.StatusOK, result)
}

func (c *call) attributesAsked() (map[string]bool, error) {
	asked := make(map[string]bool)
	for name := range strings.SplitSeq(joined(c.r.Header, "x-amz-object-attributes"), ",") {
		switch name = strings.TrimSpace(name); name {
		case "":
		case "ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize":
			asked[name] = true
		default:
			return nil, s3code.InvalidArgument.With("Invalid attribute name specified.",
				s3code.Detail{Name: "ArgumentName", Value: "x-amz-object-attributes"}, s3code.Detail{Name: "ArgumentValue", Value: name})
		}
	}
	if len(asked) == 0 {
		return nil, s3code.InvalidRequest.With("The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty")
	}
	return asked, nil
}

// objectParts is one page of the parts.
func (c *call) objectParts(parts []objstore.Part) (*s3xml.ObjectParts, error) {
	count, err := countAsked(c.r.Header.Get("x-amz-max-parts"), "max-parts")
	if err != nil {
		return nil, err
	}
	after, err := markerAsked(c.r.Header.Get("x-amz-part-number-marker"))
	if err != nil {
		return nil, err
	}
	page := &s3xml.ObjectParts{TotalPartsCount: len(parts), MaxParts: count, PartNumberMarker: after}
	for _, p := range parts {
		switch {
		case p.Number <= after:
		case len(page.Parts) == count:
			page.IsTruncated = true
			return page, nil
		default:
			page.Parts = append(page.Parts, s3xml.Part{PartNumber: p.Number, Size: p.Size, Checksum: shownChecksum(p.Checksum)})
			page.NextPartNumberMarker = p.Number
		}
	}
	return page, nil
}
