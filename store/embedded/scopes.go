package embedded

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/whence-project/whence/store"
)

// scope is a scope of the ledger. There is one for each name, and it stays.
type scope struct {
	name             string
	index            int
	salt             uint64 // keeps the hashes of a name in two scopes apart
	stored, unfolded atomic.Int64
}

// scopes are the scopes so far: few, so that they are copied where one is added.
type scopes struct {
	mu     sync.Mutex
	all    atomic.Pointer[[]*scope]
	sorted atomic.Pointer[scopeNames]
}

// scopeNames are the sorted names of a set of scopes: every query of the source sightings asks for them.
type scopeNames struct {
	set   uint64 // by index; there are at most store.MaxScopes
	names []string
}

func (s *scopes) list() []*scope {
	if p := s.all.Load(); p != nil {
		return *p
	}
	return nil
}

func (s *scopes) find(name string) *scope {
	for _, sc := range s.list() {
		if sc.name == name {
			return sc
		}
	}
	return nil
}

// intern finds or makes a scope; nil if the name is none or there are too many.
func (s *scopes) intern(name string) *scope {
	if sc := s.find(name); sc != nil {
		return sc
	}
	if name == "" || len(name) > store.MaxScope {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if sc := s.find(name); sc != nil {
		return sc
	}
	all := s.list()
	if len(all) >= store.MaxScopes {
		return nil
	}
	sc := &scope{name: cloned(name), index: len(all), salt: uint64(len(all)+1) * 0xd6e8feb86659fd93}
	all = append(slices.Clip(all), sc)
	s.all.Store(&all)
	return sc
}

// names are the scopes that have names, sorted. They must not be changed.
func (s *scopes) names() []string {
	var set uint64
	for _, sc := range s.list() {
		if sc.stored.Load()+sc.unfolded.Load() > 0 {
			set |= 1 << sc.index
		}
	}
	if p := s.sorted.Load(); p != nil && p.set == set {
		return p.names
	}
	var names []string
	for _, sc := range s.list() {
		if set&(1<<sc.index) != 0 {
			names = append(names, sc.name)
		}
	}
	slices.Sort(names)
	s.sorted.Store(&scopeNames{set, names})
	return names
}

// cloned is a string of its own: the caller's may be part of a much larger one.
func cloned(s string) string { return strings.Clone(s) }
