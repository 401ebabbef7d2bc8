package lexical

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/whence-project/whence/enrich"
	"github.com/whence-project/whence/internal/testenv"
)

// realNames are the registrable domains of names that were really asked for.
func realNames(t testing.TB) []string {
	t.Helper()
	data, err := os.ReadFile(testenv.Path(t, "dns", "names-33k.txt"))
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	var names []string
	for _, n := range strings.Fields(string(data)) {
		if r := enrich.DomainOf(n).Registrable(); r != "" && !seen[r] {
			seen[r] = true
			names = append(names, r)
		}
	}
	return names
}

// generated are 5,000 names as malware makes them up: of characters drawn from alphabet, of lo to hi of them.
func generated(alphabet string, lo, hi int) []string {
	rnd := rand.New(rand.NewPCG(1, 1))
	tlds := strings.Fields("com net org biz info ru top xyz")
	names := make([]string, 5000)
	for i := range names {
		var b strings.Builder
		for range lo + rnd.IntN(hi-lo+1) {
			b.WriteByte(alphabet[rnd.IntN(len(alphabet))])
		}
		names[i] = b.String() + "." + tlds[rnd.IntN(len(tlds))]
	}
	return names
}

// spoken are 5,000 names that can be spoken: consonant, vowel, consonant, vowel.
func spoken() []string {
	rnd := rand.New(rand.NewPCG(2, 1))
	const consonants, vowels = "bcdfghjklmnpqrstvwxyz", "aeiou"
	names := make([]string, 5000)
	for i := range names {
		var b strings.Builder
		for range 3 + rnd.IntN(4) {
			b.WriteByte(consonants[rnd.IntN(len(consonants))])
			b.WriteByte(vowels[rnd.IntN(len(vowels))])
		}
		names[i] = b.String() + ".com"
	}
	return names
}

// TestCalibration finds how many names of which sort are below the thresholds: with the table that is compiled in, and with the
// published one. docs/lexical.md has these figures; the bounds keep thresholds and table together.
func TestCalibration(t *testing.T) {
	const letters, digits = "abcdefghijklmnopqrstuvwxyz", "0123456789"
	sorts := []struct {
		name   string
		names  []string
		both   [2]float64 // least and most per cent below both thresholds, by the table that is compiled in
		either [2]float64
	}{
		{"in use", realNames(t), [2]float64{0, 7}, [2]float64{0, 14}},
		{"letters, 8 to 20", generated(letters, 8, 20), [2]float64{64, 100}, [2]float64{85, 100}},
		{"letters and digits, 8 to 20", generated(letters+digits, 8, 20), [2]float64{70, 100}, [2]float64{91, 100}},
		{"hexadecimal, 8 to 32", generated(digits+"abcdef", 8, 32), [2]float64{80, 100}, [2]float64{92, 100}},
		{"consonants, 8 to 16", generated("bcdfghjklmnpqrstvwxz", 8, 16), [2]float64{74, 100}, [2]float64{96, 100}},
		{"syllables, 3 to 6", spoken(), [2]float64{0, 2}, [2]float64{0, 5}},
	}
	for _, tt := range []struct {
		name      string
		table     *Table
		avg, word float64
	}{
		{"compiled in", defaultTable(), DefaultAvgAlert, DefaultWordAlert},
		{"published", published(t), PublishedAvgAlert, PublishedWordAlert},
	} {
		for _, s := range sorts {
			var both, either float64
			for _, n := range s.names {
				avg, word := tt.table.Score(n)
				if avg < tt.avg && word < tt.word {
					both++
				}
				if avg < tt.avg || word < tt.word {
					either++
				}
			}
			both, either = both*100/float64(len(s.names)), either*100/float64(len(s.names))
			t.Logf("%s: %s: %d names, %.1f %% below both, %.1f %% below either", tt.name, s.name, len(s.names), both, either)
			if tt.table == defaultTable() && (both < s.both[0] || both > s.both[1] || either < s.either[0] || either > s.either[1]) {
				t.Errorf("want %v and %v", s.both, s.either)
			}
		}
	}
}
