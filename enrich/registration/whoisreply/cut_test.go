package whoisreply_test

import (
	"strings"
	"testing"

	"github.com/whence-project/whence/bench/whoisparse/score"
	"github.com/whence-project/whence/enrich/registration/whoisreply"
)

// cutFloors are what no change may fall below where a reply lost up to three bytes that were said. A name server, date or name
// at the very end is lost where nothing else in the reply tells how it goes on.
var cutFloors = map[string]float64{
	"created": 98.4, "expires": 97.7, "updated": 98.7, "registrar": 96.7, "name servers": 98.5, "status": 93.9,
	"registered": 99.6, "available": 95.3, "registered/available": 98.1, "reserved": 95, "throttled": 100,
}

func TestScoresOnCutReplies(t *testing.T) {
	all := samples(t)
	for _, d := range disguises {
		if d.name == "Latin-1" || d.name == "no final newline" {
			continue // other lengths; cut off already
		}
		for cut := 0; cut <= 3; cut++ {
			tally := score.NewTally()
			for i := range all {
				s := &all[i]
				text := strings.TrimRight(s.Response, " \t\r\n")
				r := whoisreply.Parse(d.do(text[:max(0, len(text)-cut)]), s.Domain())
				tally.Add(s, &r)
			}
			want, give := cutFloors, d.give
			if cut == 0 {
				want = floors
			}
			for _, field := range score.Fields {
				if got := tally.Percent(field); got < want[field]-give {
					t.Errorf("%s, %d bytes cut off: %s: %.2f%% (%d of %d), want %.1f%%", d.name, cut, field, got,
						tally.Right[field], tally.Of[field], want[field]-give)
				}
			}
		}
	}
}

// A connection may break off anywhere: what is there then must not pass for the answer that the name is free. Of the replies that
// refuse an answer every beginning is tried, of those with a registration some and all near the end.
func TestBrokenOffIsNeverAvailable(t *testing.T) {
	tried := map[string]int{}
	for _, s := range samples(t) {
		step := 1
		switch s.Class {
		case "registered":
			step = 1 + len(s.Response)/40
		case "throttled", "blocked", "reserved":
		default:
			continue
		}
		tried[s.Class]++
		for n := 0; n <= len(s.Response); n++ {
			if n%step != 0 && n < len(s.Response)-40 {
				continue
			}
			if r := whoisreply.Parse(s.Response[:n], s.Domain()); r.Class == whoisreply.Available {
				t.Errorf("%s: the first %d bytes are taken for available: %q", s.ID, n, s.Response[max(0, n-80):n])
			}
		}
	}
	for _, class := range [...]string{"registered", "throttled", "reserved"} {
		if tried[class] < 20 {
			t.Errorf("only %d replies are %s", tried[class], class)
		}
	}
}

// Nor is what is left of the answer that a name is free taken for a registration.
func TestBrokenOffIsNeverRegistered(t *testing.T) {
	for _, s := range samples(t) {
		text := strings.TrimRight(s.Response, "\r\n ")
		if s.Class != "available" || whoisreply.Parse(text, s.Domain()).Class == whoisreply.Registered {
			continue
		}
		for cut := 1; cut < min(12, len(text)); cut++ {
			if r := whoisreply.Parse(text[:len(text)-cut], s.Domain()); r.Class == whoisreply.Registered {
				t.Errorf("%s: without %d bytes taken for registered: %q", s.ID, cut, text[max(0, len(text)-80):len(text)-cut])
				break
			}
		}
	}
}
