package registryfarm

import (
	"strings"
	"time"
)

// Style is how WHOIS replies are written.
type Style uint8

// The styles.
const (
	ICANN    Style = iota // "Registrar: …", as generic top-level domains have it
	RPSL                  // "nserver:  …", objects in paragraphs, as many countries' registries
	Sections              // headings with indented lines; of the registrant it has the name alone
)

// record is a domain as WHOIS shows it.
type record struct {
	*Facts
	style    Style
	contacts bool
	referral string
}

func (b page) record(r *record) page {
	switch r.style {
	case RPSL:
		return b.rpsl(r)
	case Sections:
		return b.sections(r)
	}
	return b.icann(r)
}

func (b page) line(key, value string) page { return b.s(key).s(value).s("\r\n") }

func (b page) timeLine(key string, t time.Time) page { return b.s(key).time(t).s("\r\n") }

// given is a value, or what stands for one that is withheld.
func given(s string) string {
	if s == "" {
		return "REDACTED FOR PRIVACY"
	}
	return s
}

func (b page) icann(r *record) page {
	b = b.s("Domain Name: ").s(r.Name).s("\r\nRegistry Domain ID: ").s(r.Handle).s("\r\n")
	if r.referral != "" {
		b = b.line("Registrar WHOIS Server: ", r.referral)
	}
	b = b.line("Registrar URL: ", r.RegistrarURL)
	b = b.timeLine("Updated Date: ", r.Updated).timeLine("Creation Date: ", r.Created).timeLine("Registry Expiry Date: ", r.Expires)
	b = b.line("Registrar: ", r.Registrar).line("Registrar IANA ID: ", r.RegistrarID).line("Registrar Abuse Contact Email: ", r.AbuseEmail)
	for _, s := range r.Status {
		b = b.s("Domain Status: ").s(s).s(" https://epp.example/#").s(s).s("\r\n")
	}
	if p := &r.Registrant; r.contacts {
		b = b.line("Registrant Name: ", given(p.Name)).line("Registrant Organization: ", p.Organization)
		b = b.line("Registrant Street: ", given(p.Street)).line("Registrant City: ", given(p.City))
		b = b.line("Registrant State/Province: ", p.State).line("Registrant Postal Code: ", given(p.PostalCode))
		b = b.line("Registrant Country: ", p.Country).line("Registrant Phone: ", given(p.Phone)).line("Registrant Email: ", given(p.Email))
	}
	for _, host := range r.NameServers {
		b = b.line("Name Server: ", host)
	}
	return b.line("DNSSEC: ", signed(r.Signed)).s(icannTerms)
}

func signed(yes bool) string {
	if yes {
		return "signedDelegation"
	}
	return "unsigned"
}

const icannTerms = "URL of the ICANN Whois Inaccuracy Complaint Form: https://complaints.example/\r\n" +
	">>> Last update of WHOIS database: 2025-01-02T03:04:05Z <<<\r\n\r\n" +
	"TERMS OF USE: This registry exists for tests only. The information is provided as is and may not be accurate. By submitting a query you " +
	"agree to use it for lawful purposes only, and not to exceed a reasonable number of queries; access may be rate limited or denied " +
	"to those who do. All rights reserved.\r\n"

func (b page) rpsl(r *record) page {
	b = b.s("% This is the farm's WHOIS server. Rights restricted by copyright; by using this service you agree to its terms.\r\n\r\n")
	b = b.line("domain:       ", r.Name).line("roid:         ", r.Handle)
	for _, s := range r.Status {
		b = b.line("status:       ", s)
	}
	if r.contacts {
		b = b.s("holder-c:     ").s(r.Handle).s("-R\r\n")
	}
	b = b.line("registrar:    ", r.Registrar)
	for _, host := range r.NameServers {
		b = b.line("nserver:      ", host)
	}
	b = b.timeLine("created:      ", r.Created).timeLine("last-update:  ", r.Updated).timeLine("expire:       ", r.Expires)
	if r.referral != "" {
		b = b.line("whois:        ", r.referral)
	}
	b = b.s("source:       FARM\r\n\r\n")
	if p := &r.Registrant; r.contacts {
		b = b.s("nic-hdl:      ").s(r.Handle).s("-R\r\n").line("person:       ", given(p.Name)).line("org:          ", p.Organization)
		b = b.line("address:      ", given(p.Street)).line("city:         ", given(p.City)).line("state:        ", p.State)
		b = b.line("postal-code:  ", given(p.PostalCode)).line("country:      ", p.Country)
		b = b.line("phone:        ", given(p.Phone)).line("e-mail:       ", given(p.Email)).s("source:       FARM\r\n\r\n")
	}
	return b
}

func (b page) sections(r *record) page {
	b = b.s("\r\n    Domain name:\r\n        ").s(r.Name).s("\r\n\r\n")
	if p := &r.Registrant; r.contacts {
		b = b.line("    Registrant:\r\n        ", given(p.Name)).s("\r\n")
	}
	b = b.s("    Registrar:\r\n        ").s(r.Registrar).s("\r\n        URL: ").s(r.RegistrarURL).s("\r\n\r\n    Relevant dates:\r\n")
	b = b.timeLine("        Registered on: ", r.Created).timeLine("        Expiry date:  ", r.Expires)
	b = b.timeLine("        Last updated:  ", r.Updated).s("\r\n    Registration status:\r\n")
	for _, s := range r.Status {
		b = b.line("        ", s)
	}
	b = b.s("\r\n    Name servers:\r\n")
	for _, host := range r.NameServers {
		b = b.line("        ", host)
	}
	if r.referral != "" {
		b = b.line("\r\n    Whois Server: ", r.referral)
	}
	return b.s("\r\n    --\r\n    This information is provided for tests. Copyright the farm.\r\n")
}

// free says in one of the ways of the style that a name is not registered.
func (b page) free(style Style, name string) page {
	switch n := hash(name) % 3; {
	case style == RPSL && n == 0:
		return b.s("% The farm's WHOIS server\r\n\r\n%ERROR:101: no entries found\r\n%\r\n% No entries found in source FARM.\r\n")
	case style == RPSL:
		return b.line("domain:       ", name).line("status:       ", "free")
	case style == Sections:
		return b.s("\r\n    No match for \"").s(name).s("\".\r\n\r\n    This domain name has not been registered.\r\n")
	case n == 0:
		return b.s("No match for domain \"").s(strings.ToUpper(name)).s("\".\r\n").s(icannTerms)
	case n == 1:
		return b.s("Domain not found.\r\n").s(icannTerms)
	}
	return b.s("The queried object does not exist: ").s(name).s("\r\n")
}

// reserved says that the registry keeps a name back.
func (b page) reserved(style Style, name string) page {
	switch style {
	case RPSL:
		return b.line("domain:       ", name).line("status:       ", "reserved")
	case Sections:
		return b.s("\r\n    The domain name ").s(name).s(" is reserved by the registry.\r\n")
	}
	return b.s("This name is reserved by the Registry in accordance with its policy.\r\n")
}
