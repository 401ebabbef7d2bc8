// Package score holds what whoisreply reads out of labelled WHOIS replies against their labels.
package score

import (
	"bufio"
	"crypto/sha1"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/whence-project/whence/enrich/registration/whoisreply"
)

// Sample is a labelled reply.
type Sample struct {
	Set, ID, Server, TLD, Class string
	Expected                    map[string]any
	Response                    string
}

// Read reads samples, a JSON object a line.
func Read(r io.Reader) ([]Sample, error) {
	var all []Sample
	in := bufio.NewScanner(r)
	in.Buffer(nil, 16<<20)
	for in.Scan() {
		var s Sample
		if err := json.Unmarshal(in.Bytes(), &s); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, in.Err()
}

// HeldOut reports whether a sample is of the quarter of TLDs, chosen by hash, that the rules' first version was written without.
func (s *Sample) HeldOut() bool {
	sum := sha1.Sum([]byte(s.TLD))
	return sum[0]%4 == 0
}

// Domain is the name that was asked for, as far as the labels tell.
func (s *Sample) Domain() string {
	d, _ := s.Expected["domain"].(string)
	return d
}

// Fields are what is scored, in the order of reports.
var Fields = []string{"created", "expires", "updated", "registrar", "name servers", "status", "registered", "available", "reserved",
	"throttled", "registered/available"}

// Tally counts what is right. A label without a value is not counted.
type Tally struct{ Right, Of map[string]int }

// NewTally is an empty tally.
func NewTally() *Tally { return &Tally{map[string]int{}, map[string]int{}} }

func (t *Tally) count(field string, right bool) bool {
	t.Of[field]++
	if right {
		t.Right[field]++
	}
	return right
}

// Percent is the share of field that is right, 100 where there is nothing to be.
func (t *Tally) Percent(field string) float64 {
	if t.Of[field] == 0 {
		return 100
	}
	return 100 * float64(t.Right[field]) / float64(t.Of[field])
}

// Miss is a label that the reply's reading does not meet.
type Miss struct {
	Sample    *Sample
	Field     string
	Want, Got any
}

// Add scores one reading of a sample and returns what it missed.
func (t *Tally) Add(s *Sample, r *whoisreply.Reply) (misses []Miss) {
	check := func(field string, want, got any, right bool) {
		if !t.count(field, right) {
			misses = append(misses, Miss{s, field, want, got})
		}
	}
	for field, at := range map[string]time.Time{"created": r.Created, "updated": r.Updated, "expires": r.Expires} {
		if want := texts(s.Expected[field]); len(want) > 0 {
			check(field, want, at, sameTime(want, at))
		}
	}
	if want := texts(s.Expected["registrar"]); len(want) > 0 {
		check("registrar", want, r.Registrar, sameName(want, r.Registrar))
	}
	if want := texts(s.Expected["ns"]); len(want) > 0 {
		check("name servers", want, r.NameServers, sameSet(want, r.NameServers, hostName))
	}
	if want := texts(s.Expected["status"]); len(want) > 0 {
		check("status", want, r.Status, sameSet(split(want), r.Status, statusName))
	}
	if s.Class != "other" {
		check(s.Class, s.Class, r.Class, r.Class.String() == s.Class)
		if s.Class == "registered" || s.Class == "available" {
			t.count("registered/available", r.Class.String() == s.Class)
		}
	}
	return misses
}

// texts are the strings of a label: one, several, or none.
func texts(v any) (list []string) {
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

// layouts are those of the labels.
var layouts = []string{time.RFC3339, "2006-01-02 15:04:05 MST", "2006-01-02T15:04:05", "2006-01-02", "2006-01-02 15:04:05", "2006-01-02T15:04:05-0700",
	"2006-01-02 15:04:05 -07:00", "2006-01-02 15:04:05 -0700", "2006-01-02 15:04 MST", "2006/01/02 15:04:05 (JST)", "2006-01-02 (YYYY-MM-DD)",
	"2006-01-02T15:04", "2006-01-02 15:04:05-07", "2006-01-02-T15:04:05Z", "20060102", "02 Jan 2006", "2.1.2006", "02/01/06",
	"2006-01-02 15:04:05 (MST-7:00)", "2006-01-02T15:04:05 MST", "20060102 #"}

// LabelTime is the time that a label tells.
func LabelTime(s string) (time.Time, bool) {
	for _, layout := range layouts {
		text := s
		if strings.HasSuffix(layout, "#") {
			text, layout = s[:min(len(s), 8)], layout[:8]
		}
		if t, err := time.Parse(layout, text); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// sameTime reports whether got is within a day of a label, which takes up zones and dates without a time.
func sameTime(want []string, got time.Time) bool {
	if got.IsZero() {
		return false
	}
	for _, w := range want {
		if t, ok := LabelTime(w); ok && t.Sub(got).Abs() <= 24*time.Hour {
			return true
		}
	}
	return false
}

// letters is s in lower case without what is neither letter nor digit.
func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, s)
}

func sameName(want []string, got string) bool {
	g := letters(got)
	for _, w := range want {
		if w = letters(w); w != "" && g != "" && (strings.Contains(w, g) || strings.Contains(g, w)) {
			return true
		}
	}
	return false
}

func hostName(s string) string { return strings.TrimSuffix(strings.ToLower(s), ".") }

func statusName(s string) string {
	if i := strings.Index(s, "http"); i >= 0 {
		s = s[:i]
	}
	if i := strings.IndexByte(s, '('); i > 0 {
		s = s[:i]
	}
	return letters(s)
}

// split parts labels that are a list in one string.
func split(list []string) (parts []string) {
	for _, s := range list {
		parts = append(parts, strings.Split(s, ",")...)
	}
	return parts
}

func sameSet(want, got []string, normal func(string) string) bool {
	set := func(list []string) []string {
		var out []string
		for _, s := range list {
			if s = normal(s); s != "" {
				out = append(out, s)
			}
		}
		slices.Sort(out)
		return slices.Compact(out)
	}
	return slices.Equal(set(want), set(got))
}
