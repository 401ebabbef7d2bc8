package registryfarm

import (
	"net/netip"
	"strconv"
	"time"
)

// page is an answer that is being written: appended to, because encoding/json would cost more than all the rest of a query.
type page []byte

func (b page) s(s string) page { return append(b, s...) }

func (b page) n(n int) page { return strconv.AppendInt(b, int64(n), 10) }

func (b page) time(t time.Time) page { return t.AppendFormat(b, time.RFC3339) }

func (b page) addr(a netip.Addr) page { return a.AppendTo(b) }

// list writes what each element is written as, with commas between.
func list[T any](b page, elements []T, write func(page, T) page) page {
	for i, e := range elements {
		if i > 0 {
			b = append(b, ',')
		}
		b = write(b, e)
	}
	return b
}

const (
	conformance = `"rdapConformance":["rdap_level_0","icann_rdap_response_profile_1","icann_rdap_technical_implementation_guide_1",` +
		`"redacted","cidr0"]`
	terms = `{"title":"Terms of Use","description":["This registry exists for tests only. Queries are limited; you agree not to exceed ` +
		`a reasonable number of them."]},{"title":"Status Codes","description":["For more information on domain status codes, please ` +
		`visit https://epp.example/"],"links":[{"href":"https://epp.example/","rel":"glossary","type":"text/html"}]}`
)

// rdapStatus are the statuses of statuses in the words of RFC 8056.
var rdapStatus = map[string]string{"ok": "active", "clientTransferProhibited": "client transfer prohibited",
	"clientUpdateProhibited": "client update prohibited", "clientDeleteProhibited": "client delete prohibited",
	"serverTransferProhibited": "server transfer prohibited", "clientHold": "client hold"}

// domain is a domain object (RFC 9083 §5.3).
func (b page) domain(r *registry, f *Facts, related string) page {
	b = b.s(`{`).s(conformance).s(`,"objectClassName":"domain","handle":"`).s(f.Handle).s(`","ldhName":"`).s(f.Name).s(`","links":[`)
	b = b.link("self", r.base+"domain/"+f.Name)
	if related != "" {
		b = b.s(`,`).link("related", related)
	}
	b = b.s(`],"status":[`)
	b = list(b, f.Status, func(b page, s string) page { return b.s(`"`).s(rdapStatus[s]).s(`"`) })
	b = b.s(`],`).events(f.Created, f.Updated, f.Expires, r.farm.opt.Now()).s(`,"nameservers":[`)
	b = list(b, f.NameServers, func(b page, host string) page {
		return b.s(`{"objectClassName":"nameserver","ldhName":"`).s(host).s(`"}`)
	})
	b = b.s(`],"secureDNS":{"delegationSigned":`)
	if f.Signed {
		b = b.s(`true,"dsData":[{"keyTag":12345,"algorithm":13,"digestType":2,"digest":"` +
			`00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF"}]}`)
	} else {
		b = b.s(`false}`)
	}
	b = b.s(`,"entities":[`).registrarEntity(f)
	if !r.Thin {
		b = b.s(`,`).registrant(f)
	}
	b = b.s(`]`)
	if f.Redacted && !r.Thin {
		b = b.s(redactions)
	}
	return b.s(`,"notices":[`).s(terms).s(`]}`)
}

func (b page) link(rel, href string) page {
	return b.s(`{"value":"`).s(href).s(`","rel":"`).s(rel).s(`","href":"`).s(href).s(`","type":"`).s(mediaType).s(`"}`)
}

// events are those of RFC 9083 §4.5; a time that is zero is left out.
func (b page) events(created, updated, expires, now time.Time) page {
	b = b.s(`"events":[{"eventAction":"registration","eventDate":"`).time(created)
	b = b.s(`"},{"eventAction":"last changed","eventDate":"`).time(updated)
	if !expires.IsZero() {
		b = b.s(`"},{"eventAction":"expiration","eventDate":"`).time(expires)
	}
	return b.s(`"},{"eventAction":"last update of RDAP database","eventDate":"`).time(now.UTC()).s(`"}]`)
}

func (b page) registrarEntity(f *Facts) page {
	b = b.s(`{"objectClassName":"entity","handle":"`).s(f.RegistrarID).s(`","roles":["registrar"],"publicIds":[{"type":"IANA Registrar ID",` +
		`"identifier":"`).s(f.RegistrarID).s(`"}],"links":[{"rel":"about","href":"`).s(f.RegistrarURL).s(`","type":"text/html"}],`)
	b = b.s(`"vcardArray":["vcard",[["version",{},"text","4.0"],["fn",{},"text","`).s(f.Registrar).s(`"]]],"entities":[`)
	return b.abuse(f.AbuseEmail).s(`]}`)
}

