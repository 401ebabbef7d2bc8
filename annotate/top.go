package annotate

import (
	"cmp"
	"maps"
	"slices"
)

// maxCounted is how many different things of a kind are counted at the same time.
const maxCounted = 1 << 16

// top counts things, of which there may be more than memory is to be used for. It is a summary of Misra and Gries that is thinned out
// in batches: what is often there is found, and its count is at most lost too low (Agarwal et al., Mergeable Summaries, 2012).
type top[K comparable] struct {
	counts map[K]uint64
	lost   uint64
}

func newTop[K comparable]() top[K] { return top[K]{counts: make(map[K]uint64)} }

func (t *top[K]) add(k K, n uint64) {
	t.counts[k] += n
	if len(t.counts) > 2*maxCounted {
		t.thin()
	}
}

// thin takes from every count what the one that comes behind the first maxCounted has, and drops those that have none left.
func (t *top[K]) thin() {
	all := slices.Sorted(maps.Values(t.counts))
	n := all[len(all)-maxCounted-1]
	t.lost += n
	for k, v := range t.counts {
		if v <= n {
			delete(t.counts, k)
		} else {
			t.counts[k] = v - n
		}
	}
}

// merge takes what another has counted.
func (t *top[K]) merge(other *top[K]) {
	t.lost += other.lost
	for k, n := range other.counts {
		t.add(k, n)
	}
}

func (t *top[K]) reset() {
	clear(t.counts)
	t.lost = 0
}

// first are the n things that were there most, most first.
func first[K comparable](t *top[K], n int, show func(K) Count) []Count {
	keys := slices.Collect(maps.Keys(t.counts))
	all := make([]Count, len(keys))
	for i, k := range keys {
		all[i] = show(k)
		all[i].Count = t.counts[k]
	}
	slices.SortFunc(all, func(a, b Count) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Value, b.Value))
	})
	return all[:min(n, len(all))]
}
