package cas

import (
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// LeaseOptions say what a lease is like. The zero value is good.
type LeaseOptions struct {
	TTL  time.Duration // after which others take over from a holder that is dead; 0: 15 s. At least [TTLMin]
	Name string        // of the holder, for people who read the object
	Once bool          // fail with [objstore.ErrPrecondition] if another has it, who may be dead: only time tells
}

// TTLMin is the shortest TTL: a lease must be renewed several times within it.
const TTLMin = 100 * time.Millisecond

// The parts of a TTL, as divisors.
const (
	pollPart  = 10 // who waits looks this often
	renewPart = 5  // a holder writes this often
	againPart = 20 // and tries again after a failure
)

const pollMax = 500 * time.Millisecond

const defaultTTL = 15 * time.Second

// Acquire waits until it holds the lease called key, or ctx ends. The lease must be released.
//
// It fails if the store does not answer for as long as the TTL, if it cannot do what is needed, and
// if the object is there and is no lease. If another was seen to hold the lease the error is a [*HeldError].
func Acquire(ctx context.Context, s Store, key objstore.Key, opt LeaseOptions) (*Lease, error) {
	if opt.TTL == 0 {
		opt.TTL = defaultTTL
	}
	if opt.TTL < TTLMin {
		return nil, &objstore.Error{Op: "lease", Key: string(key), Kind: objstore.ErrInvalid, Detail: fmt.Sprintf("the TTL %s is shorter than %s", opt.TTL, TTLMin)}
	}
	c := contender{store: s, key: key, opt: opt, holder: rand.Text(), answered: time.Now()}
	for {
		l, err := c.attempt(ctx)
		if err != nil && c.seesAnother() && objstore.KindOf(err) != objstore.ErrInvalid {
			err = c.gaveUp(err) // ctx may end while the store is asked, too
		}
		if l != nil || err != nil {
			return l, err
		}
		if opt.Once && c.seesAnother() {
			return nil, c.gaveUp(objstore.ErrPrecondition)
		}
		poll := min(opt.TTL/pollPart, pollMax)
		if err := pause(ctx, poll/2+mathrand.N(poll)); err != nil {
			return nil, c.gaveUp(err)
		}
	}
}

// HeldError is why [Acquire] does not hold a lease: when it looked last, another did.
type HeldError struct {
	Key   objstore.Key
	Name  string        // of the holder
	Fence uint64        // its token
	TTL   time.Duration // after which others take over if the holder is dead
	Err   error         // why it was not waited for any longer
}

// Error names the lease and its holder.
func (e *HeldError) Error() string {
	return fmt.Sprintf("lease %s: held by %q with token %d: %v", e.Key, e.Name, e.Fence, e.Err)
}

// Unwrap is why it was not waited for any longer.
func (e *HeldError) Unwrap() error { return e.Err }

// contender is who waits for a lease.
type contender struct {
	// Constant.
	store  Store
	key    objstore.Key
	opt    LeaseOptions
	holder string

	seen     sight     // at is when the version was read first
	answered time.Time // when the store last did
}

// seesAnother reports whether somebody else had the lease when it was looked at last.
func (c *contender) seesAnother() bool { return c.seen.Holder != "" && c.seen.Holder != c.holder }

// gaveUp says who has the lease.
func (c *contender) gaveUp(err error) error {
	if !c.seesAnother() {
		return fmt.Errorf("lease %s: %w", c.key, err)
	}
	return &HeldError{Key: c.key, Name: c.seen.Name, Fence: c.seen.Fence, TTL: c.seen.ttl(), Err: err}
}

// attempt looks at the lease and takes it if it is free. Neither a lease nor an error means to look again later.
func (c *contender) attempt(ctx context.Context) (*Lease, error) {
	now, err := look(ctx, c.store, c.key)
	if err != nil {
		return nil, c.failed(err)
	}
	c.answered = time.Now()
	if now.version != c.seen.version || now.version == "" {
		c.seen = now
	}
	if !c.free() {
		return nil, nil
	}
	began := time.Now()
	mine := record{
		Kind: recordKind, Fence: c.seen.Fence + 1, Holder: c.holder, TTL: c.opt.TTL.Milliseconds(), Name: c.opt.Name,
	}
	version, err := mine.write(ctx, c.store, c.key, c.seen.cond())
	if err != nil {
		return nil, c.failed(err)
	}
	l := &Lease{store: c.store, key: c.key, record: mine, version: version}
	if !l.hold(ctx, began) {
		return nil, nil // it took so long that the lease is old; what is there is ours to replace
	}
	return l, nil
}

// free reports whether nobody holds what was seen. What we wrote ourselves, and did not hear of, is ours.
func (c *contender) free() bool {
	return c.seen.Holder == "" || c.seen.Holder == c.holder || time.Since(c.seen.at) >= c.seen.ttl()
}

// failed decides about a failure: nil means that time may help, or a look.
func (c *contender) failed(err error) error {
	if unsure(err) {
		return nil
	}
	if busy(err) && time.Since(c.answered) < c.opt.TTL {
		return nil
	}
	return err
}
