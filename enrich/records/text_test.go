package records

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/whence-project/whence/enrich"
)

func TestVerbatim(t *testing.T) {
	for _, tc := range []struct{ name, in, want string }{
		{"nothing", "", "\r\n"},
		{"no line end", "a: b", "a: b\r\n"},
		{"LF, and one CRLF after the content", "a: b\n", "a: b\r\n\r\n"},
		{"CRLF", "a\r\nb\r\n", "a\r\nb\r\n\r\n"},
		{"CR", "a\rb\r", "a\r\nb\r\n\r\n"},
		{"mixed", "a\n\rb\r\r\n", "a\r\n\r\nb\r\n\r\n\r\n"},
		{"TAB stays", "a:\tb", "a:\tb\r\n"},
		{"controls", "a\x00\x1b[31m\x07\x7fb", "a[31mb\r\n"},
		{"C1 in UTF-8", "a\u0085b\u009bc", "abc\r\n"},
		{"UTF-8", "owner: Müller – Köln\n", "owner: Müller – Köln\r\n\r\n"},
		{"ISO 8859-1", "owner: M\xfcller, K\xf6ln", "owner: Müller, Köln\r\n"},
		{"C1 as bytes", "a\x85b\x9bc", "abc\r\n"},
		{"U+FFFD itself", "a\uFFFDb", "a\uFFFDb\r\n"},
		{"byte order mark", "\xef\xbb\xbfa", "a\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := verbatim([]byte(tc.in)); got != tc.want {
				t.Errorf("verbatim(%q) = %q, want %q", tc.in, got, tc.want)
			}
		})
	}
}

func FuzzVerbatim(f *testing.F) {
	f.Add([]byte("a: b\r\nc\rd\n\x00\x1b\x85\xff\u0085é\xc3"))
	f.Fuzz(func(t *testing.T, in []byte) {
		got := verbatim(in)
		if !utf8.ValidString(got) {
			t.Fatalf("invalid UTF-8: %q", got)
		}
		if !strings.HasSuffix(got, "\r\n") {
			t.Fatalf("no line end: %q", got)
		}
		for line := range strings.SplitSeq(got, "\r\n") {
			if i := strings.IndexFunc(line, func(r rune) bool { return r != '\t' && unicode.IsControl(r) }); i >= 0 {
				t.Fatalf("control character %q in %q", line[i], line)
			}
		}
		if again := verbatim([]byte(got)); again != got+"\r\n" && !strings.HasPrefix(got, "\uFEFF") {
			t.Fatalf("cleaned twice: %q, once: %q", again, got)
		}
		b := enrich.NewBuilder(new(enrich.Origin))
		addFields(b, got)
		for _, fd := range b.Build().Fields() {
			if fd.Key == "" || fd.Value == "" || strings.Trim(fd.Key, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
				t.Fatalf("field %+v", fd)
			}
		}
	})
}

func TestFields(t *testing.T) {
	const text = "% a remark: not a field\r\n" +
		"# nor: this\r\n" +
		">>> Last update: 2026-11-01 <<<\r\n" +
		"   Domain Name: EXAMPLE.ORG\r\n" +
		"asn: as064500\r\n" +
		"country_code: de\r\n" +
		"created: 2019-03-04\r\n" +
		"updated: yesterday\r\n" +
		"expires: 2027-01-01T01:00:00+01:00\r\n" +
		"Name Servers: NS1.example.org. 192.0.2.1\r\n" +
		"nameServers: ns2.Example.org\r\n" +
		"status: active\r\n" +
		"rank: 017\r\n" +
		"See https://example.org/ for more\r\n" +
		"time 12:30\r\n" +
		"In all of these many long words: a sentence\r\n" +
		"Empty:\r\n" +
		"e-mail:\ta@example.org\r\n"
	b := enrich.NewBuilder(new(enrich.Origin))
	addFields(b, text)
	f := b.Build()
	var got []string
	for _, fd := range f.Fields() {
		key := fd.Key
		if fd.List {
			key += "[]"
		}
		if fd.Canon != enrich.None {
			key += "!"
		}
		got = append(got, key+"="+fd.Value)
	}
	want := []string{
		"domain_name=EXAMPLE.ORG", "asn!=as064500", "country_code!=de", "created!=2019-03-04", "updated=yesterday",
		"expires!=2027-01-01T01:00:00+01:00", "name_servers[]!=NS1.example.org. 192.0.2.1", "name_servers[]!=ns2.Example.org",
		"status!=active", "rank!=017", "e_mail=a@example.org",
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("fields:\n%s\nwant:\n%s", g, w)
	}
	for k, want := range map[enrich.Key]string{
		enrich.ASN: "AS64500", enrich.CountryCode: "DE", enrich.Created: "2019-03-04T00:00:00Z", enrich.Updated: "",
		enrich.Expires: "2027-01-01T00:00:00Z", enrich.NameServers: "ns1.example.org\nns2.example.org", enrich.RegStatus: "active",
		enrich.Rank: "17",
	} {
		if got := f.Value(k); got != want {
			t.Errorf("canonical %v = %q, want %q", k, got, want)
		}
	}
}
