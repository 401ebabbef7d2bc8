package dotforward

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/whence-project/whence/dotforward/cache"
	"github.com/whence-project/whence/dotforward/upstream"
)

// State is what a Server leaves to the one that takes its place: what was counted, the secrets of cookies, and which upstream
// server the numbers beside the answers in the cache stand for.
type State struct {
	counters *Counters
	cookies  cookies
	mu       sync.Mutex
	names    atomic.Pointer[[]string] // of upstream servers; their numbers begin at 1
}

// NewState is the state of a first server.
func NewState() *State { return &State{counters: newCounters()} }

// Counters are what was counted.
func (s *State) Counters() *Counters { return s.counters }

// number is the upstream server's in the cache, 0 if there have been too many.
func (s *State) number(u *upstream.Server) uint16 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	if p := s.names.Load(); p != nil {
		names = *p
	}
	name := u.String()
	if i := slices.Index(names, name); i >= 0 {
		return uint16(i + 1)
	}
	if len(names) >= 1<<16-1 {
		return 0
	}
	names = append(slices.Clip(names), name)
	s.names.Store(&names)
	return uint16(len(names))
}

// upstream is the name of the server that an answer came from. Those of answers loaded from a file are not known.
func (s *State) upstream(m cache.Meta) string {
	p := s.names.Load()
	if p == nil || m.Generation == 0 || m.Upstream == 0 || int(m.Upstream) > len(*p) {
		return ""
	}
	return (*p)[m.Upstream-1]
}
