package whoisreply_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/whence-project/whence/bench/whoisparse/score"
	"github.com/whence-project/whence/enrich/registration/whoisreply"
	"github.com/whence-project/whence/internal/testenv"
)

// floors are what no change may fall below, in percent over all labelled replies. The labels themselves are wrong in a few
// places: replies that throttle are labelled available, and two parsers' labels of a registrar or status contradict each other.
var floors = map[string]float64{
	"created": 99.5, "expires": 99, "updated": 98.9, "registrar": 96.7, "name servers": 99.4, "status": 95.2,
	"registered": 99.7, "available": 96.7, "registered/available": 98.7, "reserved": 95, "throttled": 100,
}

// contactFloor is what no field of the contacts may fall below. The rules were written with seven eighths of these labels in sight.
const contactFloor = 98

func TestContactsOfLabelledReplies(t *testing.T) {
	labels, err := score.ReadContacts()
	if err != nil {
		t.Fatal(err)
	}
	if len(labels) < 60 {
		t.Errorf("%d replies are labelled", len(labels))
	}
	all, tally, labelled := samples(t), score.NewTally(), 0
	for i := range all {
		s := &all[i]
		if labels[s.Key()] != nil {
			labelled++
		}
		r := whoisreply.Parse(s.Response, s.Domain())
		for _, m := range tally.AddContacts(labels, s, &r) {
			t.Logf("%s: %s: want %v, got %v", s.ID, m.Field, m.Want, m.Got)
		}
	}
	if labelled != len(labels) {
		t.Errorf("%d of %d labels are of replies that there are", labelled, len(labels))
	}
	for _, field := range score.ContactFields {
		if got := tally.Percent(field); got < contactFloor || tally.Of[field] == 0 {
			t.Errorf("%s: %.1f%% (%d of %d), want %d%%", field, got, tally.Right[field], tally.Of[field], contactFloor)
		}
	}
}

func samples(t testing.TB) []score.Sample {
	t.Helper()
	b, err := os.ReadFile(testenv.Path(t, "whois", "responses.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	all, err := score.Read(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// disguises change how a reply is written and nothing of what it says.
var disguises = []struct {
	name string
	do   func(string) string
	give float64 // percentage points that it may cost
}{
	{"as it is", func(s string) string { return s }, 0},
	{"CRLF, space at the ends of lines", func(s string) string {
		return strings.ReplaceAll(strings.ReplaceAll(s, "\r", ""), "\n", "  \r\n")
	}, 0},
	{"LF", func(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }, 0},
	{"CR CR LF", func(s string) string { return strings.ReplaceAll(strings.ReplaceAll(s, "\r", ""), "\n", "\r\r\n") }, 0},
	{"Latin-1", func(s string) string {
		b := make([]byte, 0, len(s))
		for _, r := range s {
			if r > 0xff {
				return s
			}
			b = append(b, byte(r))
		}
		return string(b)
	}, 0.5},
	{"no final newline", func(s string) string { return strings.TrimRight(s, "\r\n") }, 0},
	{"keys in upper case", func(s string) string { return mapKeys(s, strings.ToUpper) }, 0.5},
	{"keys in lower case", func(s string) string { return mapKeys(s, strings.ToLower) }, 0.5},
}

func mapKeys(s string, f func(string) string) string {
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		if key, value, ok := strings.Cut(l, ":"); ok {
			lines[i] = f(key) + ":" + value
		}
	}
	return strings.Join(lines, "\n")
}

func TestScoresOnLabelledReplies(t *testing.T) {
	all := samples(t)
	for _, d := range disguises {
		tally := score.NewTally()
		for i := range all {
			s := &all[i]
			r := whoisreply.Parse(d.do(s.Response), s.Domain())
			tally.Add(s, &r)
			if s.Class == "throttled" && r.Class == whoisreply.Available {
				t.Errorf("%s: %s: throttled taken for available", d.name, s.ID)
			}
		}
		for _, field := range score.Fields {
			if got, want := tally.Percent(field), floors[field]-d.give; got < want || tally.Of[field] == 0 {
				t.Errorf("%s: %s: %.2f%% (%d of %d), want %.1f%%", d.name, field, got, tally.Right[field], tally.Of[field], want)
			}
		}
	}
}

// A throttled reply that the line breaks off, or that a registrar's terms surround, is still no answer.
func TestThrottledIsNeverAvailable(t *testing.T) {
	terms := "\nBy submitting a query, you agree to these terms. No match means nothing.\n"
	for _, s := range samples(t) {
		if s.Class != "throttled" {
			continue
		}
		for _, reply := range []string{strings.ToUpper(s.Response), terms + s.Response, s.Response + terms,
			s.Response + "\n\nNo match for domain.\n"} {
			if r := whoisreply.Parse(reply, s.Domain()); r.Class == whoisreply.Available {
				t.Errorf("%s: available: %q", s.ID, reply)
			}
		}
	}
}

func BenchmarkParse(b *testing.B) {
	all := samples(b)
	n := 0
	for i := range all {
		n += len(all[i].Response)
	}
	b.SetBytes(int64(n / len(all)))
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		whoisreply.Parse(all[i].Response, "")
		if i++; i == len(all) {
			i = 0
		}
	}
}
