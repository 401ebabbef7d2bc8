package enrich

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"unsafe"

	"github.com/whence-project/whence/internal/testdata"
)

// accepted are the forms that ParseSubject reads.
var accepted = []struct {
	in   string
	kind Kind
	want string
}{
	// Addresses.
	{"8.8.8.8", Address, "8.8.8.8"},
	{"0.0.0.0", Address, "0.0.0.0"},
	{"255.255.255.255", Address, "255.255.255.255"},
	{"192.0.2.1.", Address, "192.0.2.1"},
	{"192.0.2.1:80", Address, "192.0.2.1"},
	{"192.0.2.1:65535", Address, "192.0.2.1"},
	{"[192.0.2.1]:80", Address, "192.0.2.1"},
	{"2001:db8::1", Address, "2001:db8::1"},
	{"2001:DB8:0:0:0:0:0:1", Address, "2001:db8::1"},
	{"::", Address, "::"},
	{"[2001:db8::1]", Address, "2001:db8::1"},
	{"[2001:db8::1]:443", Address, "2001:db8::1"},
	{"fe80::1%eth0", Address, "fe80::1"},
	{"[fe80::1%25eth0]:80", Address, "fe80::1"},
	{"::ffff:1.2.3.4", Address, "1.2.3.4"},
	{"::FFFF:102:304", Address, "1.2.3.4"},
	{"64:ff9b::192.0.2.1", Address, "64:ff9b::c000:201"},
	{"192.0.2.1/index.html", Address, "192.0.2.1"},
	{"root@192.0.2.1", Address, "192.0.2.1"},
	{"１９２.0.2.1", Address, "192.0.2.1"},
	// Reverse names.
	{"8.8.8.8.in-addr.arpa", Address, "8.8.8.8"},
	{"4.3.2.1.IN-ADDR.ARPA.", Address, "1.2.3.4"},
	{"2.0.192.in-addr.arpa", Prefix, "192.0.2.0/24"},
	{"10.in-addr.arpa", Prefix, "10.0.0.0/8"},
	{"0/26.2.0.192.in-addr.arpa", Prefix, "192.0.2.0/26"},
	{"64/26.2.0.192.in-addr.arpa", Prefix, "192.0.2.64/26"},
	{"in-addr.arpa", Domain, "in-addr.arpa"},
	{"300.2.0.192.in-addr.arpa", Domain, "300.2.0.192.in-addr.arpa"},
	{"08.8.8.8.in-addr.arpa", Domain, "08.8.8.8.in-addr.arpa"},
	{"5.4.3.2.1.in-addr.arpa", Domain, "5.4.3.2.1.in-addr.arpa"},
	{"0-63.2.0.192.in-addr.arpa", Domain, "0-63.2.0.192.in-addr.arpa"},
	{"b._dns-sd._udp.2.0.192.in-addr.arpa", Domain, "b._dns-sd._udp.2.0.192.in-addr.arpa"},
	{"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.D.0.1.0.0.2.ip6.arpa", Address, "2001:db8::1"},
	{"8.b.d.0.1.0.0.2.ip6.arpa", Prefix, "2001:db8::/32"},
	{"2.ip6.arpa", Prefix, "2000::/4"},
	{"ip6.arpa", Domain, "ip6.arpa"},
	{"g.ip6.arpa", Domain, "g.ip6.arpa"},
	{"10.ip6.arpa", Domain, "10.ip6.arpa"},
	// Prefixes and ranges of one prefix.
	{"1.1.1.0/24", Prefix, "1.1.1.0/24"},
	{"1.1.1.1/24", Prefix, "1.1.1.0/24"},
	{"192.0.2.1/32", Prefix, "192.0.2.1/32"},
	{"0.0.0.0/0", Prefix, "0.0.0.0/0"},
	{"192.0.2/24", Prefix, "192.0.2.0/24"},
	{"192.0.2/26", Prefix, "192.0.2.0/26"},
	{"10/8", Prefix, "10.0.0.0/8"},
	{"2001:db8::/32", Prefix, "2001:db8::/32"},
	{"[2001:db8::]/32", Prefix, "2001:db8::/32"},
	{"fe80::1%eth0/64", Prefix, "fe80::/64"},
	{"::ffff:1.2.3.4/120", Prefix, "1.2.3.0/24"},
	{"::ffff:0:0/96", Prefix, "0.0.0.0/0"},
	{"::ffff:1.2.3.4/80", Prefix, "::/80"},
	{"1.1.1[.]0/24", Prefix, "1.1.1.0/24"},
	{"1.1.1.0 - 1.1.1.255", Prefix, "1.1.1.0/24"},
	{"192.0.2.7-7", Address, "192.0.2.7"},
	// AS numbers.
	{"AS13335", AS, "AS13335"},
	{"as13335", AS, "AS13335"},
	{"AS 13335", AS, "AS13335"},
	{"as\t13335", AS, "AS13335"},
	{"ASN13335", AS, "AS13335"},
	{"asn 13335", AS, "AS13335"},
	{"AS1.10", AS, "AS65546"},
	{"as0.1", AS, "AS1"},
	{"AS65535.65535", AS, "AS4294967295"},
	{"AS4294967295", AS, "AS4294967295"},
	{"AS0", AS, "AS0"},
	{"13335", AS, "AS13335"},
	{"AS13335.", AS, "AS13335"},
	// Domains.
	{"example.org", Domain, "example.org"},
	{"Example.ORG", Domain, "example.org"},
	{"example.org.", Domain, "example.org"},
	{"example.org:443", Domain, "example.org"},
	{"example.org:", Domain, "example.org"},
	{"müller.de", Domain, "xn--mller-kva.de"},
	{"MÜLLER.DE", Domain, "xn--mller-kva.de"},
	{"faß.de", Domain, "xn--fa-hia.de"},
	{"xn--mller-kva.de", Domain, "xn--mller-kva.de"},
	{"例え。テスト", Domain, "xn--r8jz45g.xn--zckzah"},
	{"_dmarc.example.org", Domain, "_dmarc.example.org"},
	{"_dmarc.müller.de", Domain, "_dmarc.xn--mller-kva.de"},
	{"r3---sn-4g5e.example.org", Domain, "r3---sn-4g5e.example.org"},
	{"-container.example.org", Domain, "-container.example.org"},
	{"123.example.org", Domain, "123.example.org"},
	{"8.8.8.8-geo", Domain, "8.8.8.8-geo"},
	{"as1.example.org", Domain, "as1.example.org"},
	{"as.example", Domain, "as.example"},
	{"com", Domain, "com"},
	{"COM.", Domain, "com"},
	{".org", Domain, "org"},
	{"as", Domain, "as"},
	{"np", Domain, "np"}, // in the list as *.np only
	{"рф", Domain, "xn--p1ai"},
	{strings.Repeat("a", 63) + ".example.org", Domain, strings.Repeat("a", 63) + ".example.org"},
	// URLs and e-mail.
	{"https://example.org/a?b#c", Domain, "example.org"},
	{"HTTPS://Example.ORG:8443", Domain, "example.org"},
	{"https://user:secret@example.org/@other.example", Domain, "example.org"},
	{"http://192.0.2.1:8080/x", Address, "192.0.2.1"},
	{"http://[2001:db8::1]:8080/x", Address, "2001:db8::1"},
	{"http://localhost:8080/", Name, "localhost"},
	{"https://example.org?u=http://other.example/", Domain, "example.org"},
	{"example.org/path", Domain, "example.org"},
	{"example.org/?u=http://other.example/", Domain, "example.org"},
	{"user@example.org", Domain, "example.org"},
	{"<user@example.org>", Domain, "example.org"},
	{"mailto:user@example.org?subject=x", Domain, "example.org"},
	{"user@[192.0.2.1]", Address, "192.0.2.1"},
	// Quoted, bracketed, defanged.
	{"  8.8.8.8\r\n", Address, "8.8.8.8"},
	{"\ufeff8.8.8.8\u200b", Address, "8.8.8.8"},
	{`"8.8.8.8",`, Address, "8.8.8.8"},
	{"('8.8.8.8')", Address, "8.8.8.8"},
	{"“example.org”", Domain, "example.org"},
	{"1.1.1[.]1", Address, "1.1.1.1"},
	{"1.1.1(.)1", Address, "1.1.1.1"},
	{"1[.]1[.]1[.]1", Address, "1.1.1.1"},
	{"[1.1.1[.]1]", Address, "1.1.1.1"},
	{"2001[:]db8[:][:]1", Address, "2001:db8::1"},
	{"hxxp://example.org/x", Domain, "example.org"},
	{"hXXps[:]//example[.]org", Domain, "example.org"},
	{"hxxps[://]example(.)org/x", Domain, "example.org"},
	{"h**p://example{.}org", Domain, "example.org"},
	{"example[dot]org", Domain, "example.org"},
	{"user[at]example(dot)org", Domain, "example.org"},
	// Any other word.
	{"localhost", Name, "localhost"},
	{"Customer-7", Name, "Customer-7"},
	{"localhost.", Name, "localhost"},
	{"../../etc/passwd", Name, "../../etc/passwd"},
	{"/etc/passwd", Name, "/etc/passwd"},
	{"example.org/../x", Name, "example.org/../x"},
	{"a/b", Name, "a/b"},
	{"readme.first/1", Name, "readme.first/1"},
	{"..", Name, ".."},
	{".hidden", Name, ".hidden"},
	{"rack.12", Name, "rack.12"},
	{"AS-EXAMPLE", Name, "AS-EXAMPLE"},
	{"AS64496:AS-EXAMPLE", Name, "AS64496:AS-EXAMPLE"},
	{"64496:80", Name, "64496:80"},
	{"00:00:5e:00:53:00", Name, "00:00:5e:00:53:00"},
	{"rack:80", Name, "rack:80"},
	{"@scope/package", Name, "@scope/package"},
	{"a@b", Name, "a@b"},
	{"*.example.org", Name, "*.example.org"},
	{"?", Name, "?"},
	{"müller", Name, "müller"},
	{"Привет", Name, "Привет"},
	{strings.Repeat("x", 255), Name, strings.Repeat("x", 255)},
}

