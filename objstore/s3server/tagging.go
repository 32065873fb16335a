package s3server

import (
	"maps"
	"net/http"
	"slices"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3xml"
)

func (c *call) getTagging() error {
	info, err := c.store.Head(c.ctx(), c.key)
	if err != nil {
		return c.hideMissing(err)
	}
	result := &s3xml.Tagging{}
	for _, key := range slices.Sorted(maps.Keys(info.Tags)) {
		result.TagSet = append(result.TagSet, s3xml.Tag{Key: key, Value: info.Tags[key]})
	}
	return c.answer(http.StatusOK, result)
}

func (c *call) putTagging() error {
	request, err := readDocument[s3xml.Tagging](c, documentBytesMax)
	if err != nil {
		return err
	}
	tags, err := tagsOfDocument(request)
	if err != nil {
		return err
	}
	return c.setTags(tags, http.StatusOK)
}

func tagsOfDocument(document *s3xml.Tagging) (map[string]string, error) {
	tags := make(map[string]string, len(document.TagSet))
	for _, t := range document.TagSet {
		if _, twice := tags[t.Key]; twice {
			return nil, s3code.InvalidTag.With("Cannot provide multiple Tags with the same key")
		}
		tags[t.Key] = t.Value
	}
	return tags, checkTags(tags)
}

func (c *call) deleteTagging() error { return c.setTags(nil, http.StatusNoContent) }

func (c *call) setTags(tags map[string]string, status int) error {
	tagger, ok := c.store.(objstore.Tagger)
	if !ok || !c.store.Capabilities().Tags {
		return s3code.NotImplemented.With("")
	}
	if _, err := tagger.SetTags(c.ctx(), c.key, tags, objstore.Durable); err != nil {
		return c.hideMissing(err)
	}
	return c.done(status)
}
