package manners

import (
	"strings"
	"time"

	"github.com/whence-project/whence/internal/limit"
)

const (
	minute = time.Minute
	day    = 24 * time.Hour
)

// window is "never more than n in any time of per".
func window(n int, per time.Duration) limit.Rate { return limit.Rate{Events: n, Per: per} }

// bucket is "n a second, and burst at once".
func bucket(n, burst int) limit.Rate { return limit.Rate{Events: n, Per: time.Second, Burst: burst} }

// together is a limit on all that we send.
func together(concurrent int, rates ...limit.Rate) Limit {
	return Limit{Rates: rates, Concurrent: concurrent}
}

// address is a limit on each address, and on each /64 of IPv6, of which one machine has all.
func address(concurrent int, rates ...limit.Rate) Limit {
	return Limit{Rates: rates, Concurrent: concurrent, Bits4: 32, Bits6: 64}
}

// by24 is a limit on each /24 of IPv4 and each /48 of IPv6.
func by24(concurrent int, rates ...limit.Rate) Limit {
	return Limit{Rates: rates, Concurrent: concurrent, Bits4: 24, Bits6: 48}
}

// Notes on figures that nobody publishes.
const (
	chosen = "chosen: no limit is published"
	bigger = "chosen: no limit is published; for many top-level domains"
)

// Defaults are the operators of whom more is known than the name of a host: what they publish about their limits, or that hosts with
// different names are theirs. Notes say whether a figure is published, observed in replies, or chosen. The slice is the caller's.
func Defaults() []Operator {
	list := make([]Operator, len(defaults))
	for i, d := range defaults {
		hosts := strings.Fields(d.hosts)
		for _, tld := range strings.Fields(d.nic) {
			hosts = append(hosts, ".nic."+tld)
		}
		list[i] = Operator{Name: d.name, Hosts: hosts, Limit: d.limit, Note: d.note}
	}
	return list
}

