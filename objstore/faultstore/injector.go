package faultstore

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/etagfs/etagfs/objstore"
)

// Injector decides which operations fail. It is called by many goroutines.
type Injector interface {
	// Decide returns the error op fails with, or nil to let it go on. It may wait, and
	// should stop waiting when ctx ends.
	Decide(ctx context.Context, op Op) error
	// String is the rule as an s-expression.
	String() string
}

// injector is a rule made of a function.
type injector struct {
	text   string
	decide func(ctx context.Context, op Op) error
}

func (i injector) Decide(ctx context.Context, op Op) error { return i.decide(ctx, op) }
func (i injector) String() string                          { return i.text }

// None lets everything go on.
func None() Injector {
	return injector{"(none)", func(context.Context, Op) error { return nil }}
}

// Fail fails with err. A bare [objstore.Kind] becomes an [*objstore.Error] that names the
// operation; other errors are returned as they are.
func Fail(err error) Injector {
	return injector{fmt.Sprintf("(fail %q)", err), func(context.Context, Op) error { return err }}
}

// LostReply fails with [objstore.ErrUnknown], which is what a lost reply leaves.
func LostReply() Injector { return Fail(objstore.ErrUnknown) }

// Call calls f, for hooks that wait, count or look. name stands for f in the rule's text.
func Call(name string, f func(ctx context.Context, op Op) error) Injector {
	return injector{"(call " + name + ")", f}
}

// Match selects operations. Fields that are zero match everything.
type Match struct {
	Kinds []Kind
	Phase Phase
	Key   string
	Nth   int64 // exactly this operation of the wrapper
}

// Matches reports whether op is selected.
func (m Match) Matches(op Op) bool {
	return (len(m.Kinds) == 0 || m.hasKind(op.Kind)) &&
		(m.Phase == 0 || m.Phase == op.Phase) &&
		(m.Key == "" || m.Key == op.Key) &&
		(m.Nth == 0 || m.Nth == op.Nth)
}

func (m Match) hasKind(k Kind) bool {
	for _, kind := range m.Kinds {
		if kind == k {
			return true
		}
	}
	return false
}

func (m Match) text() string {
	var parts []string
	if len(m.Kinds) > 0 {
		var kinds []string
		for _, k := range m.Kinds {
			kinds = append(kinds, k.String())
		}
		parts = append(parts, "("+strings.Join(kinds, " ")+")")
	}
	if m.Phase != 0 {
		parts = append(parts, m.Phase.String())
	}
	if m.Key != "" {
		parts = append(parts, fmt.Sprintf("(key %q)", m.Key))
	}
	if m.Nth != 0 {
		parts = append(parts, fmt.Sprintf("(op %d)", m.Nth))
	}
	if len(parts) == 0 {
		return "any"
	}
	return strings.Join(parts, " ")
}

// When asks inner about the operations that match.
func When(m Match, inner Injector) Injector {
	return injector{fmt.Sprintf("(when %s %v)", m.text(), inner), func(ctx context.Context, op Op) error {
		if !m.Matches(op) {
			return nil
		}
		return inner.Decide(ctx, op)
	}}
}

// Nth asks inner the nth time it is asked itself, from 1, and never else.
func Nth(n int64, inner Injector) Injector {
	var asked atomic.Int64
	return injector{fmt.Sprintf("(nth %d %v)", n, inner), func(ctx context.Context, op Op) error {
		if asked.Add(1) != n {
			return nil
		}
		return inner.Decide(ctx, op)
	}}
}

// From asks inner from the nth time on.
func From(n int64, inner Injector) Injector {
	var asked atomic.Int64
	return injector{fmt.Sprintf("(from %d %v)", n, inner), func(ctx context.Context, op Op) error {
		if asked.Add(1) < n {
			return nil
		}
		return inner.Decide(ctx, op)
	}}
}

// AfterBytes asks inner once a body has moved at least n bytes.
func AfterBytes(n int64, inner Injector) Injector {
	return injector{fmt.Sprintf("(after-bytes %d %v)", n, inner), func(ctx context.Context, op Op) error {
		if op.Phase != Body || op.Offset < n {
			return nil
		}
		return inner.Decide(ctx, op)
	}}
}

// Any asks each in turn and takes the first error.
func Any(injectors ...Injector) Injector {
	var texts []string
	for _, i := range injectors {
		texts = append(texts, i.String())
	}
	return injector{"(any " + strings.Join(texts, " ") + ")", func(ctx context.Context, op Op) error {
		for _, i := range injectors {
			if err := i.Decide(ctx, op); err != nil {
				return err
			}
		}
		return nil
	}}
}

// Randomly asks inner with probability p. The same seed and the same order of
// operations give the same faults.
func Randomly(p float64, seed uint64, inner Injector) Injector {
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(seed, 0))
	return injector{fmt.Sprintf("(randomly %g (seed %d) %v)", p, seed, inner), func(ctx context.Context, op Op) error {
		mu.Lock()
		hit := rng.Float64() < p
		mu.Unlock()
		if !hit {
			return nil
		}
		return inner.Decide(ctx, op)
	}}
}

// Toggle asks inner while it is on. It begins off.
type Toggle struct {
	inner Injector // constant
	on    atomic.Bool
}

// NewToggle makes a toggle that is off.
func NewToggle(inner Injector) *Toggle { return &Toggle{inner: inner} }

// Set turns it on or off.
func (t *Toggle) Set(on bool) { t.on.Store(on) }

// Decide implements [Injector].
func (t *Toggle) Decide(ctx context.Context, op Op) error {
	if !t.on.Load() {
		return nil
	}
	return t.inner.Decide(ctx, op)
}

// String implements [Injector].
func (t *Toggle) String() string { return fmt.Sprintf("(toggle %v)", t.inner) }
