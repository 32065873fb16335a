package cas

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// Store is what this package needs of an [objstore.Store].
type Store interface {
	Get(ctx context.Context, key objstore.Key, cond objstore.Cond) (objstore.Reader, error)
	Put(ctx context.Context, key objstore.Key, body io.Reader, cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error)
	Capabilities() objstore.Capabilities
}

// Cause is why this package refused or gave up. It is found with errors.Is.
type Cause string

// The causes.
const (
	Lost  Cause = "the lease is lost"
	Stale Cause = "a holder with a later fencing token has written"
	Taken Cause = "the object was made by somebody else"
)

// Error is the cause in words.
func (c Cause) Error() string { return string(c) }

// Tries says how often something is tried, and how long the pauses are. The zero value is good.
type Tries struct {
	Most    int           // 0: 50
	First   time.Duration // the first pause is shorter, 0: 10 ms; the longest doubles each time
	Longest time.Duration // 0: 2 s
}

func (t Tries) withDefaults() Tries {
	if t.Most == 0 {
		t.Most = 50
	}
	if t.First == 0 {
		t.First = 10 * time.Millisecond
	}
	if t.Longest == 0 {
		t.Longest = 2 * time.Second
	}
	return t
}

// do calls once until it does not want to be called again. Pauses are of random length, so that those who
// met once do not meet again.
func (t Tries) do(ctx context.Context, op string, key objstore.Key, once func() (again bool, err error)) error {
	t = t.withDefaults()
	longest := t.First
	for tried := 1; ; tried++ {
		again, err := once()
		if !again || err == nil {
			return err
		}
		if tried >= t.Most {
			return &objstore.Error{Op: op, Key: string(key), Kind: objstore.KindOf(err), Detail: fmt.Sprintf("gave up after %d attempts", tried), Err: err}
		}
		if ended := pause(ctx, mathrand.N(longest)); ended != nil {
			return errors.Join(ended, err)
		}
		longest = min(2*longest, t.Longest)
	}
}

// pause waits, or returns why it did not.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// busy reports whether the same call may succeed later. None of these was applied.
func busy(err error) bool {
	k := objstore.KindOf(err)
	return k == objstore.ErrInUse || k != 0 && k.Retry() == objstore.RetrySame
}

// resends is how often a store is asked again what became of a put.
const resends = 5

// put puts what open returns. A store that remembers write ids is asked again if the answer got lost: a repetition is
// answered as the first was.
func put(ctx context.Context, s Store, key objstore.Key, open func() (io.ReadCloser, error), cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	opt.WriteID = rand.Text()
	asks := 1
	if s.Capabilities().Answers {
		asks += resends
	}
	var unknown error
	for ; ; asks-- {
		info, err := putOnce(ctx, s, key, open, cond, opt)
		switch {
		case err == nil || objstore.IsLostCondition(err):
			return info, err
		case objstore.KindOf(err) == objstore.ErrUnknown:
			unknown = err
		case unknown == nil:
			return info, err
		}
		if asks == 1 || pause(ctx, mathrand.N(resendPause)) != nil {
			return objstore.Info{}, unknown
		}
	}
}

// resendPause is the longest pause before a store is asked again.
const resendPause = 50 * time.Millisecond

func putOnce(ctx context.Context, s Store, key objstore.Key, open func() (io.ReadCloser, error), cond objstore.Cond, opt objstore.PutOptions) (objstore.Info, error) {
	body, err := open()
	if err != nil {
		return objstore.Info{}, err
	}
	info, err := s.Put(ctx, key, body, cond, opt)
	return info, errors.Join(err, body.Close())
}
