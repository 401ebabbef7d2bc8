package registration

import (
	"context"
	"errors"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/registration/bootstrap"
	"github.com/whence-project/whence/enrich/registration/manners"
	"github.com/whence-project/whence/enrich/registration/whoisclient"
	"github.com/whence-project/whence/enrich/registration/whoisreply"
	"github.com/whence-project/whence/internal/egress"
)

// services are the servers that may know a subject.
func (s *Source) services(sub enrich.Subject, key string) bootstrap.Services {
	switch sub.Kind() {
	case enrich.Domain:
		return s.opt.Bootstrap.Domain(key)
	case enrich.Address, enrich.Prefix:
		return s.opt.Bootstrap.Prefix(sub.Prefix())
	case enrich.AS:
		return s.opt.Bootstrap.AS(sub.ASN())
	}
	return bootstrap.Services{}
}

// operator is who runs those servers.
func (s *Source) operator(who bootstrap.Services) string {
	var hosts [5]string
	n := 0
	for _, base := range who.RDAP[:min(len(who.RDAP), len(hosts)-1)] {
		hosts[n] = hostOf(base)
		n++
	}
	if who.Whois.Host != "" {
		hosts[n] = who.Whois.Host
		n++
	}
	return s.opt.Manners.Operator(hosts[:n]...)
}

func hostOf(base string) string {
	if u, err := url.Parse(base); err == nil {
		return u.Hostname()
	}
	return ""
}

// unsupported reports that nobody can be asked about a subject, and that it is known.
func (s *Source) unsupported(sub enrich.Subject, key string, who bootstrap.Services) bool {
	if len(who.RDAP) > 0 || sub.Kind() == enrich.Domain && who.Whois.Host != "" {
		return false
	}
	return sub.Kind() != enrich.Domain || !s.refers(key)
}

const notYet = "it is not known yet who answers for it: the files of the registries have not been fetched"

// awaits reports that it is not known yet who answers for what.
func (s *Source) awaits() bool {
	if !s.opt.Awaits || s.arrived.Load() {
		return false
	}
	for _, f := range s.opt.Bootstrap.Status() {
		if f.Origin == "" {
			return true
		}
	}
	s.arrived.Store(true)
	return false
}

// discretion is why a subject is not asked about, empty where it is: over WHOIS everybody on the way can read the name.
func (s *Source) discretion(discreet bool, who bootstrap.Services) string {
	if !discreet || s.opt.Cleartext || slices.ContainsFunc(who.RDAP, encrypted) {
		return ""
	}
	return "not looked up: there is no RDAP over HTTPS for it, and anything else would show the name to everybody on the way"
}

// encrypted reports that nobody on the way can read what is asked of an RDAP server.
func encrypted(base string) bool { return strings.HasPrefix(base, "https:") }

// paused is until when the operator of those servers is not asked, and why. Zero: he is.
func (s *Source) paused(who bootstrap.Services) (time.Time, string) {
	op := s.operator(who)
	server := who.Whois.Host
	if len(who.RDAP) > 0 {
		server = hostOf(who.RDAP[0])
	}
	return s.opt.Manners.Paused(op, server)
}

// lookup asks those who may know, RDAP first. It returns either an answer or a problem.
func (s *Source) lookup(sub enrich.Subject, key string, f *flight) (*Answer, *Raw, *problem) {
	who := s.services(sub, key)
	if sub.Kind() == enrich.Domain && len(who.RDAP) == 0 && who.Whois.Host == "" && s.refers(key) {
		if p := s.refer(key, f); p != nil {
			return nil, nil, p
		}
		who = s.services(sub, key)
	}
	if s.unsupported(sub, key, who) {
		if s.awaits() {
			return nil, nil, &problem{kind: enrich.Unfetched, text: notYet, soon: true, fault: Unreachable}
		}
		return nil, nil, &problem{kind: enrich.Failed, text: noServerText(sub, key), soon: true, fault: Unreachable}
	}
	operator := s.operator(who)
	var last *problem
	for _, base := range who.RDAP {
		if s.discretion(f.discreet() && !encrypted(base), bootstrap.Services{}) != "" {
			continue
		}
		a, raw, p := s.askRDAP(f, operator, sub, key, base)
		if p == nil {
			return a, raw, nil
		}
		if last = worse(last, p); p.kind == enrich.Throttled || s.ctx.Err() != nil {
			return nil, nil, last // the WHOIS servers are the same operator's
		}
	}
	if reason := s.discretion(f.discreet(), bootstrap.Services{}); reason != "" {
		return nil, nil, worse(last, &problem{kind: enrich.Unfetched, text: reason, discreet: true})
	}
	if sub.Kind() != enrich.Domain || who.Whois.Host == "" {
		return nil, nil, last
	}
	a, raw, p := s.askWhois(f, operator, who.Whois, key)
	if p == nil {
		return a, raw, nil
	}
	return nil, nil, worse(last, p)
}

// worse is the problem that tells more of the two: what a later server said, unless it is that it was not asked.
func worse(a, b *problem) *problem {
	if a == nil || b.kind == enrich.Throttled || b.kind == enrich.Failed {
		return b
	}
	a.discreet = a.discreet || b.discreet
	return a
}

