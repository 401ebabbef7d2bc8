// Package cluster is what the modules of Whence know of the machines that look up for each other: who they are is the app "nats", which
// links NATS; whoever asks it does not.
package cluster

import (
	"context"
	"errors"
	"iter"

	"github.com/caddyserver/caddy/v2"

	"github.com/whence-project/whence/enrich/registration"
	"github.com/whence-project/whence/enrich/registration/manners"
)

// AppName is the app's.
const AppName = "nats"

// App is the app "nats" of a configuration.
type App interface {
	// Join has this process be one of the machines. It is for Provision; a configuration has one part with Serve at most.
	Join(p Part) error
	// Key tells one node from another with other settings. It is known when all is provisioned.
	Key() string
	// Node is this machine among the others, opened if it is not. It must not be called before Start: apps start in no particular
	// order, so that others call it in theirs. It waits for no NATS.
	Node() (Node, error)
}

// Part is how this process takes part.
type Part struct {
	Manners *manners.Manners // this machine's limits, to be shared
	Serve   bool             // it is a worker
	Egress  string           // the network that registries see it in, where Manners do not know its addresses
}

// Node is this machine among the others. Its methods fail, and wait for nothing, where NATS is away.
type Node interface {
	registration.Elsewhere
	// Permit is a [registration.Permit].
	Permit(ctx context.Context, operator string) error
	// Serve has the errands of others run here from now on, until it is withdrawn. stored waits until what they brought is where all
	// machines find it; nil: it need not be waited for.
	Serve(run Run, stored func(ctx context.Context) error) (withdraw func())
	// Enqueue puts names on the list that all workers work on. known is how many were on it already.
	Enqueue(ctx context.Context, jobs iter.Seq[registration.Job]) (added, known int, err error)
	// Jobs is how far that list has come, StopJobs takes off it what is not done.
	Jobs(ctx context.Context) (registration.Work, error)
	StopJobs(ctx context.Context) (dropped int, err error)
	// Workers are the workers that were heard of, by name.
	Workers() []registration.Worker
}

// Run runs an errand: see [registration.Source.Run].
type Run func(ctx context.Context, e registration.Errand) (registration.Outcome, error)

// Of is the app of the configuration that is being provisioned, or runs; nil where it has none.
func Of(ctx caddy.Context) (App, error) {
	v, err := ctx.AppIfConfigured(AppName)
	if errors.Is(err, caddy.ErrNotConfigured) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	app, ok := v.(App)
	if !ok {
		return nil, errors.New("the app nats is not Whence's: another module of this binary has its name")
	}
	return app, nil
}
