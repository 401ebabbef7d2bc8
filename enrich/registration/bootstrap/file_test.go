package bootstrap

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whence-project/whence/internal/testenv"
)

func TestFiles(t *testing.T) {
	v := `"version":"1.0","publication":"2026-01-02T03:04:05Z",`
	for _, tt := range []struct {
		file       int
		body, want string
	}{
		{fileDNS, "", "dns.json: the file is empty"},
		{fileDNS, " \n", "dns.json: the file is empty"},
		{fileDNS, `[]`, "dns.json: no JSON of RFC 9224: "},
		{fileDNS, `{` + v + `"services":{}}`, "dns.json: no JSON of RFC 9224: "},
		{fileDNS, `{` + v + `"services":[[["com"],["https://a.example/"],7]]}`, "dns.json: no JSON of RFC 9224: "},
		{fileDNS, `{"publication":"2026-01-02T03:04:05Z","services":[[["com"],["https://a.example/"]]]}`, "dns.json: not of version 1"},
		{fileDNS, `{"version":"2.0","publication":"2026-01-02T03:04:05Z","services":[[["com"],["https://a.example/"]]]}`, "dns.json: not of version 1"},
		{fileDNS, `{"version":"1.0","services":[[["com"],["https://a.example/"]]]}`, "dns.json: no publication date"},
		{fileDNS, `{"version":"1.0","publication":"today","services":[[["com"],["https://a.example/"]]]}`, `dns.json: publication date "today"`},
		{fileDNS, `{` + v + `"services":[]}`, "dns.json: no services"},
		{fileDNS, `{` + v + `"services":null}`, "dns.json: no services"},
		{fileDNS, string(document10(`[["com"],["https://a.example/"]],[]`)), "dns.json: service 2: 0 lists instead of 2"},
		{fileDNS, string(document10(`[[],["https://a.example/"]]`)), "dns.json: service 1: no entries"},
		{fileDNS, string(document10(`[["com"],[]]`)), "dns.json: service 1: no URLs"},
		{fileDNS, string(document10(`[["com"],["ftp://a.example/"]]`)), `dns.json: service 1: "ftp://a.example/" is not a URL of http or https`},
		{fileDNS, string(document10(`[["com"],["https:///rdap"]]`)), `dns.json: service 1: "https:///rdap": `},
		{fileDNS, string(document10(`[["com"],["https://u:p@a.example/"]]`)), `dns.json: service 1: "https://u:p@a.example/" is more than a base URL`},
		{fileDNS, string(document10(`[["com"],["https://a.example/?q=1"]]`)), `dns.json: service 1: "https://a.example/?q=1" is more than a base URL`},
		{fileDNS, string(document10(`[["com"],["https://a.example/%zz"]]`)), `dns.json: service 1: "https://a.example/%zz" is no URL`},
		{fileDNS, string(document10(`[["a b"],["https://a.example/"]]`)), `dns.json: service 1: "a b" is no domain`},
		{fileDNS, string(document10(`[[""],["https://a.example/"]]`)), `dns.json: service 1: "" is no domain`},
		{fileDNS, string(document10(`[["8.8.8.8"],["https://a.example/"]]`)), `dns.json: service 1: "8.8.8.8" is an address, not a domain`},
		{fileIPv4, string(document10(`[["8.0.0.1/8"],["https://a.example/"]]`)), `ipv4.json: service 1: "8.0.0.1/8" is no network of this family`},
		{fileIPv4, string(document10(`[["2001:db8::/32"],["https://a.example/"]]`)), `ipv4.json: service 1: "2001:db8::/32" is no network of this family`},
		{fileIPv6, string(document10(`[["8.0.0.0/8"],["https://a.example/"]]`)), `ipv6.json: service 1: "8.0.0.0/8" is no network of this family`},
		{fileASN, string(document10(`[["9-8"],["https://a.example/"]]`)), `asn.json: service 1: "9-8" is no range of AS numbers`},
		{fileASN, string(document10(`[["AS8"],["https://a.example/"]]`)), `asn.json: service 1: "AS8" is no range of AS numbers`},
		{fileASN, string(document10(`[["1-4294967296"],["https://a.example/"]]`)), `asn.json: service 1: "1-4294967296" is no range of AS numbers`},
		{fileASN, string(document10(`[["5-9","1-5"],["https://a.example/"]]`)), `asn.json: the ranges 1-5 and 5-9 overlap`},
		{fileTags, string(document10(`[["TEST"],["https://a.example/"]]`)), `object-tags.json: service 1: 2 lists instead of 3`},
		{fileTags, string(document10(`[[],["A-B"],["https://a.example/"]]`)), `object-tags.json: service 1: "A-B" is no tag`},
	} {
		r, err := parseFile(tt.file, []byte(tt.body))
		if err == nil || r != nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", tt.body, err, tt.want)
		}
	}
	r, err := parseFile(fileDNS, document10(`[["com","COM."],["http://a.example","HTTPS://b.example//","https://b.example/x"]],[["com"],["https://late.example/"]]`))
	if err != nil || len(r.named) != 1 || text(r.named["com"]) != `HTTPS://b.example/,https://b.example/x/ - "com" iana` {
		t.Errorf("%v, %+v", err, r)
	}
}

