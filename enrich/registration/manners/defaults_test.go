package manners

import (
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/whence-project/whence/internal/limit"
)

func TestDefaults(t *testing.T) {
	names, hosts := make(map[string]bool), make(map[string]string)
	for _, o := range Defaults() {
		if names[o.Name] || o.Name == "" || strings.Contains(o.Name, ".") {
			t.Errorf("operator %q: twice, or no word that no host can be", o.Name)
		}
		names[o.Name] = true
		if o.Limit.isZero() || len(o.Limit.Rates) == 0 || len(o.Hosts) == 0 {
			t.Errorf("%s: %+v limits nothing, or nobody", o.Name, o)
		}
		word, _, _ := strings.Cut(o.Note, " ")
		if word = strings.Trim(word, ":"); word != "published" && word != "observed" && word != "chosen" {
			t.Errorf("%s: the note %q does not say where the figure is from", o.Name, o.Note)
		}
		for _, r := range o.Limit.Rates {
			if r.IsZero() || r.Burst < 0 {
				t.Errorf("%s: rate %+v", o.Name, r)
			}
		}
		for _, h := range o.Hosts {
			if hosts[h] != "" {
				t.Errorf("%s is of %s and of %s", h, hosts[h], o.Name)
			}
			hosts[h] = o.Name
			if bare := strings.TrimPrefix(h, "."); bare != normal(bare) || !strings.Contains(bare, ".") || strings.ContainsAny(bare, "/: ") {
				t.Errorf("%s: host %q", o.Name, h)
			}
		}
	}
}

// Where the table knows both the RDAP and the WHOIS host of a top-level domain, they are one operator's; but for those domains that
// have moved since the list of WHOIS hosts, which is older, was made. What the table says of hosts called nic.<top-level domain>
// never contradicts the RDAP host.
func TestDefaultsAgree(t *testing.T) {
	b, err := os.ReadFile("../../iana/tables/tld.tsv")
	if err != nil {
		t.Fatal(err)
	}
	table := newTable(nil, Limit{})
	known, all, moved := 0, 0, 0
	for line := range strings.Lines(string(b)) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		if strings.HasPrefix(line, "#") || len(f) != 3 || f[1] == "-" && f[2] == "-" {
			continue
		}
		_, rdap, _ := strings.Cut(f[2], "://")
		rdap, _, _ = strings.Cut(rdap, "/")
		byRDAP, byWhois, byNIC := table.find(rdap), table.find(f[1]), table.find("whois.nic."+f[0])
		if all++; byRDAP != "" || byWhois != "" {
			known++
		}
		if byRDAP != "" && byWhois != "" && byRDAP != byWhois {
			moved++
		}
		if byRDAP != "" && byNIC != "" && byRDAP != byNIC {
			t.Errorf(".%s: RDAP host %s is of %s, whois.nic.%s of %s", f[0], rdap, byRDAP, f[0], byNIC)
		}
	}
	if known*10 < all*7 || moved > 30 {
		t.Errorf("the operators of %d of %d top-level domains are known, %d have another for WHOIS", known, all, moved)
	}
}

func TestOperator(t *testing.T) {
	m := New(Options{Operators: []Operator{
		{Name: "mine", Hosts: []string{"rdap.registry.test", ".deep.nominet.uk"}},
		{Name: "nominet", Limit: Limit{Rates: []limit.Rate{window(7, minute)}}},
	}})
	for _, tt := range []struct {
		hosts []string
		want  string
	}{
		{[]string{"rdap.nominet.uk", "whois.nic.wales"}, "nominet"},
		{[]string{"Whois.NIC.uk."}, "nominet"},
		{[]string{"nominet.uk"}, "nominet"},
		{[]string{"notnominet.uk"}, "notnominet.uk"},
		{[]string{"a.deep.nominet.uk"}, "mine"},
		{[]string{"rdap.registry.test"}, "mine"},
		{[]string{"whois.registry.test"}, "registry.test"},
		{[]string{"rdap.nic.example", "whois.verisign-grs.com"}, "verisign"},
		{[]string{"whois.thing.co.uk"}, "thing.co.uk"},
		{[]string{"", "whois.nic.example"}, "nic.example"},
		{[]string{"localhost"}, "localhost"},
		{[]string{"192.0.2.7"}, "192.0.2.7"},
		{[]string{"2001:db8::7"}, "2001:db8::7"},
		{[]string{"whois.eu"}, "eurid"},
		{[]string{"x.whois.eu"}, "whois.eu"},
		{nil, ""},
	} {
		if got := m.Operator(tt.hosts...); got != tt.want {
			t.Errorf("Operator(%q) = %q, want %q", tt.hosts, got, tt.want)
		}
	}
	r := m.table.Load().rule("nominet")
	if len(r.limit.Rates) != 1 || r.note != "configured" || !r.listed {
		t.Errorf("the configuration's limit is not the default's: %+v", r)
	}
	if r := m.table.Load().rule("mine"); r.limit.Concurrent != fallback.Concurrent {
		t.Errorf("an operator without a limit has %+v", r)
	}
	hosts := []string{"rdap.nic.example", "whois.nic.wales"}
	if n := testing.AllocsPerRun(100, func() { m.Operator(hosts...) }); n > 0 {
		t.Errorf("%v allocations to find an operator", n)
	}
}

func TestClientOf(t *testing.T) {
	by24 := by24(0)
	for _, tt := range []struct {
		l    Limit
		in   string
		want string
	}{
		{Limit{}, "192.0.2.7", "invalid Prefix"},
		{by24, "192.0.2.7", "192.0.2.0/24"},
		{by24, "::ffff:192.0.2.7", "192.0.2.0/24"},
		{by24, "2001:db8:1:2::7", "2001:db8:1::/48"},
		{address(0), "192.0.2.7", "192.0.2.7/32"},
		{Limit{Bits4: 32}, "2001:db8::7", "::/0"},
		{by24, "", "invalid Prefix"},
	} {
		a, _ := netip.ParseAddr(tt.in)
		if got := tt.l.clientOf(a).String(); got != tt.want {
			t.Errorf("/%d /%d: clientOf(%s) = %s, want %s", tt.l.Bits4, tt.l.Bits6, tt.in, got, tt.want)
		}
	}
}
