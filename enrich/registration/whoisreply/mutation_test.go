package whoisreply_test

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/whence-project/whence/bench/whoisparse/score"
	"github.com/whence-project/whence/enrich/registration/whoisreply"
)

// Rules that know their fixtures would fail on the same replies with other dates and names in them. Here all of a reply's dates are
// shifted by the same days, each in its own layout, and the domains, name servers and registrars are renamed.

// written are the layouts of dates in replies. Those of numbers that begin with the day or the month come last.
var written = []struct {
	find   *regexp.Regexp
	layout []string
}{
	{regexp.MustCompile(`\b(?:19|20)\d\d-\d\d-\d\d`), []string{"2006-01-02"}},
	{regexp.MustCompile(`\b(?:19|20)\d\d-\d{1,2}-\d{1,2}\b`), []string{"2006-1-2"}},
	{regexp.MustCompile(`\b[A-Z][a-z]{2} \d\d \d\d:\d\d:\d\d [A-Z]{3} (?:19|20)\d\d\b`), []string{"Jan 02 15:04:05 MST 2006"}},
	{regexp.MustCompile(`\b\d\d/\d\d/\d\d\b`), []string{"02/01/06"}},
	{regexp.MustCompile(`\b(?:19|20)\d\d/\d\d/\d\d\b`), []string{"2006/01/02"}},
	{regexp.MustCompile(`\b(?:19|20)\d\d\.\d\d\.\d\d\b`), []string{"2006.01.02"}},
	{regexp.MustCompile(`\b(?:19|20)\d\d\. \d\d\. \d\d\b`), []string{"2006. 01. 02"}},
	{regexp.MustCompile(`\b(?:19|20)\d\d[01]\d[0-3]\d(?:\d{6})?\b`), []string{"20060102", "20060102150405"}},
	{regexp.MustCompile(`\b(?:19|20)\d\d-[A-Z][a-z]{2}-\d\d\b`), []string{"2006-Jan-02"}},
	{regexp.MustCompile(`\b\d\d-[A-Za-z]{3}-(?:19|20)\d\d\b`), []string{"02-Jan-2006"}},
	{regexp.MustCompile(`\b\d-[A-Za-z]{3}-(?:19|20)\d\d\b`), []string{"2-Jan-2006"}},
	{regexp.MustCompile(`\b\d{1,2}-[A-Za-z]{3,9}-(?:19|20)\d\d\b`), []string{"02-January-2006"}},
	{regexp.MustCompile(`\b\d\d [A-Z][a-z]{2} (?:19|20)\d\d\b`), []string{"02 Jan 2006"}},
	{regexp.MustCompile(`\b\d [A-Z][a-z]{2} (?:19|20)\d\d\b`), []string{"2 Jan 2006"}},
	{regexp.MustCompile(`\b\d{1,2} [A-Z][a-z]{2,8} (?:19|20)\d\d\b`), []string{"2 January 2006"}},
	{regexp.MustCompile(`\b\d{1,2}(?:st|nd|rd|th) [A-Z][a-z]{2,8},? (?:19|20)\d\d\b`), []string{"2nd January 2006", "02nd January 2006",
		"2th January 2006", "02th January 2006", "2st January 2006", "02st January 2006", "2rd January 2006", "02rd January 2006", "2nd Jan 2006", "2th Jan 2006", "2st Jan 2006", "2rd Jan 2006",
		"02nd Jan 2006", "02th Jan 2006", "02st Jan 2006", "02rd Jan 2006"}},
	{regexp.MustCompile(`\b[A-Z][a-z]{2} [A-Z][a-z]{2}  ?\d{1,2} \d\d:\d\d:\d\d (?:[A-Z]{3,4} )?(?:19|20)\d\d\b`),
		[]string{"Mon Jan _2 15:04:05 2006", "Mon Jan 02 15:04:05 2006", "Mon Jan 02 15:04:05 MST 2006", "Mon Jan _2 15:04:05 MST 2006"}},
	{regexp.MustCompile(`\b[A-Z][a-z]{2},? [A-Z][a-z]{2} \d{1,2},? (?:19|20)\d\d\b`), []string{"Mon Jan 02 2006", "Mon, Jan 02, 2006", "Mon Jan 2 2006"}},
	{regexp.MustCompile(`\b[A-Z][a-z]{2,8}  ?\d{1,2} (?:19|20)\d\d\b`), []string{"January _2 2006", "January 2 2006", "Jan 2 2006"}},
	{regexp.MustCompile(`\b\d\d\.\d\d\.(?:19|20)\d\d\b`), []string{"02.01.2006"}},
	{regexp.MustCompile(`\b\d{1,2}\.\d{1,2}\.(?:19|20)\d\d\b`), []string{"2.1.2006"}},
	{regexp.MustCompile(`\b\d\d-\d\d-(?:19|20)\d\d\b`), []string{"02-01-2006", "01-02-2006"}},
	{regexp.MustCompile(`\b\d{1,2}/\d{1,2}/(?:19|20)\d\d\b`), []string{"02/01/2006", "01/02/2006", "2/1/2006", "1/2/2006"}},
}

