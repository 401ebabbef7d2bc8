package embedded

import (
	"encoding/binary"
	"time"

	"github.com/whence-project/whence/store"
)

// value is what is kept of a name. Times are milliseconds since 1970; first is 0 for a name that is known without a sighting.
type value struct {
	first, last int64
	count       uint64
}

// touch is sightings of a name that are not written yet.
type touch struct {
	last  int64
	count uint64
	tx    int // the transaction that writes them, once it has begun
}

func (v *value) touch(t touch) {
	v.last = max(v.last, t.last)
	v.count += t.count
}

// merge makes of v and w, of the same name, what holds for both. Folding a journal twice must not count twice, so that
// the higher count stands for the sum.
func (v *value) merge(w value) {
	if v.first == 0 || w.first != 0 && w.first < v.first {
		v.first = w.first
	}
	v.last = max(v.last, w.last)
	v.count = max(v.count, w.count)
}

// appendTo appends the value's form on disk: varints of first, how much later last is, and count.
func (v value) appendTo(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(v.first))
	b = binary.AppendUvarint(b, uint64(max(v.last-v.first, 0)))
	return binary.AppendUvarint(b, v.count)
}

func parseValue(b []byte) (v value, ok bool) {
	first, n := binary.Uvarint(b)
	if n <= 0 {
		return v, false
	}
	later, m := binary.Uvarint(b[n:])
	if m <= 0 {
		return v, false
	}
	count, k := binary.Uvarint(b[n+m:])
	v = value{first: int64(first), last: int64(first + later), count: count}
	return v, k > 0 && n+m+k == len(b) && v.first >= 0 && v.last >= v.first
}

func (v value) sighting(scope, name string) store.Sighting {
	return store.Sighting{Scope: scope, Name: name, First: fromMillis(v.first), Last: fromMillis(v.last), Count: v.count}
}

// millis is t as it is kept. What a clock says that is not set, 1970 and before, becomes the first moment that is a time.
func millis(t time.Time) int64 { return max(t.UnixMilli(), 1) }

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
