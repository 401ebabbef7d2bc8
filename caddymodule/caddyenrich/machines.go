package caddyenrich

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/whence-project/whence/caddymodule/internal/args"
	"github.com/whence-project/whence/caddymodule/internal/cluster"
	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/registration"
	"github.com/whence-project/whence/store"
)

// How a source asks other machines.
const (
	workersFirst = "first" // they are asked, and registries from here where none is there
	workersOnly  = "only"  // they are asked
	workersOff   = "off"   // registries are asked from here, and their limits are shared with nobody
)

// parseMachines reads the options of the block that are about other machines.
//
//	worker
//	workers first|only|off
//	egress  <name>
func (m *Registration) parseMachines(d *caddyfile.Dispenser) error {
	switch d.Val() {
	case "worker":
		m.Worker = true
		return args.None(d)
	case "egress":
		return args.One(d, &m.EgressName)
	}
	if !d.AllArgs(&m.Workers) {
		return d.ArgErr()
	}
	if m.Workers != workersFirst && m.Workers != workersOnly && m.Workers != workersOff {
		return d.Errf("workers %s: want first (they are asked, and registries from here where none is there), only, or off", m.Workers)
	}
	return nil
}

// join has this machine be one of several, where the configuration says so.
func (m *Registration) join(ctx caddy.Context) (err error) {
	switch m.Workers {
	case "", workersFirst, workersOnly, workersOff:
	default:
		return fmt.Errorf("workers %q: want first, only or off", m.Workers)
	}
	if m.machines, err = cluster.Of(ctx); err != nil {
		return err
	}
	if m.machines == nil {
		if m.Worker || m.EgressName != "" || m.Workers != "" && m.Workers != workersOff {
			return errors.New("worker, workers and egress need the global option nats, by which machines find each other: nats nats://127.0.0.1:4222")
		}
		return nil
	}
	if m.Worker && m.Workers == workersOnly {
		return errors.New("worker and workers only exclude each other: a worker asks registries")
	}
	if m.Workers == workersOff && !m.Worker {
		m.machines = nil
		return nil
	}
	return m.machines.Join(cluster.Part{Manners: courtesy, Serve: m.Worker, Egress: m.EgressName})
}

// machinesKey tells a source with other machines from one without, and from one with others.
func (m *Registration) machinesKey() string {
	if m.machines == nil {
		return ""
	}
	return m.machines.Key()
}

// enlist finds this machine's place among the others, nil where it has none.
func (m *Registration) enlist() (err error) {
	if m.machines != nil {
		m.node, err = m.machines.Node()
	}
	return err
}

// tieTo has the engine ask other machines, and ask them before it asks registries.
func (m *Registration) tieTo(o *registration.Options) {
	if m.node == nil {
		return
	}
	o.Permit = m.node.Permit
	switch m.Workers {
	case workersOnly:
		o.Elsewhere = only{m.node}
	case "", workersFirst:
		o.Elsewhere = m.node
	}
	if m.lists() {
		o.Preload = registration.Preload{} // the list is for all machines
	}
}

// lists reports that names to preload go to the list that all workers work on.
func (m *Registration) lists() bool { return m.node != nil && m.Workers != workersOff }

// serve has the errands of others run by this source, where it is the worker.
func (m *Registration) serve(cache store.Cache) {
	if m.node == nil || !m.Worker {
		return
	}
	var stored func(context.Context) error
	if shared, ok := cache.(store.Shared); ok {
		stored = shared.Settle
	}
	m.drop = append(m.drop, m.node.Serve(m.held.Run, stored))
}

// only is other machines that are asked, and nobody else.
type only struct{ registration.Elsewhere }

// Run implements [registration.Elsewhere].
func (o only) Run(ctx context.Context, operator string, e registration.Errand) (registration.Outcome, bool) {
	if out, ok := o.Elsewhere.Run(ctx, operator, e); ok {
		return out, true
	}
	return registration.Outcome{
		Declined: true, Kind: enrich.Unfetched, Text: "not looked up: no lookup worker can be reached", Soon: true, Fault: registration.Unreachable,
	}, true
}

// listing puts the names of the configuration on the list of all machines, in the background: it is a part of [lookups].
type listing struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// start tries until it has been done.
func (l *listing) start(s *registration.Source, node cluster.Node, want registration.Preload, log *zap.Logger) {
	ctx, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	l.done.Go(func() {
		for try := 0; ; try++ {
			jobs := s.Jobs(ctx, want)
			if ctx.Err() != nil {
				return
			}
			added, known, err := node.Enqueue(ctx, jobs)
			if err == nil {
				log.Info("names are on the list of the lookup workers", zap.Int("added", added), zap.Int("known", known))
				return
			}
			if try == 0 {
				log.Info("names cannot be put on the list of the lookup workers yet", zap.Error(err))
			}
			most := min(200*time.Millisecond<<min(try, 10), 10*time.Second)
			select {
			case <-time.After(most/4 + rand.N(most*3/4)):
			case <-ctx.Done():
				return
			}
		}
	})
}

// stop ends it. It is idempotent.
func (l *listing) stop() {
	if l.cancel != nil {
		l.cancel()
		l.done.Wait()
	}
}

// Workers are the lookup workers that a chain asks, nil where it asks none.
func Workers(c *enrich.Chain) func() []registration.Worker {
	m := registrationOf(c)
	if m == nil || m.node == nil {
		return nil
	}
	return m.node.Workers
}

// ListOf is the list of names that a chain's source shares with other machines, nil where it does not.
func ListOf(c *enrich.Chain) cluster.Node {
	if m := registrationOf(c); m != nil && m.lists() {
		return m.node
	}
	return nil
}

// Enlist puts the top most popular names of the chain's rank lists, or names if there are any, on the list that its machines share.
func Enlist(ctx context.Context, c *enrich.Chain, top int, names []string) error {
	m := registrationOf(c)
	if m == nil {
		return ErrNoRegistration
	}
	p, err := m.wanted(top, names)
	if err != nil {
		return err
	}
	jobs := m.held.Jobs(ctx, p)
	for try := range 4 { // servers that are one cluster may be electing
		if _, _, err = m.node.Enqueue(ctx, jobs); err == nil {
			return ctx.Err()
		}
		select {
		case <-time.After(time.Duration(try+1) * 500 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	if err != nil {
		return fmt.Errorf("names cannot be put on the list of the lookup workers: %w", err)
	}
	return ctx.Err()
}

// wanted are the names of a preload.
func (m *Registration) wanted(top int, names []string) (p registration.Preload, err error) {
	p = registration.Preload{Names: top, Top: m.top}
	switch {
	case len(names) > 0:
		p.Names, p.Top = len(names), listed(names)
	case m.top == nil:
		return p, ErrNoRank
	case empty(m.top(1)):
		return p, ErrNoList
	}
	return p, nil
}
