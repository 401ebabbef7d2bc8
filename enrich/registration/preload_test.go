package registration

import (
	"fmt"
	"iter"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/registration/bootstrap"
)

// top is a list of n names under each of the suffixes.
func top(n int, suffixes ...string) func(int) iter.Seq2[int, string] {
	return func(most int) iter.Seq2[int, string] {
		return func(yield func(int, string) bool) {
			rank := 0
			for i := range n {
				for _, s := range suffixes {
					if rank++; rank > most || !yield(rank, fmt.Sprintf("www.name%d.%s", i, s)) {
						return
					}
				}
			}
		}
	}
}

func TestPreload(t *testing.T) {
	u, cache := new(upstream), newCache(t)
	base := u.rdapServer(t, serveDomain)
	overrides := []bootstrap.Override{{Suffix: "test", RDAP: []string{base}}, {Suffix: "example", RDAP: []string{base}}}
	o := Options{Cache: cache, Preload: Preload{Names: 1000, Top: top(40, "test", "example")}}
	s, chain := newSource(t, o, overrides...)
	waitFor(t, func() bool { p := s.Preloading(); return p != nil && !p.Finished.IsZero() })
	if p := s.Preloading(); p.Names != 80 || p.Done != 80 || p.Failed != 0 {
		t.Errorf("%+v", p)
	}
	if u.count() != 80 {
		t.Errorf("asked %d times", u.count())
	}
	if r := lookup(chain, enrich.Query{Subject: enrich.DomainOf("name39.example"), Offline: true}); !r.Found() {
		t.Errorf("%s", notes(r))
	}
	s.Close()
	again, _ := newSource(t, o, overrides...)
	waitFor(t, func() bool { p := again.Preloading(); return p != nil && !p.Finished.IsZero() })
	if p := again.Preloading(); u.count() != 80 || p.Resumed != 80 {
		t.Errorf("a second time: asked %d times, %+v", u.count(), p)
	}
}

// TestPreloadGoesOn stops a process in the middle.
func TestPreloadGoesOn(t *testing.T) {
	u, cache := new(upstream), newCache(t)
	var mu sync.Mutex
	stopped := make(chan struct{})
	served := 0
	base := u.rdapServer(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		served++
		n := served
		mu.Unlock()
		if n > 20 {
			<-stopped
		}
		serveDomain(w, r)
	})
	o := Options{Cache: cache, Preload: Preload{Names: 50, Top: top(50, "test")}}
	s, _ := newSource(t, o, suffix(base, nil))
	waitFor(t, func() bool { return u.count() > 20 })
	waitFor(t, func() bool { return s.memory.EstimatedSize() >= 20 })
	go close(stopped)
	s.Close()
	before := u.count()
	again, _ := newSource(t, o, suffix(base, nil))
	waitFor(t, func() bool { p := again.Preloading(); return p != nil && !p.Finished.IsZero() })
	if p := again.Preloading(); p.Done != 50 || p.Failed != 0 {
		t.Errorf("%+v", p)
	}
	names := map[string]int{}
	for _, a := range strings.Split(u.all(), ", ") {
		names[a]++
	}
	if len(names) != 50 || u.count()-before > 50-20+perOperator {
		t.Errorf("%d names were asked about; %d questions before, %d after", len(names), before, u.count()-before)
	}
}

// TestMannersSurviveARestart has a registry that asks to wait, and another process on the same store.
func TestMannersSurviveARestart(t *testing.T) {
	u, cache := new(upstream), newCache(t)
	o := suffix(u.rdapServer(t, fails(429, 3600)), nil)
	s, chain := newSource(t, Options{Cache: cache}, o)
	lookup(chain, enrich.Query{})
	s.Close()
	_, again := newSource(t, Options{Cache: cache}, o)
	if r := lookup(again, enrich.Query{Subject: enrich.DomainOf("other.test")}); u.count() != 1 || !strings.HasPrefix(notes(r), "throttled: ") {
		t.Errorf("asked %s; notes %s", u.all(), notes(r))
	}
}

// TestStartPreload starts, stops and repeats preloads on a source that is open.
func TestStartPreload(t *testing.T) {
	u, cache := new(upstream), newCache(t)
	hold := make(chan struct{})
	base := u.rdapServer(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "name5.") {
			<-hold
		}
		serveDomain(w, r)
	})
	s, _ := newSource(t, Options{Cache: cache}, suffix(base, nil))
	if s.Preloading() != nil || s.StopPreload() {
		t.Error("a preload that nobody started")
	}
	want := Preload{Names: 20, Top: top(20, "test")}
	start := func() {
		t.Helper()
		if err := s.StartPreload(want); err != nil {
			t.Fatal(err)
		}
	}
	finished := func() *Progress {
		t.Helper()
		waitFor(t, func() bool { return s.Preloading().State == PreloadFinished })
		return s.Preloading()
	}
	start()
	waitFor(t, func() bool { return s.Preloading().Done == 19 }) // all but the one that is held
	if p := s.Preloading(); p.State != PreloadRunning || p.Names != 20 {
		t.Errorf("while it runs: %+v", p)
	}
	if err := s.StartPreload(want); err != ErrPreloading {
		t.Errorf("a second one: %v", err)
	}
	if !s.StopPreload() || s.StopPreload() {
		t.Error("stopped not once")
	}
	if p := s.Preloading(); p.State != PreloadStopped || !p.Finished.IsZero() || p.Done == 20 {
		t.Errorf("stopped: %+v", p)
	}
	close(hold)
	start()
	if p := finished(); p.Done != 20 || p.Resumed != 5 || p.Failed != 0 || u.count() != 20 {
		t.Errorf("again: %+v, asked %d times", p, u.count())
	}
	start()
	if p := finished(); p.Resumed != 20 || u.count() != 20 {
		t.Errorf("a third time: %+v, asked %d times", p, u.count())
	}
	if n := s.Forget(ctx, "name1.test", "name2.test", "never.test"); n != 2 {
		t.Errorf("forgot %d", n)
	}
	start()
	if p := finished(); p.Resumed != 0 || p.Done != 20 || u.count() != 22 {
		t.Errorf("after two names were forgotten: %+v, asked %d times", p, u.count())
	}
	s.Close()
	if err := s.StartPreload(want); err != ErrClosed {
		t.Errorf("closed: %v", err)
	}
}
