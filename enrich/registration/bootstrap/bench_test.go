package bootstrap

import (
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/whence-project/whence/enrich/registration/whoisclient"
)

// Lookups go on while files and referrals are taken in.
func TestLookupsWhileItChanges(t *testing.T) {
	f := newFolder()
	b := New(Options{URL: "http://rdap.test/", HTTP: &http.Client{Transport: f}, Now: at(t0)})
	if err := b.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	var readers sync.WaitGroup
	done := make(chan struct{})
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if s := b.Domain("example.com"); len(s.RDAP) != 1 {
					t.Errorf("%s", text(s))
					return
				}
				b.Status()
				b.Known("example.mil")
			}
		})
	}
	for i := range 300 {
		f.set("dns.json", string(document10(fmt.Sprintf(`[["com","net"],["https://rdap%d.example/"]]`, i))))
		if err := b.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.Learn(fmt.Sprintf("tld%d", i), whoisclient.Server{Host: "whois.test"}, t0.Add(time.Hour))
	}
	close(done)
	readers.Wait()
}

var benchmarks = []struct {
	name string
	look func(b *Bootstrap) Services
}{
	{"Domain", func(b *Bootstrap) Services { return b.Domain("example.com") }},
	{"Zone", func(b *Bootstrap) Services { return b.Domain("example.uk.com") }},
	{"NoDomain", func(b *Bootstrap) Services { return b.Domain("example.nosuchtld") }},
	{"Prefix", func(b *Bootstrap) Services {
		return b.Prefix(netip.PrefixFrom(netip.AddrFrom4([4]byte{8, 8, 8, 8}), 32))
	}},
	{"AS", func(b *Bootstrap) Services { return b.AS(15169) }},
	{"Tag", func(b *Bootstrap) Services { return b.Tag("ABC-TEST") }},
}

func full(t testing.TB) *Bootstrap {
	b := with(t, Options{Compiled: true, Overrides: []Override{{Suffix: "test", None: true}}}, map[int]string{
		fileDNS:  `[["com","net"],["https://rdap.example/"]]`,
		fileIPv4: `[["8.0.0.0/8"],["https://rdap.arin.net/registry/"]]`,
		fileASN:  `[["13312-15359"],["https://rdap.arin.net/registry/"]]`,
		fileTags: `[["a@example.org"],["TEST"],["https://rdap.example"]]`,
	})
	b.Learn("mil", whoisclient.Server{Host: "whois.test"}, time.Now().Add(time.Hour))
	return b
}

func TestLookupsAllocateNothing(t *testing.T) {
	b := full(t)
	for _, l := range benchmarks {
		if n := testing.AllocsPerRun(100, func() { l.look(b) }); n != 0 {
			t.Errorf("%s: %v allocations", l.name, n)
		}
	}
}

func BenchmarkLookup(b *testing.B) {
	boot := full(b)
	for _, l := range benchmarks {
		b.Run(l.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				l.look(boot)
			}
		})
	}
}
