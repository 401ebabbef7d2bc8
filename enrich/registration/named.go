package registration

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/registration/bootstrap"
	"github.com/whence-project/whence/enrich/registration/whoisclient"
	"github.com/whence-project/whence/enrich/registration/whoisreply"
)

// ErrServerNotAllowed is that a client named a WHOIS server which the settings do not let clients name.
var ErrServerNotAllowed = errors.New("this server may not be asked on behalf of clients")

// Report is the whole of what came of a lookup.
type Report struct {
	Answer *Answer // nil where there is none
	Raw    Raw
	Fault  Fault  // why there is no answer
	Reason string // the same in words
}

// Lookup is the registration of a domain, from the cache if it is there, else from those who know it, waiting until ctx ends. The
// name that counts is the one under which it was registered.
func (s *Source) Lookup(ctx context.Context, domain string) (*Report, error) {
	sub, err := domainOf(domain)
	if err != nil {
		return nil, err
	}
	q := &enrich.Query{Subject: sub}
	key := s.keyOf(q)
	if key == "" {
		return nil, fmt.Errorf("%q is a public suffix, under which names are registered, not a registered name", sub.Name())
	}
	e := s.entry(key, s.opt.Now())
	if e == nil || !e.isFresh(s.opt.Now()) {
		if f := s.failure(key, s.opt.Now()); f != nil && e == nil {
			return &Report{Fault: f.fault, Reason: f.text}, nil
		}
		if until, why := s.paused(s.services(sub, key)); until.After(s.opt.Now()) && e == nil {
			return &Report{Fault: Refused, Reason: why}, nil
		}
		f := s.fly(key, sub, enrich.NewAsk(q))
		select {
		case <-f.done:
			if f.entry != nil {
				e = f.entry
			} else if e == nil {
				return reportOf(f.problem), nil
			}
		case <-ctx.Done():
			if e == nil {
				return &Report{Fault: Timeout, Reason: "being looked up"}, nil
			}
		}
	}
	r := &Report{Answer: e.answer}
	r.Raw, _ = s.raw(key)
	return r, nil
}

func reportOf(p *problem) *Report {
	if p == nil {
		return &Report{Fault: OtherFault, Reason: "the source is closed"}
	}
	return &Report{Fault: p.fault, Reason: p.text}
}

func domainOf(domain string) (enrich.Subject, error) {
	sub, err := enrich.ParseSubject(domain)
	if err != nil {
		return sub, err
	}
	if sub.Kind() != enrich.Domain {
		return sub, fmt.Errorf("%q is no domain name", domain)
	}
	return sub, nil
}

// LookupAt asks the WHOIS server that a client named about a domain, if the settings allow it. What it says is kept by nobody: it
// may say anything.
func (s *Source) LookupAt(ctx context.Context, domain, server string) (*Report, error) {
	sub, err := domainOf(domain)
	if err != nil {
		return nil, err
	}
	at, err := whoisclient.ParseServer(server)
	if err != nil {
		return nil, err
	}
	at = bootstrap.Complete(at)
	allowed, exact := s.allows(at)
	if !allowed {
		return nil, ErrServerNotAllowed
	}
	f := &flight{done: make(chan struct{}), public: !exact}
	f.join(enrich.NewAsk(&enrich.Query{Subject: sub}))
	type result struct {
		answer *Answer
		text   string
		p      *problem
	}
	done := make(chan result, 1)
	s.mu.Lock()
	spawned := s.spawn(func() {
		a, text, p := s.whoisOnce(f, s.opt.Manners.Operator(at.Host), at, sub.Name())
		done <- result{a, text, p}
	})
	if s.mu.Unlock(); !spawned {
		return reportOf(nil), nil
	}
	select {
	case r := <-done:
		report := &Report{Raw: Raw{Server: at.Host, Text: r.text[:min(len(r.text), maxRaw)]}}
		if report.Answer = r.answer; r.p != nil {
			report.Fault, report.Reason = r.p.fault, r.p.text
		} else if r.answer.Class == whoisreply.Unsupported {
			report.Fault, report.Reason = OtherFault, at.Host+" does not answer for such names"
		}
		return report, nil
	case <-ctx.Done():
		return &Report{Raw: Raw{Server: at.Host}, Fault: Timeout, Reason: at.Host + " did not answer in time"}, nil
	}
}

// Learn keeps what an import says of a domain's registration, unless something is known already. via is what the import is called.
func (s *Source) Learn(domain string, created, expires time.Time, via string) {
	key := enrich.DomainOf(domain).Registrable()
	if key == "" || s.entry(key, s.opt.Now()) != nil {
		return
	}
	s.keep(key, &Answer{
		Class: whoisreply.Registered, Via: via, Asked: s.opt.Now().UTC().Truncate(time.Second), Name: key,
		Created: created.UTC(), Expires: expires.UTC(),
	})
}

// allows reports whether clients may name that server, and whether the settings name it too, so that it is the operator who says
// where it is. A pattern opens WHOIS's own port alone.
func (s *Source) allows(at whoisclient.Server) (allowed, exact bool) {
	for _, pattern := range s.opt.Servers {
		if suffix, ok := strings.CutPrefix(pattern, "*"); ok {
			pattern = suffix
		} else if !strings.HasPrefix(pattern, ".") {
			if named, err := whoisclient.ParseServer(pattern); err == nil && named.Addr() == at.Addr() {
				return true, true
			}
			continue
		}
		allowed = allowed || strings.HasSuffix(at.Host, strings.ToLower(pattern)) && at.Addr() == whoisclient.Server{Host: at.Host}.Addr()
	}
	return allowed, false
}
