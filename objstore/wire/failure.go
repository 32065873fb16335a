package wire

import (
	"errors"

	"github.com/etagfs/etagfs/objstore"
)

// Failure is an error on its way. Its zero value is success.
type Failure struct {
	Kind   objstore.Kind // 0: none, or not classified
	Failed bool
	Op     string
	Key    string
	Detail string
	Winner objstore.ETag
	Cause  objstore.Cause
}

// FailureOf is what is told of err. Causes that are no part of the contract stay behind: they speak
// of the machine they happened on.
func FailureOf(err error) Failure {
	if err == nil {
		return Failure{}
	}
	f := Failure{Kind: objstore.KindOf(err), Failed: true}
	var e *objstore.Error
	if errors.As(err, &e) {
		f.Op, f.Key, f.Detail, f.Winner = e.Op, e.Key, e.Detail, e.Winner
	}
	errors.As(err, &f.Cause)
	return f
}

// Code implements [Message].
func (f *Failure) Code(c *Coder) {
	number(c, &f.Kind)
	flag(c, &f.Failed)
	text(c, &f.Op)
	text(c, &f.Key)
	text(c, &f.Detail)
	text(c, &f.Winner)
	number(c, &f.Cause)
}

// Err is the error that was told of; nil: none. One without a kind is of unknown outcome.
func (f *Failure) Err() error {
	if !f.Failed {
		return nil
	}
	e := &objstore.Error{Op: f.Op, Key: f.Key, Kind: f.Kind, Detail: f.Detail, Winner: f.Winner}
	if e.Kind == 0 {
		e.Kind, e.Detail = objstore.ErrUnknown, "the server failed"
	}
	if f.Cause != 0 {
		e.Err = f.Cause
	}
	return e
}
