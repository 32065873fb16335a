package remote

import (
	"strconv"
	"testing"

	"github.com/etagfs/etagfs/objstore"
)

// What is remembered is bounded by what the process may take, however much the server says.
func TestRecordsKeepToTheMemoryOfTheProcess(t *testing.T) {
	for limitBytes, most := range map[int64]int{0: recordsMax, 1: 1, 64 << 20: 16 << 10, 1 << 40: recordsMax} {
		var r records
		r.begin(limitBytes)
		asked := r.now()
		for n := range 2 * recordsMax {
			id := objstore.ID(n + 1)
			r.learn(asked, entry{1, strconv.Itoa(n)}, objstore.Info{ID: id})
			r.learnPath(asked, id, strconv.Itoa(n))
		}
		if len(r.names) != most || len(r.objects) != most || len(r.paths) != most {
			t.Errorf("%d bytes: %d names, %d objects, %d paths, instead of %d", limitBytes, len(r.names), len(r.objects), len(r.paths), most)
		}
	}
}
