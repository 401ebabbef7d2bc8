// Package newest holds the values that successive configurations hand to something that outlives them: a socket's handler, a
// shared database's logger. The newest value counts; when it is withdrawn, because its configuration ended or never came to
// serve, the newest of those left counts again.
package newest

import "sync"

// Stack is a set of values of which the newest counts. The zero Stack is empty and ready; it is safe for concurrent use.
type Stack[T any] struct {
	mu    sync.Mutex
	items []*T
}

// Push makes v the one that counts. Withdraw takes v away again; it is idempotent, and when it returns, no Do that was given v
// is running.
func (s *Stack[T]) Push(v T) (withdraw func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	item := &v
	s.items = append(s.items, item)
	return func() { s.remove(item) }
}

func (s *Stack[T]) remove(item *T) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, it := range s.items {
		if it == item {
			s.items = append(s.items[:i:i], s.items[i+1:]...)
			return
		}
	}
}

// Do calls f with the newest value while no value can be pushed or withdrawn, so f must be quick. It reports whether there was
// a value.
func (s *Stack[T]) Do(f func(T)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.items) == 0 {
		return false
	}
	f(*s.items[len(s.items)-1])
	return true
}
