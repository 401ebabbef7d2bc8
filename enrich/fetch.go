package enrich

import (
	"context"
	"fmt"
	"math/bits"
	"runtime/debug"
	"time"
)

// maxFetches bounds the fetches that one chain has under way. One more query then gets a note instead, or waits for its turn if it
// waits at all.
const maxFetches = 4096

// fetchKey is what is fetched once: a link's knowledge of a subject.
type fetchKey struct {
	link    int
	subject Subject
}

// flight is a fetch under way.
type flight struct {
	ask  *Ask
	done chan struct{} // closed when it is done
}

// fetch has the sources fetch that said they could, and runs the chain again for a query that waits.
func (c *Chain) fetch(ctx context.Context, q *Query, r *Record, pending, outdated uint64) {
	var waits []wait
	var full uint64
	for all := pending | outdated; all != 0; all &= all - 1 {
		i := bits.TrailingZeros64(all)
		f, ok := c.links[i].Source.(Fetcher)
		if !ok {
			continue
		}
		until := time.Time{}
		if pending&(1<<i) != 0 {
			until = deadlineOf(q, f)
		}
		done := c.start(ctx, i, f, q, until)
		if done == nil && pending&(1<<i) != 0 {
			full |= 1 << i
		} else if !until.IsZero() {
			waits = append(waits, wait{done, until})
		}
	}
	if len(waits) > 0 {
		await(ctx, waits)
		still, _ := c.run(q, r)
		full &= still
	}
	for ; full != 0; full &= full - 1 {
		r.link = c.links[bits.TrailingZeros64(full)].Name
		r.Note(Unfetched, "too many lookups under way")
	}
}

// wait is a fetch that a query waits for, and until when.
type wait struct {
	done  <-chan struct{}
	until time.Time
}

// deadlineOf is until when a query waits for f, the zero time where it does not.
func deadlineOf(q *Query, f Fetcher) time.Time {
	if p, ok := f.(Patient); ok && !q.Wait.IsZero() && !q.Insist {
		if until := time.Now().Add(p.Patience()); until.Before(q.Wait) {
			return until
		}
	}
	return q.Wait
}

// await returns when each of waits is done or at its deadline, or when ctx ends.
func await(ctx context.Context, waits []wait) {
	for _, w := range waits {
		timer := time.NewTimer(time.Until(w.until))
		select {
		case <-w.done:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// start joins the fetch of q.Subject by link i that is under way, or starts one. Where as many are under way as the chain allows,
// it waits for one to end until the time given, if there is one, and else returns nil.
func (c *Chain) start(ctx context.Context, i int, f Fetcher, q *Query, until time.Time) <-chan struct{} {
	k := fetchKey{i, q.Subject.Key()}
	if done := c.join(k, q); done != nil {
		return done
	}
	if !c.enter(ctx, until) {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if fl, ok := c.flights[k]; ok { // somebody was quicker
		<-c.slots
		fl.ask.Join(q)
		return fl.done
	}
	fl := &flight{NewAsk(q), make(chan struct{})}
	c.flights[k] = fl
	go c.fly(k, fl, f, *q)
	return fl.done
}

// join joins the fetch of k if it is under way; nil if it is not.
func (c *Chain) join(k fetchKey, q *Query) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if fl, ok := c.flights[k]; ok {
		fl.ask.Join(q)
		return fl.done
	}
	return nil
}

// enter takes a slot, waiting for one until the time given, if there is one. It is false where there was none.
func (c *Chain) enter(ctx context.Context, until time.Time) bool {
	select {
	case c.slots <- struct{}{}:
		return true
	default:
	}
	if until.IsZero() {
		return false
	}
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case c.slots <- struct{}{}:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// fly is a fetch.
func (c *Chain) fly(k fetchKey, fl *flight, f Fetcher, q Query) {
	defer func() {
		c.mu.Lock()
		delete(c.flights, k)
		c.mu.Unlock()
		<-c.slots
		close(fl.done)
	}()
	if c.ctx.Err() != nil || !c.stillWanted(k, &q) {
		return
	}
	if err := c.guarded(f, fl.ask); err != nil && c.OnFetchError != nil {
		c.OnFetchError(c.links[k.link].Name, k.subject, err)
	}
}

// guarded is Fetch with a panic made an error: what one source could not do takes no server down.
func (c *Chain) guarded(f Fetcher, a *Ask) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return f.Fetch(c.ctx, a)
}

// stillWanted asks again, now that nobody else can start this fetch: the query that wants it may have run the chain before
// the last such fetch was done, and come here after.
func (c *Chain) stillWanted(k fetchKey, q *Query) bool {
	r := Record{link: c.links[k.link].Name, subject: k.subject}
	v := c.links[k.link].Source.Add(q, &r)
	return v == Pending || v == Outdated
}
