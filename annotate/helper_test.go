package annotate

import (
	"bytes"
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/enrich/iana"
)

// plan is a source that knows what its fields say of a network, and the ranks of names.
type plan struct {
	networks map[netip.Prefix]*enrich.Fragment
	ranks    map[string]string
}

func (p plan) Add(q *enrich.Query, r *enrich.Record) enrich.Verdict {
	for n, f := range p.networks {
		if n.Contains(q.Subject.Addr()) {
			r.Attach(f, n)
		}
	}
	if v := p.ranks[q.Subject.Name()]; v != "" {
		r.Set("rank", v)
	}
	return enrich.Next
}

func fragment(asn, name, country string) *enrich.Fragment {
	b := enrich.NewBuilder(&enrich.Origin{Source: "plan", Name: "plan"})
	b.Field("site", "berlin").Field("asn", asn)
	b.Canonical(enrich.ASN, asn).Canonical(enrich.ASName, name).Canonical(enrich.CountryCode, country)
	return b.Build()
}

// planned is a chain with a small plan of addresses behind IANA's registries.
func planned() *enrich.Chain {
	return enrich.NewChain("", enrich.Link{Name: "iana", Source: iana.New()}, enrich.Link{Name: "plan", Source: newPlan()})
}

func newPlan() plan {
	google := fragment("AS15169", "Google LLC", "US")
	quad9 := fragment("AS19281", `Quad9 "DNS"`, "CH")
	return plan{
		networks: map[netip.Prefix]*enrich.Fragment{
			netip.MustParsePrefix("8.8.8.0/24"):           google,
			netip.MustParsePrefix("2001:4860::/32"):       google,
			netip.MustParsePrefix("9.9.9.0/24"):           quad9,
			netip.MustParsePrefix("62.0.0.0/8"):           fragment("AS1680", "", ""),
			netip.MustParsePrefix("10.0.0.0/8"):           fragment("AS64500", "", "DE"),
			netip.MustParsePrefix("2001:db8:ffff:f::/64"): fragment("AS64501", "", "DE"),
		},
		ranks: map[string]string{"example.org": "17", "xn--mller-kva.de": "4"},
	}
}

// mustNew is an Annotator on the plan.
func mustNew(t testing.TB, o Options) *Annotator {
	t.Helper()
	if o.Lookup == nil {
		o.Lookup = Local(planned())
	}
	a, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// annotated is what becomes of a log.
func annotated(t testing.TB, a *Annotator, name, log string) string {
	t.Helper()
	var out bytes.Buffer
	if err := a.Annotate(context.Background(), Log{Name: name, In: strings.NewReader(log), Out: &out}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
