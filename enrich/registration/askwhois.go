package registration

import (
	"errors"
	"strings"
	"time"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/registration/manners"
	"github.com/whence-project/whence/enrich/registration/whoisclient"
	"github.com/whence-project/whence/enrich/registration/whoisreply"
)

// blockedPause is how long a server that refuses us is left alone.
const blockedPause = time.Hour

// askWhois asks a registry's WHOIS server, and the registrar's where that is wanted.
func (s *Source) askWhois(f *flight, operator string, server whoisclient.Server, key string) (*Answer, *Raw, *problem) {
	a, text, p := s.whoisOnce(f, operator, server, key)
	if p != nil {
		return nil, nil, p
	}
	raw := &Raw{Server: server.Host, Text: text}
	if s.opt.Registrar && a.Class == whoisreply.Registered {
		s.followWhois(f, server, key, a, raw)
	}
	return a, raw, nil
}

// followWhois asks the server that the registry names. What it does not tell leaves the answer as the registry gave it.
func (s *Source) followWhois(f *flight, server whoisclient.Server, key string, a *Answer, raw *Raw) {
	next, ok := whoisclient.Referral(raw.Text)
	if !ok || next.Addr() == server.Addr() {
		return
	}
	more, text, p := s.whoisOnce(f, s.opt.Manners.Operator(next.Host), next, key)
	switch {
	case p != nil:
		a.Second, a.Fault, a.Reason = next.Host, p.fault, "the registrar's server: "+p.text
	case more.Class == whoisreply.Registered:
		a.merge(more)
		raw.Second, raw.More = next.Host, text
	}
}

// whoisOnce asks one server.
func (s *Source) whoisOnce(f *flight, operator string, server whoisclient.Server, key string) (*Answer, string, *problem) {
	ctx, cancel, turn, p := s.turn(f, operator, server.Host)
	if p != nil {
		return nil, "", p
	}
	defer cancel()
	asked := s.opt.Now()
	reply, err := s.opt.Whois.Ask(ctx, server, key)
	r := whoisreply.Parse(reply.Text, key)
	s.counts.asked(viaWhois, outcomeOf(r.Class, err))
	if err == nil {
		s.reached(true)
	} else if fault := whoisProblem(server.Host, err).fault; s.ctx.Err() == nil {
		s.reached(fault != Timeout && fault != Unreachable)
	}
	switch {
	case r.Class == whoisreply.Throttled || r.Class == whoisreply.Blocked:
		wait := r.Wait
		if r.Class == whoisreply.Blocked {
			wait = max(wait, blockedPause)
		}
		turn.Done(manners.Outcome{Kind: manners.Throttled, Wait: wait})
		p = s.throttled(operator, server.Host, wait)
		if r.Class == whoisreply.Blocked {
			p.text = server.Host + " refuses this client"
		}
		return nil, reply.Text, p
	case err != nil && r.Class != whoisreply.Registered:
		// What came before the connection broke may have said that the name is registered, but never that it is not.
		turn.Done(failedOf(err))
		return nil, reply.Text, whoisProblem(server.Host, err)
	case r.Class == whoisreply.Registered && !speaksOf(r.Domain, key):
		turn.Done(manners.Outcome{Kind: manners.OK})
		return nil, reply.Text, &problem{
			kind: enrich.Failed, text: "the reply of " + server.Host + " is about another name: " + r.Domain, fault: OtherFault,
		}
	case r.Class == whoisreply.Error || reply.Truncated && r.Class != whoisreply.Registered:
		turn.Done(manners.Outcome{Kind: manners.OK})
		return nil, reply.Text, &problem{
			kind: enrich.Failed, text: "the reply of " + server.Host + " says neither that the name is registered nor that it is not",
			fault: OtherFault,
		}
	}
	turn.Done(manners.Outcome{Kind: manners.OK})
	return fromWhois(&r, server.Host, key, asked), reply.Text, nil
}

// speaksOf reports that a reply which names a domain may be about the one that was asked for. Some servers leave the suffix out; and
// of internationalized names there are variants, which only their registry can tell.
func speaksOf(domain, asked string) bool {
	domain = enrich.DomainOf(domain).Name()
	return domain == "" || domain == asked || strings.HasPrefix(asked, domain+".") || strings.Contains(domain, "xn--")
}

// whoisProblem is what went wrong between a WHOIS server and us.
func whoisProblem(server string, err error) *problem {
	p := &problem{kind: enrich.Failed, text: server + ": " + err.Error(), fault: OtherFault}
	var e *whoisclient.Error
	if !errors.As(err, &e) {
		return p
	}
	switch e.Stage {
	case whoisclient.Timeout:
		p.fault, p.text = Timeout, server+" did not answer in time"
	case whoisclient.Resolve, whoisclient.Connect, whoisclient.Refused:
		p.fault = Unreachable
	case whoisclient.Read, whoisclient.Write:
		p.fault = ReadError
	case whoisclient.Empty:
		p.fault, p.text = Refused, "the reply of "+server+" is empty"
	}
	return p
}

// fromWhois is what a reply says. Its strings are copied: they share the memory of the whole reply.
func fromWhois(r *whoisreply.Reply, server, key string, asked time.Time) *Answer {
	a := &Answer{
		Class: r.Class, Via: viaWhois, Server: server, Asked: asked.UTC().Truncate(time.Second), Name: key,
		Registrar: strings.Clone(r.Registrar), RegistrarID: strings.Clone(r.RegistrarID),
		Created: r.Created, Updated: r.Updated, Expires: r.Expires,
		WhoisServer: strings.Clone(r.WhoisServer), ReferralURL: strings.Clone(r.ReferralURL), DNSSEC: strings.Clone(r.DNSSEC),
		NameServers: cloneAll(r.NameServers), Status: cloneAll(r.Status),
		Registrant: cloneContact(r.Registrant), Admin: cloneContact(r.Admin), Tech: cloneContact(r.Tech), Billing: cloneContact(r.Billing),
	}
	if r.Class != whoisreply.Registered {
		// What a reply says of a name that is not registered is about something else.
		*a = Answer{Class: a.Class, Via: a.Via, Server: a.Server, Asked: a.Asked, Name: a.Name}
	}
	return a
}

func cloneAll(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = strings.Clone(v)
	}
	return out
}

func cloneContact(from whoisreply.Contact) contact {
	c := contact(from)
	for _, f := range c.fields() {
		*f.value = strings.Clone(*f.value)
	}
	return c
}
