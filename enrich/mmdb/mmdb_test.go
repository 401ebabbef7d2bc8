package mmdb

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/internal/testenv"
)

// answer asks a chain of s alone.
func answer(s *Source, subject enrich.Subject) *enrich.Record {
	return enrich.NewChain("", enrich.Link{Name: "mmdb", Source: s}).Answer(context.Background(), subject, 0)
}

func address(s string) enrich.Subject { return enrich.AddressOf(netip.MustParseAddr(s)) }

// lines is a record as WHOIS shows it.
func lines(r *enrich.Record) string {
	var b strings.Builder
	fmt.Fprintf(&b, "route: %v\n", r.Network())
	for _, p := range r.Parts() {
		for _, fd := range p.Fragment.Fields() {
			fmt.Fprintf(&b, "%s: %s\n", fd.Key, fd.Value)
		}
	}
	return b.String()
}

var opened = make(map[string]*Source)

// sourceOf is a source of data that do not change, opened once for all tests that only read.
func sourceOf(t *testing.T, patterns ...string) *Source {
	t.Helper()
	key := strings.Join(patterns, "\n")
	if opened[key] == nil {
		s := New(Options{Patterns: patterns})
		if err := s.Open(context.Background()); err != nil {
			t.Fatal(err)
		}
		s.Close() // it goes on to answer
		opened[key] = s
	}
	return opened[key]
}

func TestAnswers(t *testing.T) {
	composite := testenv.Path(t, "mmdb", "lite-composite.mmdb")
	only4 := testenv.Path(t, "mmdb", "asn-country-ipv4only.mmdb")
	const google = "as_domain: google.com\nas_name: Google LLC\nasn: AS15169\ncontinent: North America\ncontinent_code: NA\n" +
		"country: United States\ncountry_code: US\n"
	for _, tt := range []struct {
		name     string
		patterns []string
		subject  enrich.Subject
		want     string
		found    bool
	}{
		{"the article's example", []string{composite}, address("8.8.8.8"), "route: 8.8.8.0/24\n" + google, true},
		{"a hole has a network too", []string{composite}, address("127.0.0.1"), "route: 127.0.0.0/8\n", false},
		{"a prefix is its first address", []string{composite}, enrich.PrefixOf(netip.MustParsePrefix("8.8.8.0/23")),
			"route: 8.8.8.0/24\n" + google, true},
		{"two databases in the order of the patterns", []string{only4, composite}, address("8.8.8.8"),
			"route: 8.8.8.0/24\ncountry_code: US\n" + google, true},
		{"IPv6 and a database without it", []string{only4}, address("2001:4860:4860::8888"), "route: invalid Prefix\n", false},
		{"a domain", []string{composite}, enrich.Subject{}, "route: invalid Prefix\n", false},
		{"an AS nobody has", []string{composite}, enrich.ASOf(4200000000), "route: invalid Prefix\n", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := answer(sourceOf(t, tt.patterns...), tt.subject)
			if got := lines(r); got != tt.want || r.Found() != tt.found {
				t.Errorf("found %v\n%s\nwant %v\n%s", r.Found(), got, tt.found, tt.want)
			}
			if len(r.Notes()) > 0 {
				t.Errorf("notes %v", r.Notes())
			}
		})
	}
	r := answer(sourceOf(t, composite), enrich.ASOf(15169))
	if r.Value(enrich.ASName) != "Google LLC" || r.Value(enrich.ASN) != "AS15169" || !r.Found() {
		t.Errorf("AS15169: %s", lines(r))
	}
}

func TestEmptyRecordIsNoData(t *testing.T) {
	path := writeFile(t, "a.mmdb", write("Test", 4, network{"10.0.0.0/8", object{}}, network{"11.0.0.0/8", object{{"a", "b"}}}))
	s := openSource(t, Options{Patterns: []string{path}})
	if r := answer(s, address("10.0.0.1")); r.Found() || r.Network().String() != "10.0.0.0/8" {
		t.Errorf("found %v in %v", r.Found(), r.Network())
	}
	if r := answer(s, address("11.0.0.1")); !r.Found() {
		t.Error("nothing found beside an empty record")
	}
}

func TestAddDoesNotAllocate(t *testing.T) {
	s := sourceOf(t, testenv.Path(t, "mmdb", "lite-composite.mmdb"))
	var r enrich.Record
	for _, subject := range []enrich.Subject{
		address("8.8.8.8"), address("127.0.0.1"), address("2001:4860:4860::8888"), enrich.ASOf(15169),
	} {
		q := enrich.Query{Subject: subject}
		if n := testing.AllocsPerRun(100, func() {
			r.Reset(q.Subject)
			s.Add(&q, &r)
		}); n > 0 {
			t.Errorf("%v: %v allocations", subject, n)
		}
	}
}

func TestKeptFragmentsAreBounded(t *testing.T) {
	const keep = 1 << 20
	s := openSource(t, Options{Keep: keep, Patterns: []string{
		testenv.Path(t, "mmdb", "dbip-asn-lite.mmdb"), testenv.Path(t, "mmdb", "asn-country.mmdb"),
	}})
	var r enrich.Record
	var most int64
	dropped := 0
	g := s.current.Load()
	last := g.databases[0].kept.Load()
	for _, a := range randomAddrs(30_000, 5) {
		q := enrich.Query{Subject: enrich.AddressOf(a)}
		r.Reset(q.Subject)
		s.Add(&q, &r)
		n := int64(0)
		for _, db := range g.databases {
			n += db.kept.Load().bytes.Load()
		}
		most = max(most, n)
		if k := g.databases[0].kept.Load(); k != last {
			last = k
			dropped++
		}
	}
	if most > keep || most < keep/2 || dropped < 2 {
		t.Errorf("at most %d bytes kept, dropped %d times, with %d allowed", most, dropped, keep)
	}
	if q := answer(s, address("8.8.8.8")); q.Value(enrich.ASN) != "AS15169" {
		t.Errorf("after that 8.8.8.8 is in %s", q.Value(enrich.ASN))
	}
}

func TestPatterns(t *testing.T) {
	dir := t.TempDir()
	put := func(name, country string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, write(name, 4, network{"10.0.0.0/8", object{{"country_code", country}}}), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	b, a := put("b.mmdb", "BE"), put("a.mmdb", "AT")
	put("c.dat", "CH")
	for _, tt := range []struct {
		name     string
		patterns []string
		want     string
	}{
		{"glob, by name", []string{filepath.Join(dir, "*.mmdb")}, "AT BE"},
		{"folder: what ends in .mmdb", []string{dir}, "AT BE"},
		{"order of the patterns, each file once", []string{b, filepath.Join(dir, "*")}, "BE AT CH"},
		{"missing among others", []string{filepath.Join(dir, "none.mmdb"), a}, "AT"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := answer(openSource(t, Options{Patterns: tt.patterns}), address("10.1.2.3"))
			var got []string
			for _, p := range r.Parts() {
				got = append(got, p.Fragment.Value(enrich.CountryCode))
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("%v, want %s", got, tt.want)
			}
		})
	}
	for _, patterns := range [][]string{nil, {filepath.Join(dir, "[")}} {
		if err := New(Options{Patterns: patterns}).Open(context.Background()); err == nil {
			t.Errorf("patterns %q were taken", patterns)
		}
	}
}
