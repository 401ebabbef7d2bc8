package domainstats

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/store"
)

// discard is a connection that takes everything.
type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

// one is a source that knows one record, rendered once, so that the bench measures the door.
type one struct{ f *enrich.Fragment }

func (o one) Add(_ *enrich.Query, r *enrich.Record) enrich.Verdict {
	r.Attach(o.f, netip.Prefix{})
	return enrich.Next
}

func benchChain() *enrich.Chain {
	b := enrich.NewBuilder(&enrich.Origin{Source: "registration"})
	for _, kv := range [][2]string{{"created", "1995-08-04T04:00:00Z"}, {"freq_avg", "6.2885"}, {"freq_word", "7.9696"}, {"rank", "25646"}} {
		b.Add(enrich.Field{Key: kv[0], Value: kv[1], Canon: enrich.KeyOf(kv[0])}).Canonical(enrich.KeyOf(kv[0]), kv[1])
	}
	return enrich.NewChain("", enrich.Link{Name: "registration", Source: one{b.Field("registration_via", "rdap").Build()}})
}

// BenchmarkDomain is GET /<domain> with names that the ledger knows: those of the last minutes, and some of 200,000 on the disk.
func BenchmarkDomain(b *testing.B) {
	const known = 200_000
	st := openLedger(b, b.TempDir())
	names := func(yield func(store.Sighting) bool) {
		for i := range known {
			if !yield(store.Sighting{Scope: DefaultScope, Name: fmt.Sprintf("name%d.co.uk", i), First: now, Last: now, Count: 1}) {
				return
			}
		}
	}
	if _, _, err := st.Ledger().Import(b.Context(), DefaultScope, names); err != nil {
		b.Fatal(err)
	}
	var recent, old []*http.Request
	for i := range 4096 {
		recent = append(recent, request("GET", fmt.Sprintf("/www.new%d.co.uk", i), nil))
		old = append(old, request("GET", fmt.Sprintf("/www.name%d.co.uk", i*47), nil))
	}
	for _, bench := range []struct {
		name     string
		format   Format
		requests []*http.Request
	}{{"c/recent", FormatC, recent}, {"c/disk", FormatC, old}, {"b/recent", FormatB, recent}} {
		b.Run(bench.name, func(b *testing.B) {
			a := newAPI(b, func(o *Options) {
				o.Ledger, o.Format, o.Chain, o.Now, o.Wait = st.Ledger(), bench.format, benchChain(), time.Now, 2*time.Second
			})
			w := discard{http.Header{}}
			for _, r := range bench.requests {
				a.ServeHTTP(w, r)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				a.ServeHTTP(w, bench.requests[i%len(bench.requests)])
			}
		})
	}
}

// BenchmarkParts is what of BenchmarkDomain is the ledger's and the public suffix list's.
func BenchmarkParts(b *testing.B) {
	a := newAPI(b, nil)
	a.claim("name1.co.uk", now)
	b.Run("claim", func(b *testing.B) {
		for b.Loop() {
			a.claim("name1.co.uk", now)
		}
	})
	b.Run("registrable", func(b *testing.B) {
		for b.Loop() {
			registrable("www.name1.co.uk")
		}
	})
}

func BenchmarkMeasure(b *testing.B) {
	a := newAPI(b, func(o *Options) { o.Score = scores })
	r, w := request("GET", "/measure/sans.org", nil), discard{http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		a.ServeHTTP(w, r)
	}
}

// BenchmarkBulk is a list of 100,000 names; an op is one name. The names of the second one may wait, but need not.
func BenchmarkBulk(b *testing.B) {
	var list bytes.Buffer
	const n = 100_000
	for i := range n {
		fmt.Fprintf(&list, "www.name%d.example.org\n", i)
	}
	a := newAPI(b, func(o *Options) { o.Chain = benchChain() })
	a.fetches = true
	for _, bench := range [][2]string{{"now", "/v1/lookup"}, {"wait", "/v1/lookup?wait=2s"}} {
		b.Run(bench[0], func(b *testing.B) {
			b.ReportAllocs()
			for done := 0; done < b.N; done += n {
				part := io.Reader(bytes.NewReader(list.Bytes()))
				if left := b.N - done; left < n {
					part = strings.NewReader(strings.Join(strings.SplitAfterN(list.String(), "\n", left+1)[:left], ""))
				}
				a.ServeHTTP(discard{http.Header{}}, request("POST", bench[1], part))
			}
		})
	}
}

// BenchmarkWhoisAPI is one registration in WHOIS-API's form.
func BenchmarkWhoisAPI(b *testing.B) {
	a := newWhoisAPI(b)
	r, w := request("GET", "/WHOIS/sans.org", nil), discard{http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		a.ServeHTTP(w, r)
	}
}