func TestParseSubject(t *testing.T) {
	for _, tt := range accepted {
		got, err := ParseSubject(tt.in)
		if err != nil {
			t.Errorf("%q: %v", tt.in, err)
			continue
		}
		if got.Kind() != tt.kind || got.String() != tt.want {
			t.Errorf("%q: %v %q, want %v %q", tt.in, got.Kind(), got, tt.kind, tt.want)
		}
	}
}

// refused are inputs that ParseSubject takes for no subject, with a part of the reason.
var refused = []struct{ in, reason string }{
	{"", "nothing to look up"},
	{" \r\n", "nothing to look up"},
	{`""`, "nothing to look up"},
	{"010.0.0.1", "010 could be octal"},
	{"10.0.0.01", "01 could be octal"},
	{"0377.0.0.1", "0377 could be octal"},
	{"010.0.0.1:80", "010 could be octal"},
	{"http://010.0.0.1/", "010 could be octal"},
	{"010.0.0.0/8", "010 could be octal"},
	{"999.1.1.1", "999 is more than 255"},
	{"1.1.1.99999999999999999999999", "99999999999999999999… is more than 255"},
	{"127.1", "four numbers"},
	{"1.2.3.4.5", "four numbers"},
	{"1.10", "four numbers"},
	{"1..1", "empty number"},
	{"0x7f.1", "0x7f is hexadecimal"},
	{"0X7F000001", "hexadecimal"},
	{"127.0.0.0x1", "0x1 is hexadecimal"},
	{"http://2130706433/", "is one number"},
	{"1.1.1.0/33", "prefix length 33 is more than 32"},
	{"2001:db8::/129", "prefix length 129 is more than 128"},
	{"1.1.1.0/99999999999999999999999999", "is more than 32"},
	{"1.1.1.0/024", "leading zero"},
	{"1.2.3.4.5/24", "four numbers"},
	{"300.1/16", "300 is more than 255"},
	{"1.1.1.0/255.255.255.0", "prefix length"},
	{"192.0.2.1:65536", "port 65536"},
	{"192.0.2.1:99999999999999999999999", "port 99999999999999999999…"},
	{"AS4294967296", "more than 4294967295"},
	{"4294967296", "more than 4294967295"},
	{"AS99999999999999999999999999", "more than 4294967295"},
	{"AS1.65536", "more than 65535"},
	{"AS65536.1", "more than 65535"},
	{"AS013335", "leading zero"},
	{"013335", "leading zero"},
	{"AS1.01", "leading zero"},
	{"2001:db8:::1", "not an IPv6 address"},
	{"2001:db8::12345", "not an IPv6 address"},
	{"1:2:3:4:5:6:7:8:9", "not an IPv6 address"},
	{"::ffff:010.0.0.1", "not an IPv6 address"},
	{"fe80::1%eth 0", "more than one word"},
	{"8.8.8.8 8.8.4.4", "more than one word"},
	{"hello world", "more than one word"},
	{"AS 13335 x", "more than one word"},
	{"1.1.1.1-4", "a range of 3 prefixes"},
	{"1.1.1.1-300", "300, is no number up to 255"},
	{"1.1.1.1-01", "01, is no number up to 255"},
	{"1.1.1.4-1.1.1.1", "ends before it starts"},
	{"1.1.1.1-2001:db8::1", "from an IPv4 to an IPv6"},
	{"a..example.org", "empty label"},
	{"example.org..", "empty label"},
	{strings.Repeat("a", 64) + ".example.org", "no longer than 63"},
	{strings.Repeat("a.", 126) + "example.org", "no longer than 253"},
	{"example\u2026.org", "RFC 5891"},
	{"a\u2488b.example", "RFC 5891"},
	{"xn--a\u00fc.example", "RFC 5891"},
	{"https:///path", "without a host"},
	{"https://user@:80/", "without a host"},
	{"8.8.8.8\x00", "control character"},
	{"8.8.8.8\n8.8.4.4", "control character"},
	{"example\x1b[31m.org", "control character"},
	{"a\u0085b", "control character"},
	{"a\x7fb", "control character"},
	{"a\xffb", "not UTF-8"},
	{"a\u202eb", "cannot be shown"},
	{"a\u00a0b", "cannot be shown"},
	{strings.Repeat("x", 256), "longer than 255"},
	{strings.Repeat("x", 2049), "longer than 2048"},
	{strings.Repeat("(", 20) + "x" + strings.Repeat(")", 20), "too many"},
}

