package natsstore

import (
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// class is how a name came into the ledger.
type class string

const (
	claimed  class = "claimed"  // seen: a first contact
	imported class = "imported" // with its first sighting, or known and seen since; no first contact
	known    class = "known"    // without a first sighting
)

// record is what the bucket says of a name, as a line for whoever looks with NATS's own tools: class, first sighting in
// milliseconds since 1970, the node that wrote it, and "again" where the name had been forgotten before.
type record struct {
	class class
	first int64 // 0 where it is known
	node  string
	again bool
}

func (r record) encode() []byte {
	b := append(make([]byte, 0, 64), r.class...)
	b = strconv.AppendInt(append(b, ' '), r.first, 10)
	b = append(append(b, ' '), r.node...)
	if r.again {
		b = append(b, " again"...)
	}
	return b
}

// parseRecord is strict about what matters: whoever may write to the bucket may write anything.
func parseRecord(b []byte) (r record, ok bool) {
	if len(b) > 512 {
		return r, false
	}
	fields := strings.Split(string(b), " ")
	if len(fields) < 3 {
		return r, false
	}
	ms, err := strconv.ParseInt(fields[1], 10, 64)
	r = record{class: class(fields[0]), first: ms, node: fields[2], again: len(fields) > 3 && fields[3] == "again"}
	if err != nil || ms < 0 || ms > maxMillis {
		return r, false
	}
	switch r.class {
	case claimed, imported:
		return r, ms > 0
	case known:
		return r, ms == 0
	}
	return r, false
}

// maxMillis is the year 9999: what is later is no time that a clock says.
var maxMillis = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()

// headerOperation marks a message that says that the key is there no more, as in every key-value bucket of NATS.
const headerOperation = "KV-Operation"

func isMarker(h nats.Header) bool {
	op := h.Get(headerOperation)
	return op == "DEL" || op == "PURGE"
}

// millis is t as it is kept; what is before 1970 or after 9998 becomes the nearest moment that is a time.
func millis(t time.Time) int64 { return min(max(t.UnixMilli(), 1), maxMillis) }

func fromMillis(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}