func (b page) abuse(email string) page {
	return b.s(`{"objectClassName":"entity","roles":["abuse"],"vcardArray":["vcard",[["version",{},"text","4.0"],["fn",{},"text",` +
		`"Abuse Desk"],["email",{},"text","`).s(email).s(`"]]]}`)
}

// registrant is the holder. What is redacted is empty, as RFC 9537 wants it.
func (b page) registrant(f *Facts) page {
	p := &f.Registrant
	b = b.s(`{"objectClassName":"entity","handle":"`).s(f.Handle).s(`-R","roles":["registrant"],"vcardArray":["vcard",[["version",{},` +
		`"text","4.0"],["fn",{},"text","`).s(p.Name).s(`"],["org",{},"text","`).s(p.Organization)
	b = b.s(`"],["adr",{"cc":"`).s(p.Country).s(`"},"text",["","","`).s(p.Street).s(`","`).s(p.City).s(`","`).s(p.State).
		s(`","`).s(p.PostalCode).s(`",""]]`)
	if p.Phone != "" {
		b = b.s(`,["tel",{"type":"voice"},"uri","tel:`).s(p.Phone).s(`"],["email",{},"text","`).s(p.Email).s(`"]`)
	}
	return b.s(`]]}`)
}

// redactions name what is withheld of a redacted registrant (RFC 9537 §4.2).
var redactions = func() string {
	b := page(`,"redacted":[`)
	b = list(b, []string{"Registrant Name", "Registrant Street", "Registrant City", "Registrant Postal Code", "Registrant Phone",
		"Registrant Email"}, func(b page, name string) page {
		return b.s(`{"name":{"type":"`).s(name).s(`"},"prePath":"$.entities[?(@.roles[0]=='registrant')].vcardArray[1]",` +
			`"method":"emptyValue","reason":{"description":"Server policy"}}`)
	})
	return string(b.s(`]`))
}()

// network is an address block (RFC 9083 §5.4).
func (b page) network(r *registry, n Network) page {
	version, prefix := "v4", "v4prefix"
	if n.Prefix.Addr().Is6() {
		version, prefix = "v6", "v6prefix"
	}
	b = b.s(`{`).s(conformance).s(`,"objectClassName":"ip network","handle":"`).s(n.Handle).s(`","startAddress":"`).addr(n.Prefix.Addr())
	b = b.s(`","endAddress":"`).addr(n.last()).s(`","ipVersion":"`).s(version).s(`","cidr0_cidrs":[{"`).s(prefix).s(`":"`).addr(n.Prefix.Addr())
	b = b.s(`","length":`).n(n.Prefix.Bits()).s(`}],`)
	return b.number(r, &n, r.base+"ip/"+n.Prefix.String())
}

// autnum is an AS number (RFC 9083 §5.5).
func (b page) autnum(r *registry, n Network) page {
	as := strconv.FormatUint(uint64(n.AS), 10)
	b = b.s(`{`).s(conformance).s(`,"objectClassName":"autnum","handle":"`).s(n.Handle).s(`","startAutnum":`).s(as).s(`,"endAutnum":`).s(as)
	return b.s(`,`).number(r, &n, r.base+"autnum/"+as)
}

// number is what networks and AS numbers have alike.
func (b page) number(r *registry, n *Network, self string) page {
	b = b.s(`"name":"`).s(n.Name).s(`","type":"`).s(n.Type).s(`","country":"`).s(n.Country).s(`","status":["active"],"links":[`).link("self", self)
	b = b.s(`],`).events(n.Created, n.Updated, time.Time{}, r.farm.opt.Now())
	b = b.s(`,"entities":[{"objectClassName":"entity","handle":"ORG-`).s(n.Handle).s(`","roles":["registrant"],"vcardArray":["vcard",` +
		`[["version",{},"text","4.0"],["kind",{},"text","org"],["fn",{},"text","`).s(n.Organization).s(`"]]],"entities":[`)
	return b.abuse(n.AbuseEmail).s(`]}],"notices":[`).s(terms).s(`]}`)
}

// entityObject is a contact that is asked for by its handle (RFC 9083 §5.1).
func (b page) entityObject(r *registry, handle string) page {
	var f Facts
	d := draw(hash(handle))
	f.setRegistrant(&d)
	b = b.s(`{`).s(conformance).s(`,"objectClassName":"entity","handle":"`).s(handle).s(`","links":[`).link("self", r.base+"entity/"+handle)
	return b.s(`],"vcardArray":["vcard",[["version",{},"text","4.0"],["kind",{},"text","org"],["fn",{},"text","`).
		s(f.Registrant.Organization).s(`"],["adr",{"cc":"`).s(f.Registrant.Country).s(`"},"text",["","","","","","",""]]]],"notices":[`).
		s(terms).s(`]}`)
}
