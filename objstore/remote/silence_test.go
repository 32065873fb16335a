package remote

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/etagfs/etagfs/objstore"
)

// Who has less time than requests wait, or does not ask any more, does not make others wait for less: only an attempt that has
// waited for as long as requests do tells that the server is silent.
func TestSilenceIsNotThatOfWhoHadLessTime(t *testing.T) {
	late, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for what, c := range map[string]struct {
		ctx    context.Context
		silent bool
	}{"its time was over": {late, false}, "it was called off": {gone, false}, "it has waited as long as requests do": {t.Context(), true}} {
		s := &Store{opt: Options{Patience: time.Hour}}
		cause := &url.Error{Op: "Post", Err: context.DeadlineExceeded} // a timeout, whoever's
		err := s.newTries("put", "f", true).again(c.ctx, cause)
		if objstore.KindOf(err) != objstore.ErrUnknown {
			t.Errorf("%s: %v", what, err)
		}
		if got := s.silence.lasts(s.opt.Patience); got != c.silent {
			t.Errorf("%s: the server is silent: %t", what, got)
		}
	}
}