// turn waits until server may be asked, and returns the context to ask it in.
func (s *Source) turn(f *flight, operator, server string) (context.Context, context.CancelFunc, *manners.Turn, *problem) {
	wait := s.opt.Queue
	if f.patience > 0 {
		wait = min(wait, f.patience)
	}
	queue, leave := context.WithTimeout(s.ctx, wait)
	defer leave()
	if s.opt.Permit != nil {
		if err := s.opt.Permit(queue, operator); err != nil {
			return nil, nil, nil, s.notNow(err, server)
		}
	}
	t, err := s.opt.Manners.Wait(queue, manners.Request{Operator: operator, Server: server, Priority: f.priority})
	if err != nil {
		return nil, nil, nil, s.notNow(err, server)
	}
	ctx := egress.WithSource(s.ctx, t.Source())
	if f.public {
		ctx = egress.PublicOnly(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, s.opt.Timeout)
	return ctx, cancel, t, nil
}

// failedOf is a failure as the server's record has it: what is a proxy's fault, or that we are closing, is none of the server's.
func failedOf(err error) manners.Outcome {
	var proxy *egress.ProxyError
	if errors.As(err, &proxy) || errors.Is(err, context.Canceled) {
		return manners.Outcome{Kind: manners.OK}
	}
	return manners.Outcome{Kind: manners.Failed}
}

// notNow is why it was nobody's turn.
func (s *Source) notNow(err error, server string) *problem {
	p := s.noTurn(err, server)
	p.turn = true
	return p
}

func (s *Source) noTurn(err error, server string) *problem {
	var others *NotOursError
	var paused *manners.PausedError
	var broken *manners.BrokenError
	switch {
	case errors.As(err, &others):
		return &problem{kind: enrich.Unfetched, text: "not looked up: " + err.Error(), again: others.Until, soon: true, holder: others.Holder, fault: OtherFault}
	case errors.As(err, &paused):
		if paused.Reserved { // what is left is kept for others, who may come at any time
			return &problem{kind: enrich.Unfetched, text: "not looked up: " + err.Error(), soon: true, fault: Refused}
		}
		return &problem{kind: enrich.Throttled, text: err.Error(), again: paused.Until, fault: Refused}
	case errors.As(err, &broken):
		return &problem{kind: enrich.Failed, text: err.Error(), again: broken.Until, fault: Unreachable}
	case errors.Is(err, manners.ErrQueueFull):
		return &problem{kind: enrich.Unfetched, text: "not looked up: too many lookups wait for " + server, soon: true, fault: OtherFault}
	case errors.Is(err, context.DeadlineExceeded):
		return &problem{kind: enrich.Unfetched, text: "not looked up: it was not its turn at " + server + " in time", soon: true, fault: Timeout}
	}
	return &problem{kind: enrich.Unfetched, text: "not looked up: the source is closed", soon: true, fault: OtherFault}
}

// refers reports that IANA's WHOIS server is to be asked who answers for the top-level domain of key.
func (s *Source) refers(key string) bool {
	if !s.opt.Refer || !s.opt.Bootstrap.Known(key) {
		return false
	}
	_, asked := s.failed.GetIfPresent(referKey(key))
	return !asked
}

// referKey is under what it is remembered that IANA names no server for a top-level domain. No subject has such a key.
func referKey(key string) string { return key[strings.LastIndexByte(key, '.'):] }

// refer asks IANA's WHOIS server for the one of a top-level domain, and has the bootstrap learn it.
func (s *Source) refer(key string, f *flight) *problem {
	tld := referKey(key)[1:]
	iana := bootstrap.IANA
	ctx, cancel, turn, p := s.turn(f, s.opt.Manners.Operator(iana.Host), iana.Host)
	if p != nil {
		return p
	}
	defer cancel()
	reply, err := s.opt.Whois.Ask(ctx, iana, tld)
	if err != nil {
		turn.Done(failedOf(err))
		return whoisProblem(iana.Host, err)
	}
	r := whoisreply.Parse(reply.Text, tld)
	if r.Class == whoisreply.Throttled {
		turn.Done(manners.Outcome{Kind: manners.Throttled, Wait: r.Wait})
		return s.throttled(iana.Host, iana.Host, r.Wait)
	}
	turn.Done(manners.Outcome{Kind: manners.OK})
	now := s.opt.Now()
	server, ok := whoisclient.Referral(reply.Text)
	if !ok || strings.EqualFold(server.Host, iana.Host) {
		s.failed.Set(referKey(key), &failure{again: now.Add(reservedTTL)})
		return nil
	}
	s.opt.Bootstrap.Learn(tld, server, now.Add(7*reservedTTL))
	return nil
}

// throttled is that server asks to wait. It is logged: an operator who is asked too often may want other limits.
func (s *Source) throttled(operator, server string, wait time.Duration) *problem {
	s.log.Load().Warn("a registry asks to wait", zap.String("operator", operator), zap.String("server", server), zap.Duration("wait", wait))
	p := &problem{kind: enrich.Throttled, text: server + " answers no more queries for now", fault: Refused}
	if wait > 0 {
		p.again = s.opt.Now().Add(wait)
		p.text = server + " asks to wait " + wait.Round(time.Second).String()
	}
	return p
}
