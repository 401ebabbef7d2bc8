package caddyenrich

import (
	"errors"
	"iter"
	"time"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/registration"
)

// RegistrationOf is the source registration of a chain that is open, nil where it has none.
func RegistrationOf(c *enrich.Chain) *registration.Source {
	if m := registrationOf(c); m != nil {
		return m.held.Source
	}
	return nil
}

func registrationOf(c *enrich.Chain) *Registration {
	for _, l := range c.Links() {
		if m, ok := l.Source.(*Registration); ok && m.held != nil {
			return m
		}
	}
	return nil
}

// Errors of [StartPreload].
var (
	ErrNoRegistration = errors.New("the chain has no source registration: nothing can be preloaded")
	ErrNoRank         = errors.New("the chain has no list of names to preload: add a source rank to it, or name the names")
	ErrNoList         = errors.New("the list of names is not there yet")
)

// StartPreload begins to look up the top most popular names of the chain's rank lists, or names if there are any, with a pause between the
// beginnings of two lookups; negative is the one of the configuration.
func StartPreload(c *enrich.Chain, top int, names []string, delay time.Duration) error {
	m := registrationOf(c)
	if m == nil {
		return ErrNoRegistration
	}
	p, err := m.wanted(top, names)
	if err != nil {
		return err
	}
	if p.Delay = delay; delay < 0 {
		p.Delay = m.pace()
	}
	return m.held.StartPreload(p)
}

func empty(list iter.Seq2[int, string]) bool {
	for range list {
		return false
	}
	return true
}

// listed is names as a list of popular ones.
func listed(names []string) func(int) iter.Seq2[int, string] {
	return func(most int) iter.Seq2[int, string] {
		return func(yield func(int, string) bool) {
			for i, name := range names[:min(most, len(names))] {
				if !yield(i+1, name) {
					return
				}
			}
		}
	}
}

// pace is the time between the beginnings of two lookups of a preload.
func (m *Registration) pace() time.Duration {
	if m.PreloadDelay != nil {
		return time.Duration(*m.PreloadDelay)
	}
	return 100 * time.Millisecond
}
