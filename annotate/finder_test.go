package annotate

import (
	"bytes"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func found(text string, escaped bool) (all []string) {
	var f finder
	f.start([]byte(text), false, escaped)
	for {
		h, ok := f.next()
		if !ok {
			return all
		}
		s := text[h.from:h.to]
		if a := h.addr().String(); a != s {
			s += "=" + a
		}
		all = append(all, s)
	}
}

func TestFinder(t *testing.T) {
	for _, tt := range []struct {
		text string
		want []string
	}{
		{"", nil},
		{"192.0.2.1", []string{"192.0.2.1"}},
		{"1.2.3.4", []string{"1.2.3.4"}},
		{"1.2.3", nil},
		{"1.2.3.", nil},
		{".1.2.3.4", nil},
		{"a 192.0.2.1 b 192.0.2.255", []string{"192.0.2.1", "192.0.2.255"}},
		{"from 192.0.2.1. Next", []string{"192.0.2.1"}},
		{"192.0.2.1:80, 192.0.2.2/24;192.0.2.3", []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"}},
		{"ip=192.0.2.1&x http://192.0.2.2/ /whois/192.0.2.3 (192.0.2.4)", []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"}},
		{"unknown[192.0.2.1]: <192.0.2.2> a@192.0.2.3", []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"}},
		{"192.0.2.1-192.0.2.9", []string{"192.0.2.1", "192.0.2.9"}},

		// numbers that are none
		{"256.1.1.1 1.256.1.1 1.1.256.1 1.1.1.256", nil},
		{"010.0.0.1 10.00.0.1 0.0.0.0", []string{"0.0.0.0"}},
		{"1.2.3.4.5 1.3.6.1.4.1.311", nil},
		{"32.0.1700.107 537.36 1..2.3.4", nil},
		{"1234.5.6.7 1.2.3.4567", nil},
		{"v1.2.3.4 1.2.3.4a 1.2.3.4_5 x_1.2.3.4", nil},

		// versions and names
		{`"Mozilla/5.0 (rv:1.8.1.4) Firefox/2.0.0.4 Chrome/120.0.0.0 Safari/537.36"`, nil},
		{"zlib/1.2.3.4 foo-1.2.3.4 libx-1.2.3.4-5.deb", nil},
		{"denied tcp outside/192.0.2.1(1234) -> inside/192.0.2.2(80)", []string{"192.0.2.1", "192.0.2.2"}},
		{"connection for outside:192.0.2.1/1234 to inside:192.0.2.2/80", []string{"192.0.2.1", "192.0.2.2"}},
		{"4.3.2.1.in-addr.arpa 192.0.2.1.example.org 192-0-2-1.example.org 192.0.2.1-static.example.org", nil},

		// IPv6
		{"2001:db8::1", []string{"2001:db8::1"}},
		{"::1 and ::", []string{"::1", "::"}},
		{"2001:0DB8:0:0:0:0:0:1", []string{"2001:0DB8:0:0:0:0:0:1=2001:db8::1"}},
		{"2a01:04f8:1c1a:8860:0000:0000:0000:0001", []string{"2a01:04f8:1c1a:8860:0000:0000:0000:0001=2a01:4f8:1c1a:8860::1"}},
		{"[2001:db8::1]:443 from 2001:db8::2: error, 2001:db8::3.", []string{"2001:db8::1", "2001:db8::2", "2001:db8::3"}},
		{"fe80::1%eth0: x fe80::2%3.", []string{"fe80::1%eth0=fe80::1", "fe80::2%3=fe80::2"}},
		{"::ffff:192.0.2.1 ::FFFF:c000:202 x", []string{"::ffff:192.0.2.1=192.0.2.1", "::FFFF:c000:202=192.0.2.2"}},
		{"64:ff9b::192.0.2.33 192.0.2.1", []string{"64:ff9b::192.0.2.33=64:ff9b::c000:221", "192.0.2.1"}},
		{"addr:2001:db8::1 ip:fe80::1", []string{"2001:db8::1", "fe80::1"}},
		{"2001:db8::/32 http://[2001:db8::1]/", []string{"2001:db8::", "2001:db8::1"}},
		{"[17/May/2015:10:05:03 +0000] 12:00:00 00:00:5e:00:53:00 2015:10:05:03", nil},
		{"std::vector a::b::c Foo::Bar g::1 1::g", nil},
		{"1:2:3:4:5:6:7 1:2:3:4:5:6:7:8 1:2:3:4:5:6:7:8:9", []string{"1:2:3:4:5:6:7:8"}},
		{"12345::1 1::12345 ::1:: :::", nil},
		{"1:2:3:4:5:6:192.0.2.1", []string{"1:2:3:4:5:6:192.0.2.1=1:2:3:4:5:6:c000:201"}},
		{"10:05:03:192.0.2.1", []string{"192.0.2.1"}},
	} {
		if got := found(tt.text, false); !slices.Equal(got, tt.want) {
			t.Errorf("%q: %q, want %q", tt.text, got, tt.want)
		}
	}
}

func TestFinderEscapes(t *testing.T) {
	text := `{"m":"a\n192.0.2.1\t2001:db8::1\\n192.0.2.2"}`
	if got, want := found(text, true), []string{"192.0.2.1", "2001:db8::1"}; !slices.Equal(got, want) {
		t.Errorf("in JSON: %q, want %q", got, want)
	}
	if got := found(text, false); len(got) != 0 {
		t.Errorf("in text: %q", got)
	}
}

// FuzzText holds the finder against net/netip, and annotated text against what it was made of.
func FuzzText(f *testing.F) {
	for _, s := range []string{
		"8.8.8.8 - - [17/May/2015:10:05:03 +0000] \"GET /a/1.2.3.4 HTTP/1.1\" 200 \"http://example.org/\" \"Chrome/120.0.0.0\"\n",
		"[2001:4860::1]:443 ::ffff:8.8.8.8 fe80::1%eth0\r\n9.9.9.9", "1.2.3.4:2001::8.8.8.8.example.org", ":::8.8.8.8::", "a.b.c.de %2Fexample.org \\nexample.org",
		"0123456789012345678901234567890123456789012345678901234567.8.8.8.8", "8.8.8.8[AS15169 US]",
	} {
		f.Add([]byte(s))
	}
	all := mustNew(f, Options{Format: Text, Workers: 1})
	names := mustNew(f, Options{Format: Text, Workers: 1, Names: true, Fields: []string{"asn", "country_code", "rank"}})
	field := mustNew(f, Options{Format: Text, Workers: 1, In: []string{"2", "-1"}})
	end := mustNew(f, Options{Format: Text, Workers: 1, Append: true, Fields: []string{"asn"}})
	f.Fuzz(func(t *testing.T, text []byte) {
		checkFound(t, text)
		for _, a := range []*Annotator{all, names, field} {
			out := []byte(annotated(t, a, "", string(text)))
			if !annotation.Match(text) && !bytes.Equal(annotation.ReplaceAll(out, nil), text) {
				t.Fatalf("%q was not left as it was in %q", text, out)
			}
		}
		appended := annotated(t, end, "", string(text))
		out, in := strings.SplitAfter(appended, "\n"), strings.SplitAfter(string(text), "\n")
		for i, line := range in {
			body := strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
			if !strings.HasSuffix(line, "\n") {
				body = line
			}
			if len(in) != len(out) || !strings.HasPrefix(out[i], body) || body != "" && strings.Count(out[i], " ") != 1+strings.Count(line, " ") {
				t.Fatalf("%q became %q", text, appended)
			}
		}
	})
}

var annotation = regexp.MustCompile(`\[(AS\d+|US|CH|rank=17|rank=4| )+\]`)

// checkFound says what is wrong with what is found in a text: it is in order, each is an address, and each word that is an address is
// there.
func checkFound(t *testing.T, text []byte) {
	var f finder
	f.start(text, false, false)
	at := map[int]int{}
	last := 0
	for {
		h, ok := f.next()
		if !ok {
			break
		}
		a, err := netip.ParseAddr(string(text[h.from:h.to]))
		if err != nil || h.from < last || a.Unmap().WithZone("") != h.addr() {
			t.Fatalf("%q: found %q as %v (%v)", text, text[h.from:h.to], h.addr(), err)
		}
		at[h.from], last = h.to, h.to
	}
	for i := 0; i < len(text); {
		n := bytes.IndexAny(text[i:], " \n")
		if n < 0 {
			n = len(text) - i
		}
		word := string(text[i : i+n])
		if a, err := netip.ParseAddr(word); err == nil && a.Zone() == "" && at[i] != i+n {
			t.Fatalf("%q: the address %q is not found, but %v", text, word, at)
		}
		i += n + 1
	}
}
