package remote

import (
	"errors"
	"net/http"
	"sync/atomic"
	"time"
)

// clockAhead is by how much the server's clock is before ours, as far as that matters for signing. The zero value is ready.
type clockAhead struct{ nanoseconds atomic.Int64 }

// signingTime is the time for a signature: the server takes only those of its own time.
func (c *clockAhead) signingTime() time.Time {
	return time.Now().Add(time.Duration(c.nanoseconds.Load()))
}

// learnt is the least by which a clock is set: less is no reason for a refusal.
const learnt = time.Minute

// learnClock makes of a refusal for its time one that is tried again by the server's clock, unless that is what was signed with.
func (s *Store) learnClock(response *http.Response, err error) error {
	var no *refused
	if !errors.As(err, &no) || no.code != "RequestTimeTooSkewed" {
		return err
	}
	theirs, bad := http.ParseTime(response.Header.Get("Date"))
	if bad != nil || theirs.Sub(s.ahead.signingTime()).Abs() < learnt {
		return err
	}
	s.ahead.nanoseconds.Store(int64(time.Until(theirs)))
	no.early = true
	return err
}
