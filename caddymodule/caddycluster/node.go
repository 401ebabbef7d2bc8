package caddycluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/whence-project/whence/caddymodule/internal/cluster"
	"github.com/whence-project/whence/caddymodule/internal/events"
	"github.com/whence-project/whence/caddymodule/internal/livelog"
	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/registration"
	"github.com/whence-project/whence/enrich/registration/workers"
	"github.com/whence-project/whence/internal/newest"
)

var nodes = caddy.NewUsagePool()

// node is this machine among the others, in the pool: it outlives configurations with the same settings.
type node struct {
	*workers.Node
	bus     *sharedBus
	serving bool
	serves  newest.Stack[server]
	loggers livelog.Loggers
	events  events.Newest
}

// server is what runs the errands of others.
type server struct {
	run    cluster.Run
	stored func(context.Context) error
}

// open makes the node and opens it. It is called with the lock of the app held.
func (a *App) open() (*node, error) {
	b, err := a.acquireBus()
	if err != nil {
		return nil, err
	}
	n := &node{bus: b, serving: a.part.Serve}
	withdraw := n.loggers.Push(a.logger)
	defer withdraw()
	n.Node, err = workers.New(workers.Options{
		Bus: b.Bus, Prefix: a.Prefix, Node: a.Name, Manners: a.part.Manners, Egress: a.part.Egress, Replicas: a.Replicas,
		Stored: n.stored, Changed: n.changed, Logger: n.loggers.Logger(),
	})
	if err != nil {
		return nil, errors.Join(err, b.release())
	}
	if n.serving {
		n.Open(runner(n.run))
	} else {
		n.Open(nil)
	}
	machines.Begin(n)
	return n, nil
}

// Destruct tells the others that this machine goes, and lets the connection go.
func (n *node) Destruct() error {
	err := n.Close()
	machines.End(n)
	return errors.Join(err, n.bus.release())
}

// Serve implements [cluster.Node].
func (n *node) Serve(run cluster.Run, stored func(context.Context) error) (withdraw func()) {
	return n.serves.Push(server{run, stored})
}

func (n *node) server() (s server) {
	n.serves.Do(func(v server) { s = v })
	return s
}

// runner is a [workers.Runner].
type runner cluster.Run

// Run runs an errand.
func (r runner) Run(ctx context.Context, e registration.Errand) (registration.Outcome, error) {
	return r(ctx, e)
}

// run runs an errand of another machine's, with what the newest configuration has for that.
func (n *node) run(ctx context.Context, e registration.Errand) (registration.Outcome, error) {
	s := n.server()
	if s.run == nil {
		return registration.Outcome{Declined: true, Kind: enrich.Unfetched, Text: "the worker is starting", Soon: true}, nil
	}
	return s.run(ctx, e)
}

func (n *node) stored(ctx context.Context) error {
	if s := n.server(); s.stored != nil {
		return s.stored(ctx)
	}
	return nil
}

// changed makes an event of a worker that went down or came up.
func (n *node) changed(w workers.Worker) {
	since := w.Since.UTC().Format(time.RFC3339)
	if w.Up {
		n.events.Post(events.WorkerUp, map[string]any{"worker": w.Name, "since": since})
		return
	}
	n.events.Post(events.WorkerDown, map[string]any{
		"worker": w.Name, "since": since,
		"error": fmt.Sprintf("nothing has been heard of it for %s", time.Since(w.Heard).Round(time.Second/10)),
	})
}

// Interface guards
var _ cluster.Node = (*node)(nil)
