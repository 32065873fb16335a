package extent

import "github.com/etagfs/etagfs/objstore"

// FromPage is the content whose root is a page: up to the end of its last extent, or as far as a root of that level must go. The
// digest of its block, if it is a leaf, is not known.
func FromPage(id PageID, pages Pages) (c Content, allocated int64, err error) {
	page, err := pages.Page(id)
	if err != nil {
		return c, 0, err
	}
	c = Content{Size: min(spanBytes(page.Level), objstore.ObjectBytesMax), Root: Slot{Page: id}}
	end := int64(1)
	if page.Level > 0 {
		end += spanBytes(page.Level - 1)
	}
	err = c.Extents(pages, 0, c.Size, func(x Extent) error {
		if x.Source.Kind != Hole {
			allocated += x.Len
			end = max(end, x.End())
		}
		return nil
	})
	c.Size = end
	return c, allocated, err
}
