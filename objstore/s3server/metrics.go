package s3server

import (
	"errors"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics count requests; nil counts nothing.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	received prometheus.Counter
	sent     prometheus.Counter
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	if r == nil {
		return nil, nil
	}
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "etagfs_s3_requests_total", Help: "Requests answered, by operation and status."}, []string{"operation", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "etagfs_s3_request_seconds", Help: "Time from the head of a request to the end of its answer.", Buckets: prometheus.ExponentialBuckets(0.0005, 4, 9),
		}, []string{"operation"}),
		received: prometheus.NewCounter(prometheus.CounterOpts{Name: "etagfs_s3_received_bytes_total", Help: "Bytes of the bodies of requests."}),
		sent:     prometheus.NewCounter(prometheus.CounterOpts{Name: "etagfs_s3_sent_bytes_total", Help: "Bytes of the bodies of answers."}),
	}
	return m, errors.Join(r.Register(m.requests), r.Register(m.seconds), r.Register(m.received), r.Register(m.sent))
}

func (m *metrics) observe(operation string, status int, took time.Duration, received, sent int64) {
	if m == nil {
		return
	}
	if operation == "" {
		operation = "none"
	}
	m.requests.WithLabelValues(operation, strconv.Itoa(status)).Inc()
	m.seconds.WithLabelValues(operation).Observe(took.Seconds())
	m.received.Add(float64(received))
	m.sent.Add(float64(sent))
}
