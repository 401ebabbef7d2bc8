package registration

import (
	"errors"
	"strings"
	"time"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/registration/manners"
	"github.com/whence-project/whence/enrich/registration/rdap"
	"github.com/whence-project/whence/enrich/registration/whoisreply"
)

// askRDAP asks the RDAP server at base, and the registrar's where that is wanted.
func (s *Source) askRDAP(f *flight, operator string, sub enrich.Subject, key, base string) (*Answer, *Raw, *problem) {
	host := hostOf(base)
	asked := s.opt.Now()
	resp, p := s.rdapOnce(f, operator, host, urlOf(base, sub, key))
	if p != nil && p.absent != 0 {
		return s.unregistered(sub, key, host, asked, p)
	}
	if p != nil {
		return nil, nil, p
	}
	a := fromRDAP(resp.Object, host, key, asked)
	raw := &Raw{Server: host, Text: string(resp.Raw)}
	if s.opt.Registrar && sub.Kind() == enrich.Domain {
		s.followRDAP(f, resp.Object, host, key, a, raw)
	}
	return a, raw, nil
}

func urlOf(base string, sub enrich.Subject, key string) string {
	switch sub.Kind() {
	case enrich.AS:
		return rdap.ASURL(base, sub.ASN())
	case enrich.Address, enrich.Prefix:
		return rdap.IPURL(base, sub.Prefix())
	}
	return rdap.DomainURL(base, key)
}

// unregistered is that the RDAP server has no such object (RFC 7480 §5.3). Of an address another registry may have it.
func (s *Source) unregistered(sub enrich.Subject, key, host string, asked time.Time, p *problem) (*Answer, *Raw, *problem) {
	if sub.Kind() != enrich.Domain {
		return nil, nil, &problem{
			kind: enrich.Failed, text: host + " has no registration of " + key, again: asked.Add(s.opt.NegativeTTL), fault: OtherFault,
		}
	}
	return &Answer{Class: p.absent, Via: viaRDAP, Server: host, Asked: asked.UTC().Truncate(time.Second), Name: key}, nil, nil
}

// rdapOnce makes one request.
func (s *Source) rdapOnce(f *flight, operator, host, url string) (*rdap.Response, *problem) {
	ctx, cancel, turn, p := s.turn(f, operator, host)
	if p != nil {
		return nil, p
	}
	defer cancel()
	resp, err := s.opt.RDAP.Get(rdap.WithSource(ctx, turn.Source()), url)
	if err == nil {
		s.reached(true)
		turn.Done(manners.Outcome{Kind: manners.OK})
		s.counts.asked(viaRDAP, whoisreply.Registered.String())
		return resp, nil
	}
	var e *rdap.Error
	if !errors.As(err, &e) {
		e = &rdap.Error{Kind: rdap.Network, Err: err}
	}
	if s.ctx.Err() == nil {
		s.reached(e.Kind != rdap.Timeout && e.Kind != rdap.Network)
	}
	outcome, p := s.rdapProblem(operator, host, e)
	turn.Done(outcome)
	s.counts.asked(viaRDAP, e.Kind.String())
	return nil, p
}

// rdapProblem is what an error means, for who asked and for the server's good name.
func (s *Source) rdapProblem(operator, host string, e *rdap.Error) (manners.Outcome, *problem) {
	p := &problem{kind: enrich.Failed, text: host + ": " + e.Error(), fault: OtherFault}
	outcome := manners.Outcome{Kind: manners.OK}
	switch e.Kind {
	case rdap.NotFound:
		p.absent = whoisreply.Available
	case rdap.Reserved:
		p.absent = whoisreply.Reserved
	case rdap.Throttled:
		p = s.throttled(operator, host, e.RetryAfter)
		outcome = manners.Outcome{Kind: manners.Throttled, Wait: e.RetryAfter}
	case rdap.Refused:
		p.fault = Refused
	case rdap.Timeout:
		p.fault, p.text = Timeout, host+" did not answer in time"
		outcome = failedOf(e)
	case rdap.Network:
		p.fault = Unreachable
		outcome = failedOf(e)
	case rdap.Server:
		outcome = failedOf(e)
	}
	return outcome, p
}

// followRDAP asks the registrar's RDAP server where the registry names it. What it does not tell leaves the answer as it is.
func (s *Source) followRDAP(f *flight, o *rdap.Object, host, key string, a *Answer, raw *Raw) {
	for _, link := range o.Related {
		next := hostOf(link)
		if next == "" || strings.EqualFold(next, host) {
			continue
		}
		asked := s.opt.Now()
		resp, p := s.rdapOnce(f, s.opt.Manners.Operator(next), next, link)
		switch {
		case p != nil && p.absent != 0:
			a.Second, a.Fault, a.Reason = next, OtherFault, "the registrar's server "+next+" does not have the name"
		case p != nil:
			a.Second, a.Fault, a.Reason = next, p.fault, "the registrar's server: "+p.text
		default:
			a.merge(fromRDAP(resp.Object, next, key, asked))
			raw.Second, raw.More = next, string(resp.Raw)
		}
		return
	}
}

// fromRDAP is what an RDAP object says.
func fromRDAP(o *rdap.Object, host, key string, asked time.Time) *Answer {
	a := &Answer{
		Class: whoisreply.Registered, Via: viaRDAP, Server: host, Asked: asked.UTC().Truncate(time.Second), Name: key, ID: o.Handle,
		Registrar: o.Registrar, RegistrarID: o.RegistrarID, ReferralURL: o.RegistrarURL, WhoisServer: o.Port43,
		Created: o.Created, Updated: o.Updated, Expires: o.Expires,
		NameServers: o.NameServers, Status: o.Status, DNSSEC: o.DNSSEC,
		Registrant: contact(o.Registrant), Admin: contact(o.Admin), Tech: contact(o.Tech), Billing: contact(o.Billing), Abuse: contact(o.Abuse),
	}
	if o.Start.IsValid() {
		a.Networks, a.Range = o.Prefixes, o.Start.String()+" - "+o.End.String()
	} else if o.StartAS != 0 || o.EndAS != 0 {
		a.Range = asRange(o.StartAS, o.EndAS)
	}
	if a.Range != "" {
		a.Name, a.Type, a.Country, a.Parent = o.Name, o.Type, o.Country, o.Parent
	}
	return a
}

func asRange(first, last uint32) string {
	a, b := enrich.ASOf(first).String(), enrich.ASOf(last).String()
	if a == b || last == 0 {
		return a
	}
	return a + " - " + b
}
