package lookups

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/whence-project/whence/enrich"
)

// source knows 192.0.2.0/24, panics at "boom", and fetches what ends in .test.
type source struct {
	fetched atomic.Int32
}

func (s *source) Add(q *enrich.Query, r *enrich.Record) enrich.Verdict {
	switch name := q.Subject.Name(); {
	case name == "boom":
		panic("boom")
	case netip.MustParsePrefix("192.0.2.0/24").Contains(q.Subject.Addr()):
		r.Set("site", "Berlin")
	case strings.HasSuffix(name, ".test"):
		if s.fetched.Load() < 300 {
			r.Note(enrich.Unfetched, "being looked up")
			return enrich.Pending
		}
		r.Set("site", "Rome")
	}
	return enrich.Next
}

// Fetch is done when all have come.
func (s *source) Fetch(ctx context.Context, _ *enrich.Ask) error {
	s.fetched.Add(3)
	for s.fetched.Load() < 300 && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	return nil
}

func ask(t *testing.T, form string, wait time.Duration, lines ...string) (string, int) {
	t.Helper()
	f, err := ParseForm(form)
	if err != nil {
		t.Fatal(err)
	}
	chain := enrich.NewChain("", enrich.Link{Name: "site", Source: new(source)})
	defer chain.Close()
	var b strings.Builder
	n, err := AppendAll(t.Context(), Asker{Chain: chain, Form: f}, wait, lines, func(p []byte) error { b.Write(p); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return b.String(), n
}

func TestAppendAll(t *testing.T) {
	lines := []string{"192.0.2.1", "010.0.0.1", "boom", "a\x80\"b c", strings.Repeat("x", MaxLine+1)}
	got, n := ask(t, "", 0, lines...)
	for i, want := range []string{
		`{"subject":"192.0.2.1","kind":"address","sources":[{"source":"site","fields":{"site":"Berlin"}}]}`,
		`{"subject":"010.0.0.1","error":"010 could be octal: write IPv4 addresses without leading zeros"}`,
		`{"subject":"boom","error":"internal error, the log has more"}`,
		`{"subject":"a` + "\uFFFD" + `\"b c","error":"`,
		`{"subject":"` + strings.Repeat("x", 1024) + `","error":"longer than 4096 bytes"}`,
	} {
		if one := strings.Split(got, "\n")[i]; !strings.HasPrefix(one, want) {
			t.Errorf("%.20q: %s\nwant %s", lines[i], one, want)
		}
	}
	if n != 4 {
		t.Errorf("%d not found, want 4", n)
	}
	got, n = ask(t, "whois", 0, lines[:3]...)
	want := "site: Berlin\ndbstatus: ok - data found\n\n" +
		"%ERROR:115: invalid search key: 010.0.0.1: 010 could be octal: write IPv4 addresses without leading zeros\n\n" +
		"%ERROR:115: invalid search key: boom: internal error, the log has more\n"
	if got != want || n != 2 {
		t.Errorf("%d: %q\nwant %q", n, got, want)
	}
}

// TestAppendAllWaits has a hundred lines wait at the same time: none of the fetches ends before all have begun.
func TestAppendAllWaits(t *testing.T) {
	var lines []string
	for i := range 100 {
		lines = append(lines, fmt.Sprintf("n%d.test", i))
	}
	got, n := ask(t, "json", time.Minute, lines...)
	subjects := strings.Split(strings.TrimSpace(got), "\n")
	if n != 0 || len(subjects) != len(lines) {
		t.Fatalf("%d of %d answers found nothing: %s", n, len(subjects), got)
	}
	for i, one := range subjects {
		if !strings.Contains(one, lines[i]+`"`) || !strings.Contains(one, "Rome") {
			t.Errorf("answer %d: %s", i, one)
		}
	}
}

func TestParseForm(t *testing.T) {
	if got := Forms(); !slices.Equal(got, []string{"json", "whois", "lines", "aligned", "cymru"}) {
		t.Errorf("%q", got)
	}
	for _, name := range Forms() {
		if f, err := ParseForm(name); err != nil || f.JSON() != (name == "json") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ParseForm("xml"); err == nil || !strings.Contains(err.Error(), "there are: json, whois, lines") {
		t.Errorf("%v", err)
	}
}
