package whoisreply_test

import (
	"strings"
	"testing"

	"github.com/whence-project/whence/enrich/registration/whoisreply"
)

// The remarks and terms of use around an answer speak of limits, refusals and reservations to everybody: the answer still counts.
func TestTermsAreNotTheAnswer(t *testing.T) {
	wrong, n, seen := 0, 0, map[string]bool{}
	for _, s := range samples(t) {
		if s.Class != "registered" {
			continue
		}
		var terms strings.Builder
		for line := range strings.Lines(strings.ReplaceAll(s.Response, "\r", "")) {
			text := strings.TrimSpace(line)
			if text == "" || text[0] == '%' || text[0] == '#' || text[0] == '>' || len(text) > 60 && !strings.Contains(text, ": ") {
				terms.WriteString(line)
			}
		}
		if seen[terms.String()] {
			continue
		}
		seen[terms.String()] = true
		for _, reply := range [...]string{terms.String() + "\n\nNo match for \"EXAMPLE.TEST\".\n", "No match for \"EXAMPLE.TEST\".\n\n" + terms.String()} {
			n++
			if r := whoisreply.Parse(reply, "example.test"); r.Class != whoisreply.Available {
				if wrong++; testing.Verbose() {
					t.Logf("%s: %v", s.ID, r.Class)
				}
			}
		}
	}
	if n == 0 || wrong*50 > n {
		t.Errorf("%d of %d replies that nothing was found are taken for something else", wrong, n)
	}
}
