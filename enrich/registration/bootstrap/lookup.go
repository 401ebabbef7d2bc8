package bootstrap

import (
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"

	"github.com/whence-project/whence/enrich/iana"
	"github.com/whence-project/whence/enrich/registration/whoisclient"
)

// Domain is who can be asked about a domain name, in A-labels or U-labels: the services of the longest suffix of it that is known
// (RFC 9224 §4). What an override leaves open, shorter ones and then the tables say.
//
// Names in zones that somebody delegates as he likes, as the private division of the public suffix list has them (github.io), have
// no services unless the zone itself is known (uk.com): the registry above would say that they are not registered.
func (b *Bootstrap) Domain(name string) Services {
	s, _ := b.domain(spell(name))
	return s
}

// Known reports that the top-level domain of a name exists, as far as the tables know, and that nothing says that nobody can be
// asked about the name: whois.iana.org may know whom.
func (b *Bootstrap) Known(name string) bool {
	name = spell(name)
	if _, none := b.domain(name); none {
		return false
	}
	tld := name[strings.LastIndexByte(name, '.')+1:]
	if b.compiled != nil {
		if d, ok := b.compiled.TLD(tld); ok {
			return !d.Special
		}
	}
	if dns := b.view.Load().files[fileDNS]; dns != nil {
		_, ok := dns.named[tld]
		return ok
	}
	return false
}

// domain is Domain; none says that it is known that there is nobody.
func (b *Bootstrap) domain(name string) (s Services, none bool) {
	v := b.view.Load()
	if len(b.overrides) > 0 {
		for suffix := name; suffix != ""; suffix = above(suffix) {
			if none = b.override(&s, suffix); none {
				return s, true
			}
		}
		if none = b.override(&s, "*"); none {
			return s, true
		}
	}
	if len(s.RDAP) > 0 && s.Whois.Host != "" {
		return s, false
	}
	rest, none := b.tables(v, name)
	b.refer(v, &rest, name, none)
	if s.Origin == "" {
		return rest, none
	}
	if len(s.RDAP) == 0 {
		s.RDAP = rest.RDAP
	}
	if s.Whois.Host == "" {
		s.Whois = rest.Whois
	}
	return s, false
}

// override adds what the override of a suffix has, and s lacks. It is true where nobody else is to be asked.
func (b *Bootstrap) override(s *Services, suffix string) (none bool) {
	o, ok := b.overrides[suffix]
	if !ok {
		return false
	}
	if s.Origin == "" {
		s.Suffix, s.Origin = o.Suffix, Configured
	}
	if o.None {
		return true
	}
	if len(s.RDAP) == 0 {
		s.RDAP = o.RDAP
	}
	if s.Whois.Host == "" && o.Whois != nil {
		s.Whois = *o.Whois
	}
	return false
}

// tables is what the fetched file and the compiled tables say.
func (b *Bootstrap) tables(v *view, name string) (s Services, none bool) {
	var tld iana.TLD
	if b.compiled != nil {
		if tld, _ = b.compiled.TLD(name); !tld.Special && tld.Name != "" {
			s = Services{Whois: Complete(whoisclient.Server{Host: tld.Whois}), Suffix: tld.Name, Origin: Compiled}
			if v.files[fileDNS] == nil { // a fetched file knows better which servers are no more
				s.RDAP = tld.RDAP
			}
		}
	}
	if own, ok := b.own.find(name); ok {
		zone := len(own.suffix) > len(s.Suffix)
		if zone { // a zone of its own has nothing of what is above
			s = Services{Suffix: own.suffix, Origin: Compiled}
		}
		if len(own.rdap) > 0 {
			s.RDAP = own.rdap
		}
		if own.whois.Host != "" || own.noWhois || zone {
			s.Whois = own.whois
		}
		none = own.noWhois
	}
	if dns := v.files[fileDNS]; dns != nil {
		for suffix := name; suffix != ""; suffix = above(suffix) {
			f, ok := dns.named[suffix]
			if !ok || len(suffix) < len(s.Suffix) {
				continue
			}
			if len(suffix) > len(s.Suffix) && strings.Contains(suffix, ".") {
				s.Whois = whoisclient.Server{}
			}
			s.RDAP, s.Suffix, s.Origin = f.RDAP, f.Suffix, f.Origin
			break
		}
	}
	if !strings.Contains(s.Suffix, ".") && private(name) {
		return Services{}, true
	}
	return s, none && len(s.RDAP) == 0
}

