// Package faultstore wraps a store and makes its operations fail, wait, or lose
// their replies, where an [Injector] says so.
//
// # Words
//
//   - An [Op] is one call of the wrapped store: its [Kind], its key or name, and its
//     number among all calls.
//
//   - A [Phase] is the moment a fault strikes: Before the operation (it is not applied),
//     After it (it is applied or has failed, and nobody hears), or in its Body (between
//     the bytes of a put's body, a stream, or in place of a read).
//
//   - An [Injector] decides, for an operation and a phase, on an error or none.
//
// Injectors compose, and print as s-expressions. This one lets the third put lose its reply:
//
//	faultstore.When(faultstore.Match{Kinds: []faultstore.Kind{faultstore.OpPut}, Phase: faultstore.After},
//		faultstore.Nth(3, faultstore.LostReply()))
//
//	(when (put) after (nth 3 (fail "outcome unknown")))
//
// # Guarantees
//
// With [None] the wrapper adds nothing: it passes the conformance suite of what it
// wraps. A decision is made once for each operation before it and once after it, in
// the calling goroutine with no lock held, so an injector may wait for anything, or stop time.
// A resource whose reply is lost (a reader, a stage) is closed. Close of readers and stages,
// Info, Size, Changed, Watch, WatchObjects, Root and Capabilities never fail. The optional parts of
// a store are passed on; what the wrapped one does not have is ErrUnsupported, as its Capabilities say.
//
// # What it does not do
//
// It corrupts no bytes at rest, and it does not resolve what it made unknown.
package faultstore