func TestParseSubjectRefuses(t *testing.T) {
	for _, tt := range refused {
		got, err := ParseSubject(tt.in)
		var se *SubjectError
		if !errors.As(err, &se) {
			t.Errorf("%q: %v %q and error %v, want refused", tt.in, got.Kind(), got, err)
			continue
		}
		if !strings.Contains(se.Reason, tt.reason) {
			t.Errorf("%q: reason %q, want %q in it", tt.in, se.Reason, tt.reason)
		}
		if got.IsValid() {
			t.Errorf("%q: refused, and yet %v", tt.in, got)
		}
		if msg := err.Error(); msg != Clean(msg) || len(msg) > 400 {
			t.Errorf("%q: message %q is long or has control characters", tt.in, msg)
		}
	}
}

func TestSubjectErrorShowsInputSafely(t *testing.T) {
	for in, want := range map[string]string{
		"a\x00\x1b[2J":                    `a\x00\x1b[2J`,
		"\xff":                            `\xff`,
		"ab\u202e c":                      `ab\u202e c`,
		strings.Repeat("ab ", 100):        strings.Repeat("ab ", 21) + "a…",
		strings.Repeat("x", 63) + "ü ü ü": strings.Repeat("x", 63) + "…",
	} {
		_, err := ParseSubject(in)
		var se *SubjectError
		if !errors.As(err, &se) || se.Input != want {
			t.Errorf("%q: %+v, want input %q", in, err, want)
		}
	}
}

