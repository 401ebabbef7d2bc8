package sightings

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/store/embedded"
)

var t0 = time.Date(2026, 11, 1, 9, 30, 0, 0, time.UTC)

func TestAdd(t *testing.T) {
	st, err := embedded.Open(t.TempDir(), embedded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	l := st.Ledger()
	l.Claim("stats", "example.org", t0)
	l.Claim("stats", "example.org", t0.Add(time.Hour))
	l.Claim("dns", "example.org", t0.Add(-time.Hour))
	l.Claim("dns", "www.example.com", t0)
	l.Claim("dns", "192.0.2.7", t0)
	src := New()
	chain := enrich.NewChain("", enrich.Link{Name: "sightings", Source: src})
	subject := func(s string) enrich.Subject {
		sub, err := enrich.ParseSubject(s)
		if err != nil {
			t.Fatal(err)
		}
		return sub
	}
	if r := chain.Answer(context.Background(), subject("example.org"), 0); len(r.Parts()) != 0 {
		t.Errorf("before there is a ledger: %s", r.AppendJSON(nil))
	}
	src.SetLedger(l)
	for _, test := range []struct{ subject, want string }{
		{"example.org", `{"first_seen":"2026-11-01T08:30:00Z","last_seen":"2026-11-01T10:30:00Z","sightings":3,"seen_by":["dns","stats"]}`},
		{"www.example.org", `{"first_seen":"2026-11-01T08:30:00Z","last_seen":"2026-11-01T10:30:00Z","sightings":3,` +
			`"sightings_name":"example.org","seen_by":["dns","stats"]}`},
		{"www.example.com", `{"first_seen":"2026-11-01T09:30:00Z","last_seen":"2026-11-01T09:30:00Z","sightings":1,"seen_by":["dns"]}`},
		{"192.0.2.7", `{"first_seen":"2026-11-01T09:30:00Z","last_seen":"2026-11-01T09:30:00Z","sightings":1,"seen_by":["dns"]}`},
		{"example.com", ``},
		{"AS64496", ``},
	} {
		r := chain.Answer(context.Background(), subject(test.subject), 0)
		got := string(r.AppendJSON(nil))
		if test.want == "" {
			if len(r.Parts()) != 0 {
				t.Errorf("%s: %s, want nothing", test.subject, got)
			}
			continue
		}
		if want := `"sources":[{"source":"sightings","fields":` + test.want + `}]`; !strings.Contains(got, want) {
			t.Errorf("%s:\n%s\nwant\n%s", test.subject, got, want)
		}
	}
	if n := l.Len("stats"); n != 1 {
		t.Errorf("asking was seeing: %d names", n)
	}
	if s := src.Status(); s.Records != 4 {
		t.Errorf("status %+v, want 4 records", s)
	}
}
