package contacts

import (
	"context"
	"slices"
	"time"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/store"
)

const (
	firstRetry = time.Minute    // after which a registration that could not be learnt is asked for again
	lastRetry  = 24 * time.Hour // after the first sighting; the times between grow twofold
	mostLate   = 4096           // names whose registration may come later; beyond, those that come up next are forgotten
	mostTold   = 8192           // domains that are known to have been told
	lateBatch  = 64             // names that are asked for again at once
)

// late are the first contacts whose registration was not known when they were emitted, in the order in which they come up again. They
// do not outlive the process.
type late struct {
	waiting []lateContact
	told    map[string]bool // domains that EmitNew was called for
}

type lateContact struct {
	store.Sighting
	next  time.Time
	again time.Duration // until the try after that
}

// judge calls EmitNew if the registration is young, or has it judged later if it may become known.
func (e *Emitter) judge(use *Use, c *Contact, s store.Sighting) {
	if use.Young <= 0 || use.EmitNew == nil {
		return
	}
	if c.Domain != "" && c.Created.IsZero() && mayCome(c.Record) || !e.emitNew(use, c) {
		e.later(lateContact{s, e.opt.Now().Add(firstRetry), 2 * firstRetry})
	}
}

// emitNew calls EmitNew if the registration is young, and reports whether that is done with.
func (e *Emitter) emitNew(use *Use, c *Contact) bool {
	if c.Domain == "" || c.Created.IsZero() || c.First.Sub(c.Created) >= use.Young || e.late.told[c.Domain] {
		return true
	}
	if !use.EmitNew(c) {
		return false
	}
	if e.late.told == nil || len(e.late.told) >= mostTold {
		e.late.told = make(map[string]bool)
	}
	e.late.told[c.Domain] = true // others of its names may come
	return true
}

// mayCome reports whether what is not known of a registration may be known later.
func mayCome(rec *enrich.Record) bool {
	return slices.ContainsFunc(rec.Notes(), func(n enrich.Note) bool {
		return n.Kind == enrich.Unfetched || n.Kind == enrich.Throttled || n.Kind == enrich.Failed
	})
}

// later has a first contact judged again.
func (e *Emitter) later(c lateContact) {
	l := &e.late
	if len(l.waiting) >= mostLate {
		l.waiting = slices.Delete(l.waiting, 0, 1)
	}
	at, _ := slices.BinarySearchFunc(l.waiting, c, func(a, b lateContact) int {
		if a.next.After(b.next) {
			return 1
		}
		return -1
	})
	l.waiting = slices.Insert(l.waiting, at, c)
}

// revisit judges the first contacts whose time has come. What the chain must fetch for that it has the next time.
func (e *Emitter) revisit(ctx context.Context) {
	use := e.use.Load()
	if use.Chain == nil || use.Young <= 0 || use.EmitNew == nil {
		return
	}
	rec := new(enrich.Record)
	for range lateBatch {
		if len(e.late.waiting) == 0 || e.late.waiting[0].next.After(e.opt.Now()) || ctx.Err() != nil {
			return
		}
		c := e.late.waiting[0]
		e.late.waiting = slices.Delete(e.late.waiting, 0, 1)
		subject := subjectOf(c.Name)
		use.lookup(ctx, subject, time.Time{}, enrich.Background, rec)
		contact := e.contact(c.Sighting, subject, rec)
		if contact.Created.IsZero() && !mayCome(rec) {
			continue
		}
		if !contact.Created.IsZero() && e.emitNew(use, contact) {
			continue
		}
		if c.next = e.opt.Now().Add(c.again); c.next.Sub(c.First) < lastRetry {
			c.again *= 2
			e.later(c)
		}
	}
}
