// Package workers has machines look registrations up for each other, over NATS: registries count queries by the address that they come
// from, so that four machines in four networks may ask four times as much as one.
//
//   - A worker serves errands as a NATS micro service, says every second that it is there, and declines what it has no turn for.
//   - Whoever asks sends an errand to the worker that is there, has not declined for that operator, and has least to do. One that is
//     killed, or hangs, is noticed when its beats stop; what it had is sent to another, with a pause that grows.
//   - An operator who counts all that we send, from wherever it comes, is asked by one machine at a time: it holds a lease, and
//     hands on with it what has been used up.
package workers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/whence-project/whence/enrich/registration"
	"github.com/whence-project/whence/enrich/registration/manners"
	"github.com/whence-project/whence/store/bus"
)

// Runner runs the errands of others: a [registration.Source].
type Runner interface {
	Run(ctx context.Context, e registration.Errand) (registration.Outcome, error)
}

// Options are the settings of a [Node]. Bus and Node are needed; every other zero value stands for what is named.
type Options struct {
	Bus *bus.Bus
	// Prefix begins every subject and bucket; machines with another are of another cluster: "whence".
	Prefix string
	// Node tells this machine from others: letters, digits, - and _, at most 64.
	Node string
	// Manners are this machine's, for what is shared of them: nil, nothing is.
	Manners *manners.Manners
	// Egress names the network that this machine is seen to come from, where Manners do not know its addresses: "", it is one
	// with all that do not say, as they may be behind one router.
	Egress string
	// MaxUnderWay is how many errands may be under way here; more are declined: 512.
	MaxUnderWay int
	// Beat is how often a worker says that it is there; after three and a half times that without, it is down, and after fifteen
	// times that its jobs are others': 1 s. It must be the same on all machines.
	Beat time.Duration
	// Lease is after what time the right to ask an operator is over that its holder does not renew: 10 s.
	Lease time.Duration
	// Replicas is on how many servers of NATS the leases are: 1, or 3 in a cluster of three.
	Replicas int
	// Stored waits until what errands brought is where all machines find it: nil, it is at once. Only then a job is done.
	Stored func(ctx context.Context) error
	// Changed hears that a worker went down or came up. It may be called from any goroutine, one call at a time.
	Changed func(w Worker)
	// Logger hears the same, and what else goes wrong: none.
	Logger *zap.Logger
	// Version is what the service says it is: "0.0.0" (semantic versioning).
	Version string
}

var nodeName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Node is this machine among the others. It is a [registration.Elsewhere]; make one with [New].
type Node struct {
	opt      Options
	instance string
	log      atomic.Pointer[zap.Logger]
	roster   *roster
	leases   *leases
	counts   counts

	noting  sync.Mutex
	ctx     context.Context
	cancel  context.CancelFunc
	ran     sync.WaitGroup
	serving atomic.Pointer[desk]
}

// New makes a Node. It does nothing before [Node.Open].
func New(o Options) (*Node, error) {
	o.Prefix = cmp.Or(o.Prefix, "whence")
	if !nodeName.MatchString(o.Node) {
		return nil, fmt.Errorf("node %q: want letters, digits, - and _, at most 64", o.Node)
	}
	if !nodeName.MatchString(o.Prefix) {
		return nil, fmt.Errorf("prefix %q: want letters, digits, - and _, at most 64", o.Prefix)
	}
	o.MaxUnderWay = cmp.Or(max(o.MaxUnderWay, 0), 512)
	o.Beat = cmp.Or(max(o.Beat, 0), time.Second)
	o.Lease = cmp.Or(max(o.Lease, 0), 10*time.Second)
	o.Replicas = cmp.Or(max(o.Replicas, 0), 1)
	o.Version = cmp.Or(o.Version, "0.0.0")
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	n := &Node{opt: o, instance: nats.NewInbox()[len(nats.InboxPrefix):]}
	n.log.Store(o.Logger)
	n.ctx, n.cancel = context.WithCancel(context.Background())
	n.roster = newRoster(n)
	n.leases = newLeases(n)
	return n, nil
}

// SetLogger has the node log to l from now on.
func (n *Node) SetLogger(l *zap.Logger) { n.log.Store(l) }

// Open begins to listen for workers, and if run is not nil, to be one. It waits for nothing: NATS may come later.
func (n *Node) Open(run Runner) {
	n.ran.Go(n.roster.run)
	n.ran.Go(n.leases.run)
	if run != nil {
		n.ran.Go(func() { n.serve(run) })
		n.ran.Go(func() { n.work(run) })
	}
}

// Close tells the others that this machine goes, lets errands under way end for a moment, and gives back its leases.
func (n *Node) Close() error {
	n.cancel()
	n.ran.Wait()
	return nil
}

// subject is a subject of the cluster.
func (n *Node) subject(rest string) string { return n.opt.Prefix + "." + rest }

// errAway is that there is no connection to NATS.
var errAway = errors.New("NATS is away")

// conn is the connection, or errAway.
func (n *Node) conn() (*nats.Conn, error) {
	if nc, _ := n.opt.Bus.Conn(); nc != nil {
		return nc, nil
	}
	return nil, errAway
}

var _ registration.Elsewhere = (*Node)(nil)
