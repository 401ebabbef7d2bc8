package registration

import (
	"context"
	"slices"
	"strings"

	"github.com/whence-project/whence/enrich"
)

// Bucket is the one in the store that has the answers.
func (s *Source) Bucket() string { return s.opt.Bucket }

// Key is under what the answer about a subject is kept, the registrable name for a domain; empty where no registry is asked about it.
func (s *Source) Key(sub enrich.Subject) string {
	return s.keyOf(&enrich.Query{Subject: sub, AskRegistry: true})
}

// Forget lets go of what is kept under keys, in memory and in the store: the answer with what the server wrote, or that there was none
// to be had. It returns how many answers there were. A lookup that is under way is kept when it lands.
func (s *Source) Forget(ctx context.Context, keys ...string) (n int) {
	s.forgetProgress(ctx)
	for _, key := range keys {
		if s.entry(key, s.opt.Now()) != nil {
			n++
		}
		if s.opt.Cache != nil {
			s.opt.Cache.Delete(s.opt.Bucket, key)
			s.opt.Cache.Delete(s.opt.Bucket+bucketRaw, key)
		}
	}
	s.forgetMemory(func(k string) bool { return slices.Contains(keys, k) })
	return n
}

// ForgetPrefix is Forget of all keys that begin with prefix, of all there are if it is empty, and returns how many answers there were.
func (s *Source) ForgetPrefix(ctx context.Context, prefix string) (n int, err error) {
	s.forgetProgress(ctx)
	if s.opt.Cache != nil {
		if n, err = s.opt.Cache.Purge(ctx, s.opt.Bucket, prefix); err == nil {
			_, err = s.opt.Cache.Purge(ctx, s.opt.Bucket+bucketRaw, prefix)
		}
		if err != nil {
			return n, err
		}
	}
	inMemory := s.forgetMemory(func(k string) bool { return strings.HasPrefix(k, prefix) })
	return max(n, inMemory), nil
}

// forgetMemory lets go of what is in memory, after it has gone from the store, from where it would come back.
func (s *Source) forgetMemory(match func(key string) bool) (n int) {
	s.landed.drop(match)
	for key := range s.memory.Keys() {
		if match(key) {
			s.memory.Invalidate(key)
			n++
		}
	}
	for key := range s.failed.Keys() {
		if match(key) {
			s.failed.Invalidate(key)
		}
	}
	return n
}

// forgetProgress lets go of how far preloads came, as the names that they had done are to be looked up again.
func (s *Source) forgetProgress(ctx context.Context) {
	if p := s.preloading.Load(); p != nil {
		p.unsaved.Store(true)
	}
	if s.opt.Cache != nil {
		_, _ = s.opt.Cache.Purge(ctx, s.opt.Bucket+bucketState, preloadKey) // at the worst, a preload leaves names out
	}
}
