package whoisclient

import (
	"strings"
	"testing"
)

func TestLine(t *testing.T) {
	for _, tt := range []struct {
		server     Server
		name, want string // want "": refused
	}{
		{Server{}, "example.org", "example.org\r\n"},
		{Server{}, "xn--bcher-kva.test", "xn--bcher-kva.test\r\n"},
		{Server{}, "bücher.test", "xn--bcher-kva.test\r\n"},
		{Server{Unicode: true}, "xn--bcher-kva.test", "bücher.test\r\n"},
		{Server{Unicode: true}, "bücher.test", "bücher.test\r\n"},
		{Server{Unicode: true}, "xn--a.test", "xn--a.test\r\n"}, // no valid A-label: as it is
		{Server{Query: "domain =%s"}, "example.org", "domain =example.org\r\n"},
		{Server{Query: "-T dn,ace %s"}, "example.org", "-T dn,ace example.org\r\n"},
		{Server{Query: "%s/e"}, "example.org", "example.org/e\r\n"},
		{Server{}, "192.0.2.0/24", "192.0.2.0/24\r\n"},
		{Server{}, "2001:db8::1", "2001:db8::1\r\n"},
		{Server{}, "::1", "::1\r\n"},
		{Server{}, "AS64496", "AS64496\r\n"},
		{Server{}, "_dmarc.example.org", "_dmarc.example.org\r\n"},
		{Server{}, "", ""},
		{Server{}, "example.org\r\nexample.net", ""},
		{Server{}, "example.org\n", ""},
		{Server{}, "example.org\x00", ""},
		{Server{}, "domain example.org", ""},
		{Server{}, "example.org\tx", ""},
		{Server{}, "example\u00a0org", ""},
		{Server{}, "example\u2028org", ""},
		{Server{}, "example\u0085org", ""},
		{Server{}, "exampl\xe9.org", ""},
		{Server{}, "-T", ""},
		{Server{}, "=example.org", ""},
		{Server{}, "!gAS64496", ""},
		{Server{}, strings.Repeat("a", 254), ""},
		{Server{Query: "x\r\n%s"}, "example.org", ""},
		{Server{Query: strings.Repeat("x", 1024) + "%s"}, "example.org", ""},
	} {
		got, err := tt.server.line(tt.name)
		if got != tt.want || (err != nil) != (tt.want == "") {
			t.Errorf("%+v.line(%q) = %q, %v, want %q", tt.server, tt.name, got, err, tt.want)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		server Server
		ok     bool
	}{
		{Server{Host: "whois.example.org"}, true},
		{Server{Host: "2001:db8::1", Port: 4343, Query: "domain %s", Charset: "ISO-8859-1", Unicode: true}, true},
		{Server{Host: "whois.example.org", Charset: "shift_jis"}, true},
		{Server{Host: "whois.example.org", Charset: "KOI8-R"}, true},
		{Server{Host: "whois.example.org", Charset: "IBM037"}, true}, // of IANA's registry only
		{Server{}, false},
		{Server{Host: "whois.example.org:43"}, false},
		{Server{Host: "127.1"}, false},
		{Server{Host: "whois.example.org", Query: "domain"}, false},
		{Server{Host: "whois.example.org", Query: "%s\r\n"}, false},
		{Server{Host: "whois.example.org", Charset: "klingon"}, false},
		{Server{Host: "whois.example.org", Charset: "iso-2022-kr"}, false},
	} {
		if err := tt.server.Check(); (err == nil) != tt.ok {
			t.Errorf("%+v: %v", tt.server, err)
		}
	}
}

// FuzzLine is that no name makes more of a query than the server's one line with the name in it.
func FuzzLine(f *testing.F) {
	f.Add("example.org", false)
	f.Add("xn--bcher-kva.test", true)
	f.Add("a\u2028b", true)
	f.Fuzz(func(t *testing.T, name string, unicode bool) {
		line, err := Server{Query: "domain =%s", Unicode: unicode}.line(name)
		if err != nil {
			return
		}
		spelled, ok := strings.CutSuffix(strings.TrimPrefix(line, "domain ="), "\r\n")
		if !ok || spelled == "" || strings.ContainsAny(spelled, " \t\r\n\v\f\x00") {
			t.Errorf("%q is asked for with %q", name, line)
		}
	})
}
