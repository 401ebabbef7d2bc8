package registration

import (
	"time"

	"go.uber.org/zap"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/registration/whoisreply"
	"github.com/whence-project/whence/store"
)

// The buckets in the store, behind [Options.Bucket], which has the answers.
const (
	bucketRaw   = ".raw"
	bucketState = store.NodeBucket // what this machine asked for is its own
)

// What is kept for how long beside the settings.
const (
	young       = 30 * 24 * time.Hour // a registration that is younger changes sooner
	reservedTTL = 24 * time.Hour
	minTTL      = 10 * time.Minute
	entryWeight = 1024 // bytes that an answer takes in memory beside its fields, which take about four times what they do in the store
)

// entry is an answer in memory.
type entry struct {
	answer   *Answer
	fragment *enrich.Fragment
	fresh    time.Time // until then it need not be asked again; zero: never
	stale    time.Time // until then it is shown where no newer can be had; zero: always
	weight   uint32
}

func (s *Source) newEntry(a *Answer, fresh time.Time, size int) *entry {
	e := &entry{answer: a, fragment: a.fragment(), fresh: fresh, weight: uint32(entryWeight + 4*size)}
	if !fresh.IsZero() {
		e.stale = fresh.Add(max(s.opt.StaleTTL, 0))
	}
	return e
}

// isFresh reports that the answer need not be asked again.
func (e *entry) isFresh(now time.Time) bool { return e.fresh.IsZero() || now.Before(e.fresh) }

// usable reports that the answer may still be shown.
func (e *entry) usable(now time.Time) bool { return e.stale.IsZero() || now.Before(e.stale) }

// entry is what is known under key, nil for nothing.
func (s *Source) entry(key string, now time.Time) *entry {
	if e, ok := s.memory.GetIfPresent(key); ok && e.usable(now) {
		return e
	}
	if e := s.landed.get(key); e != nil && e.usable(now) {
		return e
	}
	if s.opt.Cache == nil {
		return nil
	}
	b, _, ok := s.opt.Cache.Get(s.opt.Bucket, key)
	if !ok {
		return nil
	}
	a, fresh, err := decode(b)
	if err != nil {
		s.log.Load().Debug("an answer in the cache cannot be read", zap.String("key", key), zap.Error(err))
		return nil
	}
	e := s.newEntry(a, fresh, len(b))
	if !e.usable(now) {
		return nil
	}
	s.memory.Set(key, e)
	return e
}

// others is what another machine has learnt under key, nil where there is none that shares its cache or its answer is not fresh.
func (s *Source) others(key string) *entry {
	shared, ok := s.opt.Cache.(store.Shared)
	if !ok {
		return nil
	}
	b, _, ok := shared.Fetch(s.ctx, s.opt.Bucket, key)
	if !ok {
		return nil
	}
	a, fresh, err := decode(b)
	if err != nil {
		s.log.Load().Debug("an answer of another machine cannot be read", zap.String("key", key), zap.Error(err))
		return nil
	}
	e := s.newEntry(a, fresh, len(b))
	if !e.isFresh(s.opt.Now()) {
		return nil
	}
	if !s.opt.NoRaw {
		shared.Fetch(s.ctx, s.opt.Bucket+bucketRaw, key) // so that it is here when it is wanted
	}
	s.landed.put(key, e)
	s.memory.Set(key, e)
	s.failed.Invalidate(key)
	return e
}

// keep keeps an answer, in memory and in the store, and returns it as it is kept, nil where it cannot be.
func (s *Source) keep(key string, a *Answer) *entry {
	ttl := s.ttl(a)
	fresh := time.Time{}
	if ttl >= 0 {
		fresh = a.Asked.Add(ttl)
	}
	b, err := encode(a, fresh)
	if err != nil {
		s.log.Load().Error("an answer cannot be kept", zap.String("key", key), zap.Error(err))
		return nil
	}
	e := s.newEntry(a, fresh, len(b))
	s.landed.put(key, e)
	s.memory.Set(key, e)
	s.failed.Invalidate(key)
	if s.opt.Cache != nil {
		s.opt.Cache.Put(s.opt.Bucket, key, b, e.stale)
	}
	return e
}

// ttl is for how long an answer need not be asked again, negative for ever. A name that is free may be taken at any time; one that
// was registered lately, or will end soon, changes sooner than others.
func (s *Source) ttl(a *Answer) time.Duration {
	base := s.opt.TTL
	switch a.Class {
	case whoisreply.Registered:
	case whoisreply.Reserved, whoisreply.Unsupported:
		if base > 0 {
			return min(base, reservedTTL)
		}
		return reservedTTL
	default:
		return s.opt.NegativeTTL
	}
	if base < 0 {
		return base
	}
	if !a.Created.IsZero() && a.Asked.Sub(a.Created) < young {
		base /= 4
	}
	if left := a.Expires.Sub(a.Asked); !a.Expires.IsZero() && left > 0 {
		base = min(base, left)
	}
	return max(base, min(minTTL, s.opt.TTL))
}

// maxFailures is of how many subjects it is remembered that they could not be had.
const maxFailures = 100_000

// failure is why a subject could not be had, and when it may be tried again.
type failure struct {
	kind  enrich.NoteKind
	text  string
	again time.Time
	tries int
	fault Fault
}

// The pauses before a subject that could not be had is tried again: a random part of a time that doubles (full jitter).
const (
	firstPause = 30 * time.Second
	lastPause  = time.Hour
)

// fail remembers that key could not be had. wait is what a server told, 0 where it did not.
func (s *Source) fail(key string, p *problem, now time.Time) {
	f := &failure{kind: p.kind, text: p.text, fault: p.fault}
	if old, ok := s.failed.GetIfPresent(key); ok {
		f.tries = old.tries
	}
	f.tries = min(f.tries+1, 10)
	switch {
	case p.again.After(now):
		f.again = p.again
	case p.soon: // nothing was tried, so that there is nothing to be slow about
		f.again = now.Add(time.Second)
	default:
		most := min(firstPause<<f.tries, lastPause)
		f.again = now.Add(firstPause/2 + s.jitter(most))
	}
	if max := now.Add(24 * time.Hour); f.again.After(max) {
		f.again = max
	}
	s.failed.Set(key, f)
}
