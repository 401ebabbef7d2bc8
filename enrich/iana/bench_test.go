package iana

import (
	"net/netip"
	"testing"

	"github.com/whence-project/whence/enrich"
)

func BenchmarkAdd(b *testing.B) {
	for _, bench := range []struct {
		name    string
		subject enrich.Subject
	}{
		{"IPv4", enrich.AddressOf(netip.MustParseAddr("8.8.8.8"))},
		{"IPv4Special", enrich.AddressOf(netip.MustParseAddr("192.0.0.9"))},
		{"IPv6", enrich.AddressOf(netip.MustParseAddr("2001:4860:4860::8888"))},
		{"6to4", enrich.AddressOf(netip.MustParseAddr("2002:808:808::1"))},
		{"Prefix", enrich.PrefixOf(netip.MustParsePrefix("8.8.8.0/24"))},
		{"AS", enrich.ASOf(15169)},
		{"Domain", domain(b, "www.example.org")},
	} {
		b.Run(bench.name, func(b *testing.B) {
			s, r, q := New(), new(enrich.Record), &enrich.Query{Subject: bench.subject}
			b.ReportAllocs()
			for b.Loop() {
				r.Reset(q.Subject)
				s.Add(q, r)
			}
		})
	}
}

func BenchmarkReset(b *testing.B) {
	s, r, q := New(), new(enrich.Record), &enrich.Query{Subject: enrich.AddressOf(netip.MustParseAddr("8.8.8.8"))}
	s.Add(q, r)
	for b.Loop() {
		r.Reset(q.Subject)
	}
}

func BenchmarkLoad(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		load(nil)
	}
}

func domain(t testing.TB, name string) enrich.Subject {
	t.Helper()
	s, err := enrich.ParseSubject(name)
	if err != nil || s.Kind() != enrich.Domain {
		t.Fatalf("no domain %q: %v", name, err)
	}
	return s
}
