package egress

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// recorder is a dialer that connects to nothing and remembers to what.
func recorder(t *testing.T, o Options) (*Dialer, *[]route) {
	t.Helper()
	d, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	var dialled []route
	d.connect = func(_ context.Context, from netip.Addr, to netip.AddrPort) (net.Conn, error) {
		dialled = append(dialled, route{from, to})
		ours, theirs := net.Pipe()
		t.Cleanup(func() { ours.Close(); theirs.Close() })
		return ours, nil
	}
	return d, &dialled
}

// names is a resolver that knows these names.
func names(m map[string][]string) func(context.Context, string) ([]netip.Addr, error) {
	return func(_ context.Context, host string) ([]netip.Addr, error) {
		var addrs []netip.Addr
		for _, s := range m[host] {
			addrs = append(addrs, netip.MustParseAddr(s))
		}
		if addrs == nil {
			return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		}
		return addrs, nil
	}
}

// spellings are hosts and whether they may be dialled.
var spellings = []struct{ host, why string }{
	{"127.0.0.1", "loopback"},
	{"127.255.255.254", "loopback"},
	{"0.0.0.0", "this host"},
	{"10.0.0.1", "private"},
	{"172.16.0.1", "private"},
	{"172.31.255.255", "private"},
	{"192.168.1.1", "private"},
	{"100.64.0.1", "shared"},
	{"169.254.169.254", "link-local"}, // cloud metadata
	{"192.0.0.9", "IETF"},
	{"192.0.2.1", "documentation"},
	{"192.88.99.1", "6to4 relay"},
	{"198.19.255.255", "benchmarking"},
	{"203.0.113.1", "documentation"},
	{"224.0.0.1", "multicast"},
	{"240.0.0.1", "reserved"},
	{"255.255.255.255", "reserved"},
	{"::", "unspecified"},
	{"::1", "loopback"},
	{"0:0:0:0:0:0:0:1", "loopback"},
	{"::ffff:127.0.0.1", "loopback"},
	{"::ffff:7f00:1", "loopback"},
	{"::FFFF:10.0.0.1", "private"},
	{"::ffff:127.0.0.1%lo", "loopback"},
	{"::ffff:0:127.0.0.1", "not global"}, // IPv4-translated, RFC 2765
	{"::127.0.0.1", "not global"},        // IPv4-compatible, RFC 4291
	{"64:ff9b::127.0.0.1", "NAT64 of 127.0.0.1, loopback"},
	{"64:ff9b::a9fe:a9fe", "NAT64 of 169.254.169.254"},
	{"64:ff9b:1::8.8.8.8", "local-use"},
	{"2002:7f00:1::1", "6to4 of 127.0.0.1"},
	{"2002:c0a8:101::1", "6to4 of 192.168.1.1"},
	{"2001:0:808:808::80ff:fffe", "Teredo of 127.0.0.1"}, // the client
	{"2001:0:a00:1::f7f7:f7f7", "Teredo of 10.0.0.1"},    // the server
	{"2600::5efe:10.0.0.1", "ISATAP of 10.0.0.1"},
	{"2600::200:5efe:10.0.0.1", "ISATAP of 10.0.0.1"},
	{"2001:db8::1", "documentation"},
	{"2001:2::1", "IETF"}, // benchmarking
	{"3fff::1", "documentation"},
	{"100::1", "discard"},
	{"5f00::1", "segment"},
	{"fc00::1", "unique local"},
	{"fd00:ec2::254", "unique local"}, // cloud metadata
	{"fe80::1", "link-local"},
	{"fe80::1%lo", "one link"},
	{"2600::1%lo", "one link"},
	{"fec0::1", "site-local"},
	{"ff02::1", "multicast"},
	{"4000::1", "not global"},
	{"2130706433", "number"},   // 127.0.0.1 in decimal
	{"017700000001", "number"}, // in octal
	{"0x7f000001", "number"},   // in hexadecimal
	{"0x7F.1", "number"},
	{"127.1", "number"},
	{"127.0.1", "number"},
	{"0177.0.0.1", "number"},
	{"127.0.0.01", "number"},
	{"127.0.0.1.", "number"},
	{"1.2.3.4.5", "number"},
	{"example.0x", "number"},  // getaddrinfo takes it for example.0
	{"１２７.0.0.1", "number"},   // full-width digits
	{"127。0。0。1", "number"},   // ideographic full stops
	{"localhost", "loopback"}, // resolved below
	{"LOCALHOST.", "loopback"},
	{"internal.example.org", "private"},
	{"v6.example.org", "unique local"},
	{"mapped.example.org", "loopback"},
	{"zone.example.org", "one link"},
	{"example.org/x", "not a host"},
	{"exa mple.org", "not a host"},
	{"user@example.org", "not a host"},
	{"example..org", "not a host"},
	{strings.Repeat("a.", 130) + "org", "not a host"},
	{"", "not a host"},
	{"8.8.8.8", ""},
	{"::ffff:8.8.8.8", ""},
	{"64:ff9b::8.8.8.8", ""},
	{"2002:808:808::1", ""},
	{"2001:0:808:808::f7f7:f7f7", ""},
	{"2600::1", ""},
	{"2a00:1450:4001:810::200e", ""},
	{"192.31.196.1", ""}, // AS112
	{"172.32.0.1", ""},
	{"public.example.org", ""},
	{"both.example.org", ""},
	{"_whois.public.example.org", ""},
}

