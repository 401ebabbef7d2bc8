package registration

import (
	"slices"
	"sync"
)

// landed is the answers that came last. The memory's policy may let go of an answer at once that was never asked for before, and
// the store may be too busy to take it; who waits for it must find it all the same.
type landed struct {
	mu     sync.Mutex
	most   int // bytes
	size   int
	byKey  map[string]*entry
	oldest []string // keys, in the order in which they came
}

func newLanded(most int) *landed { return &landed{most: most, byKey: make(map[string]*entry)} }

func (l *landed) get(key string) *entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.byKey[key]
}

func (l *landed) put(key string, e *entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if old := l.byKey[key]; old != nil {
		l.size -= int(old.weight)
	} else {
		l.oldest = append(l.oldest, key)
	}
	l.byKey[key] = e
	for l.size += int(e.weight); l.size > l.most && len(l.oldest) > 1; {
		first := l.oldest[0]
		l.oldest = l.oldest[1:]
		l.size -= int(l.byKey[first].weight)
		delete(l.byKey, first)
	}
}

// drop lets go of the answers whose keys match.
func (l *landed) drop(match func(key string) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.oldest = slices.DeleteFunc(l.oldest, func(key string) bool {
		if !match(key) {
			return false
		}
		l.size -= int(l.byKey[key].weight)
		delete(l.byKey, key)
		return true
	})
}
