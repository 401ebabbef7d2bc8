package lexical

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/whence-project/whence/internal/testenv"
)

func published(t testing.TB) *Table {
	t.Helper()
	data, err := os.ReadFile(testenv.Path(t, "freq", "freqtable2018.freq"))
	if err != nil {
		t.Fatal(err)
	}
	table, err := ParseTable(data)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// TestPublishedScores holds the scores against those that were published for this table: in the README of domain_stats, its
// issues 28 and 26, a guide for Wazuh, the help of its tools, and an exercise of freq's author.
func TestPublishedScores(t *testing.T) {
	table := published(t)
	if table.Pairs() != 16_427_707 {
		t.Errorf("%d pairs", table.Pairs())
	}
	for _, tt := range []struct {
		s         string
		avg, word float64
	}{
		{"sans.org", 6.2885, 7.9696},
		{"microsoft.com.au", 5.2609, 5.1892},
		{"data.gov.uk", 2.9338, 4.0568},
		{"ggpht.com", 4.0377, 3.871},
		{"betterme-magazine.com", 9.3769, 6.832},
		{"trainstation", 8.7832, 8.3946},
		{"google.com", 6.6009, 5.0887},
		{"SANS.org", 6.2885, 7.9696},
	} {
		if avg, word := table.Score(tt.s); avg != tt.avg || word != tt.word {
			t.Errorf("%s: %v %v, want %v %v", tt.s, avg, word, tt.avg, tt.word)
		}
	}
}

// small is a table of which scores can be worked out by hand: a is followed by b 3 times, by c once, by - once; B by a twice.
const small = `[true, "-_", [["a", [["b", 2], ["B", 1], ["c", 1], ["-", 1]]], ["B", [["a", 2]]], ["é", [["a", 4]]]]]`

func TestScore(t *testing.T) {
	table, err := ParseTable([]byte(strings.ReplaceAll(small, "é", "\xe9")))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		s         string
		avg, word float64
	}{
		{"", 0, 0},
		{"a", 0, 0},
		{"ab", 75, 60}, // 3 of 4 that are not ignored, 3 of 5 in all
		{"aB", 75, 60},
		{"ac", 25, 20},
		{"a-", 25, 20},
		{"-a", 0, 0},
		{"--", 0, 0},    // both ignored
		{"a--", 25, 20}, // the second pair does not count
		{"aba", 87.5, 71.4286},
		{"abx", 37.5, 42.8571}, // bx was never met
		{"abxy", 25, 42.8571},  // neither were x and y, which lowers the mean
		{"éa", 100, 100},
		{"Éa", 100, 100},
		{"éaб", 50, 44.4444}, // not in Latin-1
		{"\xff\xfe", 0, 0},
	} {
		if avg, word := table.Score(tt.s); avg != tt.avg || word != tt.word {
			t.Errorf("%q: %v %v, want %v %v", tt.s, avg, word, tt.avg, tt.word)
		}
	}
	exact, err := ParseTable([]byte(strings.Replace(strings.ReplaceAll(small, "é", "e"), "true", "false", 1)))
	if err != nil {
		t.Fatal(err)
	}
	if avg, word := exact.Score("aB"); avg != 25 || word != 20 {
		t.Errorf("with case: %v %v, want 25 20", avg, word)
	}
}

func TestParseTableRefuses(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"empty", "", "unexpected end"},
		{"no array", "{}", "cannot unmarshal"},
		{"two elements", `[true, ""]`, "2 elements where 3"},
		{"null", `[true, null, []]`, "null"},
		{"case is no bool", `["yes", "", [["a", [["b", 1]]]]]`, "cannot unmarshal"},
		{"nothing counted", `[true, "", []]`, "no pairs"},
		{"zeroes", `[true, "", [["a", [["b", 0]]]]]`, "no pairs"},
		{"two characters", `[true, "", [["ab", [["b", 1]]]]]`, "where one character"},
		{"no character", `[true, "", [["a", [["", 1]]]]]`, "where one character"},
		{"a negative count", `[true, "", [["a", [["b", -1]]]]]`, "cannot unmarshal"},
		{"a fraction", `[true, "", [["a", [["b", 1.5]]]]]`, "cannot unmarshal"},
		{"a count too large", `[true, "", [["a", [["b", 9007199254740992]]]]]`, "too large"},
		{"a sum too large", `[true, "", [["a", [["b", 9007199254740991], ["c", 1]]]]]`, "too large"},
		{"a row twice", `[true, "", [["a", [["b", 1]]], ["a", [["b", 1]]]]]`, "twice"},
		{"too large", strings.Repeat(" ", maxTable+1), "larger than"},
	} {
		if _, err := ParseTable([]byte(tt.in)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want …%s…", tt.name, err, tt.want)
		}
	}
	if _, err := ParseTable([]byte(`[true, "", [["\u0416", [["a", 1]]]]]`)); err != nil {
		t.Errorf("a table of characters that are not in Latin-1: %v", err)
	}
}

