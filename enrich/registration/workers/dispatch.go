package workers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"go.uber.org/zap"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/registration"
)

// What the dispatcher goes by.
const (
	patience   = 100 * time.Millisecond // that an errand may wait at one worker while there are others
	alone      = 30 * time.Second       // … and where there is one only
	firstShun  = 100 * time.Millisecond // that a worker which did not answer is left alone, twice that each time
	lastShun   = 10 * time.Second
	attempt    = longest + 10*time.Second // of which the worker itself takes the most
	maxDecline = time.Hour
)

// errGone is that the worker went down while it had the errand.
var errGone = errors.New("the worker is down")

// Run sends an errand to a worker, and to another while it is declined, or the worker fails. It returns false where no worker is there.
func (n *Node) Run(ctx context.Context, operator string, e registration.Errand) (registration.Outcome, bool) {
	var declined *registration.Outcome
	again := false
	for try := 0; ; try++ {
		p, others, wait := n.roster.choose(operator, time.Now())
		if p == nil && wait == 0 {
			return outcome(declined)
		}
		if p == nil {
			if !pause(ctx, wait) {
				return outcome(declined)
			}
			continue
		}
		e.Patience = alone
		if others {
			e.Patience = patience
		}
		o, err := n.send(ctx, p, e)
		n.roster.back(p, operator, o, err)
		switch {
		case ctx.Err() != nil:
			return outcome(declined)
		case err != nil:
			n.log.Load().Info("an errand is sent again", zap.String("subject", e.Subject), zap.String("worker", p.Name), zap.Error(err))
			if !pause(ctx, backoff(try)) {
				return outcome(declined)
			}
		case o.Declined || o.Answer == nil && o.Kind == enrich.Throttled:
			declined = &o
		case others && !again && o.Answer == nil && unreached(o.Fault):
			again = true // it may be this worker's own trouble
		default:
			return o, true
		}
	}
}

// unreached reports that nothing was heard of the registry.
func unreached(f registration.Fault) bool {
	return f == registration.Timeout || f == registration.Unreachable || f == registration.ReadError
}

// outcome is the last word of those who declined. Where nobody was asked at all, the caller is on its own.
func outcome(declined *registration.Outcome) (registration.Outcome, bool) {
	if declined == nil {
		return registration.Outcome{}, false
	}
	return *declined, true
}

// backoff is a random part of a time that doubles, up to 2 s.
func backoff(try int) time.Duration {
	most := min(20*time.Millisecond<<min(try, 10), 2*time.Second)
	return most/4 + rand.N(most*3/4)
}

// pause waits, and reports whether ctx lasts.
func pause(ctx context.Context, d time.Duration) bool {
	if end, ok := ctx.Deadline(); ok && time.Until(end) < d {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// send has one worker run an errand. It ends when the worker goes down, and when the connection is lost: then nobody hears what
// comes of it.
func (n *Node) send(ctx context.Context, p *peer, e registration.Errand) (o registration.Outcome, err error) {
	nc, lost := n.opt.Bus.Conn()
	if nc == nil {
		return o, errAway
	}
	b, err := json.Marshal(e)
	if err != nil {
		return o, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, attempt, errGone)
	defer cancel()
	ctx, drop := context.WithCancelCause(ctx)
	defer drop(nil)
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-p.gone:
			drop(errGone)
		case <-lost:
			drop(errAway)
		case <-stop:
		}
	}()
	m, err := nc.RequestWithContext(ctx, n.direct(p.instance), b)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return o, err
	}
	if code := m.Header.Get(micro.ErrorCodeHeader); code != "" {
		return registration.Outcome{
			Kind: enrich.Failed, Text: "the worker " + p.Name + " does not take it: " + m.Header.Get(micro.ErrorHeader), Fault: registration.OtherFault,
		}, nil
	}
	if err := json.Unmarshal(m.Data, &o); err != nil {
		return o, fmt.Errorf("its answer cannot be read: %w", err)
	}
	return o, nil
}

// choose is the worker to send an errand to: one that has not declined for the operator, and has least to do. others is whether there
// are more that have not. Where all have, it is nil, and wait is when the first may be asked again; where none is there, wait is 0.
func (r *roster) choose(operator string, now time.Time) (best *peer, others bool, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range r.peers {
		if !p.Up {
			continue
		}
		until := p.busy[operator]
		if until.Before(p.shunned) {
			until = p.shunned
		}
		if left := until.Sub(now); left > 0 {
			if wait == 0 || left < wait {
				wait = left
			}
			continue
		}
		others = best != nil
		if best == nil || p.load() < best.load() || p.load() == best.load() && rand.N(2) == 0 {
			best = p
		}
	}
	if best != nil {
		best.mine++
		return best, others, 0
	}
	return nil, false, wait
}

// load is how much a worker has to do, as far as is known: what it said a moment ago, and what was sent since.
func (p *peer) load() int { return max(p.UnderWay, p.mine) }

// back takes in what came of an errand.
func (r *roster) back(p *peer, operator string, o registration.Outcome, err error) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	p.mine--
	if err != nil {
		if !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, errAway) {
			p.mistakes = min(p.mistakes+1, 10)
			p.shunned = now.Add(min(firstShun<<(p.mistakes-1), lastShun))
		}
		if errors.Is(err, nats.ErrNoResponders) && now.Sub(p.Heard) > r.n.opt.Beat*3/2 {
			p.shunned = now.Add(r.n.opt.Beat * 2)
		}
		return
	}
	p.mistakes = 0
	if !o.Declined && o.Kind != enrich.Throttled {
		return
	}
	until := o.Again
	if until.After(now.Add(maxDecline)) {
		until = now.Add(maxDecline)
	}
	if soon := now.Add(patience / 2); until.Before(soon) {
		until = soon
	}
	if len(p.busy) > 4096 {
		clear(p.busy)
	}
	p.busy[operator] = until
	r.hint(p, operator, o.Holder)
}

// hint has the worker be asked next that another says may ask.
func (r *roster) hint(from *peer, operator, holder string) {
	if p := r.peers[holder]; p != nil && p != from && p.Up {
		delete(p.busy, operator)
	}
}
