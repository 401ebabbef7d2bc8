package manners

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/whence-project/whence/internal/limit"
)

// Counts are what happened since the start.
type Counts struct {
	Turns     uint64 `json:"turns"`      // given
	OK        uint64 `json:"ok"`         // of them, answered
	Throttled uint64 `json:"throttled"`  // of them, refused as too many
	Failed    uint64 `json:"failed"`     // of them, not answered
	Paused    uint64 `json:"paused"`     // requests that could not have been in time
	Broken    uint64 `json:"broken"`     // requests for servers that do not work
	QueueFull uint64 `json:"queue_full"` // requests that found the queue full, or had to leave it for others
	GaveUp    uint64 `json:"gave_up"`    // requests that left the queue themselves
}

// OperatorStatus is how things are with one operator.
type OperatorStatus struct {
	Name       string         `json:"name"`
	Rates      []string       `json:"rates,omitempty"`      // "1000/24h", "1/s burst 5"; none: no limit
	Concurrent int            `json:"concurrent,omitempty"` // queries under way that a client may have; 0: any number
	Note       string         `json:"note,omitempty"`       // where the limit is from
	Queue      Queue          `json:"queue"`
	Clients    []ClientStatus `json:"clients"`
	Servers    []ServerStatus `json:"servers,omitempty"` // those that failed
	Counts     Counts         `json:"counts"`            // since the operator was last forgotten, being at rest
}

// Queue is how many wait, by priority.
type Queue struct {
	Person     int `json:"person"`
	Pipeline   int `json:"pipeline"`
	Background int `json:"background"`
}

// ClientStatus is how things are with what an operator takes for one client.
type ClientStatus struct {
	Network     netip.Prefix `json:"network,omitzero"` // our addresses in it; none: all
	Sources     []netip.Addr `json:"sources,omitempty"`
	Used        []int        `json:"used,omitempty"` // of each of the operator's rates: queries of the window, or tokens missing
	Left        int          `json:"left"`           // queries that could be asked at once, by people; -1: any number
	UnderWay    int          `json:"under_way"`
	Next        time.Time    `json:"next,omitzero"`         // when the next query can be asked, where that is not now
	PausedUntil time.Time    `json:"paused_until,omitzero"` // by the operator's wish
	Why         string       `json:"why,omitempty"`         // paused
	Throttles   int          `json:"throttles,omitempty"`   // in a row
}

// ServerStatus is how things are with a server that failed.
type ServerStatus struct {
	Server   string    `json:"server"`
	Failures int       `json:"failures"` // in a row
	Open     bool      `json:"open"`     // it is not asked, or with one query only
	Until    time.Time `json:"until,omitzero"`
	Probing  bool      `json:"probing,omitempty"` // that query is under way
}

// Totals are the counts of all operators together, those that were forgotten too.
func (m *Manners) Totals() Counts {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.totals
}

// Status is how things are with the operators that were asked lately, or that the table lists and were asked ever, by name.
func (m *Manners) Status() []OperatorStatus {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	all := make([]OperatorStatus, 0, len(m.operators))
	for _, op := range m.operators {
		all = append(all, m.statusOf(op, now))
	}
	slices.SortFunc(all, func(a, b OperatorStatus) int { return cmp.Compare(a.Name, b.Name) })
	return all
}

func (m *Manners) statusOf(op *operator, now int64) OperatorStatus {
	s := OperatorStatus{Name: op.name, Concurrent: op.rule.limit.Concurrent, Note: op.rule.note, Counts: op.counts}
	for _, r := range op.rule.limit.Rates {
		if !r.IsZero() {
			s.Rates = append(s.Rates, rateText(r))
		}
	}
	for _, w := range op.queue {
		switch w.priority() {
		case Person:
			s.Queue.Person++
		case Pipeline:
			s.Queue.Pipeline++
		default:
			s.Queue.Background++
		}
	}
	for _, c := range op.clients {
		s.Clients = append(s.Clients, m.clientStatus(op, c, now))
	}
	for name, b := range op.servers {
		if b.restAt(m.opt.BreakerMax) > now {
			s.Servers = append(s.Servers, ServerStatus{
				Server: name, Failures: b.failures, Open: b.until != 0, Until: m.time(b.until), Probing: b.probe != nil,
			})
		}
	}
	slices.SortFunc(s.Servers, func(a, b ServerStatus) int { return cmp.Compare(a.Server, b.Server) })
	return s
}

func (m *Manners) clientStatus(op *operator, c *client, now int64) ClientStatus {
	s := ClientStatus{Network: c.network, Left: -1, UnderWay: c.inFlight, Throttles: c.throttles}
	for _, src := range op.sources {
		if src.client == c && src.addr.IsValid() {
			s.Sources = append(s.Sources, src.addr)
		}
	}
	for i := range c.quotas {
		s.Used = append(s.Used, c.quotas[i].count(now))
	}
	if len(c.quotas) > 0 {
		s.Left = c.left(now)
	}
	if t := c.readyAt(1, Person, now); t > now {
		s.Next, s.Left = m.time(t), 0
	}
	if c.paused > now {
		s.PausedUntil, s.Why = m.time(c.paused), c.why
	}
	return s
}

// Paused is until when a request would be refused at once because the operator or the server is to be left alone, and why; the zero
// time where it would not. A limit that is used up counts where it will be for longer than [Options.Patience].
func (m *Manners) Paused(operator, server string) (until time.Time, why string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	op, ok := m.operators[operator]
	if !ok {
		return time.Time{}, ""
	}
	now := m.now()
	t := op.earliest(1, 0, Person, now)
	if !op.isPaused(now) && t-now <= int64(m.opt.Patience) {
		t = 0
	} else {
		why = op.name + " " + op.why(now)
	}
	if b := op.servers[server]; b != nil && b.until > now && b.until > t {
		t, why = b.until, server+" has failed repeatedly"
	}
	return m.time(t), why
}

// isPaused reports that no client may ask.
func (op *operator) isPaused(now int64) bool {
	return !slices.ContainsFunc(op.clients, func(c *client) bool { return c.paused <= now })
}

// why is why op cannot be asked now, continuing a sentence that begins with his name.
func (op *operator) why(now int64) string {
	if op.isPaused(now) {
		return op.clients[0].why
	}
	texts := make([]string, 0, len(op.rule.limit.Rates))
	for _, r := range op.rule.limit.Rates {
		if !r.IsZero() {
			texts = append(texts, rateText(r))
		}
	}
	return "answers no more than " + strings.Join(texts, " and ")
}

// rateText is a rate as people write it: "1000/24h", "1/s burst 5".
func rateText(r limit.Rate) string {
	per := r.Per.String()
	if strings.HasSuffix(per, "m0s") {
		per = strings.TrimSuffix(per, "0s")
	}
	if strings.HasSuffix(per, "h0m") {
		per = strings.TrimSuffix(per, "0m")
	}
	if len(per) == 2 {
		per = strings.TrimPrefix(per, "1")
	}
	if r.Burst > 0 {
		return fmt.Sprintf("%d/%s burst %d", r.Events, per, r.Burst)
	}
	return strconv.Itoa(r.Events) + "/" + per
}

// count changes the counts of op, and the totals.
func (m *Manners) count(op *operator, change func(*Counts)) {
	change(&op.counts)
	change(&m.totals)
}