func TestParseSubjects(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"8.8.8.8", "8.8.8.8"},
		{"example.org", "example.org"},
		{"1.1.1.0 - 1.1.1.255", "1.1.1.0/24"},
		{"1.1.1.0–1.1.1.255", "1.1.1.0/24"},
		{"1.1.1.1-1.1.1.4", "1.1.1.1 1.1.1.2/31 1.1.1.4"},
		{"1.1.1.1-4", "1.1.1.1 1.1.1.2/31 1.1.1.4"},
		{"1[.]1[.]1[.]1-4", "1.1.1.1 1.1.1.2/31 1.1.1.4"},
		{`"1.1.1.1-1"`, "1.1.1.1"},
		{"0.0.0.0-255.255.255.255", "0.0.0.0/0"},
		{"255.255.255.254-255.255.255.255", "255.255.255.254/31"},
		{"2001:db8::1-2001:db8::4", "2001:db8::1 2001:db8::2/127 2001:db8::4"},
		{"[2001:db8::]-[2001:db8::ffff]", "2001:db8::/112"},
		{":: - ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::/0"},
		{"::ffff:1.1.1.0-1.1.1.255", "1.1.1.0/24"},
	} {
		ss, err := ParseSubjects(tt.in)
		var got []string
		for _, s := range ss {
			got = append(got, s.String())
		}
		if err != nil || strings.Join(got, " ") != tt.want {
			t.Errorf("%q: %q, %v, want %q", tt.in, got, err, tt.want)
		}
	}
	for _, in := range []string{"", "1.1.1.4-1", "1.1.1.1-2001:db8::1", "1.1.1.1-256", "1.1.1.1 to 1.1.1.4"} {
		if ss, err := ParseSubjects(in); err == nil {
			t.Errorf("%q: %v, want refused", in, ss)
		}
	}
}

