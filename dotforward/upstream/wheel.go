package upstream

import (
	"sync"
	"time"
)

// epoch is what the package counts nanoseconds from: comparing and keeping int64s costs less than time.Time does. It is so long
// ago that zero is before any time, even by the clock of a testing/synctest bubble.
var epoch = time.Now().Add(-100 * 365 * 24 * time.Hour)

func now() int64 { return int64(time.Since(epoch)) }

const (
	tick    = int64(20 * time.Millisecond)
	buckets = 512 // ten seconds; the hand passes what is due later
)

// wheel calls asks when they are due, at most a tick late: a hashed timing wheel. A timer for each query would cost more than the
// query, and most are answered long before anything is due. The system's timer runs only while there are asks.
type wheel struct {
	due   func(a *ask)
	start int64 // ticks are counted from here

	mu      sync.Mutex
	buckets [buckets]*ask
	count   int
	at      int64 // the last tick that was looked at
	running bool
	timer   *time.Timer
}

// wheelNode is an ask's place, guarded by the wheel's mutex.
type wheelNode struct {
	next, prev *ask
	when       int64
	bucket     int // plus one; 0: not in the wheel
}

// set has due called for a at when, instead of what was set before.
func (w *wheel) set(a *ask, when int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unlink(a)
	if !w.running {
		w.running = true
		w.at = (now() - w.start) / tick
		if w.timer == nil {
			w.timer = time.AfterFunc(time.Duration(tick), w.turn)
		} else {
			w.timer.Reset(time.Duration(tick))
		}
	}
	// Rounded up, so that nothing is called before its time; never into the bucket under the hand.
	slot := max((when-w.start+tick-1)/tick, w.at+1)
	b := int(slot % buckets)
	n := &a.wheel
	n.when, n.bucket, n.prev, n.next = when, b+1, nil, w.buckets[b]
	if n.next != nil {
		n.next.wheel.prev = a
	}
	w.buckets[b] = a
	w.count++
}

// remove takes a out, if it is in.
func (w *wheel) remove(a *ask) {
	w.mu.Lock()
	w.unlink(a)
	w.mu.Unlock()
}

func (w *wheel) unlink(a *ask) {
	n := &a.wheel
	if n.bucket == 0 {
		return
	}
	if n.prev != nil {
		n.prev.wheel.next = n.next
	} else {
		w.buckets[n.bucket-1] = n.next
	}
	if n.next != nil {
		n.next.wheel.prev = n.prev
	}
	n.next, n.prev, n.bucket = nil, nil, 0
	w.count--
}

// turn looks at the buckets whose time has come. The asks are called one by one without the lock: they set themselves again.
func (w *wheel) turn() {
	var due []*ask
	w.mu.Lock()
	t := now()
	hand := (t - w.start) / tick
	for n := 0; w.at < hand && n < buckets; n++ {
		w.at++
		due = w.collect(due, int(w.at%buckets), t)
	}
	w.at = hand
	w.running = w.count > 0
	if w.running {
		w.timer.Reset(time.Duration(tick))
	}
	w.mu.Unlock()
	for _, a := range due {
		w.due(a)
	}
}

// collect takes what is due at t out of a bucket, and moves what is due in a later turn on.
func (w *wheel) collect(due []*ask, b int, t int64) []*ask {
	for a := w.buckets[b]; a != nil; {
		next := a.wheel.next
		if a.wheel.when <= t {
			w.unlink(a)
			due = append(due, a)
		}
		a = next
	}
	return due
}
