package registration

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/whence-project/whence/enrich"
)

// Errand is a lookup that one machine does for another, because registries count queries by the address they come from.
type Errand struct {
	// Subject is what is asked about, in its canonical form; of a domain, the registered name.
	Subject  string          `json:"subject"`
	Priority enrich.Priority `json:"priority"`
	// Discreet is that nobody on the way may read the name along: see [enrich.Query].
	Discreet bool `json:"discreet,omitempty"`
	// Patience is how long the errand may wait for its turn at the registry before the other machine declines it; 0 is as long as
	// its context lasts.
	Patience time.Duration `json:"patience,omitempty"`
}

// Outcome is what came of an [Errand]: an answer, or why there is none.
type Outcome struct {
	Answer json.RawMessage `json:"answer,omitempty"` // as the cache has it
	Raw    *Raw            `json:"raw,omitempty"`
	// Declined is that nobody was asked, since it is not this machine's turn at the registry. Another machine's it may be.
	Declined bool            `json:"declined,omitempty"`
	Kind     enrich.NoteKind `json:"kind,omitempty"`
	Text     string          `json:"text,omitempty"`
	// Holder is the machine that may ask instead, where the one that declines knows.
	Holder string    `json:"holder,omitempty"`
	Again  time.Time `json:"again,omitzero"` // it is not to be tried before; of an errand declined, not here
	Soon   bool      `json:"soon,omitempty"` // nobody was asked: it may be tried again at once
	// Indiscreet is that somebody could be asked for queries that are not discreet.
	Indiscreet bool  `json:"indiscreet,omitempty"`
	Fault      Fault `json:"fault,omitempty"`
}

// Elsewhere is other machines that look up in this one's stead.
type Elsewhere interface {
	// Run has one of them run the errand, which is about servers of the operator (see package manners), and returns what came of it.
	// ok is false where none of them can: then the source asks for itself, if it may. It returns when ctx ends.
	Run(ctx context.Context, operator string, e Errand) (o Outcome, ok bool)
}

// Permit says whether this machine may ask servers of an operator now. It waits for no longer than ctx lasts, and its error is
// a [*NotOursError] where another machine asks them.
type Permit func(ctx context.Context, operator string) error

// NotOursError is that another machine asks an operator who counts the queries of all together.
type NotOursError struct {
	Operator string
	Holder   string    // that machine; empty where it is not known
	Until    time.Time // when to try again
}

func (e *NotOursError) Error() string {
	if e.Holder == "" {
		return "it cannot be told which machine may ask " + e.Operator
	}
	return e.Holder + " asks " + e.Operator + " for all machines"
}

// Run runs an errand of another machine's: it looks the subject up here, in this source's cache first. What is asked goes into the
// cache, as always.
func (s *Source) Run(ctx context.Context, e Errand) (Outcome, error) {
	sub, err := enrich.ParseSubject(e.Subject)
	if err != nil {
		return Outcome{}, fmt.Errorf("errand: %w", err)
	}
	q := &enrich.Query{Subject: sub, Priority: e.Priority, Discreet: e.Discreet, AskRegistry: true}
	key := s.keyOf(q)
	if key == "" || key != e.Subject {
		return Outcome{}, fmt.Errorf("errand: %q is nothing that a registry is asked about", e.Subject)
	}
	if known := s.entry(key, s.opt.Now()); known != nil && known.isFresh(s.opt.Now()) {
		return s.brought(key, known)
	}
	f := s.fly(key, sub, enrich.NewAsk(q), func(f *flight) { f.here, f.patience = true, e.Patience })
	select {
	case <-f.done:
	case <-ctx.Done():
		return Outcome{}, ctx.Err()
	}
	if f.entry != nil {
		return s.brought(key, f.entry)
	}
	if f.problem == nil {
		return Outcome{Declined: true, Kind: enrich.Unfetched, Text: "the source is closed", Soon: true}, nil
	}
	p := f.problem
	return Outcome{Declined: p.turn, Holder: p.holder, Kind: p.kind, Text: p.text, Again: p.again, Soon: p.soon, Indiscreet: p.discreet, Fault: p.fault}, nil
}

