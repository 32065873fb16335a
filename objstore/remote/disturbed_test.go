package remote_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
)

var errBroken = errors.New("the connection broke")

// disturbed is a connection that breaks again and again: before a request was sent, in the middle of its body, after it
// was answered and before the answer came, and in the middle of that.
type disturbed struct {
	http.RoundTripper

	mu sync.Mutex
	// Guarded by mu.
	count  int
	faults map[string]int
}

const period = 7 // every so many requests are disturbed

func (d *disturbed) next() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count++
	if d.count%period != 0 {
		return 0
	}
	return 1 + d.count/period%4
}

func (d *disturbed) note(fault string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults[fault]++
}

func (d *disturbed) RoundTrip(r *http.Request) (*http.Response, error) {
	fault := d.next()
	if r.ContentLength < 0 && fault > 0 && fault < 3 {
		fault = 3 // the body may be one that cannot be read again
	}
	switch fault {
	case 1:
		d.note("before")
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, errBroken
	case 2:
		d.note("torn request")
		cut := r.Clone(r.Context())
		cut.Body, cut.GetBody = &torn{r.Body, 10}, nil
		response, err := d.RoundTripper.RoundTrip(cut)
		if err == nil {
			response.Body.Close()
		}
		return nil, errBroken
	case 3:
		d.note("lost reply")
		response, err := d.RoundTripper.RoundTrip(r)
		if err == nil {
			response.Body.Close()
		}
		return nil, errBroken
	case 4:
		d.note("torn reply")
		response, err := d.RoundTripper.RoundTrip(r)
		if err == nil {
			response.Body = &torn{response.Body, 20}
		}
		return response, err
	default:
		return d.RoundTripper.RoundTrip(r)
	}
}

// torn ends early, as if the connection had broken.
type torn struct {
	io.ReadCloser
	left int
}

func (t *torn) Read(p []byte) (int, error) {
	if t.left <= 0 {
		return 0, errBroken
	}
	n, err := t.ReadCloser.Read(p[:min(len(p), t.left)])
	t.left -= n
	return n, err
}

// Every promise holds over connections that break, at each of four moments: a change happens once, and its outcome is
// the true one.
func TestConformanceOverBrokenConnections(t *testing.T) {
	seen := make(map[string]int)
	disturb := func(base http.RoundTripper) http.RoundTripper {
		return &disturbed{RoundTripper: base, faults: seen}
	}
	conformance(t, over(memory, disturb))
	for _, fault := range []string{"before", "torn request", "lost reply", "torn reply"} {
		if seen[fault] == 0 && !testing.Short() && !strings.Contains(t.Name(), "/") {
			t.Errorf("no %s happened", fault)
		}
	}
}
