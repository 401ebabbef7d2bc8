package workers

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/whence-project/whence/enrich/registration"
)

// Worker is how a worker is, as this machine sees it.
type Worker = registration.Worker

// forgotten is after what time a worker that is down is no longer listed.
const forgotten = 24 * time.Hour

// peer is a worker in the roster.
type peer struct {
	Worker
	instance string
	conn     uint64        // which connection of the process it is
	gone     chan struct{} // closed when it is down, another process, or connected anew: errands under way are sent again
	mine     int           // errands that this machine waits for
	busy     map[string]time.Time
	shunned  time.Time // until then it is asked only if nobody else is there
	mistakes int       // in a row
	at       time.Time // of the figures that Rate and Success are worked out from
	then     [2]uint64 // Done and Failed at that time
}

// roster is the workers that were heard of.
type roster struct {
	n     *Node
	mu    sync.Mutex
	peers map[string]*peer // by name
	// Until patient, which is some time after NATS was away, no worker is taken for down.
	patient time.Time
}

func newRoster(n *Node) *roster {
	return &roster{n: n, peers: make(map[string]*peer)}
}

// run listens for beats, over connections that come and go, and notices those that stop.
func (r *roster) run() {
	nc, err := r.n.opt.Bus.Wait(r.n.ctx)
	if err != nil {
		return
	}
	sub, err := nc.Subscribe(r.n.subject("beat"), func(m *nats.Msg) { r.hear(m.Data) })
	if err != nil {
		r.n.log.Load().Error("workers cannot be listened for", zap.Error(err))
		return
	}
	defer func() { _ = sub.Unsubscribe() }()
	r.watch(r.n.ctx)
}

// watch looks for beats that are missing. Where NATS was away, or this process itself did not run, nothing is held against workers.
func (r *roster) watch(ctx context.Context) {
	t := time.NewTicker(r.n.opt.Beat / 4)
	defer t.Stop()
	last, away := time.Now(), false
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		now := time.Now()
		if _, err := r.n.conn(); err != nil {
			away = true
		} else if away || now.Sub(last) > 2*r.n.opt.Beat {
			away = false
			r.excuse(now)
		} else {
			r.miss(now)
		}
		last = now
	}
}

// excuse has every worker that is up be heard of now, and gives it time to be back: each makes its own connection again, after a random
// pause of up to 5 s.
func (r *roster) excuse(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.patient = now.Add(10 * r.n.opt.Beat)
	for _, p := range r.peers {
		if p.Up {
			p.Heard = now.UTC()
		}
	}
}

// miss takes those for down who have not been heard of for too long.
func (r *roster) miss(now time.Time) {
	r.mu.Lock()
	var down []Worker
	for name, p := range r.peers {
		switch silent := now.Sub(p.Heard); {
		case p.Up && silent > r.n.opt.Beat*7/2 && now.After(r.patient):
			p.drop(p.Heard)
			down = append(down, p.Worker)
		case !p.Up && silent > forgotten:
			delete(r.peers, name)
		}
	}
	r.mu.Unlock()
	for _, w := range down {
		r.n.log.Load().Warn("worker is down", zap.String("worker", w.Name), zap.Time("since", w.Since))
		r.changed(w)
	}
}

// drop has the worker be down since then.
func (p *peer) drop(since time.Time) {
	p.Up, p.Since, p.UnderWay, p.Rate = false, since, 0, 0
	close(p.gone)
}

func (r *roster) changed(w Worker) {
	if r.n.opt.Changed != nil {
		r.n.opt.Changed(w)
	}
}

// hear takes in a beat.
func (r *roster) hear(data []byte) {
	b, err := parseBeat(data)
	if err != nil {
		r.n.log.Load().Debug("a beat that cannot be read", zap.Error(err))
		return
	}
	now := time.Now().UTC()
	r.mu.Lock()
	p, known := r.peers[b.Node]
	was := Worker{}
	if known {
		was = p.Worker
	}
	switch {
	case b.Leaving:
		if known && p.instance == b.Instance {
			if p.Up {
				p.drop(now)
			}
			delete(r.peers, b.Node)
		}
		r.mu.Unlock()
		return
	case known && p.instance != b.Instance && p.Up && b.Started.Before(p.Started):
		r.mu.Unlock() // the process before, or another machine of that name: the newest counts
		return
	case !known || p.instance != b.Instance || !p.Up || p.conn != b.Connection:
		if known && p.Up {
			p.drop(now) // it was restarted sooner than that was noticed
		}
		since := now
		if known && was.Up && p.instance == b.Instance {
			since = was.Since
		}
		p = &peer{instance: b.Instance, conn: b.Connection, gone: make(chan struct{}), busy: make(map[string]time.Time), at: now, then: [2]uint64{b.Done, b.Failed}}
		p.Name, p.Up, p.Since, p.Started, p.Success = b.Node, true, since, b.Started, 1
		r.peers[b.Node] = p
	}
	p.take(b, now)
	w := p.Worker
	r.mu.Unlock()
	if !known {
		r.n.log.Load().Info("worker is there", zap.String("worker", w.Name), zap.Strings("egress", w.Egress))
	} else if !was.Up {
		r.n.log.Load().Info("worker is back", zap.String("worker", w.Name), zap.Time("down_since", was.Since))
		w.Since = now
		r.changed(w)
	}
}

// lately is over what time Rate and Success are worked out.
const lately = 10 * time.Second

// take takes in what a beat says.
func (p *peer) take(b *beat, now time.Time) {
	p.Heard, p.Egress, p.UnderWay = now, b.Egress, b.UnderWay
	p.Done, p.Failed, p.Declined = b.Done, b.Failed, b.Declined
	past := now.Sub(p.at)
	if past < lately {
		return
	}
	done, failed := float64(b.Done-p.then[0]), float64(b.Failed-p.then[1])
	p.Rate = (done + failed) / past.Seconds()
	if done+failed > 0 {
		p.Success = done / (done + failed)
	}
	p.at, p.then = now, [2]uint64{b.Done, b.Failed}
}

// Workers are the workers that were heard of, by name.
func (n *Node) Workers() []Worker {
	n.roster.mu.Lock()
	defer n.roster.mu.Unlock()
	list := make([]Worker, 0, len(n.roster.peers))
	for _, p := range n.roster.peers {
		list = append(list, p.Worker)
	}
	slices.SortFunc(list, func(a, b Worker) int { return cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) })
	return list
}

// Served is what this machine has done for others since the Node was made: errands with an answer, without one, and declined.
func (n *Node) Served() (done, failed, declined uint64) {
	return n.counts.done.Load(), n.counts.failed.Load(), n.counts.declined.Load()
}