func TestBrokenFiles(t *testing.T) {
	dir := testenv.Path(t, "rdap", "malformed")
	for name, want := range map[string]string{
		"dns_bad_services.json": "dns.json: service 4: 0 lists instead of 2",
		"dns_bad_url.json":      `dns.json: service 3: "http://example.org/%%" is no URL`,
		"dns_empty.json":        "dns.json: the file is empty",
		"dns_syntax_error.json": "dns.json: no JSON of RFC 9224: invalid character '\\n' in string literal",
	} {
		body, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := parseFile(fileDNS, body); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
}

// IANA's files are taken in, and say what the tables made of them say.
func TestRealFiles(t *testing.T) {
	dir := testenv.Path(t, "iana", "rdap")
	b, compiled := New(Options{Compiled: true}), New(Options{Compiled: true})
	for i, least := range [...]int{fileDNS: 1100, fileIPv4: 100, fileIPv6: 30, fileASN: 100, fileTags: 5} {
		body, err := os.ReadFile(filepath.Join(dir, files[i]))
		if err != nil {
			t.Fatal(err)
		}
		r, err := parseFile(i, body)
		if err != nil || r.records < least || r.records < b.least(i, held{}) {
			t.Fatalf("%s: %v", files[i], err)
		}
		if n := compiledRecords()[i]; (n > r.records || n < r.records*99/100) && i != fileIPv4 { // a few are retired
			t.Errorf("%s: %d entries, and %d compiled in", files[i], r.records, n)
		}
		b.install(i, held{registry: r})
	}
	for suffix := range b.view.Load().files[fileDNS].named {
		got, want := b.Domain("example."+suffix), compiled.Domain("example."+suffix)
		if want.Origin == "" { // retired since: IANA's list of top-level domains is newer
			continue
		}
		if got.Origin = want.Origin; text(got) != text(want) {
			t.Errorf("%s: %s, compiled in %s", suffix, text(got), text(want))
		}
	}
	for tag := range b.view.Load().files[fileTags].named {
		got, want := b.Tag("A-"+tag), compiled.Tag("A-"+tag)
		if got.Origin = want.Origin; text(got) != text(want) {
			t.Errorf("%s: %s, compiled in %s", tag, text(got), text(want))
		}
	}
	for n := uint32(1); n < 70000; n += 7 {
		got, want := b.AS(n), compiled.AS(n)
		if strings.Join(got.RDAP, " ") != strings.Join(want.RDAP, " ") || got.Whois != want.Whois {
			t.Errorf("AS%d: %s, compiled in %s", n, text(got), text(want))
		}
	}
}

func FuzzFile(f *testing.F) {
	for i := range files {
		f.Add(i, document10(`[["com"],["https://rdap.example/"]]`))
		f.Add(i, document10(`[["1-5","7"],["https://rdap.example/"]]`))
		f.Add(i, document10(`[["8.0.0.0/8","2001::/23"],["http://rdap.example"]]`))
		f.Add(i, document10(`[["a@b.example"],["TEST"],["https://rdap.example/","https://rdap.example"]]`))
	}
	f.Fuzz(func(t *testing.T, file int, body []byte) {
		if file < 0 || file >= len(files) {
			return
		}
		r, err := parseFile(file, body)
		if err != nil {
			if r != nil || !strings.HasPrefix(err.Error(), files[file]+": ") {
				t.Fatalf("%+v, %v", r, err)
			}
			return
		}
		if r.records == 0 {
			t.Fatal("no records, and no error")
		}
		b := New(Options{})
		b.install(file, held{registry: r})
		check := func(s Services) {
			if len(s.RDAP) == 0 || s.Suffix == "" || s.Origin != Fetched {
				t.Fatalf("%q: %+v", body, s)
			}
			for _, base := range s.RDAP {
				if !strings.HasSuffix(base, "/") {
					t.Fatalf("%q: %s", body, base)
				}
			}
		}
		for name, s := range r.named {
			if check(s); file == fileDNS && !private(name) {
				check(b.Domain(name))
			} else if file == fileTags {
				check(b.Tag("A-" + name))
			}
		}
		for _, as := range r.ranges {
			check(b.AS(as.first))
			check(b.AS(as.last))
		}
		for p, s := range r.prefixes.All() {
			check(s)
			check(b.Prefix(p))
		}
	})
}