// shiftDates shifts every date of a reply by days. Where the order of day and month is open, it is that of the labels.
func shiftDates(text string, labels []time.Time, days int) string {
	type edit struct {
		from, to int
		text     string
	}
	var edits []edit
	for _, w := range written {
		for _, at := range w.find.FindAllStringIndex(text, -1) {
			if !slices.ContainsFunc(edits, func(e edit) bool { return at[0] < e.to && e.from < at[1] }) {
				edits = append(edits, edit{at[0], at[1], shifted(text[at[0]:at[1]], w.layout, labels, days)})
			}
		}
	}
	slices.SortFunc(edits, func(a, b edit) int { return a.from - b.from })
	var b strings.Builder
	last := 0
	for _, e := range edits {
		b.WriteString(text[last:e.from] + e.text)
		last = e.to
	}
	return b.String() + text[last:]
}

// shifted is one date shifted, in its own layout; as it is where it is none.
func shifted(old string, layouts []string, labels []time.Time, days int) string {
	fits := func(t time.Time) bool {
		return slices.ContainsFunc(labels, func(l time.Time) bool { return t.Sub(l).Abs() <= 36*time.Hour })
	}
	for _, onlyLabelled := range [...]bool{true, false} {
		for _, layout := range layouts {
			t, err := time.Parse(layout, old)
			if err != nil || onlyLabelled && !fits(t) {
				continue
			}
			s := t.AddDate(0, 0, days).Format(layout)
			switch {
			case old == strings.ToUpper(old):
				s = strings.ToUpper(s)
			case old == strings.ToLower(old):
				s = strings.ToLower(s)
			}
			return s
		}
	}
	return old
}

// other is a word with other letters: case, vowels and length stay.
func other(s string) string {
	const from, to = "aeioubcdfghjklmnpqrstvwxyz", "eiouacdfghjklmnpqrstvwxzby"
	return strings.Map(func(r rune) rune {
		if i := strings.IndexRune(from, r); i >= 0 {
			return rune(to[i])
		}
		if i := strings.IndexRune(from, r|0x20); i >= 0 && r < 0x80 {
			return rune(to[i]) &^ 0x20
		}
		return r
	}, s)
}

