package faultstore

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

// struck is which of the n operations an injector hits.
func struck(t *testing.T, i Injector, ops ...Op) string {
	var hits strings.Builder
	for _, op := range ops {
		if i.Decide(t.Context(), op) != nil {
			hits.WriteByte('x')
		} else {
			hits.WriteByte('.')
		}
	}
	return hits.String()
}

func TestRulesPrintAndStrike(t *testing.T) {
	fail := Fail(objstore.ErrNoSpace)
	ops := []Op{
		{Kind: OpPut, Phase: Before, Key: "a", Nth: 1}, {Kind: OpPut, Phase: After, Key: "a", Nth: 1},
		{Kind: OpPut, Phase: Body, Key: "b", Nth: 2, Offset: 10}, {Kind: OpGet, Phase: Before, Key: "b", Nth: 3},
		{Kind: OpDelete, Phase: Before, Key: "a", Nth: 4}, {Kind: OpPut, Phase: Before, Key: "b", Nth: 5},
	}
	on := NewToggle(fail)
	on.Set(true)
	for _, row := range []struct {
		rule Injector
		text string
		hits string
	}{
		{None(), `(none)`, "......"},
		{fail, `(fail "no space")`, "xxxxxx"},
		{LostReply(), `(fail "outcome unknown")`, "xxxxxx"},
		{When(Match{}, fail), `(when any (fail "no space"))`, "xxxxxx"},
		{When(Match{Kinds: []Kind{OpPut}}, fail), `(when (put) (fail "no space"))`, "xxx..x"},
		{When(Match{Kinds: []Kind{OpPut, OpDelete}, Phase: Before, Key: "a"}, fail), `(when (put delete) before (key "a") (fail "no space"))`, "x...x."},
		{When(Match{Nth: 3}, fail), `(when (op 3) (fail "no space"))`, "...x.."},
		{Nth(2, fail), `(nth 2 (fail "no space"))`, ".x...."},
		{From(3, fail), `(from 3 (fail "no space"))`, "..xxxx"},
		{When(Match{Phase: Before}, Nth(2, fail)), `(when before (nth 2 (fail "no space")))`, "...x.."},
		{AfterBytes(10, fail), `(after-bytes 10 (fail "no space"))`, "..x..."},
		{AfterBytes(11, fail), `(after-bytes 11 (fail "no space"))`, "......"},
		{Any(Nth(1, fail), When(Match{Kinds: []Kind{OpGet}}, fail)), `(any (nth 1 (fail "no space")) (when (get) (fail "no space")))`, "x..x.."},
		{NewToggle(fail), `(toggle (fail "no space"))`, "......"},
		{on, `(toggle (fail "no space"))`, "xxxxxx"},
		{Randomly(0, 1, fail), `(randomly 0 (seed 1) (fail "no space"))`, "......"},
		{Randomly(1, 1, fail), `(randomly 1 (seed 1) (fail "no space"))`, "xxxxxx"},
	} {
		if got := row.rule.String(); got != row.text {
			t.Errorf("%s instead of %s", got, row.text)
		}
		if got := struck(t, row.rule, ops...); got != row.hits {
			t.Errorf("%s strikes %s instead of %s", row.text, got, row.hits)
		}
	}
}

func TestRandomFaultsFollowTheirSeed(t *testing.T) {
	ops := make([]Op, 200)
	run := func(seed uint64) string { return struck(t, Randomly(0.3, seed, LostReply()), ops...) }
	first, again := run(1), run(1)
	if first != again {
		t.Error("the same seed gives other faults")
	}
	if run(1) == run(2) {
		t.Error("another seed gives the same faults")
	}
	if hits := strings.Count(run(1), "x"); hits < 30 || hits > 90 {
		t.Errorf("%d of 200 faults at 0.3", hits)
	}
}

func TestKindsAndPhasesHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range Kinds() {
		name := k.String()
		if name == "" || strings.HasPrefix(name, "kind-") || seen[name] {
			t.Errorf("kind %d is called %q", uint8(k), name)
		}
		seen[name] = true
	}
	if got := fmt.Sprint(Kind(0), kindEnd, Before, After, Body, Phase(0)); got != fmt.Sprintf("kind-0 kind-%d before after body any", uint8(kindEnd)) {
		t.Error(got)
	}
}

func TestOtherErrorsAreReturnedAsTheyAre(t *testing.T) {
	cause := errors.New("cable")
	s := newScene(t, When(Match{Phase: Before}, Fail(cause)))
	if _, err := s.b.Head(t.Context(), "f"); err != cause {
		t.Errorf("%v", err)
	}
}
