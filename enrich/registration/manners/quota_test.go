package manners

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/whence-project/whence/internal/limit"
)

var testRates = []limit.Rate{
	window(1, time.Second), window(5, time.Second), window(10, minute), window(64, minute), window(65, minute), window(1000, day),
	window(1800, 15*minute), {Events: 1, Per: time.Second, Burst: 1}, {Events: 1, Per: time.Second, Burst: 5},
	{Events: 50, Per: minute, Burst: 200}, {Events: 1000, Per: day, Burst: 20},
}

// arrivals are times that come now in floods, now slowly, now not for a long time.
func arrivals(r *rand.Rand, rate limit.Rate, n int) []int64 {
	t, all := int64(0), make([]int64, 0, n)
	pace := int64(rate.Per)
	for range n {
		if r.IntN(50+rate.Events) == 0 {
			pace = int64(rate.Per) >> r.IntN(14)
		}
		t += r.Int64N(pace + 1)
		all = append(all, t)
	}
	return all
}

// Whatever comes when: a window of a rate's length never holds more than the rate allows, and with a burst never more than both.
func TestQuotaNeverExceeds(t *testing.T) {
	for _, rate := range testRates {
		t.Run(rateText(rate), func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 2))
			q := quota{rate: rate}
			var granted []int64
			for _, now := range arrivals(r, rate, 50_000) {
				at := q.at(1, now)
				if (at <= now) != (q.left(now) > 0) {
					t.Fatalf("at %d the next may come at %d, but %d are left", now, at, q.left(now))
				}
				if at <= now {
					q.take(now)
					granted = append(granted, now)
				}
			}
			most := rate.Events + rate.Burst
			first, fullest := 0, 0
			for i, now := range granted {
				for now-granted[first] >= int64(rate.Per) {
					first++
				}
				fullest = max(fullest, i-first+1)
			}
			if fullest > most || fullest < min(most*9/10, rate.Events) {
				t.Errorf("%d in the fullest window, of %d that are allowed", fullest, most)
			}
			if len(q.marks) > maxMarks+1 || cap(q.marks) > 2*maxMarks {
				t.Errorf("%d marks, place for %d", len(q.marks), cap(q.marks))
			}
		})
	}
}

// What at predicts of the k-th is when it can be had, if all before it are taken at once.
func TestQuotaAt(t *testing.T) {
	for _, rate := range testRates {
		t.Run(rateText(rate), func(t *testing.T) {
			r := rand.New(rand.NewPCG(3, 4))
			for range 20 {
				q := quota{rate: rate}
				now := int64(0)
				for _, now = range arrivals(r, rate, r.IntN(3000)) {
					if q.at(1, now) <= now {
						q.take(now)
					}
				}
				k := 1 + r.IntN(3*rate.Events)
				want := q.at(k, now)
				got := now
				for range k {
					got = q.at(1, got)
					q.take(got)
				}
				// Marks are counted until the last of their events leaves, which those that at has not seen yet may put off.
				if slack := int64(rate.Per) * 3 * 3 / maxMarks; got < want || got > want+slack {
					t.Fatalf("the %d. of %s was predicted for %v and came at %v", k, rateText(rate), time.Duration(want), time.Duration(got))
				}
			}
		})
	}
}

// Asking slowly all day costs a rolling window its share, and midnight brings nothing back.
func TestWindowRolls(t *testing.T) {
	q := quota{rate: window(1000, day)}
	step := int64(day) / 1000
	for i := range int64(1000) {
		if q.at(1, i*step) > i*step {
			t.Fatalf("query %d of 1000 in a day was refused", i)
		}
		q.take(i * step)
	}
	if left := q.left(int64(day) - 1); left != 0 {
		t.Errorf("%d left at the end of the day", left)
	}
	if left := q.left(int64(day + time.Second)); left > 1 {
		t.Errorf("%d left after midnight", left)
	}
	if left := q.left(int64(2 * day)); left != 1000-q.used || left < 980 {
		t.Errorf("%d left after a day of rest", left)
	}
}