func TestSpellings(t *testing.T) {
	lookup := names(map[string][]string{
		"localhost":                 {"127.0.0.1", "::1"},
		"internal.example.org":      {"10.1.2.3"},
		"v6.example.org":            {"fd12::1"},
		"mapped.example.org":        {"::ffff:127.0.0.1"},
		"zone.example.org":          {"2600::1%eth0"},
		"public.example.org":        {"8.8.8.8"},
		"_whois.public.example.org": {"8.8.8.8"},
		"both.example.org":          {"10.0.0.1", "8.8.8.8", "127.0.0.1"},
	})
	for _, tt := range spellings {
		d, dialled := recorder(t, Options{Lookup: lookup})
		_, err := d.DialContext(t.Context(), "tcp", net.JoinHostPort(tt.host, "43"))
		var refused *RefusedError
		switch {
		case tt.why == "" && err != nil:
			t.Errorf("%s: %v", tt.host, err)
		case tt.why == "":
			for _, r := range *dialled {
				if why := reserved(r.to.Addr(), nil); why != "" {
					t.Errorf("%s: dialled %s: %s", tt.host, r.to, why)
				}
			}
		case !errors.As(err, &refused) || !strings.Contains(refused.Why, tt.why) || len(*dialled) > 0:
			t.Errorf("%s: dialled %v, error %v, want %s", tt.host, *dialled, err, tt.why)
		}
	}
}

// TestRebinding is that the address that was checked is the one that is dialled, and that each connection is checked anew.
func TestRebinding(t *testing.T) {
	asked := 0
	d, dialled := recorder(t, Options{Lookup: func(context.Context, string) ([]netip.Addr, error) {
		asked++
		if asked == 1 {
			return []netip.Addr{netip.MustParseAddr("8.8.8.8")}, nil
		}
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}})
	if _, err := d.DialContext(t.Context(), "tcp", "rebind.example.org:43"); err != nil {
		t.Fatal(err)
	}
	if want := []route{{to: netip.MustParseAddrPort("8.8.8.8:43")}}; asked != 1 || !slices.Equal(*dialled, want) {
		t.Errorf("resolved %d times, dialled %v", asked, *dialled)
	}
	var refused *RefusedError
	if _, err := d.DialContext(t.Context(), "tcp", "rebind.example.org:43"); !errors.As(err, &refused) {
		t.Errorf("second connection: %v", err)
	}
	if len(*dialled) != 1 {
		t.Errorf("dialled %v", *dialled)
	}
}

func TestAllowedAndTrusted(t *testing.T) {
	o := Options{
		Lookup:  names(map[string][]string{"whois.lan": {"10.0.0.1", "fe80::1%eth0"}, "other.lan": {"10.0.0.2"}, "rdap.lan": {"192.168.7.1"}}),
		Allow:   []netip.Prefix{netip.MustParsePrefix("192.168.7.0/24")},
		Trusted: []string{"WHOIS.lan.", "::1"},
	}
	for _, tt := range []struct {
		address          string
		ok, okPublicOnly bool
	}{
		{"whois.lan:43", true, false},
		{"WHOIS.LAN:43", true, false},
		{"other.lan:43", false, false},
		{"10.0.0.1:43", false, false}, // the name is trusted, not what it resolves to
		{"[::1]:43", true, false},
		{"[0:0::1]:43", true, false},
		{"rdap.lan:443", true, false},
		{"192.168.7.9:443", true, false},
		{"[64:ff9b::192.168.7.9]:443", true, false},
		{"192.168.8.9:443", false, false},
		{"8.8.8.8:43", true, true},
	} {
		d, _ := recorder(t, o)
		_, err := d.DialContext(t.Context(), "tcp", tt.address)
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.address, err)
		}
		_, err = d.DialContext(PublicOnly(t.Context()), "tcp", tt.address)
		if (err == nil) != tt.okPublicOnly {
			t.Errorf("%s, public only: %v", tt.address, err)
		}
	}
}

func TestParseHost(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"Example.ORG.", "example.org"},
		{"bücher.test", "xn--bcher-kva.test"},
		{"[2001:DB8::1]", "2001:db8::1"},
		{"::ffff:192.0.2.1", "192.0.2.1"},
		{"fe80::1%eth0", "fe80::1%eth0"},
		{"fe80::1%eth0\r\n", ""},
		{"[192.0.2.1]", ""},
		{"[example.org]", ""},
		{"-a.test", ""},
		{"a-.test", ""},
		{".", ""},
		{"a\x00.test", ""},
		{strings.Repeat("a", 64) + ".test", ""},
	} {
		got, err := ParseHost(tt.in)
		if got != tt.want || (err != nil) != (tt.want == "") {
			t.Errorf("ParseHost(%q) = %q, %v, want %q", tt.in, got, err, tt.want)
		}
	}
}

func FuzzParseHost(f *testing.F) {
	for _, tt := range spellings {
		f.Add(tt.host)
	}
	f.Fuzz(func(t *testing.T, s string) {
		host, err := ParseHost(s)
		if err != nil {
			return
		}
		if again, err := ParseHost(host); err != nil || again != host {
			t.Errorf("ParseHost(%q) = %q, of which it makes %q, %v", s, host, again, err)
		}
		if strings.ContainsAny(host, " \r\n\x00/@[]") {
			t.Errorf("ParseHost(%q) = %q", s, host)
		}
	})
}
