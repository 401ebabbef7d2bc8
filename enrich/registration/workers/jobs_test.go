package workers

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"
	"testing"
	"time"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/registration"
	"github.com/whence-project/whence/internal/natstest"
)

func jobs(n int) iter.Seq[Job] {
	return func(yield func(Job) bool) {
		for i := range n {
			if !yield(Job{Name: fmt.Sprintf("n%d.test", i), Operator: []string{"verisign", "nominet", ""}[i%3]}) {
				return
			}
		}
	}
}

func progress(t *testing.T, m *machine) Progress {
	t.Helper()
	p, err := m.Jobs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestJobs has one of two workers vanish in the middle of a list: every name is done all the same, and none twice but those that it
// had.
func TestJobs(t *testing.T) {
	const names = 600
	nats := natstest.Start(t, natstest.Options{})
	front := newMachine(t, nats.URL, "front", nil, Options{})
	eventually(t, "connected", func() bool { return front.bus.Status().Connected })
	if p := progress(t, front); p.Names != 0 || p.Left != 0 {
		t.Errorf("before: %+v", p)
	}
	added, known, err := front.Enqueue(t.Context(), jobs(names))
	if added != names || known != 0 || err != nil {
		t.Fatalf("%d added, %d known, %v", added, known, err)
	}
	added, known, err = front.Enqueue(t.Context(), jobs(names/2))
	if added != 0 || known != names/2 || err != nil {
		t.Fatalf("again: %d added, %d known, %v", added, known, err)
	}
	slow := func(context.Context, registration.Errand) registration.Outcome {
		time.Sleep(20 * time.Millisecond)
		return answered
	}
	first, second := &runner{what: slow}, &runner{what: slow}
	doomed := newMachine(t, nats.URL, "w1", first, Options{})
	eventually(t, "it works", func() bool { return first.count() > names/10 })
	doomed.crash()
	newMachine(t, nats.URL, "w2", second, Options{})
	eventually(t, "the list is empty", func() bool { return progress(t, front).Left == 0 })
	eventually(t, "what was done is noted", func() bool {
		p := progress(t, front)
		return p.Names == names && p.Done == names && p.Failed == 0 && !p.Finished.IsZero() && p.Workers["w2"] > 0
	})
	ran := make(map[string]int)
	for _, name := range append(first.ran, second.ran...) {
		ran[name]++
	}
	twice := 0
	for _, n := range ran {
		if n > 1 {
			twice++
		}
	}
	if len(ran) != names || twice > 9*perOp {
		t.Errorf("%d names done, %d twice", len(ran), twice)
	}
	t.Logf("%d names twice, after a worker vanished; %+v", twice, progress(t, front))
}

// TestJobsThatFail has names be declined, throttled, lost, and not stored.
func TestJobsThatFail(t *testing.T) {
	nats := natstest.Start(t, natstest.Options{})
	var fails atomic.Int32
	run := &runner{}
	seen := make(map[string]int)
	run.what = func(_ context.Context, e registration.Errand) registration.Outcome {
		run.mu.Lock()
		defer run.mu.Unlock()
		seen[e.Subject]++
		switch {
		case e.Subject == "n0.test":
			return registration.Outcome{Kind: enrich.Failed, Text: "never", Fault: registration.Timeout}
		case e.Subject == "n1.test" && seen[e.Subject] < 3:
			return registration.Outcome{Declined: true, Kind: enrich.Unfetched, Again: time.Now().Add(10 * time.Millisecond)}
		case e.Subject == "n2.test" && seen[e.Subject] < 4:
			return registration.Outcome{Kind: enrich.Unfetched, Text: "not now", Soon: true}
		}
		return answered
	}
	front := newMachine(t, nats.URL, "w1", run, Options{Stored: func(context.Context) error {
		if fails.Add(1) == 1 {
			return errors.New("no room")
		}
		return nil
	}})
	eventually(t, "connected", func() bool { return front.bus.Status().Connected })
	if _, _, err := front.Enqueue(t.Context(), jobs(9)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "noted", func() bool {
		p := progress(t, front)
		return p.Left == 0 && p.Done == 9 && p.Failed == 1 && p.Workers["w1"] == 9
	})
	run.mu.Lock()
	defer run.mu.Unlock()
	if seen["n0.test"] < fewTries || seen["n1.test"] < 3 || seen["n2.test"] < 4 {
		t.Errorf("%v", seen)
	}
	// The next list begins anew.
	if _, _, err := front.Enqueue(t.Context(), jobs(1)); err != nil {
		t.Fatal(err)
	}
	if p := progress(t, front); p.Names != 1 {
		t.Errorf("%+v", p)
	}
}

func TestTokens(t *testing.T) {
	for _, word := range []string{"", "verisign", "example.test", "*.>", "xn--mller-kva.de", "ÿ\x00"} {
		if got, err := decode(encode(word)); got != word || err != nil {
			t.Errorf("%q: %q %v", word, got, err)
		}
	}
}
