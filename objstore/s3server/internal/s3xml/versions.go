package s3xml

// ListVersionsResult is a page of the versions of objects. There is one of each, and it is the latest.
// Keys and prefixes are encoded by the caller.
type ListVersionsResult struct {
	Name                string
	Prefix              string
	KeyMarker           string
	VersionIDMarker     string
	NextKeyMarker       string
	NextVersionIDMarker string
	MaxKeys             int
	Delimiter           string
	EncodingType        string
	IsTruncated         bool
	Versions            []Object
	VersionID           string // of each
	CommonPrefixes      []CommonPrefix
}

func (r *ListVersionsResult) write(w *writer) {
	w.within("ListVersionsResult", func() {
		w.text("Name", r.Name)
		w.text("Prefix", r.Prefix)
		w.text("KeyMarker", r.KeyMarker)
		w.text("VersionIdMarker", r.VersionIDMarker)
		w.given("NextKeyMarker", r.NextKeyMarker)
		w.given("NextVersionIdMarker", r.NextVersionIDMarker)
		w.number("MaxKeys", int64(r.MaxKeys))
		w.given("Delimiter", r.Delimiter)
		w.given("EncodingType", r.EncodingType)
		w.truth("IsTruncated", r.IsTruncated)
		for i := range r.Versions {
			w.open("Version")
			w.object(&r.Versions[i])
			w.text("VersionId", r.VersionID)
			w.truth("IsLatest", true)
			w.close("Version")
		}
		w.prefixes(r.CommonPrefixes)
	})
}