// renamed gives other names to the domain, the name servers and the registrar, all but the public end of them, wherever they
// stand in the reply and its labels.
func renamed(s score.Sample) score.Sample {
	var pairs []string
	add := func(name string) {
		head, tail := name, ""
		if i := strings.IndexByte(name, '.'); i > 0 && !strings.Contains(name, " ") {
			if j := strings.LastIndexByte(name[:strings.LastIndexByte(name, '.')], '.'); j > 0 {
				i = j
			}
			head, tail = name[:i], name[i:]
		}
		if len(head) < 3 {
			return
		}
		for _, f := range [...]func(string) string{func(s string) string { return s }, strings.ToUpper, strings.ToLower} {
			pairs = append(pairs, f(head+tail), f(other(head)+tail))
		}
	}
	for _, key := range [...]string{"ns", "domain", "registrar"} {
		for _, name := range stringsOf(s.Expected[key]) {
			add(name)
		}
	}
	if len(pairs) == 0 {
		return s
	}
	replace := strings.NewReplacer(pairs...).Replace
	expected := map[string]any{}
	for key, v := range s.Expected {
		expected[key] = v
		if list := stringsOf(v); key == "ns" || key == "domain" || key == "registrar" {
			for i := range list {
				list[i] = replace(list[i])
			}
			if expected[key] = list; len(list) == 1 {
				expected[key] = list[0]
			}
		}
	}
	s.Response, s.Expected = replace(s.Response), expected
	return s
}

func stringsOf(v any) (list []string) {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		for _, e := range v {
			if s, ok := e.(string); ok {
				list = append(list, s)
			}
		}
	}
	return list
}

// later is a sample all of whose dates, in the reply and in the labels, are some days later.
func later(s score.Sample, days int) score.Sample {
	expected := map[string]any{}
	var labels []time.Time
	for key, v := range s.Expected {
		expected[key] = v
		switch key {
		case "created", "updated", "expires":
			var list []any
			for _, text := range stringsOf(v) {
				if t, ok := score.LabelTime(text); ok {
					labels = append(labels, t)
					list = append(list, t.AddDate(0, 0, days).Format(time.RFC3339))
				}
			}
			if expected[key] = nil; len(list) > 0 { // a label in words is no label of the other reply
				expected[key] = list
			}
		}
	}
	s.Response, s.Expected = shiftDates(s.Response, labels, days), expected
	return s
}

func TestScoresOnOtherDatesAndNames(t *testing.T) {
	all := samples(t)
	const give = 0.6 // the day and month that another date told apart are now and then left open
	for _, m := range []struct {
		name string
		do   func(score.Sample) score.Sample
	}{
		{"100 days later", func(s score.Sample) score.Sample { return later(s, 100) }},
		{"17 days earlier", func(s score.Sample) score.Sample { return later(s, -17) }},
		{"seven years later", func(s score.Sample) score.Sample { return later(s, 2557) }},
		{"other names", renamed},
		{"both, keys in upper case, CRLF", func(s score.Sample) score.Sample {
			s = later(renamed(s), 211)
			s.Response = strings.ReplaceAll(mapKeys(strings.ReplaceAll(s.Response, "\r", ""), strings.ToUpper), "\n", " \r\n")
			return s
		}},
		{"last line broken off", func(s score.Sample) score.Sample {
			text := strings.TrimRight(s.Response, "\r\n ")
			whole := whoisreply.Parse(s.Response, s.Domain())
			without := whoisreply.Parse(text[:strings.LastIndexByte(text, '\n')+1], s.Domain())
			if len(text) > 3 && reflect.DeepEqual(whole, without) { // what the labels tell is elsewhere
				s.Response = text[:len(text)-3]
			}
			return s
		}},
	} {
		tally, misses := score.NewTally(), map[string][]string{}
		for i := range all {
			s := m.do(all[i])
			r := whoisreply.Parse(s.Response, s.Domain())
			for _, miss := range tally.Add(&s, &r) {
				misses[miss.Field] = append(misses[miss.Field], fmt.Sprintf("%s: want %v, got %v", s.ID, miss.Want, miss.Got))
			}
			if s.Class == "throttled" && r.Class == whoisreply.Available {
				t.Errorf("%s: %s: throttled taken for available", m.name, s.ID)
			}
		}
		for _, field := range score.Fields {
			if got, want := tally.Percent(field), floors[field]-give; got < want || tally.Of[field] == 0 {
				t.Errorf("%s: %s: %.2f%% (%d of %d), want %.1f%%", m.name, field, got, tally.Right[field], tally.Of[field], want)
				t.Logf("%s", strings.Join(misses[field], "\n"))
			}
		}
	}
}
