package whoisreply

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

var hostile = []string{"\r", "\n", "a\r", "a\n", "No match\n\n", "x\n\n", ":", "a:", "a:\n", "domain: a.example\n",
	"nserver: a.example b.example,",
	"Registrant:\n a@b.example\n", "a b@c ", ". . .", "[", "[a]", " ", "\t", "%\n", "1", "1:", "2001-", "created: 1999-01-01 ", "- ", "((",
	"status: a,", "first name: a\n", "descr: a\n", "address: a\n", "registrant street: a\n", "contact: administrative\n", "key (", "Record created on 1 ",
	"\xff", "changed: 20010203\n", "person: x\n\nnic-hdl: y\n\n", "www.example.org ", "too many\n\n", "\r  ", "\r \n", "no domain ", "not found not foun", "rate limi", "\xd0", "ns1.example.org,ns1.exampl",
	"status: not foun"}

// A megabyte of anything is read within a second.
func TestLinearTime(t *testing.T) {
	for _, unit := range hostile {
		text := strings.Repeat(unit, 1<<20/len(unit))
		for _, text := range []string{text, "Name Servers:\n" + text, "Registrant:\n" + text, text + "\n"} {
			start := time.Now()
			Parse(text, "example.org")
			if d := time.Since(start); d > limit {
				t.Errorf("%d bytes of %q took %v", len(text), unit, d)
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, tt := range formats {
		f.Add(tt.reply, "example.org")
	}
	for _, unit := range hostile {
		f.Add(strings.Repeat(unit, 3), "")
	}
	for _, sentences := range told {
		f.Add(sentences, "example.test")
	}
	f.Fuzz(func(t *testing.T, text, domain string) {
		r := Parse(text, domain)
		if r.Class.String() == "error" && r.Class != Error {
			t.Errorf("class %d has no name", r.Class)
		}
		if len(r.NameServers) > maxValues || len(r.Status) > maxValues {
			t.Errorf("%d name servers, %d status codes", len(r.NameServers), len(r.Status))
		}
		if whole := Parse(text+"\n", domain).Class; r.Class == Available && (whole == Throttled || whole == Blocked) {
			t.Errorf("%v, and available where it breaks off", whole)
		}
		seen := map[string]bool{}
		for _, ns := range r.NameServers {
			if seen[ns] || !isHost(ns) || strings.HasSuffix(ns, ".") || utf8.ValidString(ns) && strings.ToLower(ns) != ns {
				t.Errorf("name server %q", ns)
			}
			seen[ns] = true
		}
		for _, at := range []time.Time{r.Created, r.Updated, r.Expires} {
			if !at.IsZero() && (at.Location() != time.UTC || at.Year() < 1969 || at.Year() > 10000) {
				t.Errorf("date %v", at)
			}
		}
		facts := len(r.NameServers) > 0 && !r.Created.IsZero()
		if r.Class == Available && facts && len(r.Status) == 0 && !strings.Contains(strings.ToLower(text), "avail") {
			t.Errorf("available, with name servers %q", r.NameServers)
		}
	})
}

func FuzzDate(f *testing.F) {
	for _, tt := range dateTests {
		f.Add(tt.text)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, hint := range []order{unknownOrder, dayFirst, monthFirst} {
			if at, _, ok := parseDate(s, hint); ok && (at.Year() < 1969 || at.Year() > 10000) {
				t.Errorf("%q: %v", s, at)
			}
		}
	})
}
