package workers

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/whence-project/whence/enrich/registration"
	"github.com/whence-project/whence/internal/natstest"
)

// TestJobsOverRestart has a worker vanish with jobs in hand, and NATS be killed and started again before they are another's.
func TestJobsOverRestart(t *testing.T) {
	const names = 60
	nats := natstest.Start(t, natstest.Options{})
	front := newMachine(t, nats.URL, "front", nil, Options{})
	eventually(t, "connected", func() bool { return front.bus.Status().Connected })
	over := make(chan struct{})
	defer close(over)
	stuck := &runner{what: func(context.Context, registration.Errand) registration.Outcome {
		<-over
		return answered
	}}
	if _, _, err := front.Enqueue(t.Context(), jobs(names)); err != nil {
		t.Fatal(err)
	}
	doomed := newMachine(t, nats.URL, "w1", stuck, Options{})
	eventually(t, "it has jobs", func() bool { return stuck.count() == 3*perOp })
	doomed.crash()
	nats.Kill()
	eventually(t, "noticed", func() bool { return !front.bus.Status().Connected })
	nats.Restart()
	newMachine(t, nats.URL, "w2", new(runner), Options{})
	eventually(t, "all is done", func() bool {
		p, err := front.Jobs(t.Context())
		return err == nil && p.Left == 0
	})
}

// TestErrandOverRestart has NATS be killed while an errand is under way, so that nobody hears of its outcome: it is sent again.
func TestErrandOverRestart(t *testing.T) {
	nats := natstest.Start(t, natstest.Options{})
	front := newMachine(t, nats.URL, "front", nil, Options{})
	first := make(chan struct{})
	worker := new(runner)
	worker.what = func(context.Context, registration.Errand) registration.Outcome {
		if worker.count() == 1 {
			<-first
		}
		return answered
	}
	newMachine(t, nats.URL, "w1", worker, Options{})
	eventually(t, "a worker", func() bool { return len(front.up()) == 1 })
	done := make(chan bool)
	began := time.Now()
	go func() {
		o, ok := errand(t, front, "over.test")
		done <- ok && o.Answer != nil
	}()
	eventually(t, "it is under way", func() bool { return worker.count() == 1 })
	nats.Kill()
	eventually(t, "noticed", func() bool { return !front.bus.Status().Connected })
	close(first)
	nats.Restart()
	if !<-done || time.Since(began) > 12*time.Second {
		t.Errorf("no answer, or late: after %v", time.Since(began))
	}
}

// TestErrandOverAnotherConnection has a worker be connected anew while an errand is under way, through a server of NATS that was lost:
// who waits for it sends it again.
func TestErrandOverAnotherConnection(t *testing.T) {
	nats := natstest.Start(t, natstest.Options{})
	front := newMachine(t, nats.URL, "front", nil, Options{})
	over := make(chan struct{})
	defer close(over)
	worker := new(runner)
	worker.what = func(context.Context, registration.Errand) registration.Outcome {
		if worker.count() == 1 {
			<-over
		}
		return answered
	}
	m := newMachine(t, nats.URL, "w1", worker, Options{})
	eventually(t, "a worker", func() bool { return len(front.up()) == 1 })
	done := make(chan bool)
	go func() {
		o, ok := errand(t, front, "lost.test")
		done <- ok && o.Answer != nil
	}()
	eventually(t, "it is under way", func() bool { return worker.count() == 1 })
	since := front.Workers()[0].Since
	b, err := json.Marshal(beat{Node: "w1", Instance: m.instance, Started: time.Now(), Connection: 7})
	if err != nil {
		t.Fatal(err)
	}
	front.roster.hear(b)
	if !<-done {
		t.Error("no answer")
	}
	if w := front.Workers(); len(w) != 1 || !w[0].Up || !w[0].Since.Equal(since) || len(front.told()) != 0 {
		t.Errorf("%+v, told %q", w, front.told())
	}
}

// TestLeasesOverWipe has NATS come back without its data: leases are had again.
func TestLeasesOverWipe(t *testing.T) {
	nats := natstest.Start(t, natstest.Options{})
	w := newMachine(t, nats.URL, "w1", nil, Options{Lease: 500 * time.Millisecond, Manners: share("192.0.2.1")})
	eventually(t, "connected", func() bool { return w.bus.Status().Connected })
	if err := w.Permit(t.Context(), "peruser"); err != nil {
		t.Fatal(err)
	}
	nats.Kill()
	nats.Wipe()
	eventually(t, "it cannot be told", func() bool {
		var others *registration.NotOursError
		return errors.As(w.Permit(t.Context(), "peruser"), &others)
	})
	nats.Restart()
	eventually(t, "the lease is had again", func() bool { return w.Permit(t.Context(), "peruser") == nil })
}
