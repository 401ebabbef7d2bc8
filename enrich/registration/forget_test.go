package registration

import (
	"net/http"
	"strings"
	"testing"

	"github.com/whence-project/whence/enrich"
)

// TestForget forgets answers, and that there were none, in memory and in the store.
func TestForget(t *testing.T) {
	u, cache := new(upstream), newCache(t)
	base := u.rdapServer(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "broken") {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		serveDomain(w, r)
	})
	s, chain := newSource(t, Options{Cache: cache}, suffix(base, nil))
	ask := func(name string) { lookup(chain, enrich.Query{Subject: enrich.DomainOf(name)}) }
	names := []string{"a1.test", "a2.test", "b1.test", "broken.test"}
	for _, name := range names {
		ask("www." + name)
	}
	before := u.count()
	for _, name := range names {
		ask(name)
	}
	if u.count() != before {
		t.Fatalf("asked again: %s", u.all())
	}
	if key := s.Key(enrich.DomainOf("www.a1.test")); key != "a1.test" || s.Bucket() != "registration" {
		t.Errorf("key %q in %q", key, s.Bucket())
	}
	if n := s.Forget(ctx, "a1.test", "broken.test"); n != 1 {
		t.Errorf("forgot %d", n)
	}
	if n, err := s.ForgetPrefix(ctx, "b1"); n != 1 || err != nil {
		t.Errorf("forgot %d with b1, %v", n, err)
	}
	for _, name := range names {
		ask(name)
	}
	for name, want := range map[string]int{"a1": 2, "a2": 1, "b1": 2, "broken": 2} {
		if n := strings.Count(u.all(), name+".test"); n != want {
			t.Errorf("%s was asked about %d times, want %d: %s", name, n, want, u.all())
		}
	}
	if n, err := s.ForgetPrefix(ctx, ""); n != 3 || err != nil || s.memory.EstimatedSize() != 0 {
		t.Errorf("forgot %d, %v; %d in memory", n, err, s.memory.EstimatedSize())
	}
	if _, _, ok := cache.Get("registration", "a2.test"); ok {
		t.Error("still in the store")
	}
	if _, ok := s.raw("a2.test"); ok {
		t.Error("what the server wrote is still in the store")
	}
}
