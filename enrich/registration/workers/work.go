package workers

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/registration"
)

// What a worker goes by when it works on the list.
const (
	lookAround = 2 * time.Second // after which it looks for operators with jobs
	perOp      = 8               // jobs of one operator that it has at a time
	mostAtOnce = 256             // jobs of all
	fetchWait  = 2 * time.Second // for a job, before it sees to it whether there are any
	longNap    = time.Minute     // that an operator is left alone at most, before it is seen whether he may be asked again
	maxTries   = 10              // of a job
	fewTries   = 2               // of a job that failed
)

// work works on the list until the node is closed.
func (n *Node) work(do Runner) {
	w := &shift{n: n, do: do, slots: make(chan struct{}, mostAtOnce), at: make(map[string]bool)}
	defer w.hands.Wait()
	t := time.NewTicker(lookAround)
	defer t.Stop()
	for {
		if err := w.look(); err != nil && !errors.Is(err, errAway) && n.ctx.Err() == nil {
			n.log.Load().Info("the list of names cannot be read", zap.Error(err))
		}
		select {
		case <-t.C:
		case <-n.ctx.Done():
			return
		}
	}
}

// shift is a worker at the list.
type shift struct {
	n     *Node
	do    Runner
	slots chan struct{}
	hands sync.WaitGroup
	mu    sync.Mutex
	at    map[string]bool // consumers that are worked on
}

// look begins to work on the operators who have jobs.
func (w *shift) look() error {
	ctx, cancel := context.WithTimeout(w.n.ctx, jsAnswer)
	defer cancel()
	l, err := w.n.list(ctx)
	if err != nil {
		return err
	}
	all := l.stream.ListConsumers(ctx)
	for info := range all.Info() {
		if info.NumPending+uint64(info.NumAckPending) == 0 || !w.begin(info.Name) {
			continue
		}
		operator, err := decode(strings.TrimPrefix(info.Name, "op_"))
		if err != nil {
			w.end(info.Name)
			continue
		}
		w.hands.Go(func() {
			defer w.end(info.Name)
			w.operator(l, info.Name, operator)
		})
	}
	return all.Err()
}

func (w *shift) begin(consumer string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.at[consumer] {
		return false
	}
	w.at[consumer] = true
	return true
}

func (w *shift) end(consumer string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.at, consumer)
}

// counter is a stretch of work on one operator's jobs.
type counter struct {
	w     *shift
	l     list
	run   string
	mu    sync.Mutex
	nap   time.Time // until then this machine has no turn
	ready []ready
	sum   tally
}

// ready is a job that is done when what it brought is stored.
type ready struct {
	msg    jetstream.Msg
	failed bool
}

// operator works on the jobs of one operator as long as there are any, and this machine may ask him.
func (w *shift) operator(l list, consumer, operator string) {
	ctx := w.n.ctx
	c, err := l.stream.Consumer(ctx, consumer)
	if err != nil {
		return
	}
	r, _, err := w.n.current(ctx, l)
	if err != nil {
		return
	}
	at := &counter{w: w, l: l, run: r.ID}
	few := make(chan struct{}, perOp)
	var hands sync.WaitGroup
	settled := make(chan struct{})
	settling, stop := context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(settled)
		at.settle(settling)
	}()
	defer func() {
		hands.Wait()
		stop()
		<-settled
	}()
	for ctx.Err() == nil {
		if operator != "" {
			var others *registration.NotOursError
			if err := w.n.Permit(ctx, operator); errors.As(err, &others) {
				return // they do it
			}
		}
		if !pause(ctx, max(time.Until(at.napping()), 0)) || !take(ctx, few) {
			return
		}
		<-few // there is room for one at least
		got := 0
		batch, err := c.Fetch(perOp-len(few), jetstream.FetchMaxWait(fetchWait))
		if err != nil {
			return
		}
		for msg := range batch.Messages() {
			got++
			if !take(ctx, few) || !take(ctx, w.slots) {
				return // what is not answered is another's after a while
			}
			hands.Go(func() {
				defer func() { <-w.slots; <-few }()
				at.job(msg)
			})
		}
		if got == 0 {
			return // another look tells when there are more
		}
	}
}