// brought is the outcome with an answer.
func (s *Source) brought(key string, e *entry) (Outcome, error) {
	b, err := encode(e.answer, e.fresh)
	if err != nil {
		return Outcome{}, err
	}
	o := Outcome{Answer: b}
	if raw, ok := s.raw(key); ok {
		o.Raw = &raw
	}
	return o, nil
}

// elsewhere has another machine look key up. ok is false where none can.
func (s *Source) elsewhere(sub enrich.Subject, key string, f *flight) (a *Answer, raw *Raw, p *problem, ok bool) {
	if s.opt.Elsewhere == nil || f.here {
		return nil, nil, nil, false
	}
	ctx, cancel := context.WithTimeout(s.ctx, s.opt.Queue+s.opt.Timeout)
	defer cancel()
	who := s.services(sub, key)
	e := Errand{Subject: key, Priority: enrich.Priority(f.priority()), Discreet: f.discreet()}
	o, ok := s.opt.Elsewhere.Run(ctx, s.operator(who), e)
	if !ok {
		return nil, nil, nil, false
	}
	if o.Answer == nil {
		return nil, nil, o.problem(s.opt.Now()), true
	}
	if a, err := s.check(sub, key, o.Answer); err == nil {
		s.reached(true)
		return a, o.Raw, nil, true
	} else {
		return nil, nil, &problem{kind: enrich.Failed, text: "a worker's answer is not used: " + err.Error(), fault: OtherFault}, true
	}
}

// problem is why another machine brought no answer. What it says is another machine's word.
func (o *Outcome) problem(now time.Time) *problem {
	p := &problem{kind: o.Kind, text: enrich.Clean(o.Text), soon: o.Soon || o.Declined, discreet: o.Indiscreet, fault: o.Fault}
	if p.kind != enrich.Throttled && p.kind != enrich.Unfetched {
		p.kind = enrich.Failed
	}
	if p.text = p.text[:min(len(p.text), maxReason)]; p.text == "" {
		p.text = "a worker brought no answer, and did not say why"
	}
	if p.fault == NoFault || p.fault > Refused {
		p.fault = OtherFault
	}
	if o.Again.After(now) && o.Again.Before(now.Add(24*time.Hour)) {
		p.again = o.Again
	}
	return p
}

// What an answer that another machine brought may not exceed.
const (
	maxReason = 512
	maxAhead  = 5 * time.Minute // of the clocks of two machines
)

// check reads an answer that another machine brought, as if it were a registry's reply: it must be about what was asked, and cannot
// be of the future.
func (s *Source) check(sub enrich.Subject, key string, b []byte) (*Answer, error) {
	a, _, err := decode(b)
	if err != nil {
		return nil, err
	}
	now := s.opt.Now()
	if sub.Kind() == enrich.Domain && a.Name != key {
		return nil, fmt.Errorf("it is about %q, not %q", enrich.Clean(a.Name), key)
	}
	if a.Via != viaRDAP && a.Via != viaWhois {
		return nil, fmt.Errorf("it does not say how it was asked for: %q", enrich.Clean(a.Via))
	}
	if a.Asked.IsZero() || a.Asked.After(now.Add(maxAhead)) || a.Asked.Before(now.Add(-max(s.opt.TTL, 24*time.Hour))) {
		return nil, fmt.Errorf("it is of %s", a.Asked.Format(time.RFC3339))
	}
	if sub.Kind() != enrich.Domain && !a.covers(sub) {
		return nil, fmt.Errorf("it is about %q, which %s is not in", enrich.Clean(a.Range), key)
	}
	return a, nil
}

// covers reports that an answer about a network or AS numbers holds for sub, as far as it says for what it holds.
func (a *Answer) covers(sub enrich.Subject) bool {
	if sub.Kind() == enrich.AS || len(a.Networks) == 0 {
		return a.Range != ""
	}
	for _, n := range a.Networks {
		if n.Contains(sub.Addr()) {
			return true
		}
	}
	return false
}
