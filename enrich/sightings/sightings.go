// Package sightings is the source that tells when this network first and last saw a name: it reads the ledger. Asking is not
// seeing: it claims nothing, that is for the doors that carry traffic.
package sightings

import (
	"net/netip"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/store"
)

// Source is an [enrich.Source] and an [enrich.Reporter].
type Source struct{ ledger atomic.Pointer[store.Ledger] }

// New makes a source that knows nothing until it is given a ledger.
func New() *Source { return new(Source) }

// SetLedger gives the source the ledger to read. It may be called at any time.
func (s *Source) SetLedger(l store.Ledger) { s.ledger.Store(&l) }

var origin = &enrich.Origin{Source: "sightings", Name: "sightings"}

// Add says what the ledger knows of a domain, under its own name and under the one it was registered as, or of an address.
func (s *Source) Add(q *enrich.Query, r *enrich.Record) enrich.Verdict {
	l := s.ledger.Load()
	if l == nil || !q.Wants(enrich.SetOf(enrich.FirstSeen, enrich.LastSeen)) {
		return enrich.Next
	}
	var names [2]string
	switch q.Subject.Kind() {
	case enrich.Domain:
		names[0] = q.Subject.Name()
		if d := q.Registrable(); d != names[0] {
			names[1] = d
		}
	case enrich.Address:
		names[0] = q.Subject.String()
	default:
		return enrich.Next
	}
	var sum summary
	for _, scope := range (*l).Scopes() {
		for _, name := range names {
			if name != "" {
				sum.add((*l).Lookup(scope, name))
			}
		}
	}
	if sum.unknown {
		r.Note(enrich.Failed, "the ledger cannot tell now")
	}
	if f := sum.fragment(names[0]); f != nil {
		r.Attach(f, netip.Prefix{})
	}
	return enrich.Next
}

// summary is what is known of a subject over all scopes and names.
type summary struct {
	first, last time.Time
	count       uint64
	name        string // under which it is known
	scopes      []string
	unknown     bool
}

func (s *summary) add(result store.Result, g store.Sighting) {
	if result == store.Unknown {
		s.unknown = true
	}
	if result != store.Seen {
		return
	}
	if s.name == "" {
		s.name = g.Name
	}
	if !g.First.IsZero() && (s.first.IsZero() || g.First.Before(s.first)) {
		s.first = g.First
	}
	if g.Last.After(s.last) {
		s.last = g.Last
	}
	s.count += g.Count
	if n := len(s.scopes); n == 0 || s.scopes[n-1] != g.Scope {
		s.scopes = append(s.scopes, g.Scope)
	}
}

// fragment is nil where nothing is known.
func (s *summary) fragment(asked string) *enrich.Fragment {
	if s.name == "" {
		return nil
	}
	b := enrich.NewBuilder(origin).Grow(4 + len(s.scopes))
	first := stamp(b, enrich.FirstSeen, s.first, "")
	last := ""
	if s.last.Equal(s.first) {
		last = first // most names are seen once
	}
	stamp(b, enrich.LastSeen, s.last, last)
	b.Add(enrich.Field{Key: "sightings", Value: strconv.FormatUint(s.count, 10), Type: enrich.Number})
	if s.name != asked {
		b.Field("sightings_name", s.name)
	}
	for _, scope := range s.scopes {
		b.Add(enrich.Field{Key: "seen_by", Value: scope, List: true})
	}
	return b.Build()
}

// stamp adds a time and returns it as text, which may be given if it is known.
func stamp(b *enrich.Builder, key enrich.Key, t time.Time, text string) string {
	if t.IsZero() {
		return ""
	}
	if text == "" {
		text = t.UTC().Format(time.RFC3339)
	}
	b.Add(enrich.Field{Key: key.String(), Value: text, Canon: key}).Canonical(key, text)
	return text
}

// Status says how many names the ledger knows.
func (s *Source) Status() enrich.Status {
	st := enrich.Status{Kind: "sightings"}
	if l := s.ledger.Load(); l != nil {
		ls := (*l).Status()
		st.Records, st.LastError, st.ErrorTime = ls.Names, ls.Error, ls.Since
	}
	return st
}

var (
	_ enrich.Source   = (*Source)(nil)
	_ enrich.Reporter = (*Source)(nil)
)
