package registration

import (
	"context"
	"iter"
	"strings"
	"time"

	"github.com/whence-project/whence/enrich"
)

// What machines that look up for each other tell each other. Package workers does it, over NATS; who only shows it need not link that.

// Job is a name to look up, for nobody in particular.
type Job struct {
	Name     string // a registered domain, in A-labels
	Operator string // of its registry, as package manners has him; empty where nobody is known to answer for it
}

// Work is how far the machines have come with the list of names that they share.
type Work struct {
	Names    int            `json:"names"`             // put on the list since it was empty
	Left     int            `json:"left"`              // of them, not done
	Done     int            `json:"done"`              // of them, by whomever
	Failed   int            `json:"failed"`            // of those done, what could not be had
	Dropped  int            `json:"dropped,omitempty"` // taken off the list when it was stopped
	Started  time.Time      `json:"started,omitzero"`
	Finished time.Time      `json:"finished,omitzero"` // zero while it goes on
	Stopped  time.Time      `json:"stopped,omitzero"`  // zero unless it was
	Workers  map[string]int `json:"workers,omitempty"` // what each has done
}

// Progress is the work in the form of a preload's progress.
func (w *Work) Progress(now time.Time) *Progress {
	p := &Progress{State: PreloadRunning, Names: w.Names, Done: w.Done, Failed: w.Failed, Started: w.Started, Finished: w.Finished}
	switch {
	case w.Dropped > 0 && w.Left == 0:
		p.State, p.Finished = PreloadStopped, time.Time{}
	case !w.Finished.IsZero():
		p.State = PreloadFinished
	}
	p.reckon(now)
	return p
}

// Worker is how a worker is, as another machine sees it.
type Worker struct {
	Name     string    `json:"name"`
	Up       bool      `json:"up"`
	Since    time.Time `json:"since"` // up, or down
	Heard    time.Time `json:"heard"` // its last beat
	Started  time.Time `json:"started"`
	Egress   []string  `json:"egress,omitempty"` // networks that registries see it in, or its word for them
	UnderWay int       `json:"under_way"`        // errands now
	Done     uint64    `json:"done"`             // errands with an answer, since it started
	Failed   uint64    `json:"failed"`           // errands without one
	Declined uint64    `json:"declined"`         // errands that it had no turn for
	Rate     float64   `json:"rate"`             // errands a second, lately
	Success  float64   `json:"success"`          // of those that it did not decline, the part that brought an answer, lately; 1 where there were none
}

// Jobs are the names of a preload with their operators. It waits until the list of names is there, and it is known who answers for
// what, and is empty where ctx ends before that. Delay does not count: each worker keeps to the limits of the registries.
func (s *Source) Jobs(ctx context.Context, want Preload) iter.Seq[Job] {
	names := s.topNames(ctx, want)
	return func(yield func(Job) bool) {
		for _, name := range names {
			if !yield(Job{Name: name, Operator: s.operatorOf(name)}) {
				return
			}
		}
	}
}

// operatorOf is who answers for a name; empty where nobody is known to.
func (s *Source) operatorOf(name string) string {
	who := s.services(enrich.DomainOf(name), name)
	if len(who.RDAP) == 0 && who.Whois.Host == "" {
		return ""
	}
	return s.operator(who)
}

// topNames are the registrable names of a list, once each, in its order. It waits for the list to be there, and until it is known who
// answers for what.
func (s *Source) topNames(ctx context.Context, want Preload) (names []string) {
	for {
		retry := filesRetry
		if !s.awaits() {
			seen := make(map[string]bool)
			for _, name := range want.Top(want.Names) {
				if d := s.keyOf(&enrich.Query{Subject: enrich.DomainOf(name)}); d != "" && !seen[d] {
					d = strings.Clone(d)
					seen[d] = true
					names = append(names, d)
				}
			}
			retry = listRetry
		}
		if len(names) > 0 {
			return names
		}
		select {
		case <-time.After(retry):
		case <-ctx.Done():
			return nil
		}
	}
}
