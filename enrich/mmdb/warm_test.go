package mmdb

import (
	"net/netip"
	"path/filepath"
	"testing"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/internal/testenv"
)

// TestWarm warms with every mixture of subjects, on every good database: it must not fall over, and answers stay the same.
func TestWarm(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(testenv.Path(t, "mmdb-maxmind", "test-data"), "*.mmdb"))
	if err != nil {
		t.Fatal(err)
	}
	files = append(files, testenv.Path(t, "mmdb", "lite-composite.mmdb"), testenv.Path(t, "mmdb", "asn-country-ipv4only.mmdb"))
	var subjects []enrich.Subject
	for i, a := range randomAddrs(100, 7) {
		subjects = append(subjects, enrich.AddressOf(a))
		switch i % 10 {
		case 3:
			subjects = append(subjects, enrich.Subject{})
		case 5:
			subjects = append(subjects, enrich.AddressOf(netip.MustParseAddr("2001:4860:4860::8888")))
		case 7:
			subjects = append(subjects, enrich.ASOf(15169), enrich.PrefixOf(netip.MustParsePrefix("8.8.8.0/24")))
		}
	}
	warmedUp := 0
	for _, file := range files {
		s := New(Options{Patterns: []string{file}})
		if err := s.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		chain := enrich.NewChain("", enrich.Link{Name: "mmdb", Source: s})
		for range 2 { // with no fragment built yet, and with all of them
			chain.Warm(subjects)
			warmedUp++
			for _, sub := range subjects {
				if r := chain.Answer(t.Context(), sub, 0); sub.Addr().Is4() && s.Status().Records > 0 && !r.Network().IsValid() {
					t.Errorf("%s: no network for %v", filepath.Base(file), sub)
				}
			}
		}
		s.Close()
	}
	if warmedUp < 20 {
		t.Errorf("only %d rounds", warmedUp)
	}
}
