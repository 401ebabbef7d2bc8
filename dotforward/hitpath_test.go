package dotforward

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/whence-project/whence/dotforward/lists"
	"github.com/whence-project/whence/internal/limit"
	"github.com/whence-project/whence/store"
)

// seenAll is a ledger that knows every name.
type seenAll struct{ store.Ledger }

func (seenAll) Claim(scope, name string, now time.Time) (store.Result, store.Sighting) {
	return store.Seen, store.Sighting{}
}

// hitPath is a server with what most have, whose cache has all that is asked, as packets are answered by a loop.
type hitPath struct {
	*rig
	w       *worker
	queries [][]byte
	buf     []byte
}

func newHitPath(t testing.TB, names int, edns bool, more ...Handler) *hitPath {
	t.Helper()
	l, err := NewLimit(LimitOptions{Rate: limit.Rate{Events: 1 << 30, Per: time.Second}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	observe := NewObserve(ObserveOptions{Ledger: seenAll{}})
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	go observe.Run(ctx)
	h := &hitPath{rig: newRig(t, func(o *Options) { o.Handlers = append([]Handler{l, observe}, more...) })}
	t.Cleanup(h.close)
	for i := range names {
		h.queries = append(h.queries, pack(t, query(fmt.Sprintf("n%d.example.org.", i), dns.TypeA, edns)))
	}
	for _, q := range h.queries {
		<-h.start(q, UDP)
	}
	h.w, h.buf = &worker{tally: h.state.counters.tally()}, make([]byte, 4096)
	for i := range h.queries { // the second time nothing is new to anybody
		h.packetAt(i, time.Now())
	}
	return h
}

func (h *hitPath) packetAt(i int, now time.Time) []byte {
	return h.packet(h.w, nil, 0, h.queries[i%len(h.queries)], client, now, h.buf)
}

func blocklist(t testing.TB, rules string) *lists.Blocklist {
	t.Helper()
	l, err := lists.NewBlocklist(lists.BlockOptions{Rules: rules})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestHitsDoNotAllocate(t *testing.T) {
	for _, edns := range []bool{false, true} {
		h := newHitPath(t, 10, edns, NewBlock(blocklist(t, "ads.test"), BlockZero, 0))
		now, i := time.Now(), 0
		if n := testing.AllocsPerRun(1000, func() {
			if len(h.packetAt(i, now)) == 0 {
				t.Fatal("no reply")
			}
			i++
		}); n != 0 {
			t.Errorf("EDNS %v: %v allocations a hit", edns, n)
		}
	}
}