// private reports that name is in a zone of the private division of the public suffix list.
func private(name string) bool {
	if strings.Count(name, ".") < 2 { // the list is not asked for what it cannot know: it allocates
		return false
	}
	zone, icann := publicsuffix.PublicSuffix(name)
	return !icann && len(zone) < len(name) && strings.Contains(zone, ".")
}

// Prefix is who can be asked about a network, or an address: the services of the smallest block that has all of it (RFC 9224 §5).
// Special-purpose blocks that no registry has given to anybody have none.
func (b *Bootstrap) Prefix(p netip.Prefix) Services {
	if !p.IsValid() {
		return Services{}
	}
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	p = p.Masked() // and without a zone
	var known iana.Block
	if b.compiled != nil {
		known, _ = b.compiled.Prefix(p)
		if known.Special {
			return Services{}
		}
	}
	f := fileIPv4
	if p.Addr().Is6() {
		f = fileIPv6
	}
	if file := b.view.Load().files[f]; file != nil {
		s, _ := file.prefixes.LookupPrefix(p)
		if known.Registry != nil && len(s.RDAP) > 0 && s.RDAP[0] == known.Registry.RDAP {
			s.Whois.Host = known.Registry.Whois
		}
		return s
	}
	if known.Registry == nil {
		return Services{}
	}
	return Services{
		RDAP: []string{known.Registry.RDAP}, Whois: whoisclient.Server{Host: known.Registry.Whois},
		Suffix: known.Prefix.String(), Origin: Compiled,
	}
}

// AS is who can be asked about an AS number: the services of the range that has it (RFC 9224 §5), and before them the registry that
// has taken the number over, where the compiled tables know of one.
func (b *Bootstrap) AS(n uint32) Services {
	var known iana.ASBlock
	if b.compiled != nil {
		known, _ = b.compiled.AS(n)
		if known.Special {
			return Services{}
		}
	}
	var s Services
	if file := b.view.Load().files[fileASN]; file != nil {
		s = findAS(file.ranges, n)
		if known.Registry != known.Assignee && len(s.RDAP) > 0 && s.RDAP[0] != known.Registry.RDAP {
			s.RDAP = append([]string{known.Registry.RDAP}, s.RDAP...)
		}
	} else if known.Registry != nil {
		s = Services{RDAP: known.RDAP(), Suffix: rangeName(known.First, known.Last), Origin: Compiled}
	}
	if known.Registry != nil && len(s.RDAP) > 0 && s.RDAP[0] == known.Registry.RDAP {
		s.Whois.Host = known.Registry.Whois
	}
	return s
}

func rangeName(first, last uint32) string {
	name := strconv.FormatUint(uint64(first), 10)
	if last != first {
		name += "-" + strconv.FormatUint(uint64(last), 10)
	}
	return name
}

// Tag is who can be asked about the handle of an object that ends in its service provider's tag (RFC 8521), as in "ABC123-ARIN".
func (b *Bootstrap) Tag(handle string) Services {
	i := strings.LastIndexByte(handle, '-')
	if i <= 0 || i == len(handle)-1 {
		return Services{}
	}
	tag := strings.ToUpper(handle[i+1:])
	if file := b.view.Load().files[fileTags]; file != nil {
		return file.named[tag]
	}
	if b.own == nil {
		return Services{}
	}
	return b.own.tags[tag]
}

// spell is a name as the tables have it. It costs nothing where it is so already.
func spell(name string) string {
	name = strings.ToLower(strings.Trim(name, "."))
	for i := range len(name) {
		if name[i] >= 0x80 {
			if ascii, err := idna.Lookup.ToASCII(name); err == nil {
				return ascii
			}
			return name
		}
	}
	return name
}

// above is what comes after the first dot of a name.
func above(name string) string {
	_, rest, _ := strings.Cut(name, ".")
	return rest
}
