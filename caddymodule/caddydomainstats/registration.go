package caddydomainstats

import (
	"context"
	"errors"

	"github.com/whence-project/whence/caddymodule/caddyenrich"
	"github.com/whence-project/whence/domainstats"
	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/registration"
)

// whoisAPI has the routes of WHOIS-API answered by the source registration.
func whoisAPI(s *registration.Source) func(ctx context.Context, domain, server string) (*domainstats.Registration, error) {
	return func(ctx context.Context, domain, server string) (*domainstats.Registration, error) {
		var report *registration.Report
		var err error
		if server == "" {
			report, err = s.Lookup(ctx, domain)
		} else {
			report, err = s.LookupAt(ctx, domain, server)
		}
		if errors.Is(err, registration.ErrServerNotAllowed) {
			return nil, domainstats.ErrServerRefused
		}
		if err != nil {
			return nil, err
		}
		return registrationOf(report), nil
	}
}

func registrationOf(r *registration.Report) *domainstats.Registration {
	reg := &domainstats.Registration{
		Class: "error", Server: r.Raw.Server, Raw: r.Raw.Text, SecondRaw: r.Raw.More,
		Fault: domainstats.Fault(r.Fault), Reason: r.Reason,
	}
	a := r.Answer
	if a == nil {
		return reg
	}
	reg.Domain, reg.Class, reg.Via, reg.Server, reg.Second = a.Name, a.Class.String(), a.Via, a.Server, a.Second
	reg.Registrar, reg.Status, reg.NameServers = a.Registrar, a.Status, a.NameServers
	reg.Created, reg.Updated, reg.Expires = a.Created, a.Updated, a.Expires
	reg.RegistrantName, reg.RegistrantOrganization = a.Registrant.Name, a.Registrant.Organization
	reg.RegistrantPhone, reg.RegistrantEmail = a.Registrant.Phone, a.Registrant.Email
	if reg.SecondFault = domainstats.Fault(a.Fault); reg.Reason == "" {
		reg.Reason = a.Reason
	}
	return reg
}

// workersOf are the lookup workers that a chain asks, nil where it asks none.
func workersOf(c *enrich.Chain) func() []domainstats.Worker {
	workers := caddyenrich.Workers(c)
	if workers == nil {
		return nil
	}
	return func() (list []domainstats.Worker) {
		for _, w := range workers() {
			list = append(list, domainstats.Worker{Name: w.Name, Up: w.Up, Since: w.Since, UnderWay: w.UnderWay, Rate: w.Rate, Success: w.Success})
		}
		return list
	}
}