func take(ctx context.Context, slots chan struct{}) bool {
	select {
	case slots <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (c *counter) napping() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nap
}

// rest has the operator left alone until then.
func (c *counter) rest(until time.Time) time.Duration {
	left := min(max(time.Until(until), 50*time.Millisecond), longNap)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nap = time.Now().Add(left)
	return left
}

// job does one.
func (c *counter) job(msg jetstream.Msg) {
	name, err := decode(msg.Subject()[1+strings.LastIndexByte(msg.Subject(), '.'):])
	if err != nil {
		_ = msg.Term()
		return
	}
	tries := 1
	if meta, err := msg.Metadata(); err == nil {
		tries = int(min(meta.NumDelivered, 1<<20))
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.w.n.ctx), longest)
	defer cancel()
	defer alive(ctx, msg, c.w.n.ackWait()/3)()
	o, err := c.w.do.Run(ctx, registration.Errand{Subject: name, Priority: enrich.Background, Patience: c.w.n.ackWait() * 2 / 3})
	c.w.n.counted(o, err)
	switch {
	case err == nil && o.Answer != nil:
		c.done(msg, false)
	case err == nil && o.Declined:
		_ = msg.NakWithDelay(c.rest(o.Again))
	case err == nil && tries < maxTries && o.Kind == enrich.Throttled:
		_ = msg.NakWithDelay(min(max(time.Until(o.Again), longNap), time.Hour))
	case tries < fewTries || err == nil && o.Kind == enrich.Unfetched && tries < maxTries:
		_ = msg.NakWithDelay(backoff(tries + 6))
	default:
		c.done(msg, true)
	}
}

// alive tells NATS now and then that the job goes on, until it is stopped.
func alive(ctx context.Context, msg jetstream.Msg, each time.Duration) (stop func()) {
	t := time.NewTicker(each)
	done := make(chan struct{})
	go func() {
		defer t.Stop()
		for {
			select {
			case <-t.C:
				_ = msg.InProgress()
			case <-done:
				return
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() { close(done) }
}

// done has the job answered for when what it brought is stored.
func (c *counter) done(msg jetstream.Msg, failed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ready = append(c.ready, ready{msg, failed})
}

// counted counts an errand.
func (n *Node) counted(o registration.Outcome, err error) {
	switch {
	case err != nil:
	case o.Declined:
		n.counts.declined.Add(1)
	case o.Answer == nil:
		n.counts.failed.Add(1)
	default:
		n.counts.done.Add(1)
	}
}

// settle answers for what is stored, many times a second, and notes it once a second, until ctx ends and all is done.
func (c *counter) settle(ctx context.Context) {
	t := time.NewTicker(time.Second / 40)
	defer t.Stop()
	for i := 1; ; i++ {
		last := false
		select {
		case <-t.C:
		case <-ctx.Done():
			last = true
		}
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), jsAnswer)
		c.acknowledge(end)
		if last || i%40 == 0 {
			c.report(end)
		}
		cancel()
		if last {
			return
		}
	}
}

// acknowledge answers for the jobs that are ready. Where what they brought cannot be stored, they are another's after a while.
func (c *counter) acknowledge(ctx context.Context) {
	c.mu.Lock()
	list := c.ready
	c.ready = nil
	c.mu.Unlock()
	if len(list) == 0 {
		return
	}
	if stored := c.w.n.opt.Stored; stored != nil {
		if err := stored(ctx); err != nil {
			c.w.n.log.Load().Info("answers cannot be stored", zap.Int("names", len(list)), zap.Error(err))
			return
		}
	}
	for _, r := range list {
		if err := r.msg.Ack(); err != nil {
			continue
		}
		c.sum.Done++
		if r.failed {
			c.sum.Failed++
		}
	}
}

// report notes what was done since the last time.
func (c *counter) report(ctx context.Context) {
	if c.sum.Done == 0 {
		return
	}
	c.sum.Run = c.run
	if err := c.w.n.note(ctx, c.l, "done", c.sum); err == nil {
		c.sum = tally{}
	}
}