// The range that needs most prefixes has one for each bit of its start and of its end.
func TestWidestRangeIsWithinMaxRange(t *testing.T) {
	for in, want := range map[string]int{
		"0.0.0.1-255.255.255.254":                       62,
		"::1-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe":   254,
		"::3 - ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe": 253,
	} {
		ss, err := ParseSubjects(in)
		if err != nil || len(ss) != want || len(ss) > MaxRange {
			t.Errorf("%s: %d subjects, %v, want %d", in, len(ss), err, want)
		}
		for i := 1; i < len(ss); i++ {
			if end := lastOf(ss[i-1].Prefix()); end.Next() != ss[i].Addr() {
				t.Errorf("%s: %v follows %v", in, ss[i], ss[i-1])
			}
		}
	}
}

// Callers parse views of read buffers, which the next read overwrites.
func TestParseSubjectRetainsNothing(t *testing.T) {
	for _, tt := range accepted {
		buf := []byte(tt.in)
		s, err := ParseSubject(unsafe.String(unsafe.SliceData(buf), len(buf)))
		written := strings.Clone(s.Written())
		clear(buf)
		if err != nil || s.String() != tt.want || s.Written() != written {
			t.Errorf("%q: %q written %q once the buffer is overwritten", tt.in, s, s.Written())
		}
	}
	for _, tt := range refused {
		buf := []byte(tt.in)
		if _, err := ParseSubject(unsafe.String(unsafe.SliceData(buf), len(buf))); err != nil {
			before := strings.Clone(err.Error())
			clear(buf)
			if err.Error() != before {
				t.Errorf("%q: the error became %q", tt.in, err)
			}
		}
	}
}

func TestParseAddressDoesNotAllocate(t *testing.T) {
	for _, in := range []string{"192.0.2.255", "2001:db8::1", "fe80::1%eth0", "::ffff:192.0.2.1", "192.0.2.1:80", "10.0.0.0/8", "AS64496"} {
		if n := testing.AllocsPerRun(100, func() { _, _ = ParseSubject(in) }); n != 0 {
			t.Errorf("%s: %v allocations", in, n)
		}
	}
}

// Every name that is in use is a domain, whatever RFC 1123 says about it. Reverse names are addresses.
func TestParseSubjectOnRealNames(t *testing.T) {
	b, err := os.ReadFile(testdata.Path(t, "dns", "names-33k.txt"))
	if err != nil {
		t.Fatal(err)
	}
	names := strings.Fields(string(b))
	for _, file := range []string{"misp-cisco_top20k.json", "misp-tranco10k.json"} {
		b, err := os.ReadFile(testdata.Path(t, "rank", file))
		if err != nil {
			t.Fatal(err)
		}
		var list struct{ List []string }
		if err := json.Unmarshal(b, &list); err != nil {
			t.Fatal(err)
		}
		names = append(names, list.List...)
	}
	if len(names) < 60_000 {
		t.Fatalf("%d names, too few to say anything", len(names))
	}
	for _, n := range names {
		if strings.HasSuffix(strings.TrimSuffix(n, "."), ".arpa") {
			continue
		}
		s, err := ParseSubject(n)
		if err != nil || s.Kind() != Domain || !strings.EqualFold(s.String(), strings.TrimSuffix(n, ".")) {
			t.Errorf("%q: %v %q, %v", n, s.Kind(), s, err)
		}
	}
}

func BenchmarkParseSubject(b *testing.B) {
	for _, in := range []string{"192.168.104.219", "2001:db8:85a3::8a2e:370:7334", "www.example.org", "AS64496", "192.0.2.0/24", "no such"} {
		b.Run(in, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = ParseSubject(in)
			}
		})
	}
}