// defaults has the hosts of an operator, and the top-level domains whose hosts are called nic.<top-level domain> without saying whose
// they are. Where RDAP is shared, that host says whose a domain is, so that nic lists only those where it does not.
var defaults = []struct {
	name       string
	limit      Limit
	note       string
	hosts, nic string
}{
	// Operators of many top-level domains.
	{"verisign", together(8, bucket(4, 20)), bigger, ".verisign.com .verisign-grs.com", "cc com name net"},
	{"identity-digital", together(8, bucket(3, 20)), bigger,
		".identitydigital.services .identity.digital .donuts.co .afilias.net .afilias.info .afilias-srs.net .afilias-grs.info " +
			".afilias-grs.net .dotmobiregistry.net .dotpostregistry.net whois.aero",
		"ac ag ai io me mn sh"},
	{"centralnic", by24(8, window(1800, 15*minute), bucket(4, 20)),
		"published: 1,800 in 15 min, WHOIS and RDAP together, by /24 and /48; the burst is chosen",
		".centralnic.com .centralnicregistry.com .centralnic.net .registry.coop .registry.love",
		"fm la pw vg gd fo " + // and those whose replies point to its guidance on WHOIS
			"art auto autos baby beauty boats bond car cars cfd college cyou design gay hair homes host icu london lol makeup mom monster " +
			"motorcycles online pics press protection quest rent sbs security site skin space storage store tech theatre tickets uno " +
			"website xyz yachts"},
	{"godaddy-registry", together(8, bucket(3, 20)), bigger, ".registry.godaddy whois.biz .neustar.biz .aridnrs.net.au",
		"abogado adult beer biz boston buzz casa club compare cooking courses dds fashion fishing fit garden health horse law luxe " +
			"melbourne miami nyc porn rodeo select sex study surf sydney tv us vip vodka wedding work xxx yoga"},
	{"grs-domains", together(4, bucket(2, 10)), bigger, "",
		"accountant bid cricket date download faith loan men party racing review science stream trade webcam win"},
	{"google-registry", together(8, bucket(3, 20)), bigger, ".registry.google .nic.google", ""},
	{"pir", together(4, window(30, minute)), "published: 30 a minute for registrars' web lookups, taken for everybody",
		".publicinterestregistry.org .publicinterestregistry.net .pir.org", "charity foundation gives giving ngo ong org"},
	{"tucows-registry", together(4, bucket(2, 10)), bigger, ".uniregistry.net .tucowsregistry.net", ""},
	{"gmo-registry", together(4, bucket(2, 10)), bigger, ".gmoregistry.net", ""},
	{"zdns", together(4, bucket(1, 10)), chosen, ".zdnsgtld.com .zdns.cn .gtld.knet.cn", ""},
	{"core", together(4, bucket(1, 5)), chosen, ".corenic.net .corenic.org", "madrid scot swiss xn--80asehdb xn--80aswg"},
	{"nic-br", together(4, bucket(1, 5)), chosen, ".registro.br .nic.br", ""},
	{"cira", together(4, bucket(1, 5)), chosen, ".cira.ca .fury.ca", ""},

	// Country registries, and what they publish.
	{"nominet", together(4, window(5, time.Second), window(1000, day)),
		"published for .uk: 5 a second and 1,000 in 24 h, by user and not by address", ".nominet.uk .nominet.org.uk .nic.uk", "cymru wales"},
	{"iedr", address(1, window(100, day), bucket(1, 5)), "published: 100 in 24 h by address; the burst is chosen",
		".iedr.ie .weare.ie .domainregistry.ie", ""},
	{"eurid", together(2, window(15, minute)), "published: 15 a minute", ".eurid.eu .registry.eu whois.eu rdap.eu", ""},
	{"sidn", together(1, window(1, time.Second), window(200, day)),
		"observed: one a second, and a limit by day; the 200 are chosen, as its conditions forbid automated use", ".sidn.nl .domain-registry.nl",
		"amsterdam aw politie"},
	{"dns-belgium", address(2, window(100, time.Hour), bucket(1, 10)), "observed: 100 an hour by address; the burst is chosen",
		".dns.be .dnsbelgium.be", ""},
	{"dns-belgium-gtld", address(4, window(10_000, day), bucket(4, 20)),
		"published: 100 a second and 10,000 in 24 h by address; the burst is chosen", "", "brussels vlaanderen"},
	{"tcinet", address(2, window(12, minute)), "published: 12 a minute by address", ".tcinet.ru .ripn.net", ""},
	{"nic-es", address(1, window(10, minute)), "observed: 10 a minute by address, which must be registered there", "", "es"},
	{"mynic", address(2, window(500, day), bucket(1, 10)), "observed: 500 in 24 h by address; the burst is chosen", ".mynic.my", ""},
	{"zacr", together(1, window(4, minute)), "chosen: replies ask to go away for 13 s", ".registry.net.za", "africa capetown durban joburg"},
	{"denic", together(4, bucket(1, 10)), chosen, ".denic.de", ""},
	{"afnic", together(4, bucket(1, 10)), chosen, ".nic.fr .afnic.fr whois.ovh.com",
		"alsace aquarelle bostik bzh corsica leclerc mma ovh paris pm re sncf tf total wf yt"},
	{"switch", together(4, bucket(1, 5)), chosen, ".switch.ch", "ch li"},
	{"nic-at", together(4, bucket(1, 5)), chosen, ".tld-box.at", "at"},
	{"iis", together(4, bucket(1, 5)), chosen, ".iis.se .iis.nu .internetstiftelsen.se", ""},
	{"auda", together(4, bucket(1, 5)), chosen, ".auda.org.au .audns.net.au .cctld.au", ""},
	{"internetnz", together(4, bucket(1, 5)), chosen, ".srs.net.nz .irs.net.nz", ""},
	{"traficom", together(4, bucket(1, 5)), chosen, "whois.fi rdap.fi", ""},
	{"twnic", together(4, bucket(1, 5)), chosen, ".twnic.net.tw .twnic.tw", ""},
	{"thnic", together(4, bucket(1, 5)), chosen, ".thnic.co.th .thains.co.th", ""},
	{"pandi", together(4, bucket(1, 5)), chosen, "whois.id .pandi.id .pandi.or.id", ""},
	{"hostmaster-ua", together(4, bucket(1, 5)), chosen, "whois.ua .hostmaster.ua", ""},

	// Registries of addresses and AS numbers, and IANA.
	{"arin", together(4, bucket(2, 10)), chosen, ".arin.net", ""},
	{"ripe", address(3, window(500, day), bucket(2, 10)),
		"published: 3 connections, and 1,000 personal records in 24 h by address, of which an answer may have several; 500 answers are chosen",
		".ripe.net", ""},
	{"apnic", together(4, bucket(2, 10)), chosen, ".apnic.net", ""},
	{"lacnic", together(2, window(10, minute)), "published: 10 a minute", ".lacnic.net", ""},
	{"afrinic", address(2, window(5000, day), bucket(1, 10)),
		"published: 5,000 in 24 h by address, and who is blocked ten times is blocked for a year; the burst is chosen", ".afrinic.net", ""},
	{"radb", address(4, window(200, minute), bucket(3, 3)), "published: 4 connections, 3.3 a second, 200 a minute", ".radb.net", ""},
	{"iana", together(2, bucket(1, 5)), chosen, ".iana.org", ""},
}
