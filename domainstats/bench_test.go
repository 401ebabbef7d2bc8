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

// BenchmarkDomain is GET /<domain> with names that the ledger knows.
func BenchmarkDomain(b *testing.B) {
	for _, format := range []Format{FormatC, FormatB} {
		b.Run(format.String(), func(b *testing.B) {
			a := newAPI(b, func(o *Options) { o.Format, o.Chain, o.Now, o.Wait = format, benchChain(), time.Now, 2*time.Second })
			var requests []*http.Request
			for i := range 1024 {
				r := request("GET", fmt.Sprintf("/www.name%d.co.uk", i), nil)
				requests = append(requests, r)
				a.ServeHTTP(discard{http.Header{}}, r)
			}
			w := discard{http.Header{}}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				a.ServeHTTP(w, requests[i%len(requests)])
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

// BenchmarkBulk is a list of 100,000 names; an op is one name.
func BenchmarkBulk(b *testing.B) {
	var list bytes.Buffer
	const n = 100_000
	for i := range n {
		fmt.Fprintf(&list, "www.name%d.example.org\n", i)
	}
	a := newAPI(b, func(o *Options) { o.Chain = benchChain() })
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; done += n {
		part := io.Reader(bytes.NewReader(list.Bytes()))
		if left := b.N - done; left < n {
			part = strings.NewReader(strings.Join(strings.SplitAfterN(list.String(), "\n", left+1)[:left], ""))
		}
		a.ServeHTTP(discard{http.Header{}}, request("POST", "/v1/lookup", part))
	}
}
