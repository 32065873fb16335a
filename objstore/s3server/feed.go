package s3server

import (
	"encoding/json"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/etagfs/etagfs/objstore"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
	"github.com/etagfs/etagfs/objstore/s3server/internal/s3xml"
)

// A listener who reads too slowly loses its stream, not the store its memory.
const eventsWaitingMax = 4096

// keepAlivePeriod is how often a stream without events says that it lives.
const keepAlivePeriod = 10 * time.Second

// listen streams what happens to the objects of a bucket, a JSON object per line, until the client goes.
func (c *call) listen() error {
	feed, ok := c.store.(objstore.Feed)
	if !ok || !c.store.Capabilities().Feed {
		return s3code.NotImplemented.With("")
	}
	wanted, err := eventsAsked(c.query["events"])
	if err != nil {
		return err
	}
	prefix, suffix := c.query.Get("prefix"), c.query.Get("suffix")
	if err := c.permit("s3:ListBucket", accessRead, c.bucket, "", prefix, c.listingKeys); err != nil {
		return err
	}
	keepAlive := keepAlivePeriod
	if seconds, err := strconv.Atoi(c.query.Get("ping")); err == nil && seconds > 0 && seconds <= 3600 {
		keepAlive = time.Duration(seconds) * time.Second
	}
	q := &eventQueue{more: make(chan struct{}, 1)}
	stop := feed.WatchObjects(func(e objstore.Event) {
		name := eventName(e.Kind)
		if name != "" && strings.HasPrefix(string(e.Key), prefix) && strings.HasSuffix(string(e.Key), suffix) && matchesEvent(wanted, name) {
			q.add(e)
		}
	})
	defer stop()
	c.w.Header().Set("Content-Type", "text/event-stream")
	c.w.WriteHeader(http.StatusOK)
	return c.stream(q, keepAlive)
}

// eventsAsked reads names like "s3:ObjectCreated:*".
func eventsAsked(names []string) ([]string, error) {
	for _, name := range names {
		if !isEvent(name) {
			return nil, s3code.InvalidArgument.With("A specified event is not supported for notifications.",
				s3code.Detail{Name: "ArgumentName", Value: "events"}, s3code.Detail{Name: "ArgumentValue", Value: name})
		}
		if _, err := path.Match(name, ""); err != nil {
			return nil, s3code.InvalidArgument.With("A specified event is not supported for notifications.")
		}
	}
	return names, nil
}

// isEvent reports whether S3, or MinIO, has events of a name, or may have of a pattern: who waits for others would wait for ever.
func isEvent(name string) bool {
	name, ok := strings.CutPrefix(name, "s3:")
	family, _, _ := strings.Cut(name, ":")
	switch family {
	case "ObjectCreated", "ObjectRemoved", "ObjectAccessed", "ObjectRestore", "ObjectTagging", "ObjectAcl", "ObjectTransition", "ReducedRedundancyLostObject",
		"Replication", "LifecycleExpiration", "LifecycleTransition", "IntelligentTiering", "BucketCreated", "BucketRemoved", "Scanner":
		return ok
	}
	return ok && strings.ContainsAny(family, "*?[")
}

func matchesEvent(wanted []string, name string) bool {
	for _, pattern := range wanted {
		if ok, _ := path.Match(pattern, name); ok { // checked when it was asked
			return true
		}
	}
	return false
}

// eventName is the event in the words of S3. A rename has none there: it is the creation of one key and the
// removal of another.
func eventName(k objstore.EventKind) string {
	switch k {
	case objstore.EventPut:
		return "s3:ObjectCreated:Put"
	case objstore.EventCopy:
		return "s3:ObjectCreated:Copy"
	case objstore.EventComplete:
		return "s3:ObjectCreated:CompleteMultipartUpload"
	case objstore.EventRenamedTo:
		return "s3:ObjectCreated:Rename"
	case objstore.EventDelete:
		return "s3:ObjectRemoved:Delete"
	case objstore.EventRenamedFrom:
		return "s3:ObjectRemoved:Rename"
	default:
		return ""
	}
}

// eventQueue is between the store, which must not wait, and a client, who may.
type eventQueue struct {
	more chan struct{}

	mu sync.Mutex
	// Guarded by mu.
	events []objstore.Event
	lost   bool
}

func (q *eventQueue) add(e objstore.Event) {
	q.mu.Lock()
	if len(q.events) < eventsWaitingMax {
		q.events = append(q.events, e)
	} else {
		q.lost = true
	}
	q.mu.Unlock()
	select {
	case q.more <- struct{}{}:
	default:
	}
}

func (q *eventQueue) take() (events []objstore.Event, lost bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	events, q.events = q.events, nil
	return events, q.lost
}

// stream writes events as they come. A client that fell behind is cut off, so that it knows.
func (c *call) stream(q *eventQueue, keepAlive time.Duration) error {
	tick := time.NewTicker(keepAlive)
	defer tick.Stop()
	for {
		if err := c.w.deadlines.Flush(); err != nil {
			return err
		}
		select {
		case <-q.more:
			events, lost := q.take()
			for _, e := range events {
				if err := c.writeEvent(e); err != nil {
					return err
				}
			}
			if lost {
				return s3code.SlowDown.With("")
			}
		case <-tick.C:
			if _, err := c.w.Write([]byte(" ")); err != nil {
				return err
			}
		case <-c.closing.Done():
			return nil
		case <-c.ctx().Done():
			return nil
		}
	}
}

// eventLine is the form that clients of this stream know.
type eventLine struct {
	EventName string        `json:"EventName"`
	Key       string        `json:"Key"`
	Records   []eventRecord `json:"Records"`
}

type eventRecord struct {
	EventVersion string `json:"eventVersion"`
	EventSource  string `json:"eventSource"`
	AwsRegion    string `json:"awsRegion"`
	EventTime    string `json:"eventTime"`
	EventName    string `json:"eventName"`
	S3           struct {
		SchemaVersion string `json:"s3SchemaVersion"`
		Bucket        struct {
			Name string `json:"name"`
			ARN  string `json:"arn"`
		} `json:"bucket"`
		Object eventObject `json:"object"`
	} `json:"s3"`
}

type eventObject struct {
	Key       string `json:"key"`
	Size      int64  `json:"size"`
	ETag      string `json:"eTag,omitempty"`
	VersionID string `json:"etagfsVersion,omitempty"`
	Other     string `json:"etagfsOtherKey,omitempty"`
	Sequencer string `json:"sequencer"`
}

func (c *call) writeEvent(e objstore.Event) error {
	r := eventRecord{EventVersion: "2.0", EventSource: "etagfs:s3", AwsRegion: c.region(), EventTime: xmlDate(e.Time), EventName: eventName(e.Kind)}
	r.S3.SchemaVersion = "1.0"
	r.S3.Bucket.Name, r.S3.Bucket.ARN = c.bucket, "arn:aws:s3:::"+c.bucket
	r.S3.Object = eventObject{
		Key: s3xml.URLEncode(string(e.Key)), Size: e.Size, ETag: string(e.ETag), VersionID: string(e.Version),
		Other: s3xml.URLEncode(string(e.Other)), Sequencer: sequencer(e.Version),
	}
	line, err := json.Marshal(eventLine{EventName: r.EventName, Key: c.bucket + "/" + string(e.Key), Records: []eventRecord{r}})
	if err != nil {
		return err
	}
	_, err = c.w.Write(append(line, '\n'))
	return err
}

// sequencer is the version in a form whose order as text is that of the commits.
func sequencer(v objstore.Version) string {
	return strings.Repeat("0", max(0, 16-len(v))) + strings.ToUpper(string(v))
}
