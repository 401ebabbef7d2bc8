package manners

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/whence-project/whence/internal/limit"
)

// quota is what one [limit.Rate] leaves to a client of an operator. A rate without a burst is a rolling window, as registries
// write their limits: never more than Events in any time of Per. A rate with a burst is a token bucket: Burst at once after a time of
// rest, then Events each Per.
//
// Times are nanoseconds since the [Manners] was made.
type quota struct {
	rate  limit.Rate
	marks []mark // a window's events, the oldest first
	used  int    // events in marks
	full  int64  // when a bucket is full again: the theoretical arrival time of GCRA (ITU-T I.371)
}

// mark is some events of a window that came close together. They are counted until the last of them has left, so that a window of
// thousands is kept in maxMarks marks and still never too generous.
type mark struct {
	first, last int64
	n           int
}

// maxMarks is also up to how many events a window is exact.
const maxMarks = 64

func (q *quota) isWindow() bool { return q.rate.Burst <= 0 }

// grace is what is added to a window, because two queries can reach a server closer together than they were sent.
func (q *quota) grace() time.Duration { return min(q.rate.Per/10, time.Second) }

func (q *quota) leaves(m mark) int64 { return m.last + int64(q.rate.Per+q.grace()) }

func (q *quota) interval() int64 { return max(int64(q.rate.Per)/int64(q.rate.Events), 1) }

// tolerance is how far ahead of its interval a bucket may be.
func (q *quota) tolerance() int64 { return times(q.interval(), q.rate.Burst-1) }

// times is n times d, or very much where that cannot be said.
func times(d int64, n int) int64 {
	const most = math.MaxInt64 / 4
	if n <= 0 {
		return 0
	}
	if d > most/int64(n) {
		return most
	}
	return d * int64(n)
}

// reserve is how many of a window's events are kept for who is more urgent than p. In a window of a day priorities would mean
// nothing otherwise: whoever came first had them all.
func (q *quota) reserve(p Priority) int {
	switch {
	case !q.isWindow() || q.rate.Per < minute:
		return 0
	case p >= Background:
		return q.rate.Events / 4
	case p >= Pipeline:
		return q.rate.Events / 8
	}
	return 0
}

// prune forgets the events that have left the window.
func (q *quota) prune(now int64) {
	gone := 0
	for gone < len(q.marks) && q.leaves(q.marks[gone]) <= now {
		q.used -= q.marks[gone].n
		gone++
	}
	if gone > 0 {
		q.marks = q.marks[:copy(q.marks, q.marks[gone:])]
	}
}

// at is when the k-th event from now on is allowed, k from 1, if those before it are taken as early as they may be.
func (q *quota) at(k int, now int64) int64 {
	if q.rate.IsZero() {
		return now
	}
	if !q.isWindow() {
		return max(now, max(q.full, now)+times(q.interval(), k-1)-q.tolerance())
	}
	q.prune(now)
	rounds := (k - 1) / q.rate.Events
	k -= rounds * q.rate.Events
	t := now
	for left, i := k+q.used-q.rate.Events, 0; left > 0; i++ {
		t = q.leaves(q.marks[i])
		left -= q.marks[i].n
	}
	return t + times(int64(q.rate.Per+q.grace()), rounds)
}

// take counts an event, whether it is allowed or not.
func (q *quota) take(now int64) {
	switch {
	case q.rate.IsZero():
	case !q.isWindow():
		q.full = max(q.full, now) + q.interval()
	default:
		q.used++
		if n := len(q.marks); n > 0 && q.rate.Events > maxMarks && now-q.marks[n-1].first < int64(q.rate.Per)/maxMarks {
			q.marks[n-1].last = now
			q.marks[n-1].n++
			return
		}
		q.marks = append(q.marks, mark{now, now, 1})
	}
}

// left is how many events are allowed at once now.
func (q *quota) left(now int64) int {
	if q.rate.IsZero() {
		return math.MaxInt
	}
	if q.isWindow() {
		q.prune(now)
		return max(q.rate.Events-q.used, 0)
	}
	return max(q.rate.Burst-q.count(now), 0)
}

// count is how many events are used up now.
func (q *quota) count(now int64) int {
	switch {
	case q.rate.IsZero():
		return 0
	case q.isWindow():
		q.prune(now)
		return q.used
	}
	if q.full <= now {
		return 0
	}
	return int((q.full - now + q.interval() - 1) / q.interval())
}

// restAt is from when on there is nothing to remember.
func (q *quota) restAt() int64 {
	if q.isWindow() {
		if len(q.marks) == 0 {
			return 0
		}
		return q.leaves(q.marks[len(q.marks)-1])
	}
	return q.full
}

// drain empties a bucket so that it has one token at t, and fills from then on: who was told to go away does not come back with a
// burst. What a window counts stays right.
func (q *quota) drain(t int64) {
	if !q.rate.IsZero() && !q.isWindow() {
		q.full = max(q.full, t+q.tolerance())
	}
}

// add counts what old, a quota of a former configuration, has used up.
func (q *quota) add(old *quota, now int64) {
	switch {
	case q.rate.IsZero():
	case !q.isWindow():
		missing := times(q.interval(), old.count(now))
		empty := now + q.tolerance() + q.interval()
		if q.rate == old.rate { // to the fraction of a token, and as empty as a pause has left it
			missing, empty = max(old.full-now, 0), max(empty, old.full)
		}
		q.full = max(q.full, min(max(q.full, now)+missing, empty))
	case old.isWindow():
		q.marks = append(q.marks, old.marks...)
		q.used += old.used
		slices.SortFunc(q.marks, func(a, b mark) int { return cmp.Compare(a.last, b.last) })
		q.prune(now)
		q.compact()
	default:
		if n := old.count(now); n > 0 {
			q.marks, q.used = append(q.marks, mark{now, now, n}), q.used+n
		}
	}
}

// compact joins marks that another window kept apart.
func (q *quota) compact() {
	if q.rate.Events <= maxMarks {
		return
	}
	kept := q.marks[:0]
	for _, m := range q.marks {
		if n := len(kept); n > 0 && m.last-kept[n-1].first < int64(q.rate.Per)/maxMarks {
			kept[n-1].last = m.last
			kept[n-1].n += m.n
			continue
		}
		kept = append(kept, m)
	}
	q.marks = kept
}

// newQuotas are fresh quotas for rates.
func newQuotas(rates []limit.Rate) []quota {
	quotas := make([]quota, 0, len(rates))
	for _, r := range rates {
		if !r.IsZero() {
			quotas = append(quotas, quota{rate: r})
		}
	}
	return quotas
}

// inherit counts in each of quotas what the one of old has used up that is most like it.
func inherit(quotas, old []quota, now int64) {
	for i := range quotas {
		if best := mostLike(&quotas[i], old); best != nil {
			quotas[i].add(best, now)
		}
	}
}

func mostLike(q *quota, old []quota) *quota {
	var best *quota
	most := -1
	for i := range old {
		o, likeness := &old[i], 0
		switch same := o.isWindow() == q.isWindow(); {
		case o.rate == q.rate:
			likeness = 3
		case same && o.rate.Per >= q.rate.Per:
			likeness = 2 // it remembers at least as long
		case same:
			likeness = 1
		}
		if likeness > most || likeness == most && o.rate.Per > best.rate.Per {
			best, most = o, likeness
		}
	}
	return best
}