func TestQuotaDrain(t *testing.T) {
	q := quota{rate: bucket(1, 5)}
	until := int64(minute)
	q.drain(until)
	if at := q.at(1, 0); at != until {
		t.Errorf("a drained bucket has its token at %v, want %v", time.Duration(at), minute)
	}
	if left := q.left(until); left != 1 {
		t.Errorf("%d left after a pause, want 1", left)
	}
}

// Other settings find what was used up.
func TestQuotaInherit(t *testing.T) {
	for _, tt := range []struct {
		from, to   limit.Rate
		take, left int
	}{
		{window(100, day), window(100, day), 30, 70},
		{window(100, day), window(50, day), 30, 20},
		{window(100, day), window(20, day), 30, 0},
		{window(1000, day), window(50, day), 30, 20},
		{window(50, day), window(1000, day), 30, 970},
		{window(100, day), window(50, time.Hour), 30, 20},
		{bucket(1, 10), bucket(1, 10), 4, 6},
		{bucket(1, 10), bucket(2, 5), 4, 1},
		{bucket(1, 10), bucket(1, 3), 4, 0},
		{bucket(1, 10), window(5, minute), 4, 1},
		{window(5, minute), bucket(1, 10), 4, 6},
		{limit.Rate{}, bucket(1, 10), 4, 10},
	} {
		old := newQuotas([]limit.Rate{tt.from})
		for i := range old {
			for range tt.take {
				old[i].take(0)
			}
		}
		now := newQuotas([]limit.Rate{tt.to})
		inherit(now, old, 0)
		if got := now[0].left(0); got != tt.left {
			t.Errorf("%s with %d taken, then %s: %d left, want %d", rateText(tt.from), tt.take, rateText(tt.to), got, tt.left)
		}
		if rest := now[0].at(1, 0); (rest == 0) != (tt.left > 0) {
			t.Errorf("%s then %s: the next at %v with %d left", rateText(tt.from), rateText(tt.to), rest, tt.left)
		}
	}
}

// The same settings find a bucket exactly as it was: however often they are read, it fills as fast as ever.
func TestQuotaInheritSame(t *testing.T) {
	rates := []limit.Rate{bucket(1, 2)}
	q := newQuotas(rates)
	q[0].take(0)
	q[0].take(0)
	for now := int64(0); now < int64(time.Second); now += int64(time.Second) / 7 {
		next := newQuotas(rates)
		inherit(next, q, now)
		q = next
	}
	if at := q[0].at(1, int64(time.Second)/2); at != int64(time.Second) {
		t.Errorf("the next token comes after %v", time.Duration(at))
	}
	q[0].drain(int64(minute))
	next := newQuotas(rates)
	inherit(next, q, int64(time.Second))
	if next[0].full != q[0].full {
		t.Errorf("what a pause had emptied until %v is so until %v", time.Duration(q[0].full), time.Duration(next[0].full))
	}
}

func TestInheritMostLike(t *testing.T) {
	old := newQuotas([]limit.Rate{window(5, time.Second), window(1000, day), bucket(1, 10)})
	for range 3 {
		old[0].take(0)
	}
	for range 7 {
		old[1].take(0)
	}
	for range 2 {
		old[2].take(0)
	}
	now := newQuotas([]limit.Rate{bucket(2, 10), window(900, day), window(5, time.Second)})
	inherit(now, old, 0)
	for i, want := range []int{8, 893, 2} {
		if got := now[i].left(0); got != want {
			t.Errorf("%s: %d left, want %d", rateText(now[i].rate), got, want)
		}
	}
}

func TestRateText(t *testing.T) {
	got := ""
	for _, r := range []limit.Rate{
		window(1000, day), window(15, 10*time.Second), bucket(1, 5), window(3, 90*time.Second), window(9, minute),
		window(9, 10*minute), window(2, time.Hour),
	} {
		got += rateText(r) + " "
	}
	if want := "1000/24h 15/10s 1/s burst 5 3/1m30s 9/m 9/10m 2/h "; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func BenchmarkQuota(b *testing.B) {
	for _, rate := range []limit.Rate{window(1800, 15*minute), bucket(1, 5)} {
		b.Run(rateText(rate), func(b *testing.B) {
			q, now := quota{rate: rate}, int64(0)
			b.ReportAllocs()
			for b.Loop() {
				now = q.at(1, now)
				q.take(now)
			}
		})
	}
}
