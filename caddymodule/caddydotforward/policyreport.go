package caddydotforward

import (
	"context"
	"hash/maphash"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/whence-project/whence/caddymodule/internal/events"
	"github.com/whence-project/whence/dotforward"
	"github.com/whence-project/whence/enrich"
)

const (
	// reportEvery is how often a policy is heard of for one name: a client that asks all the time is news once.
	reportEvery = time.Second
	// reportSlots bounds how many names it is heard of for in that time, and what it takes to know them.
	reportSlots = 1024
	// reportQueue is how many reports may wait for the log and for those who hear events.
	reportQueue = 256
)

// reporter writes log lines and emits events of the queries that a policy's conditions held for, beside the queries.
type reporter struct {
	policy  string
	block   bool
	log     *zap.Logger                            // nil for no lines
	emit    func(name string, data map[string]any) // nil for no events
	seed    maphash.Seed
	last    [reportSlots]atomic.Int64 // when a name of that hash was reported
	queue   chan policyHit
	skipped atomic.Uint64 // queries since the last report that were not reported
}

// policyHit is a query that the conditions held for, and what the chain said.
type policyHit struct {
	name, client string
	tags         []string
	facts        [len(reported)]string
}

// reported are the facts that a report has.
var reported = [...]enrich.Key{
	enrich.Created, enrich.Rank, enrich.FirstSeen, enrich.FreqAverage, enrich.CountryCode, enrich.ASN,
}

func (m *Policy) newReporter(env *Env) *reporter {
	r := &reporter{policy: m.Name, block: m.Block != "", seed: maphash.MakeSeed(), queue: make(chan policyHit, reportQueue)}
	if m.Log {
		r.log = env.Logger
	}
	if m.Event {
		r.emit = env.Emit
	}
	return r
}

// report has a query reported, unless that name was a moment ago or too many wait. It does not block.
func (r *reporter) report(q *dotforward.Query, rec *enrich.Record) {
	if !r.due(q.Name(), q.Time()) {
		r.skipped.Add(1)
		return
	}
	h := policyHit{name: nameText(q.Name()), client: q.Client().String(), tags: slices.Clone(q.Tags())}
	for i, k := range reported {
		h.facts[i] = strings.Clone(rec.Value(k)) // the record is used again
	}
	select {
	case r.queue <- h:
	default:
		r.skipped.Add(1)
	}
}

// due reports whether a name is to be reported, and takes note of it. Names that share a slot share what it allows.
func (r *reporter) due(name []byte, now time.Time) bool {
	slot := &r.last[maphash.Bytes(r.seed, name)%reportSlots]
	last, t := slot.Load(), now.UnixNano()
	if ago := t - last; last != 0 && 0 <= ago && ago < int64(reportEvery) {
		return false
	}
	return slot.CompareAndSwap(last, t)
}

// run writes reports until ctx is done, and then those that wait.
func (r *reporter) run(ctx context.Context) {
	for {
		select {
		case h := <-r.queue:
			r.write(h)
		case <-ctx.Done():
			for {
				select {
				case h := <-r.queue:
					r.write(h)
				default:
					return
				}
			}
		}
	}
}

func (r *reporter) write(h policyHit) {
	skipped := r.skipped.Swap(0)
	if r.log != nil {
		fields := []zap.Field{
			zap.String("name", r.policy), zap.String("qname", h.name), zap.String("client", h.client), zap.Strings("tags", h.tags),
			zap.Bool("blocked", r.block),
		}
		for i, k := range reported {
			if h.facts[i] != "" {
				fields = append(fields, zap.String(k.String(), h.facts[i]))
			}
		}
		if skipped > 0 {
			fields = append(fields, zap.Uint64("more", skipped))
		}
		r.log.Info("policy", fields...)
	}
	if r.emit != nil {
		data := map[string]any{
			"policy": r.policy, "name": h.name, "client": h.client, "tags": h.tags, "blocked": r.block, "more": skipped,
		}
		for i, k := range reported {
			data[k.String()] = h.facts[i]
		}
		r.emit(events.DNSPolicy, data)
	}
}
