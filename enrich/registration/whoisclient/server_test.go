package whoisclient

import "testing"

func TestParseServer(t *testing.T) {
	for _, tt := range []struct {
		in, want, addr string // want "": an error
	}{
		{"whois.example.org", "whois.example.org", "whois.example.org:43"},
		{"WHOIS.Example.ORG.", "whois.example.org", "whois.example.org:43"},
		{"whois.example.org:43", "whois.example.org", "whois.example.org:43"},
		{"whois.example.org:4343", "whois.example.org:4343", "whois.example.org:4343"},
		{"whois.bücher.test", "whois.xn--bcher-kva.test", "whois.xn--bcher-kva.test:43"},
		{"whois", "whois", "whois:43"},
		{"192.0.2.1", "192.0.2.1", "192.0.2.1:43"},
		{"192.0.2.1:4343", "192.0.2.1:4343", "192.0.2.1:4343"},
		{"2001:db8::1", "2001:db8::1", "[2001:db8::1]:43"},
		{"2001:DB8:0::1", "2001:db8::1", "[2001:db8::1]:43"},
		{"[2001:db8::1]", "2001:db8::1", "[2001:db8::1]:43"},
		{"[2001:db8::1]:4343", "[2001:db8::1]:4343", "[2001:db8::1]:4343"},
		{"[::ffff:192.0.2.1]:43", "192.0.2.1", "192.0.2.1:43"},
		{"", "", ""},
		{":43", "", ""},
		{"whois.example.org:", "", ""},
		{"whois.example.org:0", "", ""},
		{"whois.example.org:+43", "", ""},
		{"whois.example.org:65536", "", ""},
		{"whois.example.org:whois", "", ""},
		{"whois://whois.example.org", "", ""},
		{"whois.example.org/x", "", ""},
		{"whois example org", "", ""},
		{"whois.example.org\r\nx", "", ""},
		{"user@whois.example.org", "", ""},
		{"-o.example.org", "", ""},
		{"[2001:db8::1", "", ""},
		{"[2001:db8::1]43", "", ""},
		{"[192.0.2.1]:43", "", ""},
		{"[whois.example.org]", "", ""},
		{"2130706433", "", ""},
		{"0x7f.1", "", ""},
		{"127.1", "", ""},
		{"010.0.0.1", "", ""},
		{"fe80::1%eth0\r\nx", "", ""},
	} {
		s, err := ParseServer(tt.in)
		if (err != nil) != (tt.want == "") {
			t.Errorf("ParseServer(%q): error %v, want %q", tt.in, err, tt.want)
			continue
		}
		if err != nil {
			continue
		}
		if s.String() != tt.want || s.Addr() != tt.addr {
			t.Errorf("ParseServer(%q) = %q, %q, want %q, %q", tt.in, s, s.Addr(), tt.want, tt.addr)
		}
		if again, err := ParseServer(s.String()); err != nil || again != s {
			t.Errorf("ParseServer(%q) of its own = %+v, %v, want %+v", s, again, err, s)
		}
	}
}
