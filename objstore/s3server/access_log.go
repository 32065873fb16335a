package s3server

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/etagfs/etagfs/objstore/s3server/internal/s3code"
)

// statusGone is what the log says of a client that left before its answer.
const statusGone = 499

// finish writes the one record of a request and counts it. The query is left out: it may hold a signature.
func (c *call) finish() {
	now := c.now()
	took := now.Sub(c.started)
	status := c.w.status
	if status == 0 {
		status = http.StatusOK
	}
	if c.err != nil && c.r.Context().Err() != nil {
		status = statusGone
	}
	c.metrics.observe(c.op.name, status, took, c.w.received, c.w.sent)
	level := slog.LevelInfo
	if status >= http.StatusInternalServerError && c.code != s3code.NotImplemented {
		level = slog.LevelError
	}
	log := c.opt.Logger.Handler()
	if !log.Enabled(context.Background(), level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("id", c.id), slog.String("remote", c.remote()), slog.String("user", c.userName()),
		slog.String("method", c.r.Method), slog.String("operation", c.op.name),
		slog.String("bucket", c.bucket), slog.String("key", string(c.key)),
		slog.Int("status", status), slog.Int64("received", c.w.received), slog.Int64("sent", c.w.sent), slog.Int64("took_us", took.Microseconds()),
	}
	if c.err != nil {
		attrs = append(attrs, slog.String("code", c.code.String()), slog.String("error", c.err.Error()))
	}
	record := slog.NewRecord(now, level, "request", 0) // which Logger would look up the caller for
	record.AddAttrs(attrs...)
	_ = log.Handle(context.Background(), record) // as Logger has it
}
