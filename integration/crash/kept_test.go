package crash

import (
	"strings"
	"testing"
)

func TestKeptCopies(t *testing.T) {
	of := func(o op) keptCopy { return keptCopy{ID: "new", Path: o.Path, Digest: digestOf(o.bytes())} }
	torn := func(o op) keptCopy { return keptCopy{ID: "new", Path: o.Path, Digest: "torn"} }
	tests := []struct {
		name    string
		loss    loss
		tell    func(h *told) (cut int, found []keptCopy)
		there   bool   // the file has the bytes
		because string // empty: nothing is wrong
	}{{
		name: "held bytes are kept", loss: lossKill,
		tell: func(h *told) (int, []keptCopy) { return 1, []keptCopy{of(h.do(t, op{Kind: opHold, Path: "h"}))} },
	}, {
		name: "held bytes are lost", loss: lossKill,
		tell: func(h *told) (int, []keptCopy) {
			h.do(t, op{Kind: opHold, Path: "h"})
			return 1, nil
		},
		because: "not kept: the bytes of 0/1 hold",
	}, {
		name: "held bytes are kept torn", loss: lossKill,
		tell:    func(h *told) (int, []keptCopy) { return 1, []keptCopy{torn(h.do(t, op{Kind: opHold, Path: "h"}))} },
		because: "not kept: the bytes of 0/1 hold",
	}, {
		name: "held bytes go when the store is closed", loss: lossKill,
		tell: func(h *told) (int, []keptCopy) {
			h.do(t, op{Kind: opHold, Path: "h"})
			h.closing = true
			return 1, nil
		},
	}, {
		name: "held bytes are kept twice", loss: lossKill,
		tell: func(h *told) (int, []keptCopy) {
			k := of(h.do(t, op{Kind: opHold, Path: "h"}))
			return 1, []keptCopy{k, k}
		},
		because: "kept without a reason",
	}, {
		name: "a power cut may take or tear held bytes", loss: lossPower,
		tell: func(h *told) (int, []keptCopy) { return 1, []keptCopy{torn(h.do(t, op{Kind: opHold, Path: "h"}))} },
	}, {
		name: "committed bytes are kept", loss: lossKill,
		tell:    func(h *told) (int, []keptCopy) { return 1, []keptCopy{of(h.do(t, op{Path: "a"}))} },
		because: "kept without a reason",
	}, {
		name: "a stage whose commit a power cut took may come back", loss: lossPower,
		tell: func(h *told) (int, []keptCopy) { return 0, []keptCopy{of(h.do(t, op{Path: "a"}))} },
	}, {
		name: "so may one whose commit survived it", loss: lossPower,
		tell: func(h *told) (int, []keptCopy) { return 1, []keptCopy{of(h.do(t, op{Path: "a"}))} },
	}, {
		name: "but not while the file has its bytes", loss: lossPower, there: true,
		tell:    func(h *told) (int, []keptCopy) { return 1, []keptCopy{of(h.do(t, op{Path: "a"}))} },
		because: "kept for nothing: l0/a",
	}, {
		name: "an empty one may", loss: lossPower, there: true,
		tell: func(h *told) (int, []keptCopy) {
			return 1, []keptCopy{{Path: h.do(t, op{Path: "a"}).Path, Digest: digestOf(nil)}}
		},
	}, {
		name: "nor one of a file that nobody wrote", loss: lossPower,
		tell: func(h *told) (int, []keptCopy) {
			k := of(h.do(t, op{Path: "a"}))
			k.Path = "l0/b"
			return 1, []keptCopy{k}
		},
		because: "kept without a reason",
	}, {
		name: "staged bytes whose commit did not happen are lost", loss: lossKill,
		tell: func(h *told) (int, []keptCopy) {
			h.begin(t, op{Path: "a"})
			h.stage(0)
			return 0, nil
		},
		because: "not kept: the bytes of 0/1 write",
	}, {
		name: "staged bytes whose commit was refused go before the call is answered", loss: lossKill,
		tell: func(h *told) (int, []keptCopy) {
			h.begin(t, op{Path: "a"})
			h.stage(0)
			h.refuse(0)
			return 0, nil
		},
	}, {
		name: "bytes that were being staged", loss: lossKill,
		tell: func(h *told) (int, []keptCopy) { return 0, []keptCopy{torn(h.begin(t, op{Path: "a"}))} },
	}, {
		name: "staged bytes are committed and kept", loss: lossKill,
		tell: func(h *told) (int, []keptCopy) {
			o := h.begin(t, op{Path: "a"})
			h.stage(0)
			return 1, []keptCopy{of(o)}
		},
		because: "kept without a reason",
	}, {
		name: "a put in flight is kept", loss: lossKill,
		tell:    func(h *told) (int, []keptCopy) { return 0, []keptCopy{torn(h.begin(t, op{Path: "a", ByKey: true}))} },
		because: "kept without a reason",
	}, {
		name: "what lost is kept, whatever happens", loss: lossPower,
		tell: func(h *told) (int, []keptCopy) {
			h.do(t, op{Kind: opHold, Path: "h"})
			h.do(t, op{Path: "h"})
			h.do(t, op{Kind: opRelease, Path: "h"})
			return 0, nil
		},
		because: "not kept: the bytes of 0/3 release",
	}, {
		name: "what was held and committed is not kept", loss: lossKill,
		tell: func(h *told) (int, []keptCopy) {
			o := h.do(t, op{Kind: opHold, Path: "h"})
			h.do(t, op{Kind: opRelease, Path: "h"})
			return 2, []keptCopy{of(o)}
		},
		because: "kept without a reason",
	}, {
		name: "a release in flight keeps or commits", loss: lossKill,
		tell: func(h *told) (int, []keptCopy) {
			o := h.do(t, op{Kind: opHold, Path: "h"})
			h.begin(t, op{Kind: opRelease, Path: "h"})
			return 1, []keptCopy{of(o)}
		},
	}, {
		name: "a release in flight loses the bytes", loss: lossKill,
		tell: func(h *told) (int, []keptCopy) {
			h.do(t, op{Kind: opHold, Path: "h"})
			h.begin(t, op{Kind: opRelease, Path: "h"})
			return 1, nil
		},
		because: "not kept: the bytes of 0/2 release",
	}, {
		name: "a copy kept before is gone", loss: lossPower,
		tell: func(h *told) (int, []keptCopy) {
			h.kept = []keptCopy{{ID: "old", Path: "l0/h"}}
			return 0, nil
		},
		because: "not kept",
	}, {
		name: "a copy kept before was being dropped", loss: lossPower,
		tell: func(h *told) (int, []keptCopy) {
			h.kept = []keptCopy{{ID: "old", Path: "l0/h"}}
			h.drop("old")
			return 0, nil
		},
	}, {
		name: "a dropped copy is back", loss: lossPower,
		tell: func(h *told) (int, []keptCopy) {
			old := keptCopy{ID: "old", Path: "l0/h"}
			h.kept = []keptCopy{old}
			h.drop("old")
			if err := h.forget("old"); err != nil {
				t.Fatal(err)
			}
			return 0, []keptCopy{old}
		},
		because: "kept without a reason: old",
	}}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			h := tell(1)
			n, found := test.tell(h)
			s := newSurvey()
			s.Kept = found
			for _, k := range found {
				if test.there {
					s.Tree[k.Path] = &content{Digest: k.Digest}
				}
			}
			err := h.checkKept(cut{survived: []int{n}}, s, test.loss)
			if test.because == "" && err != nil {
				t.Error(err)
			}
			if test.because != "" && (err == nil || !strings.Contains(err.Error(), test.because)) {
				t.Errorf("found %v, want: %s", err, test.because)
			}
		})
	}
}
