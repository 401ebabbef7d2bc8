package rdap

import (
	"errors"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// DomainURL is what is asked about a domain (RFC 9082 §3.1.3): base with or without a final slash, as bootstrap registries have
// it, and the name in any case, in A-labels or U-labels.
func DomainURL(base, name string) string {
	if host := hostName(name); host != "" {
		name = host
	}
	return join(base, ClassDomain, url.PathEscape(name))
}

// IPURL is what is asked about a network, or about an address where p has but one (RFC 9082 §3.1.1).
func IPURL(base string, p netip.Prefix) string {
	if p.IsSingleIP() {
		return join(base, "ip", p.Addr().String())
	}
	return join(base, "ip", p.Masked().String())
}

// ASURL is what is asked about an AS number (RFC 9082 §3.1.2).
func ASURL(base string, as uint32) string {
	return join(base, ClassAS, strconv.FormatUint(uint64(as), 10))
}

// EntityURL is what is asked about a contact, a registrar or an organisation (RFC 9082 §3.1.5).
func EntityURL(base, handle string) string { return join(base, ClassEntity, url.PathEscape(handle)) }

func join(base, class, what string) string {
	return strings.TrimRight(base, "/") + "/" + class + "/" + what
}

// parseURL is a URL that may be asked: http or https, with a host, and nobody's password.
func parseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return nil, errors.New("no URL")
	}
	return u, checkURL(u)
}

func checkURL(u *url.URL) error {
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return errors.New("not a URL of http or https")
	case u.Hostname() == "":
		return errors.New("a URL without a host")
	case u.User != nil:
		return errors.New("a URL with a user")
	}
	return nil
}

// query is what a URL asks for.
type query struct{ class, what string }

// queryOf takes a query out of a URL's path (RFC 9082 §3.1); ok is false for another path, searches among them.
func queryOf(u *url.URL) (query, bool) {
	parts := strings.Split(strings.Trim(u.Path, "/"), "/")
	n := len(parts)
	if n >= 3 && parts[n-3] == "ip" { // a prefix has a slash of its own
		return query{ClassNetwork, parts[n-2] + "/" + parts[n-1]}, true
	}
	if n < 2 || parts[n-1] == "" {
		return query{}, false
	}
	q := query{parts[n-2], parts[n-1]}
	switch q.class {
	case "ip":
		q.class = ClassNetwork
	case ClassDomain, ClassNameServer:
		q.what = hostName(q.what)
	case ClassAS, ClassEntity:
	default:
		return query{}, false
	}
	return q, q.what != ""
}

// mismatch is why an object is not the one that was asked for, empty where it is.
func (q query) mismatch(o *Object) string {
	if o.Class != q.class {
		return "an object of class " + strconv.Quote(o.Class)
	}
	same := true
	switch q.class {
	case ClassDomain, ClassNameServer:
		same = o.LDHName == q.what || o.LDHName != "" && hostName(o.UnicodeName) == q.what
	case ClassNetwork:
		same = o.holds(q.what)
	case ClassAS:
		as, err := strconv.ParseUint(q.what, 10, 32)
		same = err == nil && uint64(o.StartAS) <= as && as <= uint64(o.EndAS)
	case ClassEntity:
		same = strings.EqualFold(o.Handle, q.what)
	}
	if !same {
		return "an answer about something else"
	}
	return ""
}

// holds reports that the network has all of an address or prefix, and is not simply all addresses, which is how some servers
// answer for what is not theirs.
func (o *Object) holds(s string) bool {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return false
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if len(o.Prefixes) == 1 && o.Prefixes[0].Bits() == 0 {
		return p.Bits() == 0
	}
	return o.Start.BitLen() == p.Addr().BitLen() && !p.Addr().Less(o.Start) && !o.End.Less(lastOf(p))
}
