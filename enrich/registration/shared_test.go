package registration

import (
	"context"
	"testing"
	"time"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/registration/bootstrap"
	"github.com/whence-project/whence/store"
)

// shared is a cache with what another machine has put into its own beside it.
type shared struct {
	store.Cache
	other store.Cache
}

func (s shared) Fetch(_ context.Context, bucket, key string) ([]byte, time.Time, bool) {
	v, expires, ok := s.other.Get(bucket, key)
	if ok {
		s.Put(bucket, key, v, expires)
	}
	return v, expires, ok
}

func (shared) Settle(context.Context) error { return nil }

var _ store.Shared = shared{}

// What another machine learnt is not asked for again, until it is old.
func TestAnswersOfOthers(t *testing.T) {
	var u upstream
	now := newClock()
	o := bootstrap.Override{Suffix: "test", Whois: u.whoisServer(t, func(string) string { return whoisRegistered })}
	other := newCache(t)
	_, first := newSource(t, Options{Cache: other, Now: now.Now}, o)
	if got := field(lookup(first, enrich.Query{}), "registrar"); got != "Whois Registrar" {
		t.Fatalf("registrar %q", got)
	}
	_, second := newSource(t, Options{Cache: shared{newCache(t), other}, Now: now.Now}, o)
	r := lookup(second, enrich.Query{Raw: true})
	if got := field(r, "registrar"); got != "Whois Registrar" {
		t.Errorf("registrar %q", got)
	}
	raw := false
	for _, p := range r.Parts() {
		raw = raw || p.Fragment.Verbatim() != ""
	}
	if !raw {
		t.Error("what the server wrote did not come with it")
	}
	if n := u.count(); n != 1 {
		t.Errorf("the server was asked %d times, want once", n)
	}
	now.add(25 * time.Hour)
	_, third := newSource(t, Options{Cache: shared{newCache(t), other}, Now: now.Now}, o)
	lookup(third, enrich.Query{})
	if n := u.count(); n != 2 {
		t.Errorf("the server was asked %d times when the answer was old, want twice", n)
	}
}
