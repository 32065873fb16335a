package s3server

import (
	"net/http"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
)

// Conditions say which conditional headers of writes are accepted.
type Conditions uint8

const (
	// ConditionsStrict answers as AWS does: writes take If-Match with an ETag or
	// If-None-Match with "*", and 501 anything else.
	ConditionsStrict Conditions = iota
	// ConditionsExtended also accepts what Ceph, R2 and RFC 9110 do: If-Match with "*",
	// If-None-Match with ETags, both at once, dates, and deletes by size and time.
	ConditionsExtended
)

// The conditions of S3 directory buckets on deletes, which general purpose buckets refuse.
const (
	hdrIfMatchSize     = "x-amz-if-match-size"
	hdrIfMatchModified = "x-amz-if-match-last-modified-time"
)

// writeTest is the condition of a mutation.
type writeTest struct {
	tests
	size     *int64 // deletes, extended
	exactly  date   // deletes, extended: the time of the last change, to the second
	extended bool
}

// refusedValue is the answer to a header that is not taken with this value.
func refusedValue(header string) error {
	return s3code.NotImplemented.With("", s3code.Detail{Name: "Header", Value: header},
		s3code.Detail{Name: "additionalMessage", Value: "We don't accept the provided value of " + header + " header for this API"})
}

// putTest is the condition under which a request makes an object: put, complete, copy.
func putTest(h http.Header, mode Conditions) (writeTest, error) {
	w := writeTest{tests: testsOf(h, ""), extended: mode == ConditionsExtended}
	if w.extended {
		return w, nil
	}
	w.modifiedSince, w.unmodifiedSince = date{}, date{}
	switch {
	case w.match.present() && w.noneMatch.present():
		return w, s3code.NotImplemented.With("", s3code.Detail{Name: "Header", Value: "If-Match,If-None-Match"},
			s3code.Detail{Name: "additionalMessage", Value: "Multiple conditional request headers present in the request"})
	case w.match.any:
		return w, refusedValue(hdrIfMatch)
	case w.noneMatch.present() && !w.noneMatch.any:
		return w, refusedValue(hdrIfNoneMatch)
	}
	return w, nil
}

// isPresent reports whether there is any condition.
func (w writeTest) isPresent() bool {
	return w.tests.isPresent() || w.size != nil || w.exactly.present
}

// demandsObject reports whether the condition cannot hold where there is no object.
func (w writeTest) demandsObject() bool { return w.match.present() || w.version != "" }

// decide evaluates the condition on the current state. It returns the condition the store shall
// evaluate again when it commits: that nothing relevant has changed since.
func (w writeTest) decide(key objstore.Key, s state, now time.Time) (objstore.Cond, error) {
	if !s.exists {
		return w.decideAbsent(key)
	}
	if header := w.failingWrite(s, now); header != "" {
		return objstore.Cond{}, failedCondition(header)
	}
	switch {
	case !w.isPresent():
		return objstore.Unconditional(), nil
	case (w.match.any || w.version == anyVersion) && w.onlyAny():
		return objstore.IfPresent(), nil
	default:
		return objstore.IfVersion(s.version), nil
	}
}

func (w writeTest) decideAbsent(key objstore.Key) (objstore.Cond, error) {
	switch {
	case w.demandsObject():
		return objstore.Cond{}, noSuchKey(key)
	case w.isPresent():
		return objstore.IfAbsent(), nil
	default:
		return objstore.Unconditional(), nil
	}
}

// onlyAny reports whether nothing is asked of an object but that there is one.
func (w writeTest) onlyAny() bool {
	rest := w.tests
	if rest.match.any {
		rest.match = tagList{}
	}
	if rest.version == anyVersion {
		rest.version = ""
	}
	return !rest.isPresent() && w.size == nil && !w.exactly.present
}

func (w writeTest) failingWrite(s state, now time.Time) string {
	switch {
	case w.exactly.present && !w.exactly.Equal(s.second()):
		return hdrIfMatchModified
	case w.size != nil && *w.size != s.size:
		return hdrIfMatchSize
	}
	return w.failing(s, now)
}

func failedCondition(header string) error {
	return s3code.PreconditionFailed.With("", s3code.Detail{Name: "Condition", Value: header})
}

func noSuchKey(key objstore.Key) error {
	return s3code.NoSuchKey.With("", s3code.Detail{Name: "Key", Value: string(key)})
}

// inFlight is the answer when the condition holds again but did not at the commit, or when the
// store saw another mutation in the way.
func (w writeTest) inFlight(key objstore.Key) error {
	details := []s3code.Detail{{Name: "Key", Value: string(key)}}
	if header := w.firstHeader(); header != "" {
		details = append([]s3code.Detail{{Name: "Condition", Value: header}}, details...)
	}
	return s3code.ConditionalRequestConflict.With("", details...)
}

func (w writeTest) firstHeader() string {
	switch {
	case w.match.present():
		return w.prefix + hdrIfMatch
	case w.noneMatch.present():
		return w.prefix + hdrIfNoneMatch
	case w.unmodifiedSince.present:
		return w.prefix + hdrIfUnmodifiedSince
	case w.modifiedSince.present:
		return w.prefix + hdrIfModifiedSince
	case w.version != "":
		return versionHeader(w.prefix)
	}
	return ""
}

// asGiven is the condition without a look at the current state, where the request says all there is
// to say: a version, an ETag that names one, or only whether there is an object.
func (w writeTest) asGiven() (objstore.Cond, bool) {
	switch {
	case w.size != nil, w.exactly.present, w.modifiedSince.present, w.unmodifiedSince.present:
		return objstore.Cond{}, false
	case w.version == anyVersion && w.none():
		return objstore.IfPresent(), true
	case w.version != "" && w.none():
		return objstore.IfVersion(w.version), true
	case w.version != "" || w.match.present() && w.noneMatch.present():
		return objstore.Cond{}, false
	case w.noneMatch.any:
		return objstore.IfAbsent(), true
	case w.match.any:
		return objstore.IfPresent(), true
	case len(w.match.tags) == 1 && !w.match.tags[0].weak:
		_, version, ok := w.match.tags[0].value.Split()
		return objstore.IfVersion(version), ok
	}
	return objstore.Cond{}, false
}

// repeatable reports whether the condition goes to the store as it was given, because the store may know
// the request already.
func (w writeTest) repeatable(writeID string) bool {
	_, ok := w.asGiven()
	return ok && writeID != ""
}

// lost is the answer to a condition that the store found lost.
func (w writeTest) lost(key objstore.Key, kind objstore.Kind) error {
	if kind == objstore.ErrNotFound {
		return noSuchKey(key)
	}
	return failedCondition(w.firstHeader())
}