// TestRound4 compares with the rounding of the exact value, which is Python's, where floating point comes near a half.
func TestRound4(t *testing.T) {
	exact := func(x float64) float64 {
		v, _ := strconv.ParseFloat(strconv.FormatFloat(x, 'f', 4, 64), 64)
		return v
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	xs := []float64{0, 100, 1.00005, 2.00015, 0.00005, 2.5, 99.99995, 1e12 + 0.5, 0.1 + 0.2, 0.03125, 0.15625}
	for range 200_000 {
		half := (float64(rnd.IntN(1_000_000)) + 0.5) / 1e4
		xs = append(xs, rnd.Float64()*100, half, math.Nextafter(half, 0), math.Nextafter(half, 100))
	}
	for _, x := range xs {
		if got, want := round4(x), exact(x); got != want {
			t.Fatalf("%.20f: %v, want %v", x, got, want)
		}
	}
}

func TestTrainer(t *testing.T) {
	var tr Trainer
	for range 3 {
		tr.Add("ab", 1)
	}
	tr.Add("AC", 2)
	tr.Add("a\"\\\u00e9\x01б<a", 1)
	out := tr.Append(nil)
	for _, c := range out {
		if c >= 0x80 {
			t.Fatalf("not ASCII: %q", out)
		}
	}
	table, err := ParseTable(out)
	if err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	if table.Pairs() != 3+2+5 {
		t.Errorf("%d pairs, want 10", table.Pairs())
	}
	for s, want := range map[string]float64{"ab": 50, "ac": 33.3333, "a\"": 16.6667, "\"\\": 100, "\\é": 100, "é\x01": 100, "<a": 100, "\x01<": 0} {
		if avg, _ := table.Score(s); avg != want {
			t.Errorf("%q: %v, want %v", s, avg, want)
		}
	}
}

func FuzzParseTable(f *testing.F) {
	f.Add([]byte(small))
	f.Add([]byte(`[false, "\n\t~", [["\f", [["f", 2]]], ["\u0416", [["a", 1]]]]]`))
	f.Add([]byte(`[true, "aA", [["a", [["A", 1]]], ["A", [["a", 9]]]]]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		table, err := ParseTable(data)
		if err != nil {
			return
		}
		for _, s := range []string{string(data), "example.org", "\x00\xff\u00e9Ж"} {
			checkScore(t, table, s)
		}
	})
}

func FuzzScore(f *testing.F) {
	for _, s := range []string{"", "a", "example.org", "xn--mller-kva.de", "пример", "\xff\xfe", "--__", "A-b.C"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) { checkScore(t, defaultTable(), s) })
}

func checkScore(t *testing.T, table *Table, s string) {
	avg, word := table.Score(s)
	if !(avg >= 0) || !(word >= 0 && word <= 100) {
		t.Fatalf("%q: %v %v", s, avg, word)
	}
	for _, v := range []float64{avg, word} {
		if text := strconv.FormatFloat(v, 'f', -1, 64); len(text)-strings.IndexByte(text+".", '.') > 5 && v < 1e9 {
			t.Fatalf("%q: %s has more than four decimals", s, text)
		}
	}
}

func TestScoreDoesNotAllocate(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { Score("betterme-magazine.com") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkScore scores a string of 15 characters; the budget is 300 ns.
func BenchmarkScore(b *testing.B) {
	names := make([]string, 1024)
	for i := range names {
		names[i] = fmt.Sprintf("example%04d.org", i)
	}
	Score("")
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		Score(names[i&1023])
		i++
	}
}
